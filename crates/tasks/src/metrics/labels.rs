//! Sums of multi-label classification: loss, exact match, counts and rankings of each label.

use data::BatchTargets;

use super::confusion::Counts;
use super::ranking::{Curves, Ranking};
use super::sum::ExactSum;
use super::{check_rows, mean_of, ratio};
use crate::Error;
use crate::classification::logit;
use crate::multi_label::{MultiLabel, label_applies};

#[derive(Clone, Debug)]
pub(super) struct LabelSums {
    pub(super) task: MultiLabel,
    /// By which outputs are divided before they meet the task's thresholds.
    temperature: f64,
    pub(super) samples: u64,
    pub(super) undefined: u64,
    pub(super) counts: Counts,
    ranking: Option<Ranking>,
    exact: u64,
    /// Sum over samples and labels.
    loss: ExactSum,
}

impl LabelSums {
    pub(super) fn new(task: &MultiLabel, temperature: f64, keep_scores: bool) -> Self {
        let labels = task.labels.len();
        Self {
            task: task.clone(),
            temperature,
            samples: 0,
            undefined: 0,
            counts: Counts::new(labels),
            ranking: keep_scores.then(|| Ranking::new(labels)),
            exact: 0,
            loss: ExactSum::default(),
        }
    }

    pub(super) fn update(&mut self, outputs: &[f32], targets: &BatchTargets) -> Result<(), Error> {
        let k = self.task.labels.len();
        let rows = check_rows(outputs, targets, k)?;
        for (index, row) in outputs.chunks_exact(k.max(1)).enumerate().take(rows) {
            self.add(row, targets, index);
        }
        Ok(())
    }

    fn add(&mut self, row: &[f32], targets: &BatchTargets, index: usize) {
        let (mut exact, mut loss) = (true, 0.0);
        let undefined = row.iter().any(|x| x.is_nan());
        for (label, &x) in row.iter().enumerate() {
            let truth = label_applies(targets, index, label);
            let predicted = self.task.predicts(label, x, self.temperature);
            self.counts.add(label, truth, predicted);
            exact &= truth == predicted;
            loss += bce(logit(x), truth_share(targets, index, label));
        }
        self.samples += 1;
        self.undefined += u64::from(undefined);
        self.exact += u64::from(exact && !undefined);
        self.loss.add(loss);
        if let Some(ranking) = &mut self.ranking {
            let scores = row.iter().enumerate();
            ranking.add(scores.map(|(label, &x)| (logit(x), label_applies(targets, index, label))));
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        assert_eq!(self.task.labels, other.task.labels, "metrics of different labels cannot be merged");
        self.samples += other.samples;
        self.undefined += other.undefined;
        self.exact += other.exact;
        self.loss.merge(&other.loss);
        self.counts.merge(&other.counts);
        self.ranking = Ranking::merged(self.ranking.take(), other.ranking);
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        let mut names = vec!["loss", "exact_match"];
        names.extend(self.ranking.is_some().then_some("map"));
        names.extend(["micro_f1", "macro_precision", "macro_recall", "macro_f1"]);
        names.extend(self.ranking.is_some().then_some("auroc"));
        names
    }

    pub(super) fn get(&self, name: &str) -> Option<f64> {
        let labels = 0..self.task.labels.len();
        match name {
            "loss" if self.undefined == 0 && self.samples > 0 => {
                Some(self.loss.value() / (self.samples as f64 * self.task.labels.len() as f64))
            }
            "exact_match" => ratio(self.exact, self.samples),
            "map" => mean_of(labels.map(|label| self.average_precision(label))),
            "micro_f1" => self.counts.micro_f1(),
            "macro_precision" => self.counts.macro_mean(Counts::precision),
            "macro_recall" => self.counts.macro_mean(Counts::recall),
            "macro_f1" => self.counts.macro_mean(Counts::f1),
            "auroc" => mean_of(labels.map(|label| self.auroc(label))),
            _ => None,
        }
    }

    pub(super) fn curves(&self, label: usize) -> Option<Curves> {
        self.ranking.as_ref()?.curves(label)
    }

    pub(super) fn auroc(&self, label: usize) -> Option<f64> {
        self.ranking.as_ref()?.auroc(label)
    }

    pub(super) fn average_precision(&self, label: usize) -> Option<f64> {
        self.ranking.as_ref()?.average_precision(label)
    }
}

/// Binary cross-entropy of a logit against a target from 0 to 1, without cancellation at either end.
pub(crate) fn bce(x: f64, y: f64) -> f64 {
    let tail = (-x.abs()).exp().ln_1p();
    // y softplus(-x) + (1 - y) softplus(x)
    tail + if x > 0.0 { (1.0 - y) * x } else { -y * x }
}

fn truth_share(targets: &BatchTargets, index: usize, label: usize) -> f64 {
    match targets {
        BatchTargets::Classes(_) => f64::from(u8::from(label_applies(targets, index, label))),
        BatchTargets::Dense { width, values } => f64::from(values[index * width + label]),
    }
}
