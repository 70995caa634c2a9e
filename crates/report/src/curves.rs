//! The learning curves, from the text of `results.csv`, however much of it there is.

use crate::chart::{Chart, Series, lines};
use crate::html::{escaped, number, table};

/// Epochs listed one by one; beyond that, some between are left out.
const ROWS: usize = 200;
/// Columns that are no curves.
const APART: [&str; 3] = ["epoch", "time", "weights/sha256"];

/// `results.csv`, as far as it can be read.
struct History {
    head: Vec<String>,
    rows: Vec<Vec<Option<f64>>>,
}

impl History {
    /// Rows without an epoch are left out; empty cells and words are undefined numbers.
    fn parse(text: &str) -> Self {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let head: Vec<String> =
            reader.headers().map(|head| head.iter().map(str::to_owned).collect()).unwrap_or_default();
        let cells =
            |row: csv::StringRecord| (0..head.len()).map(|at| row.get(at)?.trim().parse().ok()).collect::<Vec<_>>();
        let epoch = head.iter().position(|name| name == "epoch");
        let rows = reader.records().filter_map(Result::ok).map(cells);
        let rows = rows.filter(|row| epoch.is_some_and(|at| row.get(at).copied().flatten().is_some())).collect();
        Self { head, rows }
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.head.iter().position(|column| column == name)
    }

    fn series(&self, names: &[&str]) -> Vec<Series> {
        let Some(epoch) = self.column("epoch") else { return Vec::new() };
        let of = |name: &&str| {
            let at = self.column(name)?;
            let point = |row: &Vec<Option<f64>>| Some((row[epoch]?, row[at].unwrap_or(f64::NAN)));
            Some(Series { name: (*name).to_owned(), points: self.rows.iter().filter_map(point).collect() })
        };
        names.iter().filter_map(of).collect()
    }
}

/// The section; says so where no epoch has ended.
pub(crate) fn section(results: &str, best_epoch: usize) -> String {
    let history = History::parse(results);
    let mut out = "<section id=curves><h2>Learning curves</h2>\n".to_owned();
    if history.rows.is_empty() {
        return out + "<p>No epoch has ended yet.</p></section>\n";
    }
    if best_epoch > 0 {
        out += &format!("<p>The best model is that of epoch {best_epoch}.</p>\n");
    }
    for (title, chart) in charts(&history) {
        out += &format!("<h3>{title}</h3>\n");
        out += &chart.map_or_else(|| "<p>No finite number.</p>\n".to_owned(), |chart| chart.html());
    }
    out += &listed(&history);
    out + "</section>\n"
}

/// The charts that can be drawn of `results.csv`.
pub(crate) fn drawn(results: &str) -> Vec<Chart> {
    charts(&History::parse(results)).into_iter().filter_map(|(_, chart)| chart).collect()
}

/// By their titles; `None` where no number is finite.
fn charts(history: &History) -> Vec<(&'static str, Option<Chart>)> {
    let names = history.head.iter().map(String::as_str);
    let metrics = names.filter(|name| name.starts_with("metrics/") || *name == "train/accuracy_top1");
    // Errors in the target's units aren't on the scale of shares.
    let (errors, shares): (Vec<&str>, Vec<&str>) =
        metrics.partition(|name| ["metrics/mae", "metrics/rmse"].contains(name));
    let groups = [
        ("Loss", vec!["train/loss", "val/loss"]),
        ("Metrics", shares),
        ("Errors", errors),
        ("Learning rate", vec!["lr/pg0"]),
    ];
    let there = groups.into_iter().map(|(title, names)| (title, history.series(&names)));
    let chart = |(title, series): (&'static str, Vec<Series>)| {
        (title, lines(title, &description(&series), "epoch", &series, &[]))
    };
    there.filter(|(_, series)| !series.is_empty()).map(chart).collect()
}

/// First and last number of each line, for those who don't see them.
fn description(series: &[Series]) -> String {
    let one = |series: &Series| {
        let mut finite = series.points.iter().filter(|point| point.1.is_finite());
        let (first, last) = (finite.next(), finite.next_back());
        match (first, last) {
            (Some(first), Some(last)) => {
                format!(
                    "{} from {} in epoch {} to {} in epoch {}",
                    series.name,
                    number(first.1),
                    first.0,
                    number(last.1),
                    last.0
                )
            }
            (Some(only), None) => format!("{} {} in epoch {}", series.name, number(only.1), only.0),
            _ => format!("{} is never finite", series.name),
        }
    };
    series.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// All of it as a table, folded away.
fn listed(history: &History) -> String {
    let shown: Vec<usize> = (0..history.head.len())
        .filter(|&at| history.head[at] == "epoch" || !APART.contains(&history.head[at].as_str()))
        .collect();
    let head: Vec<&str> = shown.iter().map(|&at| history.head[at].as_str()).collect();
    let thin = history.rows.len().div_ceil(ROWS).max(1);
    let row = |row: &Vec<Option<f64>>| -> Vec<String> {
        let cell = |&at: &usize| match row[at] {
            Some(value) if history.head[at] == "epoch" => escaped(&value.to_string()),
            value => value.map_or_else(|| "\u{2013}".to_owned(), number),
        };
        shown.iter().map(cell).collect()
    };
    let last = history.rows.len() - 1;
    let rows: Vec<Vec<String>> = history
        .rows
        .iter()
        .enumerate()
        .filter(|(at, _)| at % thin == 0 || *at == last)
        .map(|(_, one)| row(one))
        .collect();
    let some =
        if thin > 1 { format!(", one epoch in {thin}; all are in <code>results.csv</code>") } else { String::new() };
    format!("<details><summary>The numbers{some}</summary>{}</details>\n", table("Epochs", &head, &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_file_gives_the_rows_that_are_whole() {
        let history = History::parse("epoch,train/loss,val/loss\n1,0.5,NaN\n2,0.25,\n3");
        assert_eq!(history.rows.len(), 3);
        assert_eq!(history.rows[1], [Some(2.0), Some(0.25), None]);
        assert!(history.rows[0][2].unwrap().is_nan());
        for text in ["", "\n", "nonsense", "epoch\n", "a,b\n1,2\n", "\u{0}\u{1}\n\"", "epoch,x\n\"1"] {
            assert!(section(text, 0).ends_with("</section>\n"), "{text:?}");
        }
    }

    #[test]
    fn nan_and_infinity_in_the_history_are_said_and_not_drawn() {
        let text = "epoch,time,train/loss,val/loss,lr/pg0\n1,1,NaN,inf,1e-3\n2,2,NaN,NaN,1e-3\n";
        let section = section(text, 1);
        assert!(section.contains("No finite number") && section.contains("NaN") && section.contains("infinite"));
        assert!(!section.contains("d=\"MNaN"));
    }

    #[test]
    fn long_histories_are_thinned_out_and_say_so() {
        let rows: String = (1..=5000).map(|epoch| format!("{epoch},{}\n", 1.0 / f64::from(epoch))).collect();
        let section = section(&format!("epoch,train/loss\n{rows}"), 4999);
        assert!(section.len() < 100_000 && section.contains("one epoch in 25") && section.contains(">5000<"));
    }
}
