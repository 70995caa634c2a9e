//! Finding the temperature and the scores: a sum that takes batch after batch, and one search at its end.

use data::BatchTargets;

use super::{Calibration, MOST_SCORES, MOST_TARGETS, TEMPERATURES};
use crate::classification::{Softmax, dominant_class, logit};
use crate::multi_label::{label_applies, sigmoid};
use crate::{Error, Task};

/// Beyond this many outputs (256 MiB of them) none are kept: there is no calibration rather than one of a part.
const MOST_OUTPUTS: usize = 1 << 26;
/// Samples below which a temperature would be chance.
const FEWEST: u64 = 25;

/// Held-out outputs and their targets, kept until [`finish`](Self::finish).
#[derive(Clone, Debug)]
pub struct CalibrationFit<'a> {
    task: &'a Task,
    samples: u64,
    /// `[samples, outputs]`: of classes and labels the outputs, of numbers |prediction - truth|. Empty where there are too many.
    outputs: Vec<f32>,
    /// Of classes the true one of each sample, of labels whether each applies.
    truths: Vec<u32>,
}

impl<'a> CalibrationFit<'a> {
    /// Of no samples yet.
    pub fn new(task: &'a Task) -> Self {
        Self { task, samples: 0, outputs: Vec::new(), truths: Vec::new() }
    }

    /// Adds `outputs` (`[batch, outputs]`) for samples with `targets`; both as [`Metrics::update`](crate::Metrics::update) takes them.
    ///
    /// # Errors
    /// If a sample has no target.
    pub fn add(&mut self, outputs: &[f32], targets: &BatchTargets) -> Result<(), Error> {
        let k = self.task.outputs().max(1);
        for (index, row) in outputs.chunks_exact(k).enumerate() {
            self.samples += 1;
            if self.samples as usize > MOST_OUTPUTS / k {
                (self.outputs, self.truths) = (Vec::new(), Vec::new());
                continue;
            }
            match self.task {
                Task::Classification(_) => {
                    let truth = dominant_class(targets, index).filter(|class| *class < k);
                    self.truths.push(truth.ok_or_else(|| Error::batch("classes", outputs.len() / k, index))? as u32);
                    self.outputs.extend_from_slice(row);
                }
                Task::MultiLabel(_) => {
                    self.truths.extend((0..k).map(|label| u32::from(label_applies(targets, index, label))));
                    self.outputs.extend_from_slice(row);
                }
                Task::Regression(_) => {
                    let errors = self.task.scores(row, targets, index, 1.0);
                    self.outputs.extend(errors.into_iter().map(|error| (error as f32).next_up()));
                }
            }
        }
        Ok(())
    }

    /// The calibration by all that was added.
    pub fn finish(self) -> Calibration {
        let k = self.task.outputs().max(1);
        let regression = matches!(self.task, Task::Regression(_));
        let (mut temperature, mut note) = (1.0, None);
        if self.samples as usize > MOST_OUTPUTS / k {
            note = Some(format!("there are more than {MOST_OUTPUTS} validation outputs, too many to fit one"));
        } else if !regression {
            (temperature, note) = self.temperature();
        }
        Calibration {
            note,
            samples: self.samples,
            scores: self.scores(temperature),
            temperature: (!regression).then_some(temperature),
        }
    }

    /// The most likely temperature to four decimals, or another and why.
    fn temperature(&self) -> (f64, Option<String>) {
        if self.samples < FEWEST {
            return (1.0, Some(format!("{FEWEST} validation samples are needed to fit one")));
        }
        if self.is_separated() {
            return (1.0, Some("every validation answer is right, so that none fits best".to_owned()));
        }
        let [low, high] = TEMPERATURES;
        let found = 1.0 / minimum(|inverse| self.slope(inverse), [1.0 / high, 1.0 / low]);
        let rounded = ((found * 1e4).round() / 1e4).clamp(low, high);
        let note = TEMPERATURES.contains(&rounded).then(|| format!("the one that fits best is beyond {rounded}"));
        (rounded, note)
    }

    /// Whether every class or label is on the right side by itself: then the samples are the likelier the lower the temperature.
    fn is_separated(&self) -> bool {
        let k = self.task.outputs().max(1);
        match self.task {
            Task::MultiLabel(_) => {
                self.outputs.iter().zip(&self.truths).all(|(&x, &y)| x != 0.0 && (x > 0.0) == (y == 1))
            }
            _ => self.outputs.chunks_exact(k).zip(&self.truths).all(|(row, &truth)| {
                let others = row.iter().enumerate().filter(|(class, _)| *class != truth as usize);
                others.into_iter().all(|(_, &x)| logit(x) < logit(row[truth as usize]))
            }),
        }
    }

    /// First and second derivative of the mean negative log-likelihood by the temperature's inverse, in which it is convex.
    fn slope(&self, inverse: f64) -> [f64; 2] {
        let (mut first, mut second) = (0.0, 0.0);
        if let Task::MultiLabel(_) = self.task {
            for (&x, &y) in self.outputs.iter().zip(&self.truths) {
                let p = sigmoid(x, 1.0 / inverse);
                first += (p - f64::from(y)) * logit(x);
                second += p * (1.0 - p) * logit(x) * logit(x);
            }
        } else {
            for (row, &truth) in self.outputs.chunks_exact(self.task.outputs().max(1)).zip(&self.truths) {
                // Distances from the largest output d, weighed by exp(d / T): their mean and variance under the softmax.
                let max = row.iter().map(|&x| logit(x)).fold(f64::NEG_INFINITY, f64::max);
                let [mut sum, mut by_d, mut by_square] = [0.0; 3];
                for d in row.iter().map(|&x| logit(x) - max) {
                    let weight = (d * inverse).exp();
                    sum += weight;
                    by_d += weight * d;
                    by_square += weight * d * d;
                }
                let mean = by_d / sum;
                first += mean - (logit(row[truth as usize]) - max);
                second += by_square / sum - mean * mean;
            }
        }
        [first, second].map(|sum| sum / self.samples as f64)
    }

    /// The scores of all samples by rank, at `temperature`.
    fn scores(&self, temperature: f64) -> Vec<Vec<f64>> {
        let k = self.task.outputs().max(1);
        let rows = self.outputs.chunks_exact(k);
        let lists: Vec<Vec<f64>> = match self.task {
            _ if self.outputs.is_empty() => Vec::new(),
            Task::Classification(_) => {
                let score =
                    |(row, &truth): (&[f32], &u32)| -Softmax::at(row, temperature).log_probability(row[truth as usize]);
                vec![rows.zip(&self.truths).map(score).collect()]
            }
            Task::MultiLabel(_) => Vec::new(),
            Task::Regression(_) if k > MOST_TARGETS => Vec::new(),
            Task::Regression(_) => {
                (0..k).map(|target| rows.clone().map(|row| f64::from(row[target])).collect()).collect()
            }
        };
        // A prediction that isn't a number is as far off as any.
        let finite =
            |score: f64| if score.is_nan() { f64::from(f32::MAX) } else { score.clamp(0.0, f64::from(f32::MAX)) };
        let most = MOST_SCORES / lists.len().clamp(1, 10);
        lists.into_iter().map(|list| by_rank(list.into_iter().map(finite).collect(), most)).collect()
    }
}

/// The scores in ascending order; of more than `most` those of evenly spread ranks, the last among them.
fn by_rank(mut scores: Vec<f64>, most: usize) -> Vec<f64> {
    scores.sort_by(f64::total_cmp);
    let (n, m) = (scores.len(), scores.len().min(most));
    (1..=m).filter_map(|i| scores.get((i * n).div_ceil(m) - 1).map(|score| rounded_up(*score))).collect()
}

/// To four digits that matter, never down: short in a file, and safe to compare with.
fn rounded_up(score: f64) -> f64 {
    let text = format!("{score:.3e}");
    let exponent: i32 = text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let near: f64 = text.parse().unwrap_or(score);
    if near >= score {
        return near;
    }
    format!("{:.3e}", near + 10f64.powi(exponent - 3)).parse().unwrap_or(score).max(score)
}

/// Where a convex function within `bounds` is smallest, from 1 on: Newton's steps by its `[first, second]` derivative, or halves of what is
/// left where such a step leaves it.
fn minimum(slope: impl Fn(f64) -> [f64; 2], bounds: [f64; 2]) -> f64 {
    let ([mut low, mut high], mut at) = (bounds, 1.0_f64);
    for _ in 0..100 {
        let [first, second] = slope(at);
        if first > 0.0 {
            high = at
        } else {
            low = at
        }
        let newton = at - first / second;
        let next = if newton > low && newton < high { newton } else { f64::midpoint(low, high) };
        if (next - at).abs() <= 1e-9 * at {
            return next;
        }
        at = next;
    }
    at
}
