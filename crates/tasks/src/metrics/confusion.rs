//! Counts for each class or label, from which precision, recall and F1 are read, and the confusion matrix.

use super::{mean_of, ratio};

/// Above this many classes the matrix isn't kept (it would have a million cells and nobody to read them); the counts are.
const MATRIX_LIMIT: usize = 1000;

/// For each class: how often it was predicted rightly, predicted, and true.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) right: Vec<u64>,
    pub(super) predicted: Vec<u64>,
    pub(super) support: Vec<u64>,
}

/// Counts of single-label classification with their matrix.
#[derive(Clone, Debug)]
pub(super) struct Confusion {
    pub(super) counts: Counts,
    /// `[true, predicted]`, empty above [`MATRIX_LIMIT`] classes.
    cells: Vec<u64>,
}

impl Counts {
    pub(super) fn new(classes: usize) -> Self {
        Self { right: vec![0; classes], predicted: vec![0; classes], support: vec![0; classes] }
    }

    pub(super) fn add(&mut self, class: usize, is_true: bool, is_predicted: bool) {
        self.right[class] += u64::from(is_true && is_predicted);
        self.predicted[class] += u64::from(is_predicted);
        self.support[class] += u64::from(is_true);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        add_all(&mut self.right, &other.right);
        add_all(&mut self.predicted, &other.predicted);
        add_all(&mut self.support, &other.support);
    }

    /// Of what was predicted to be the class, the share that is; undefined if nothing was.
    pub(super) fn precision(&self, class: usize) -> Option<f64> {
        ratio(self.right[class], self.predicted[class])
    }

    /// Of what is the class, the share that was predicted to be; undefined without support.
    pub(super) fn recall(&self, class: usize) -> Option<f64> {
        ratio(self.right[class], self.support[class])
    }

    /// `2 right / (predicted + support)`, the harmonic mean of precision and recall; undefined for a class that is neither.
    pub(super) fn f1(&self, class: usize) -> Option<f64> {
        ratio(2 * self.right[class], self.predicted[class] + self.support[class])
    }

    /// F1 of all classes' counts together.
    pub(super) fn micro_f1(&self) -> Option<f64> {
        let total = |counts: &[u64]| counts.iter().sum::<u64>();
        ratio(2 * total(&self.right), total(&self.predicted) + total(&self.support))
    }

    /// The mean of a class's number over the classes for which it is defined.
    pub(super) fn macro_mean(&self, of: impl Fn(&Self, usize) -> Option<f64>) -> Option<f64> {
        mean_of((0..self.right.len()).map(|class| of(self, class)))
    }
}

impl Confusion {
    pub(super) fn new(classes: usize) -> Self {
        let cells = if classes <= MATRIX_LIMIT { vec![0; classes * classes] } else { Vec::new() };
        Self { counts: Counts::new(classes), cells }
    }

    pub(super) fn add(&mut self, truth: usize, predicted: usize) {
        self.counts.support[truth] += 1;
        self.counts.predicted[predicted] += 1;
        self.counts.right[truth] += u64::from(truth == predicted);
        let classes = self.counts.right.len();
        if let Some(cell) = self.cells.get_mut(truth * classes + predicted) {
            *cell += 1;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        add_all(&mut self.cells, &other.cells);
    }

    /// Rows of the matrix by true class, columns by predicted class.
    pub(super) fn rows(&self) -> Option<Vec<Vec<u64>>> {
        (!self.cells.is_empty()).then(|| self.cells.chunks(self.counts.right.len()).map(<[u64]>::to_vec).collect())
    }
}

fn add_all(sums: &mut [u64], others: &[u64]) {
    sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += other);
}
