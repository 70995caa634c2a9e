//! Where a run stands: everything that changes while training, but for the tensors. Plain data, so that a checkpoint is this and
//! some tensors.

use serde::{Deserialize, Serialize};

use crate::schedule::Plateau;
use crate::{Ended, LossScale};

/// The position of a run, and what was decided so far. `Default` is the beginning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Epochs completed.
    pub epoch: usize,
    /// Batches of the current epoch completed.
    pub batch: usize,
    /// Optimizer steps completed.
    pub step: u64,
    /// The best validation so far.
    pub best: Option<Best>,
    /// Seconds spent training, over all sittings.
    pub seconds: f64,
    /// Sums over the current epoch.
    pub sums: Sums,
    /// What a plateau schedule remembers.
    pub plateau: Plateau,
    /// Learning rate of the last update, which the epoch's row names; `None` in checkpoints of the first format.
    #[serde(default, with = "exact_option")]
    pub lr: Option<f64>,
    /// The goal that was reached, which ends the run.
    #[serde(default)]
    pub reached: Option<Ended>,
    /// What was given anew on resuming; empty in a run whose weights are those of an uninterrupted one.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// Batches that were left out, for their numbers weren't finite.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// How often the learning rate was halved, for numbers weren't finite.
    #[serde(default)]
    pub rollbacks: i32,
    /// What the loss is multiplied by in f16; `None` in other formats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
}

/// A setting that was given anew: from `step` on the run is not, bit for bit, what its first settings would have made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Optimizer steps done before.
    pub step: u64,
    /// Its name.
    pub setting: String,
    /// Its value before.
    pub was: String,
    /// Its value since.
    pub now: String,
}

/// A batch that was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Optimizer steps done before.
    pub step: u64,
    /// Counted from 1.
    pub epoch: usize,
    /// In the epoch, counted from 1.
    pub batch: usize,
    /// Where its numbers stopped being finite.
    pub cause: String,
}

impl Progress {
    /// Refuses positions that no run reaches, which arithmetic would overflow at.
    ///
    /// # Errors
    /// One line that names the first.
    pub(crate) fn check(&self) -> Result<(), String> {
        let most = u64::from(u32::MAX);
        let counts = [
            ("epoch", self.epoch as u64, most),
            ("batch", self.batch as u64, most),
            ("step", self.step, 1 << 53),
            ("sums.samples", self.sums.samples, 1 << 53),
            ("sums.correct", self.sums.correct, 1 << 53),
        ];
        match counts.iter().find(|(_, value, most)| value > most) {
            Some((name, value, most)) => Err(format!("`{name}`: expected at most {most}, found {value}")),
            None if !(self.seconds >= 0.0 && self.seconds.is_finite()) => {
                Err(format!("`seconds`: expected a number of at least 0, found {}", self.seconds))
            }
            None => self.loss_scale.map_or(Ok(()), LossScale::check),
        }
    }
}

/// The best epoch so far and what it reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Counted from 1.
    pub epoch: usize,
    /// The monitored metric's value; infinitely bad where it was undefined.
    #[serde(with = "exact")]
    pub value: f64,
    /// The validation loss, which decides between equals.
    #[serde(with = "exact")]
    pub loss: f64,
}

/// Sums over the batches of an epoch; divided once when read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// Of the loss times the batch's samples.
    #[serde(with = "exact")]
    pub loss: f64,
    /// Samples.
    pub samples: u64,
    /// Samples whose highest output was the right class.
    pub correct: u64,
}

/// Numbers as text: JSON has no infinity, and serde_json reads some numbers back as their neighbour, which would then be better or worse than
/// an equal one.
pub(crate) mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The same for a number that may be absent.
pub(crate) mod exact_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        number.map(|number| number.to_string()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse()).transpose().map_err(de::Error::custom)
    }
}

impl Sums {
    /// Mean loss; zero before the first batch.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.samples.max(1) as f64
    }

    /// Share of correct samples.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples.max(1) as f64
    }
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.loss += other.loss;
        self.samples += other.samples;
        self.correct += other.correct;
    }
}

impl Best {
    /// Whether `value` (and, between equals, `loss`) is better than this.
    pub fn is_beaten_by(&self, value: f64, loss: f64, higher_is_better: bool) -> bool {
        let (new, old) = if higher_is_better { (value, self.value) } else { (-value, -self.value) };
        new > old || (new == old && loss < self.loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_from_json_to_the_last_bit() {
        let plateau = Plateau { best: Some(0.1 + 0.2), wait: 1, factor: 0.1f64.powi(3) };
        for value in
            (1..2000).map(|n| f64::from(n) / 1797.0).chain([f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE])
        {
            let best = Some(Best { epoch: 1, value, loss: -value });
            let sums = Sums { loss: value, samples: 1, correct: 0 };
            let progress = Progress { best, sums, plateau: plateau.clone(), ..Progress::default() };
            let text = serde_json::to_string(&progress).unwrap();
            assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress, "{text}");
        }
    }

    #[test]
    fn equal_values_are_decided_by_the_loss() {
        let best = Best { epoch: 1, value: 0.9, loss: 0.5 };
        assert!(best.is_beaten_by(0.91, 9.0, true));
        assert!(best.is_beaten_by(0.9, 0.4, true));
        assert!(!best.is_beaten_by(0.9, 0.5, true));
        assert!(best.is_beaten_by(0.8, 9.0, false));
        assert!(!best.is_beaten_by(f64::NAN, 0.1, true));
    }
}
