//! Everything that was measured, as `metrics.json` has it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Metrics, Sums};

/// Everything that was measured. Undefined numbers are absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// `classification`, `multi-label` or `regression`.
    pub task: &'static str,
    /// Number of samples.
    pub samples: u64,
    /// Samples for which the network put out NaN, where there are any.
    #[serde(skip_serializing_if = "is_zero")]
    pub undefined: u64,
    /// The scalars by name.
    pub values: BTreeMap<&'static str, f64>,
    /// Where the accuracy on other samples of the same kind lies in 95 of 100 cases (Wilson's interval), for classification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_interval: Option<[f64; 2]>,
    /// Names of the classes, labels or targets.
    pub names: Vec<String>,
    /// How often each class (row) was predicted as each class (column), in the order of `names`; up to 1000 classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Vec<Vec<u64>>>,
    /// Classes or labels one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_class: Vec<ClassReport>,
    /// Targets of a regression one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_target: Vec<TargetReport>,
}

/// One class or label. All numbers are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassReport {
    /// Its name.
    pub name: String,
    /// Of what was predicted to be it, the share that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    /// Of what is it, the share that was predicted to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub f1: Option<f64>,
    /// Number of samples that are it.
    pub support: u64,
    /// Area under the ROC curve, against the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auroc: Option<f64>,
    /// Average precision, for labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_precision: Option<f64>,
}

/// One target of a regression, in its own units.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetReport {
    /// Its name.
    pub name: String,
    /// Mean absolute error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mae: Option<f64>,
    /// Root of the mean squared error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// Coefficient of determination: 1 is perfect, 0 as good as the mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

pub(super) fn report(metrics: &Metrics) -> Report {
    let mut report = Report {
        task: "",
        samples: metrics.samples(),
        undefined: metrics.undefined(),
        values: metrics.values().into_iter().collect(),
        accuracy_interval: None,
        names: Vec::new(),
        confusion: None,
        per_class: Vec::new(),
        per_target: Vec::new(),
    };
    match &metrics.0 {
        Sums::Classes(sums) => {
            report.task = "classification";
            report.names = sums.classes.clone();
            report.accuracy_interval = wilson(sums.correct, sums.samples);
            report.confusion = sums.confusion.rows();
            let class = |index| class_report(&sums.classes, &sums.confusion.counts, index, sums.auroc(index), None);
            report.per_class = (0..sums.classes.len()).map(class).collect();
        }
        Sums::Labels(sums) => {
            report.task = "multi-label";
            report.names = sums.task.labels.clone();
            let label = |index| {
                class_report(&sums.task.labels, &sums.counts, index, sums.auroc(index), sums.average_precision(index))
            };
            report.per_class = (0..sums.task.labels.len()).map(label).collect();
        }
        Sums::Values(sums) => {
            report.task = "regression";
            report.names = sums.task.targets.clone();
            let names = sums.task.targets.iter().cloned().enumerate();
            let target = |(index, name)| {
                let (mae, rmse, r2) = (sums.mae(index), sums.rmse(index), sums.r2(index));
                TargetReport { name, mae, rmse, r2 }
            };
            report.per_target = names.map(target).collect();
        }
    }
    report
}

fn class_report(
    names: &[String],
    counts: &super::confusion::Counts,
    index: usize,
    auroc: Option<f64>,
    average_precision: Option<f64>,
) -> ClassReport {
    ClassReport {
        name: names[index].clone(),
        precision: counts.precision(index),
        recall: counts.recall(index),
        f1: counts.f1(index),
        support: counts.support[index],
        auroc,
        average_precision,
    }
}

/// Wilson's score interval at 95 % for `right` of `samples` (Wilson, "Probable inference, the law of succession, and statistical
/// inference", 1927). `None` without samples.
pub fn wilson(right: u64, samples: u64) -> Option<[f64; 2]> {
    const Z: f64 = 1.959_963_984_540_054;
    let (n, p) = (samples as f64, super::ratio(right, samples)?);
    let scale = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / scale;
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
    // At the ends the interval is exact, but its sum of roots may round beyond or short of them.
    let low = if right == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if right == samples { 1.0 } else { (centre + half).min(1.0) };
    Some([low, high])
}
