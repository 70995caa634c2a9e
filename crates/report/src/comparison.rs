//! The page of a comparison: runs side by side on the same samples, what differs by more than chance, and which samples flipped.

use std::fmt::Write;

use crate::html::{document, escaped, grouped, name, notes, number, table};

/// Everything that the page shows. Texts are as they come: escaping is done here.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// What was learned, and on which samples it is compared.
    pub about: String,
    /// What should be known about it, a line each.
    pub notes: Vec<String>,
    /// Names of the metrics.
    pub metrics: Vec<String>,
    /// The runs; the others are compared with the first.
    pub runs: Vec<ComparedRun>,
}

/// A number with the ends of its 95 % interval, as far as they are defined.
pub type Interval = [Option<f64>; 3];

/// One run.
#[derive(Clone, Debug, Default)]
pub struct ComparedRun {
    /// Its name.
    pub name: String,
    /// Each metric.
    pub values: Vec<Interval>,
    /// What it costs: what, and how much.
    pub costs: Vec<(String, String)>,
    /// Beside the first run; none for that.
    pub against: Option<Beside>,
}

/// A run beside the first.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Each metric less that of the first.
    pub differences: Vec<Interval>,
    /// What the test says.
    pub test: String,
    /// Whether it is better or worse, in words.
    pub verdict: String,
    /// How many samples the first answers wrongly and this one rightly, and the first of them.
    pub fixed: (u64, Vec<Flipped>),
    /// The reverse.
    pub broken: (u64, Vec<Flipped>),
}

/// A sample that two runs answer differently.
#[derive(Clone, Debug, Default)]
pub struct Flipped {
    /// Where it came from.
    pub source: String,
    /// What it is.
    pub truth: String,
    /// What the first run answers.
    pub first: String,
    /// What this one does.
    pub this: String,
}

impl Comparison {
    /// The whole page as HTML: one file, which loads and runs nothing.
    pub fn html(&self) -> String {
        let mut body = format!("<section id=summary><h2>Side by side</h2>\n<p>{}</p>\n", escaped(&self.about));
        body += &self.metrics();
        body += &self.costs();
        body += &notes(&self.notes);
        body += "</section>\n";
        let mut contents = vec![("summary".to_owned(), "Side by side".to_owned())];
        for (at, run) in self.runs.iter().enumerate() {
            if let Some(against) = &run.against {
                body += &self.section(at, run, against);
                contents.push((format!("run{at}"), run.name.clone()));
            }
        }
        let names: Vec<&str> = self.runs.iter().map(|run| run.name.as_str()).collect();
        document(&names.join(" | "), "comparison", "The same samples, answered by each run.", &contents, &body)
    }

    fn metrics(&self) -> String {
        let mut head = vec!["Run"];
        head.extend(self.metrics.iter().flat_map(|metric| [metric.as_str(), "95 %"]));
        head.push("Against the first");
        let row = |run: &ComparedRun| {
            let mut cells = vec![name(&run.name)];
            cells.extend(run.values.iter().flat_map(estimate));
            cells.push(run.against.as_ref().map_or_else(|| "\u{2013}".to_owned(), |against| escaped(&against.verdict)));
            cells
        };
        table("Metrics", &head, &self.runs.iter().map(row).collect::<Vec<_>>())
    }

    fn costs(&self) -> String {
        let mut head = vec!["Run"];
        head.extend(self.runs.first().iter().flat_map(|run| run.costs.iter().map(|(what, _)| what.as_str())));
        let row = |run: &ComparedRun| {
            [name(&run.name)].into_iter().chain(run.costs.iter().map(|(_, cost)| escaped(cost))).collect()
        };
        table("Costs", &head, &self.runs.iter().map(row).collect::<Vec<Vec<String>>>())
    }

    fn section(&self, at: usize, run: &ComparedRun, against: &Beside) -> String {
        let first = self.runs.first().map(|run| name(&run.name)).unwrap_or_default();
        let mut out = format!("<section id=run{at}><h2>{} against {first}</h2>\n", name(&run.name));
        let _ = writeln!(out, "<p>{}: {}.</p>", escaped(&against.verdict), escaped(&against.test));
        let rows = self
            .metrics
            .iter()
            .zip(&against.differences)
            .map(|(metric, difference)| [escaped(metric)].into_iter().chain(estimate(difference)).collect());
        out += &table("Less the first run's", &["Metric", "Difference", "95 %"], &rows.collect::<Vec<Vec<String>>>());
        out += &flipped("Broken", "answered worse than by the first run", &against.broken);
        out += &flipped("Fixed", "answered better than by the first run", &against.fixed);
        out + "</section>\n"
    }
}

fn estimate([value, low, high]: &Interval) -> [String; 2] {
    let dash = || "\u{2013}".to_owned();
    let ends = low.zip(*high).map_or_else(dash, |(low, high)| format!("{} to {}", number(low), number(high)));
    [value.map_or_else(dash, number), ends]
}

fn flipped(title: &str, what: &str, (count, shown): &(u64, Vec<Flipped>)) -> String {
    if shown.is_empty() {
        return format!("<p>{title}: no sample is {what}.</p>\n");
    }
    let caption = format!("{title}: {} samples are {what}; {} of them", grouped(*count), shown.len());
    let row = |one: &Flipped| [&one.source, &one.truth, &one.first, &one.this].map(|text| name(text)).into();
    table(&caption, &["Sample", "Is", "The first said", "This said"], &shown.iter().map(row).collect::<Vec<_>>())
}
