//! Whether probabilities mean what they say: the reliability diagram and the expected calibration error.

use crate::Answer;
use crate::chart::{self, Bar, Chart};
use crate::html::{number, percent, table};

const BINS: usize = 10;

/// Answers by their probability, in ten bins of equal width: Guo et al., "On Calibration of Modern Neural Networks", 2017.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// Of each bin: answers, sum of their probabilities, how many were right.
    bins: Box<[(u64, f64, u64); BINS]>,
}

impl Calibration {
    /// Of the most probable classes.
    pub(crate) fn of(answers: &[Answer]) -> Self {
        let mut calibration = Self::default();
        answers.iter().for_each(|answer| calibration.add(answer.confidence, answer.truth == answer.predicted));
        calibration
    }

    /// Adds an answer that was given with `probability`; NaN counts as 0.
    pub fn add(&mut self, probability: f64, right: bool) {
        let probability = if probability.is_nan() { 0.0 } else { probability.clamp(0.0, 1.0) };
        let bin = &mut self.bins[((probability * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += 1;
        bin.1 += probability;
        bin.2 += u64::from(right);
    }

    /// The expected calibration error: by how much probability and share of right answers differ, the mean over the answers. `None`
    /// without any.
    pub fn error(&self) -> Option<f64> {
        let all: u64 = self.bins.iter().map(|bin| bin.0).sum();
        let gap = |&(_, sum, right): &(u64, f64, u64)| (sum - right as f64).abs();
        (all > 0).then(|| self.bins.iter().map(gap).sum::<f64>() / all as f64)
    }

    /// The reliability diagram; `what` are the answers, such as "the predicted class". Nothing without any.
    pub(crate) fn chart(&self, what: &str) -> Option<Chart> {
        self.error()?;
        let bar = |(at, counts): (usize, &(u64, f64, u64))| Bar {
            // The percent sign stands in the description: there is little room.
            label: range(at).replace(" %", ""),
            value: share(counts),
            mark: (counts.0 > 0).then(|| counts.1 / counts.0 as f64),
        };
        let bars: Vec<Bar> = self.bins.iter().enumerate().map(bar).collect();
        let description = format!("How often {what} is right, for each tenth of its probability, in percent");
        Some(chart::bars("Reliability diagram", &description, &bars, Some(1.0)))
    }

    /// The section of the page; `what` as above.
    pub(crate) fn section(&self, what: &str) -> String {
        let (Some(error), Some(chart)) = (self.error(), self.chart(what)) else { return String::new() };
        let row = |(at, counts): (usize, &(u64, f64, u64))| {
            let mean = counts.1 / counts.0 as f64;
            vec![range(at), counts.0.to_string(), percent(Some(mean)), percent(share(counts))]
        };
        let rows: Vec<Vec<String>> = self.bins.iter().enumerate().filter(|(_, counts)| counts.0 > 0).map(row).collect();
        format!(
            "<section id=calibration><h2>Calibration</h2>\n<p>Expected calibration error <strong>{}</strong>, in ten bins: by so much the \
             probability of {what} and how often it is right differ on average. Bars are how often; dashes are the mean probability. \
             Where a bar ends below its dash, the network is too sure of itself.</p>\n{}<details><summary>The numbers</summary>{}</details></section>\n",
            number(error),
            chart.html(),
            table("Reliability", &["Probability", "Answers", "Mean probability", "Right"], &rows),
        )
    }
}

/// The probabilities of a bin.
fn range(bin: usize) -> String {
    format!("{}\u{2013}{} %", bin * 100 / BINS, (bin + 1) * 100 / BINS)
}

/// How many of a bin's answers were right.
fn share(&(answers, _, right): &(u64, f64, u64)) -> Option<f64> {
    (answers > 0).then(|| right as f64 / answers as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_the_mean_gap_over_the_answers() {
        let mut calibration = Calibration::default();
        assert_eq!(calibration.error(), None);
        // Bin 0.9 to 1: 4 answers of 0.95, 2 right: gap 0.45. Bin 0.5: 1 answer of 0.55, right: gap 0.45.
        (0..4).for_each(|at| calibration.add(0.95, at < 2));
        calibration.add(0.55, true);
        assert!((calibration.error().unwrap() - 0.45).abs() < 1e-12);
        calibration.add(1.0, true);
        assert!((calibration.error().unwrap() - (4.0 * 0.95 + 1.0 - 3.0 + 0.45) / 6.0).abs() < 1e-12);
        calibration.add(f64::NAN, false);
        assert!(calibration.error().is_some_and(f64::is_finite));
    }
}
