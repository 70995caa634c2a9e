//! Sums of single-label classification: loss, accuracy, top 5, confusion, one-versus-rest rankings.

use data::BatchTargets;

use super::confusion::{Confusion, Counts};
use super::ranking::{Curves, Ranking};
use super::sum::ExactSum;
use super::{check_rows, mean_of, ratio};
use crate::Error;
use crate::classification::{Softmax, dominant_class, logit};

#[derive(Clone, Debug)]
pub(super) struct ClassSums {
    pub(super) classes: Vec<String>,
    pub(super) samples: u64,
    pub(super) undefined: u64,
    pub(super) confusion: Confusion,
    pub(super) ranking: Option<Ranking>,
    pub(super) correct: u64,
    in_top5: u64,
    loss: ExactSum,
}

impl ClassSums {
    pub(super) fn new(classes: &[String], keep_scores: bool) -> Self {
        Self {
            classes: classes.to_vec(),
            samples: 0,
            undefined: 0,
            confusion: Confusion::new(classes.len()),
            ranking: keep_scores.then(|| Ranking::new(classes.len())),
            correct: 0,
            in_top5: 0,
            loss: ExactSum::default(),
        }
    }

    pub(super) fn update(&mut self, outputs: &[f32], targets: &BatchTargets) -> Result<(), Error> {
        let k = self.classes.len();
        let rows = check_rows(outputs, targets, k)?;
        if let BatchTargets::Classes(classes) = targets
            && let Some(class) = classes.iter().find(|&&class| class as usize >= k)
        {
            return Err(Error::batch("class", format!("below {k}"), class));
        }
        for (index, row) in outputs.chunks_exact(k.max(1)).enumerate().take(rows) {
            self.add(row, targets, index);
        }
        Ok(())
    }

    fn add(&mut self, row: &[f32], targets: &BatchTargets, index: usize) {
        let softmax = Softmax::of(row);
        let Some(truth) = dominant_class(targets, index) else { return };
        let undefined = row.iter().any(|x| x.is_nan());
        self.samples += 1;
        self.undefined += u64::from(undefined);
        self.confusion.add(truth, softmax.best);
        let rank = row.iter().enumerate().filter(|&(class, &x)| {
            // The first of equals comes first, as in `Softmax::best`.
            logit(x) > logit(row[truth]) || (class < truth && logit(x) == logit(row[truth]))
        });
        let rank = rank.count();
        self.correct += u64::from(rank == 0 && !undefined);
        self.in_top5 += u64::from(rank < 5 && !undefined);
        self.loss.add(match targets {
            BatchTargets::Classes(_) => -softmax.log_probability(row[truth]),
            BatchTargets::Dense { width, values } => {
                let shares = &values[index * width..(index + 1) * width];
                let each = shares.iter().zip(row).filter(|(share, _)| **share != 0.0);
                each.map(|(&share, &x)| -f64::from(share) * softmax.log_probability(x)).sum()
            }
        });
        if let Some(ranking) = &mut self.ranking {
            ranking.add(row.iter().enumerate().map(|(class, &x)| (softmax.log_odds(class, x), class == truth)));
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        assert_eq!(self.classes, other.classes, "metrics of different classes cannot be merged");
        self.samples += other.samples;
        self.undefined += other.undefined;
        self.correct += other.correct;
        self.in_top5 += other.in_top5;
        self.loss.merge(&other.loss);
        self.confusion.merge(&other.confusion);
        self.ranking = Ranking::merged(self.ranking.take(), other.ranking);
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        let mut names = vec!["loss", "accuracy"];
        names.extend((self.classes.len() > 5).then_some("top5"));
        names.extend(["macro_precision", "macro_recall", "macro_f1"]);
        names.extend(self.ranking.is_some().then_some("auroc"));
        names
    }

    pub(super) fn get(&self, name: &str) -> Option<f64> {
        let counts = &self.confusion.counts;
        match name {
            "loss" if self.undefined == 0 && self.samples > 0 => Some(self.loss.value() / self.samples as f64),
            "accuracy" => ratio(self.correct, self.samples),
            "top5" if self.classes.len() > 5 => ratio(self.in_top5, self.samples),
            "macro_precision" => counts.macro_mean(Counts::precision),
            "macro_recall" => counts.macro_mean(Counts::recall),
            "macro_f1" => counts.macro_mean(Counts::f1),
            "auroc" => mean_of((0..self.classes.len()).map(|class| self.auroc(class))),
            _ => None,
        }
    }

    /// Of `class` against the rest.
    pub(super) fn curves(&self, class: usize) -> Option<Curves> {
        self.ranking.as_ref()?.curves(class)
    }

    /// AUROC of `class` against the rest.
    pub(super) fn auroc(&self, class: usize) -> Option<f64> {
        self.ranking.as_ref()?.auroc(class)
    }
}
