//! Exact sums over samples, merged by `+` and divided once when read: never a mean of batch means. Because the sums are exact
//! ([`sum`]) the numbers don't depend on the order or grouping of the samples.
//!
//! What is undefined for the data at hand (the recall of a class without samples, the R2 of a constant target, the loss when a
//! network put out NaN) is absent, never NaN.

mod classes;
mod confusion;
mod errors;
mod labels;
mod ranking;
mod report;
mod sum;
mod table;

use std::ops::{Add, AddAssign};

use data::BatchTargets;

use crate::{Error, Task};
use classes::ClassSums;
use errors::ErrorSums;
use labels::LabelSums;

pub(crate) use labels::bce;
pub use ranking::Curves;
pub use report::{ClassReport, Report, TargetReport, wilson};

/// What is known of a scalar metric by its name.
pub(crate) struct Scalar {
    pub(crate) name: &'static str,
    pub(crate) higher_is_better: bool,
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
}

/// Every scalar metric of every task.
pub(crate) const SCALARS: &[Scalar] = &[
    Scalar { name: "loss", higher_is_better: false, low: Some(0.0), high: None },
    share("accuracy"),
    share("top5"),
    share("exact_match"),
    share("map"),
    share("macro_precision"),
    share("macro_recall"),
    share("macro_f1"),
    share("micro_f1"),
    share("auroc"),
    Scalar { name: "mae", higher_is_better: false, low: Some(0.0), high: None },
    Scalar { name: "rmse", higher_is_better: false, low: Some(0.0), high: None },
    Scalar { name: "r2", higher_is_better: true, low: None, high: Some(1.0) },
];

const fn share(name: &'static str) -> Scalar {
    Scalar { name, higher_is_better: true, low: Some(0.0), high: Some(1.0) }
}

/// Measured outputs of a [`Task`]: see [`Task::metrics`].
#[derive(Clone, Debug)]
pub struct Metrics(Sums);

#[derive(Clone, Debug)]
enum Sums {
    Classes(ClassSums),
    Labels(LabelSums),
    Values(ErrorSums),
}

impl Metrics {
    pub(crate) fn new(task: &Task, temperature: f64, keep_scores: bool) -> Self {
        Self(match task {
            Task::Classification(task) => Sums::Classes(ClassSums::new(&task.classes, keep_scores)),
            Task::MultiLabel(task) => Sums::Labels(LabelSums::new(task, temperature, keep_scores)),
            Task::Regression(task) => Sums::Values(ErrorSums::new(task)),
        })
    }

    /// Adds the network's `outputs` for a batch (`[batch, outputs]`, row by row) and its targets, in the user's units.
    ///
    /// The `loss` is the plain one, computed in f64: cross-entropy without smoothing or class weights (against the shares, for
    /// mixed targets), binary cross-entropy without positive weights, the training loss for regression. Accuracy of mixed targets
    /// counts against the class with the largest share.
    ///
    /// # Errors
    /// If the lengths don't fit together, or a class is out of range; nothing is added then.
    pub fn update(&mut self, outputs: &[f32], targets: &BatchTargets) -> Result<(), Error> {
        match &mut self.0 {
            Sums::Classes(sums) => sums.update(outputs, targets),
            Sums::Labels(sums) => sums.update(outputs, targets),
            Sums::Values(sums) => sums.update(outputs, targets),
        }
    }

    /// Number of samples.
    pub fn samples(&self) -> u64 {
        match &self.0 {
            Sums::Classes(sums) => sums.samples,
            Sums::Labels(sums) => sums.samples,
            Sums::Values(sums) => sums.samples,
        }
    }

    /// Number of samples for which the network put out NaN. They count as wrong, and leave the loss (for a regression everything)
    /// undefined.
    pub fn undefined(&self) -> u64 {
        match &self.0 {
            Sums::Classes(sums) => sums.undefined,
            Sums::Labels(sums) => sums.undefined,
            Sums::Values(sums) => sums.undefined,
        }
    }

    /// Names of the scalars in the order of [`Metrics::values`], whether or not they are defined; rankings only if scores are kept.
    pub fn names(&self) -> Vec<&'static str> {
        match &self.0 {
            Sums::Classes(sums) => sums.names(),
            Sums::Labels(sums) => sums.names(),
            Sums::Values(_) => ErrorSums::NAMES.to_vec(),
        }
    }

    /// The scalar called `name`; `None` if it is undefined for this data or unknown.
    pub fn get(&self, name: &str) -> Option<f64> {
        match &self.0 {
            Sums::Classes(sums) => sums.get(name),
            Sums::Labels(sums) => sums.get(name),
            Sums::Values(sums) => sums.get(name),
        }
    }

    /// Every scalar that is defined, in a stable order:
    ///
    /// - classification: `loss`, `accuracy`, `top5` (with more than 5 classes), `macro_precision`, `macro_recall` (also known as
    ///   balanced accuracy), `macro_f1`, `auroc` (the mean over the classes, each against the rest);
    /// - multi-label, at the task's thresholds: `loss`, `exact_match`, `map` (mean average precision), `micro_f1`,
    ///   `macro_precision`, `macro_recall`, `macro_f1`, `auroc`;
    /// - regression, the mean over the targets, each in its own units: `loss` (standardised), `mae`, `rmse`, `r2`.
    ///
    /// A macro mean is over the classes for which the number is defined, as scikit-learn's with `zero_division=nan`.
    pub fn values(&self) -> Vec<(&'static str, f64)> {
        self.names().into_iter().filter_map(|name| Some((name, self.get(name)?))).collect()
    }

    /// Everything, for `metrics.json` and for people.
    pub fn report(&self) -> Report {
        report::report(self)
    }

    /// What every threshold gives for the class or label at `index`, against the rest. `None` for regressions, where scores aren't kept,
    /// and without positives or without negatives.
    pub fn curves(&self, index: usize) -> Option<Curves> {
        match &self.0 {
            Sums::Classes(sums) => sums.curves(index),
            Sums::Labels(sums) => sums.curves(index),
            Sums::Values(_) => None,
        }
    }

    /// The classes, labels or targets one by one, as text: see [`Report::table`].
    pub fn table(&self, rows: usize) -> String {
        self.report().table(rows)
    }
}

impl AddAssign for Metrics {
    /// Merges the sums of two parts of a data set.
    ///
    /// # Panics
    /// If they are of different tasks: there is no sum of those.
    fn add_assign(&mut self, other: Self) {
        match (&mut self.0, other.0) {
            (Sums::Classes(sums), Sums::Classes(other)) => sums.merge(other),
            (Sums::Labels(sums), Sums::Labels(other)) => sums.merge(other),
            (Sums::Values(sums), Sums::Values(other)) => sums.merge(other),
            _ => panic!("metrics of different tasks cannot be merged"),
        }
    }
}

impl Add for Metrics {
    type Output = Self;

    /// Merges the sums of two parts of a data set. Panics as `+=` does.
    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// `part / whole`, if there is a whole.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The mean of those that are defined.
fn mean_of(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let defined: Vec<f64> = values.flatten().collect();
    (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
}

/// Refuses outputs that are not `rows` of `width`.
fn check_rows(outputs: &[f32], targets: &BatchTargets, width: usize) -> Result<usize, Error> {
    let rows = match targets {
        BatchTargets::Classes(classes) => classes.len(),
        BatchTargets::Dense { width: found, values } if *found == width => values.len() / width.max(1),
        BatchTargets::Dense { width: found, .. } => return Err(Error::batch("columns of targets", width, found)),
    };
    if outputs.len() != rows * width {
        return Err(Error::batch("numbers put out", format!("{rows} rows of {width}"), outputs.len()));
    }
    if outputs.is_empty() && rows > 0 {
        return Err(Error::batch("numbers put out", "at least one for each sample", 0));
    }
    Ok(rows)
}
