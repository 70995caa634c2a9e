//! What calibration did to the probabilities, and how often prediction sets and intervals hold the truth.

use std::fmt::Write;

use crate::Share;
use crate::html::{escaped, grouped, name, number, percent, table};

/// How far the answers on samples that the network didn't learn from can be relied on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coverage {
    /// `test` or `val`: the samples that were measured.
    pub split: &'static str,
    /// What outputs are divided by; `None` for numbers.
    pub temperature: Option<f64>,
    /// Validation samples that it was fitted on.
    pub fitted_on: u64,
    /// Why the temperature isn't the most likely one.
    pub note: Option<String>,
    /// Mean -ln of the true class's (or label's) probability, before and after.
    pub loss: Option<[f64; 2]>,
    /// Expected calibration error, before and after.
    pub error: Option<[f64; 2]>,
    /// How often sets and intervals held the truth.
    pub rows: Vec<CoverageRow>,
}

/// The sets, or the intervals of a target, of one coverage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoverageRow {
    /// The target, where numbers are predicted.
    pub target: Option<String>,
    /// The probability that was asked for.
    pub asked: f64,
    /// How often the truth was within.
    pub covered: Option<Share>,
    /// How many classes on average, or the width of the interval; `None` where validation had too few samples for a limit.
    pub size: Option<f64>,
}

impl Coverage {
    /// The section of the page.
    pub(crate) fn section(&self) -> String {
        let mut out = "<section id=coverage><h2>Temperature and coverage</h2>\n".to_owned();
        let fitted = grouped(self.fitted_on);
        if let Some(temperature) = self.temperature {
            let note = self.note.iter().map(|note| format!(" ({})", name(note))).collect::<String>();
            let _ = writeln!(
                out,
                "<p>Outputs are divided by the temperature <strong>{}</strong>{note} before they become probabilities: the one that fits the \
                 {fitted} validation samples best. Above 1 the network was too sure of itself. What it predicts doesn't depend on it.</p>",
                number(temperature)
            );
        }
        let both = [("Negative log-likelihood", self.loss), ("Expected calibration error", self.error)];
        let rows: Vec<Vec<String>> = both
            .iter()
            .filter_map(|(what, both)| Some(vec![(*what).to_owned(), number((*both)?[0]), number((*both)?[1])]))
            .collect();
        if !rows.is_empty() {
            out += &table(&format!("Calibration ({})", self.split), &["Measure", "Before", "After"], &rows);
        }
        out += &self.covered();
        out + "</section>\n"
    }

    fn covered(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let numbers = self.rows.iter().any(|row| row.target.is_some());
        let (what, size) = if numbers { ("intervals", "Width") } else { ("sets of classes", "Mean size") };
        let row = |row: &CoverageRow| {
            let interval =
                row.covered.map(|share| format!("{} to {}", percent(Some(share.low)), percent(Some(share.high))));
            let mut cells: Vec<String> = row.target.iter().map(|target| escaped(target)).collect();
            cells.push(percent(Some(row.asked)));
            cells.push(percent(row.covered.map(|share| share.value)));
            cells.push(interval.unwrap_or_default());
            cells.push(row.size.map_or_else(|| "everything".to_owned(), number));
            cells
        };
        let heads = ["Target", "Asked for", "Held the truth", "95 % interval", size];
        format!(
            "<p><code>infer predict --coverage</code> answers with {what}, of limits from the {} validation samples. They chose the best epoch \
             too, so that what was asked for is not quite promised; this is what came true on {}.</p>\n{}",
            grouped(self.fitted_on),
            if self.split == "test" { "the test split" } else { "those samples themselves, which flatters" },
            table("Coverage", &heads[usize::from(!numbers)..], &self.rows.iter().map(row).collect::<Vec<_>>())
        )
    }
}
