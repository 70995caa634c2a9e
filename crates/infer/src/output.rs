//! Predictions as text: a table for people, JSON and CSV for programs, a line at a time. Knows nothing of where they come from. What a
//! line of JSON says is in `answer`.

use std::io::{self, Write};

use tasks::{Prediction, Scored, Task};

use crate::answer::Json;

/// Columns of a table's sources at most: a few long names shouldn't push everything else off the screen.
const SOURCE: usize = 48;

/// Columns of a table's intervals.
const INTERVAL: usize = 26;

/// How predictions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns for people
    #[value(alias = "text")]
    Table,
    /// One JSON object a line
    Jsonl,
    /// One JSON array
    Json,
    /// A header and one row an input
    Csv,
}

/// Writes one prediction after the other and flushes each.
pub(crate) struct Writer<W: Write> {
    out: W,
    format: Format,
    json: Json,
    task: Task,
    /// How many were written.
    count: usize,
    /// Width of the table's first columns so far.
    widths: [usize; 2],
}

impl<W: Write> Writer<W> {
    /// `top`: how many classes are written of each prediction.
    pub(crate) fn new(out: W, format: Format, top: usize, task: &Task) -> Self {
        Self { out, format, json: Json::new(top, task), task: task.clone(), count: 0, widths: [6, 5] }
    }

    /// The same where predictions have the sets or intervals of a coverage.
    pub(crate) fn covering(self, coverage: Option<f64>) -> Self {
        Self { json: self.json.covering(coverage), ..self }
    }

    /// The same where lines of JSON name the model.
    pub(crate) fn signed(self, model: Option<String>) -> Self {
        Self { json: self.json.signed(model), ..self }
    }

    /// Makes room for `sources` in the table's first column; the columns of lines written before stay as they are.
    pub(crate) fn expect<'a>(&mut self, sources: impl Iterator<Item = &'a str>) {
        self.widths[0] = sources.map(|name| shown(name).chars().count()).fold(self.widths[0], usize::max).min(SOURCE);
        let labels = self.task.names().iter().map(|name| shown(name).chars().count());
        self.widths[1] = labels.fold(self.widths[1], usize::max).min(32);
    }

    /// Writes what the model says of `source`, or why it says nothing.
    pub(crate) fn write(&mut self, source: &str, answer: Result<&Prediction, &str>) -> io::Result<()> {
        match self.format {
            Format::Table => {
                self.heading()?;
                let row = self.row(source, answer);
                writeln!(self.out, "{}", row.trim_end())?;
            }
            Format::Jsonl => writeln!(self.out, "{}", self.json.line(source, answer)?)?,
            Format::Json => {
                write!(self.out, "{}{}", if self.count == 0 { "[\n" } else { ",\n" }, self.json.line(source, answer)?)?
            }
            Format::Csv => {
                self.heading()?;
                let cells = self.cells(source, answer);
                csv_line(&mut self.out, &cells)?;
            }
        }
        self.count += 1;
        self.out.flush()
    }

    /// Writes what comes after the last prediction.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match (self.format, self.count) {
            (Format::Json, 0) => writeln!(self.out, "[]")?,
            (Format::Json, _) => writeln!(self.out, "\n]")?,
            (Format::Csv, 0) => self.heading()?,
            _ => {}
        }
        self.out.flush()
    }

    /// The first line of a table, of CSV: once.
    fn heading(&mut self) -> io::Result<()> {
        if self.count > 0 {
            return Ok(());
        }
        let names = self.task.names().iter();
        if self.format == Format::Csv {
            let mut cells = vec!["source".to_owned()];
            match &self.task {
                Task::Classification(_) => {
                    cells.extend(["label", "index", "prob"].map(String::from));
                    cells.extend((2..=self.json.top).flat_map(|rank| [format!("label{rank}"), format!("prob{rank}")]));
                    cells.extend(self.json.coverage.map(|_| "set".to_owned()));
                }
                Task::MultiLabel(_) => {
                    cells.push("labels".into());
                    cells.extend(names.map(|name| format!("p_{name}")));
                }
                Task::Regression(_) => {
                    cells.extend(names.clone().cloned());
                    let ends = |name| [format!("low_{name}"), format!("high_{name}")];
                    cells.extend(self.json.coverage.iter().flat_map(|_| names.clone().flat_map(ends)));
                }
            }
            cells.push("error".into());
            return csv_line(&mut self.out, &cells);
        }
        let [first, second] = self.widths;
        match &self.task {
            Task::Classification(_) if self.json.coverage.is_some() => {
                writeln!(self.out, "{:first$}  {:second$}    prob  set", "source", "label")
            }
            Task::Classification(_) if self.json.top == 1 => {
                writeln!(self.out, "{:first$}  {:second$}    prob", "source", "label")
            }
            Task::Classification(_) => writeln!(self.out, "{:first$}  {:second$}    prob  next", "source", "label"),
            Task::MultiLabel(_) => writeln!(self.out, "{:first$}  labels", "source"),
            Task::Regression(_) => {
                let ends =
                    self.json.coverage.map(|coverage| format!(" [{} % interval]", (coverage * 1e6).round() / 1e4));
                let ends = ends.map_or_else(String::new, |ends| format!("{ends:INTERVAL$}"));
                let names: Vec<String> = names.map(|name| format!("{:>12}{ends}", shown(name))).collect();
                writeln!(self.out, "{:first$}  {}", "source", names.join("  ").trim_end())
            }
        }
    }

    /// A line of the table.
    fn row(&self, source: &str, answer: Result<&Prediction, &str>) -> String {
        let [first, second] = self.widths;
        let rest = match answer {
            Err(error) => format!("error: {}", shown(error)),
            Ok(Prediction::Class { ranked, set }) => {
                // With a set that is what follows, whole.
                let mut classes = ranked.iter().take(set.unwrap_or(self.json.top));
                let best = classes
                    .next()
                    .map(|class| format!("{:second$}  {:>6}", shown(&class.name), percent(class.probability)));
                let first = ranked.first().filter(|_| set.is_some()).map(scored);
                let next: Vec<String> = first.into_iter().chain(classes.map(scored)).collect();
                format!("{}  {}", best.unwrap_or_default(), next.join(", "))
            }
            Ok(prediction @ Prediction::Labels { .. }) => match prediction.labels().as_slice() {
                [] => "none".to_owned(),
                labels => labels.iter().map(|label| scored(label)).collect::<Vec<_>>().join(", "),
            },
            Ok(Prediction::Values { values, margins }) => {
                let cell = |(at, (name, value)): (usize, &(String, f64))| {
                    let margin = margins.as_ref().and_then(|margins| margins.get(at));
                    let ends =
                        margin.map(|margin| format!(" [{} to {}]", number(value - margin), number(value + margin)));
                    let ends = ends.map_or_else(String::new, |ends| format!("{ends:INTERVAL$}"));
                    format!("{:>1$}{ends}", number(*value), shown(name).chars().count().max(12))
                };
                values.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ")
            }
        };
        format!("{:first$}  {rest}", ending(&shown(source)))
    }

    /// A row of CSV.
    fn cells(&self, source: &str, answer: Result<&Prediction, &str>) -> Vec<String> {
        let asked = usize::from(self.json.coverage.is_some());
        let between = match &self.task {
            Task::Classification(_) => 1 + 2 * self.json.top + asked,
            Task::MultiLabel(task) => 1 + task.labels.len(),
            Task::Regression(task) => task.targets.len() * (1 + 2 * asked),
        };
        let mut cells = vec![source.to_owned()];
        match answer {
            Err(_) => {}
            Ok(Prediction::Class { ranked, set }) => {
                for (rank, class) in ranked.iter().take(self.json.top).enumerate() {
                    cells.push(class.name.clone());
                    cells.extend((rank == 0).then(|| class.index.to_string()));
                    cells.push(class.probability.to_string());
                }
                let names = |set: usize| ranked.iter().take(set).map(|class| class.name.as_str()).collect::<Vec<_>>();
                cells.extend(set.map(|set| names(set).join(";")));
            }
            Ok(prediction @ Prediction::Labels { scored, .. }) => {
                cells.push(prediction.labels().iter().map(|label| label.name.as_str()).collect::<Vec<_>>().join(";"));
                cells.extend(scored.iter().map(|label| label.probability.to_string()));
            }
            Ok(Prediction::Values { values, margins }) => {
                cells.extend(values.iter().map(|(_, value)| value.to_string()));
                // Without an end the cell is empty.
                let end = |end: f64| if end.is_finite() { end.to_string() } else { String::new() };
                let margins = values.iter().zip(margins.iter().flatten());
                cells.extend(margins.flat_map(|((_, value), margin)| [end(value - margin), end(value + margin)]));
            }
        }
        cells.resize(1 + between, String::new());
        cells.push(answer.err().unwrap_or_default().to_owned());
        cells
    }
}

fn csv_line(out: &mut impl Write, cells: &[String]) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    writer.write_record(cells)?;
    let bytes = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    out.write_all(&bytes)
}

fn scored(label: &Scored) -> String {
    format!("{} {}", shown(&label.name), percent(label.probability))
}

/// `98.2%`.
pub(crate) fn percent(share: f32) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// The end of a long path, which tells one file from the other; the formats for programs have it whole.
fn ending(source: &str) -> String {
    let long = source.chars().count().checked_sub(SOURCE).filter(|&beyond| beyond > 0);
    long.map_or_else(|| source.to_owned(), |beyond| format!("…{}", source.chars().skip(beyond + 1).collect::<String>()))
}

/// A number of any magnitude, to six digits.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e9).contains(&magnitude) {
        return format!("{value:.5e}");
    }
    let digits = if magnitude < 1.0 { 6 } else { 5_usize.saturating_sub(magnitude.log10() as usize) };
    format!("{value:.digits$}")
}

/// Text of a file's name, a label or an error as a terminal may get it: control characters could move its cursor.
pub(crate) fn shown(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_source_keeps_its_end() {
        assert_eq!(ending("a/b.png"), "a/b.png");
        let long = ending(&format!("{}/last.png", "x".repeat(60)));
        assert_eq!(long.chars().count(), SOURCE);
        assert!(long.starts_with('…') && long.ends_with("x/last.png"), "{long}");
    }
}
