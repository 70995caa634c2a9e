//! Sums of regression: the loss on standardised values, and MAE, RMSE and R2 of each target in the user's units.
//!
//! R2 needs the spread of the true values about their mean. It is read from the sums of y - s and (y - s)^2, where the shift s is
//! the target's mean over the training split (shifted data: Chan, Golub and LeVeque, "Algorithms for computing the sample
//! variance", 1983). With exact sums that loses nothing unless the data at hand lie very far from the training data, and
//! parts merge in any order to the same bits, which a merge of running means would not.

use data::BatchTargets;

use super::sum::ExactSum;
use super::{check_rows, mean_of};
use crate::{Error, Regression};

#[derive(Clone, Debug)]
pub(super) struct ErrorSums {
    pub(super) task: Regression,
    pub(super) samples: u64,
    pub(super) undefined: u64,
    columns: Vec<Column>,
    /// Sum over samples and targets.
    loss: ExactSum,
}

#[derive(Clone, Debug)]
struct Column {
    absolute: ExactSum,
    squared: ExactSum,
    shifted: ExactSum,
    shifted_squared: ExactSum,
    /// Smallest and largest true value, to know a constant one whatever the rounding.
    range: (f32, f32),
}

impl ErrorSums {
    pub(super) const NAMES: [&'static str; 4] = ["loss", "mae", "rmse", "r2"];

    pub(super) fn new(task: &Regression) -> Self {
        let column = || Column {
            absolute: ExactSum::default(),
            squared: ExactSum::default(),
            shifted: ExactSum::default(),
            shifted_squared: ExactSum::default(),
            range: (f32::INFINITY, f32::NEG_INFINITY),
        };
        let columns = task.targets.iter().map(|_| column()).collect();
        Self { task: task.clone(), samples: 0, undefined: 0, columns, loss: ExactSum::default() }
    }

    pub(super) fn update(&mut self, outputs: &[f32], targets: &BatchTargets) -> Result<(), Error> {
        let k = self.columns.len();
        let rows = check_rows(outputs, targets, k)?;
        let BatchTargets::Dense { values, .. } = targets else {
            return Err(Error::batch("targets", "numbers", "classes"));
        };
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::batch("targets", "finite numbers", value));
        }
        for (row, truth) in outputs.chunks_exact(k.max(1)).zip(values.chunks_exact(k.max(1))).take(rows) {
            self.samples += 1;
            if row.iter().any(|x| x.is_nan()) {
                self.undefined += 1;
                continue;
            }
            self.add(row, truth);
        }
        Ok(())
    }

    fn add(&mut self, row: &[f32], truth: &[f32]) {
        let mut loss = 0.0;
        for (index, (&x, &y)) in row.iter().zip(truth).enumerate() {
            let (column, y64) = (&mut self.columns[index], f64::from(y));
            let d = self.task.value(index, x) - y64;
            loss += self.task.loss.of(d / f64::from(self.task.std[index]));
            column.absolute.add(d.abs());
            column.squared.add(d * d);
            let shifted = y64 - f64::from(self.task.mean[index]);
            column.shifted.add(shifted);
            column.shifted_squared.add(shifted * shifted);
            column.range = (column.range.0.min(y), column.range.1.max(y));
        }
        self.loss.add(loss);
    }

    pub(super) fn merge(&mut self, other: Self) {
        assert_eq!(self.task, other.task, "metrics of different regressions cannot be merged");
        self.samples += other.samples;
        self.undefined += other.undefined;
        self.loss.merge(&other.loss);
        for (column, other) in self.columns.iter_mut().zip(&other.columns) {
            column.absolute.merge(&other.absolute);
            column.squared.merge(&other.squared);
            column.shifted.merge(&other.shifted);
            column.shifted_squared.merge(&other.shifted_squared);
            column.range = (column.range.0.min(other.range.0), column.range.1.max(other.range.1));
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<f64> {
        let columns = 0..self.columns.len();
        match name {
            "loss" => Some(self.loss.value() / (self.count()? * self.columns.len() as f64)),
            "mae" => mean_of(columns.map(|column| self.mae(column))),
            "rmse" => mean_of(columns.map(|column| self.rmse(column))),
            "r2" => mean_of(columns.map(|column| self.r2(column))),
            _ => None,
        }
    }

    /// Samples, if there are any and none is undefined.
    fn count(&self) -> Option<f64> {
        (self.samples > 0 && self.undefined == 0).then_some(self.samples as f64)
    }

    /// Mean absolute error.
    pub(super) fn mae(&self, column: usize) -> Option<f64> {
        Some(self.columns[column].absolute.value() / self.count()?)
    }

    /// Root of the mean squared error.
    pub(super) fn rmse(&self, column: usize) -> Option<f64> {
        Some((self.columns[column].squared.value() / self.count()?).sqrt())
    }

    /// `1 - sum of squared errors / sum of squares about the mean`; undefined where all true values are the same.
    pub(super) fn r2(&self, column: usize) -> Option<f64> {
        let (n, column) = (self.count()?, &self.columns[column]);
        let spread = column.shifted_squared.value() - column.shifted.value().powi(2) / n;
        (column.range.0 < column.range.1 && spread > 0.0).then(|| 1.0 - column.squared.value() / spread)
    }
}
