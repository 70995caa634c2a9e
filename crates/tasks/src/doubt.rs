//! Targets that a trained network contradicts: probably wrong classes and labels by confident learning, numbers by the quartiles of the
//! errors.

use data::BatchTargets;

use crate::classification::{Softmax, dominant_class, logit};
use crate::multi_label::{label_applies, sigmoid};
use crate::{Error, Task};

/// Of a sample's classes at most this many are weighed, the most probable ones: what is kept of a sample stays small.
const CLASSES: usize = 16;
/// How many times the distance between the quartiles an error may lie outside of them (Tukey's outer fence).
const FENCE: f64 = 3.0;
/// Errors below which their quartiles would be chance.
const FEWEST: usize = 25;

/// One target that is probably wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Doubt {
    /// The sample, in the order of adding.
    pub sample: usize,
    /// What the data say, and what the network does.
    pub contradiction: Contradiction,
    /// How much the network is against the target: for classes and labels by how much what it says is more probable, 0 to 1; for numbers
    /// how many times the distance between the quartiles of the errors this one lies outside of them.
    pub strength: f64,
}

/// What the data say, and what the network does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Contradiction {
    /// One class and another.
    Class {
        /// Position of the data's class.
        given: usize,
        /// Position of the network's.
        likely: usize,
        /// Probability of the data's class and of the network's.
        probabilities: [f64; 2],
    },
    /// A label that applies, or that doesn't.
    Label {
        /// Its position.
        label: usize,
        /// Whether it applies, say the data.
        given: bool,
        /// The probability that it does, says the network.
        probability: f64,
    },
    /// One number and another, in the user's units.
    Value {
        /// Position of the target.
        target: usize,
        /// The data's.
        given: f64,
        /// The network's.
        predicted: f64,
    },
}

/// Outputs and targets of samples that are alike: of those that the network has learned from, or of those that it hasn't. What is said of
/// one depends on all.
///
/// Confident learning (C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021):
/// the network is confident of class `j` where its probability is at least the mean of that probability over the samples that the data
/// give class `j`. A sample is in doubt if a class that the network is confident of is more probable than the data's; of several it is
/// the most probable. Each label is two classes of its own: that it applies, and that it doesn't.
///
/// A number is in doubt if its error (prediction - truth) lies more than 3 times the distance between the quartiles of the errors outside
/// of them.
#[derive(Clone, Debug)]
pub struct Doubts<'a> {
    task: &'a Task,
    temperature: f64,
    samples: usize,
    /// For each class, or for each label's two sides, the sum of its probability over the samples that the data give it, and their number.
    confidence: Vec<(f64, u64)>,
    /// Contradictions so far; whether the network was confident is known in the end. For classes one for each class, the most probable
    /// first.
    candidates: Vec<Doubt>,
}

impl<'a> Doubts<'a> {
    /// Of no samples yet, whose probabilities are read at `temperature`.
    pub fn new(task: &'a Task, temperature: f64) -> Self {
        let sides = match task {
            Task::Classification(_) => task.outputs(),
            Task::MultiLabel(_) => 2 * task.outputs(),
            Task::Regression(_) => 0,
        };
        Self { task, temperature, samples: 0, confidence: vec![(0.0, 0); sides], candidates: Vec::new() }
    }

    /// Adds `outputs` (`[batch, outputs]`) for samples with `targets`; both as [`Metrics::update`](crate::Metrics::update) takes them.
    ///
    /// # Errors
    /// If a sample has no target.
    pub fn add(&mut self, outputs: &[f32], targets: &BatchTargets) -> Result<(), Error> {
        let k = self.task.outputs().max(1);
        for (index, row) in outputs.chunks_exact(k).enumerate() {
            let missing = || Error::batch("targets", outputs.len() / k, index);
            match self.task {
                Task::Classification(_) => {
                    let given = dominant_class(targets, index).filter(|class| *class < k).ok_or_else(missing)?;
                    self.class(row, given);
                }
                Task::MultiLabel(_) => {
                    for (label, &x) in row.iter().enumerate() {
                        self.label(label, x, label_applies(targets, index, label));
                    }
                }
                Task::Regression(task) => {
                    for (column, &x) in row.iter().enumerate() {
                        let given = crate::regression::truth(targets, index, column).ok_or_else(missing)?;
                        let (given, predicted) = (f64::from(given), task.value(column, x));
                        self.candidate(Contradiction::Value { target: column, given, predicted }, 0.0);
                    }
                }
            }
            self.samples += 1;
        }
        Ok(())
    }

    fn class(&mut self, row: &[f32], given: usize) {
        let softmax = Softmax::at(row, self.temperature);
        let own = softmax.probability(row[given]);
        self.trust(given, own);
        let mut others: Vec<usize> = (0..row.len()).filter(|&class| logit(row[class]) > logit(row[given])).collect();
        others.sort_by(|&a, &b| logit(row[b]).total_cmp(&logit(row[a])));
        for likely in others.into_iter().take(CLASSES) {
            let probability = softmax.probability(row[likely]);
            let contradiction = Contradiction::Class { given, likely, probabilities: [own, probability] };
            self.candidate(contradiction, probability - own);
        }
    }

    fn label(&mut self, label: usize, x: f32, given: bool) {
        let applies = sigmoid(x, self.temperature);
        let own = if given { applies } else { 1.0 - applies };
        self.trust(2 * label + usize::from(given), own);
        if own < 0.5 {
            self.candidate(Contradiction::Label { label, given, probability: applies }, 1.0 - 2.0 * own);
        }
    }

    fn trust(&mut self, side: usize, probability: f64) {
        let (sum, count) = &mut self.confidence[side];
        *sum += probability;
        *count += 1;
    }

    fn candidate(&mut self, contradiction: Contradiction, strength: f64) {
        self.candidates.push(Doubt { sample: self.samples, contradiction, strength });
    }

    /// How many samples were added.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The targets that are in doubt, the strongest doubts first; equals in the order of the samples.
    pub fn finish(self) -> Vec<Doubt> {
        let mut doubts = match self.task {
            Task::Regression(_) => self.far(),
            _ => self.confident(),
        };
        doubts.sort_by(|a, b| b.strength.total_cmp(&a.strength).then(a.sample.cmp(&b.sample)));
        doubts
    }

    /// Of each sample and label the first candidate that the network is confident of.
    fn confident(self) -> Vec<Doubt> {
        let is_sure = |doubt: &Doubt| {
            let (side, probability) = match doubt.contradiction {
                Contradiction::Class { likely, probabilities, .. } => (likely, probabilities[1]),
                Contradiction::Label { label, given: true, probability } => (2 * label, 1.0 - probability),
                Contradiction::Label { label, given: false, probability } => (2 * label + 1, probability),
                Contradiction::Value { .. } => return false,
            };
            let (sum, count) = self.confidence[side];
            // What no sample is given, there is no confidence in.
            count > 0 && probability >= sum / count as f64
        };
        let mut doubts: Vec<Doubt> = self.candidates.iter().filter(|doubt| is_sure(doubt)).copied().collect();
        doubts.dedup_by_key(|doubt| match doubt.contradiction {
            Contradiction::Label { label, .. } => (doubt.sample, label),
            _ => (doubt.sample, 0),
        });
        doubts
    }

    /// The numbers whose errors lie far outside of the quartiles of their column's.
    fn far(self) -> Vec<Doubt> {
        let k = self.task.outputs().max(1);
        let error = |doubt: &Doubt| match doubt.contradiction {
            Contradiction::Value { given, predicted, .. } => predicted - given,
            _ => f64::NAN,
        };
        let mut doubts = Vec::new();
        for column in 0..k {
            let own = || self.candidates.iter().skip(column).step_by(k);
            let mut errors: Vec<f64> = own().map(error).filter(|error| error.is_finite()).collect();
            errors.sort_by(f64::total_cmp);
            if errors.len() < FEWEST {
                continue;
            }
            let quartile = |quarter: usize| errors[errors.len() * quarter / 4];
            let (low, high) = (quartile(1), quartile(3));
            let beyond = |doubt: &Doubt| (low - error(doubt)).max(error(doubt) - high) / (high - low);
            // Without a distance between the quartiles nothing is near, and nothing far.
            let far = own().map(|doubt| Doubt { strength: beyond(doubt), ..*doubt });
            doubts.extend(far.filter(|doubt| high > low && doubt.strength > FENCE));
        }
        doubts
    }
}
