//! What a run answered for each sample, from the `predictions_SPLIT.csv` that it left. `crates/trainer/src/page/answered.rs` writes it; what
//! two of them have in common is `aligned`'s.

use std::path::Path;

use serde_json::Value;

use crate::cli::bounded;

/// A table of predictions, at most.
const MOST: u64 = 1 << 30;
/// `metrics.json`, at most.
const METRICS: u64 = 256 << 20;

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One class for each sample.
    Classes,
    /// Any number of labels.
    Labels,
    /// Numbers.
    Values,
}

impl Kind {
    /// As in `metrics.json`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Classes => "classification",
            Self::Labels => "multi-label",
            Self::Values => "regression",
        }
    }
}

/// One sample: its name, the truth and the answer, a cell for each target.
pub(super) struct Row {
    pub(super) source: String,
    pub(super) truth: Vec<String>,
    pub(super) answer: Vec<String>,
}

/// All of them.
pub(super) struct Predictions {
    pub(super) kind: Kind,
    /// Classes, labels or targets, as far as the run names them.
    pub(super) names: Vec<String>,
    pub(super) rows: Vec<Row>,
}

impl Predictions {
    /// Reads those of a run on `split`; `None` where it left none.
    ///
    /// # Errors
    /// What is wrong with the file, in a line.
    pub(super) fn read(run: &Path, split: &str) -> Result<Option<Self>, String> {
        let name = format!("predictions_{split}.csv");
        let wrong = |what: String| format!("{name} {what}");
        let Some(text) = bounded::text(&run.join(&name), MOST).map_err(wrong)? else { return Ok(None) };
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let head = reader.headers().map_err(|error| wrong(format!("is no CSV: {error}")))?.clone();
        let (kind, names) = measured(run, split).unwrap_or_else(|| of_header(&head));
        let columns = |prefix: &str| -> Vec<usize> {
            let plain = head.iter().position(|name| name == prefix);
            let beginning = format!("{prefix}_");
            let each = (0..head.len()).filter(|&at| head[at].starts_with(&beginning));
            plain.map_or_else(|| each.collect(), |at| vec![at])
        };
        let (truths, answers) = (columns("true"), columns("predicted"));
        if head.get(0) != Some("source") || truths.is_empty() || truths.len() != answers.len() {
            return Err(wrong("is not what a run writes: expected the columns source, true and predicted".to_owned()));
        }
        let mut rows = Vec::new();
        for row in reader.records() {
            let row = row.map_err(|error| wrong(format!("is not what a run writes: {error}")))?;
            let cells = |columns: &[usize]| columns.iter().map(|&at| row[at].to_owned()).collect();
            rows.push(Row { source: row[0].to_owned(), truth: cells(&truths), answer: cells(&answers) });
        }
        Ok(Some(Self { kind, names, rows }))
    }
}

/// The task, and its names, of what the run measured at its end.
fn measured(run: &Path, split: &str) -> Option<(Kind, Vec<String>)> {
    let text = bounded::text(&run.join("metrics.json"), METRICS).ok()??;
    let metrics: Value = serde_json::from_str(&text).ok()?;
    let report = &metrics[if split == "test" { "test" } else { "chosen_on" }];
    let kind = [Kind::Classes, Kind::Labels, Kind::Values].into_iter().find(|kind| report["task"] == kind.name())?;
    let names = report["names"].as_array()?.iter().map(|name| name.as_str().map(str::to_owned));
    Some((kind, names.collect::<Option<_>>()?))
}

/// The same, as far as the columns tell it: of a run that hasn't ended.
fn of_header(head: &csv::StringRecord) -> (Kind, Vec<String>) {
    let behind = |prefix: &str| -> Vec<String> {
        head.iter().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect()
    };
    if head.get(3) == Some("confidence") {
        return (Kind::Classes, behind("p_"));
    }
    match behind("p_") {
        labels if !labels.is_empty() => (Kind::Labels, labels),
        _ => (Kind::Values, behind("true_")),
    }
}
