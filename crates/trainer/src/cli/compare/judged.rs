//! What the numbers say: metrics with their intervals, differences from the first run, and whether they are more than chance.

use serde::Serialize;
use tasks::paired::{McNemar, middle, resample};

use super::aligned::Aligned;
use super::predictions::Kind;

/// Drawings of each bootstrap interval.
pub(super) const RESAMPLES: u32 = 2000;
/// Decides the drawings.
const SEED: u64 = 0;
/// Below this p-value a difference counts.
pub(super) const LEVEL: f64 = 0.05;

/// A number with its 95 % interval; null where it is undefined.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Estimate {
    pub(super) value: Option<f64>,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
}

impl Estimate {
    fn of(value: f64, drawn: &[f64]) -> Self {
        let (low, high) = middle(drawn).map(|[low, high]| (low, high)).unzip();
        Self { value: Some(value).filter(|value| value.is_finite()), low, high }
    }
}

/// Whether a run is better than the first by more than chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Better,
    Worse,
    NoClearDifference,
}

impl Verdict {
    /// For people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoClearDifference => "no clear difference",
        }
    }
}

/// A run beside the first.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Against {
    /// Its metrics less those of the first, in their order.
    pub(super) differences: Vec<Estimate>,
    /// For classes and labels.
    pub(super) mcnemar: Option<McNemar>,
    /// For numbers: the mean error less that of the first, in standard deviations of the targets.
    pub(super) error: Option<Estimate>,
    pub(super) verdict: Verdict,
    /// Positions of samples that the first answers wrongly and this one rightly; for numbers those whose error fell most.
    pub(super) fixed: Vec<usize>,
    /// The reverse.
    pub(super) broken: Vec<usize>,
}

/// What is measured of one run.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) metrics: Vec<Estimate>,
    /// None for the first.
    pub(super) against: Option<Against>,
}

/// Samples whose error changed most that are named.
const CHANGED: usize = 20;

/// Judges all runs by the same drawings.
pub(super) fn judge(all: &Aligned) -> Vec<Judged> {
    let samples = all.sources.len();
    let whole: Vec<u32> = (0..samples as u32).collect();
    let found: Vec<[f64; 3]> = (0..all.runs.len()).map(|run| all.measure(run, &whole)).collect();
    // Of each run and metric: its values over the drawings; of each run: its mean error.
    let mut drawings = vec![[const { Vec::new() }; 3]; all.runs.len()];
    let mut errors = vec![Vec::new(); all.runs.len()];
    resample(samples, RESAMPLES, SEED, &mut |drawn| {
        for (run, values) in drawings.iter_mut().enumerate() {
            values.iter_mut().zip(all.measure(run, drawn)).for_each(|(values, value)| values.push(value));
            errors[run].push(mean_error(all, run, drawn));
        }
    });
    let difference = |one: &[f64], first: &[f64]| -> Vec<f64> { one.iter().zip(first).map(|(a, b)| a - b).collect() };
    let judged = |run: usize| {
        let metrics = (0..3).map(|at| Estimate::of(found[run][at], &drawings[run][at])).collect();
        let against = (run > 0).then(|| {
            let differences = (0..3)
                .map(|at| {
                    Estimate::of(found[run][at] - found[0][at], &difference(&drawings[run][at], &drawings[0][at]))
                })
                .collect();
            let error = mean_error(all, run, &whole) - mean_error(all, 0, &whole);
            let error = Estimate::of(error, &difference(&errors[run], &errors[0]));
            against(all, run, differences, error)
        });
        Judged { metrics, against }
    };
    (0..all.runs.len()).map(judged).collect()
}

fn mean_error(all: &Aligned, run: usize, drawn: &[u32]) -> f64 {
    let errors = &all.runs[run].error;
    if errors.is_empty() {
        return f64::NAN;
    }
    drawn.iter().map(|&at| errors[at as usize]).sum::<f64>() / drawn.len() as f64
}

fn against(all: &Aligned, run: usize, differences: Vec<Estimate>, error: Estimate) -> Against {
    let (first, this) = (&all.runs[0], &all.runs[run]);
    if all.kind == Kind::Values {
        let verdict = match (error.low, error.high) {
            (Some(low), _) if low > 0.0 => Verdict::Worse,
            (_, Some(high)) if high < 0.0 => Verdict::Better,
            _ => Verdict::NoClearDifference,
        };
        let mut changes: Vec<(f64, usize)> =
            this.error.iter().zip(&first.error).map(|(this, first)| this - first).zip(0..).collect();
        changes.sort_by(|a, b| a.0.total_cmp(&b.0));
        let fixed = changes.iter().filter(|(change, _)| *change < 0.0).take(CHANGED).map(|(_, at)| *at).collect();
        let broken =
            changes.iter().rev().filter(|(change, _)| *change > 0.0).take(CHANGED).map(|(_, at)| *at).collect();
        return Against { differences, mcnemar: None, error: Some(error), verdict, fixed, broken };
    }
    let flipped = |from: bool| -> Vec<usize> {
        (0..this.right.len()).filter(|&at| first.right[at] == from && this.right[at] != from).collect()
    };
    let (fixed, broken) = (flipped(false), flipped(true));
    let test = McNemar::of(fixed.len() as u64, broken.len() as u64);
    let verdict = match test.mid < LEVEL {
        true if broken.len() > fixed.len() => Verdict::Worse,
        true => Verdict::Better,
        false => Verdict::NoClearDifference,
    };
    Against { differences, mcnemar: Some(test), error: None, verdict, fixed, broken }
}
