//! What held-out samples say about how sure a network may be of its answers: the temperature that its outputs are divided by, and the
//! scores from which prediction sets and intervals are made. Fitted by [`fit`], stored in the model file as JSON, applied by
//! [`Task::decode_as`].

mod fit;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use fit::CalibrationFit;

use crate::{Error, Task};

/// Scores that are stored of one target at most, evenly spread over the samples.
const MOST_SCORES: usize = 1000;
/// Targets of a regression up to which intervals are stored: of more, the model file's header would swell.
const MOST_TARGETS: usize = 100;
/// The temperatures that are used: the most likely one beyond them is taken as the nearer end.
const TEMPERATURES: [f64; 2] = [0.05, 20.0];

/// How a network's answers fared on held-out samples, for classification, multi-label and regression.
///
/// - `temperature`, for classes and labels: outputs are divided by it before softmax or sigmoid. It is the one that makes the samples
///   most likely (Guo et al., "On Calibration of Modern Neural Networks", 2017); no order of classes depends on it.
/// - `scores`, for classes one list, for numbers one for each target, ascending: what split conformal prediction needs (Papadopoulos et
///   al., 2002; Angelopoulos and Bates, "A Gentle Introduction to Conformal Prediction", 2021). The score of a class is -ln of the true
///   one's probability, which gives the sets of Sadinle, Lei and Wasserman (2019), the smallest on average of any with their coverage;
///   that of a number is |prediction - truth| in its units. Of `n` samples at most 1,000 scores are kept, those of ranks
///   `ceil(i n / m)`, `i` from 1 to `m`; rounded up, so that a set is rather too large than too small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object with the key `samples`")]
pub struct Calibration {
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    samples: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scores: Vec<Vec<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
}

/// How outputs are read: [`Task::decode_as`]. By default as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What outputs are divided by before they become probabilities; above 0.
    pub temperature: f64,
    /// With these limits, answers come with a set of classes or an interval of numbers.
    pub limits: Option<Limits>,
}

/// The largest score that still belongs to an answer, for each list of scores: see [`Calibration::limits`].
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    coverage: f64,
    scores: Vec<f64>,
}

impl Default for Reading {
    fn default() -> Self {
        Self { temperature: 1.0, limits: None }
    }
}

impl Calibration {
    /// The calibration in the section of a model file that answers to `task`.
    ///
    /// # Errors
    /// One line that says what is wrong: something that [`CalibrationFit::finish`] doesn't make.
    pub fn stored(section: Value, task: &Task) -> Result<Self, String> {
        let found: Self = serde_json::from_value(section).map_err(|error| error.to_string())?;
        let temperature = match (task, found.temperature) {
            (Task::Regression(_), Some(_)) => return Err("temperature: a regression has none".into()),
            (Task::Regression(_), None) => 1.0,
            (_, None) => return Err("temperature: expected a number, found none".into()),
            (_, Some(temperature)) => temperature,
        };
        let [low, high] = TEMPERATURES;
        if !(low..=high).contains(&temperature) {
            return Err(format!("temperature: expected {low} to {high}, found {temperature}"));
        }
        let lists = match task {
            Task::Classification(_) => 1,
            Task::MultiLabel(_) => 0,
            Task::Regression(task) => task.targets.len(),
        };
        if !found.scores.is_empty() && found.scores.len() != lists {
            return Err(format!("number of lists in scores: expected {lists}, found {}", found.scores.len()));
        }
        for scores in &found.scores {
            let most = found.samples.min(MOST_SCORES as u64);
            if scores.is_empty() || scores.len() as u64 > most {
                return Err(format!(
                    "scores: expected 1 to {most} of {} samples, found {}",
                    found.samples,
                    scores.len()
                ));
            }
            let ordered = scores.is_sorted() && scores.iter().all(|score| score.is_finite() && *score >= 0.0);
            if !ordered {
                return Err("scores: expected numbers from 0 on in ascending order".into());
            }
        }
        Ok(found)
    }

    /// What outputs are divided by: 0.05 to 20; 1 for a regression.
    pub fn temperature(&self) -> f64 {
        self.temperature.unwrap_or(1.0)
    }

    /// How many samples it was fitted on.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Why the temperature isn't the most likely one, where it isn't.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Whether there are scores to make sets or intervals from.
    pub fn has_scores(&self) -> bool {
        !self.scores.is_empty()
    }

    /// What an answer may score so that it holds the truth with a probability of at least `coverage`, above 0 and below 1: the score of
    /// rank `ceil((n + 1) coverage)` among the `n` samples (as far as new ones are drawn as they were). Without limit where there are too few.
    ///
    /// # Errors
    /// If `coverage` is out of range, or there are no scores.
    pub fn limits(&self, coverage: f64) -> Result<Limits, Error> {
        if !(coverage > 0.0 && coverage < 1.0) {
            return Err(Error::option("--coverage", format!("expected a number between 0 and 1, found {coverage}")));
        }
        if self.scores.is_empty() {
            return Err(Error::Stored("its calibration holds no scores to make sets or intervals from".into()));
        }
        // (n + 1) coverage may be rounded to just above a whole number.
        let rank = ((self.samples as f64 + 1.0) * coverage - 1e-9).ceil().max(1.0);
        let limit = |scores: &Vec<f64>| {
            let (n, m) = (u128::from(self.samples), scores.len() as u128);
            let at = (1..=m).find(|i| (i * n).div_ceil(m) as f64 >= rank);
            at.and_then(|i| scores.get(i as usize - 1)).copied().unwrap_or(f64::INFINITY)
        };
        Ok(Limits { coverage, scores: self.scores.iter().map(limit).collect() })
    }

    /// How many samples a `coverage` needs: with fewer, sets hold all classes, and intervals all numbers.
    pub fn needed(coverage: f64) -> u64 {
        // As in `limits`, the quotient may be rounded to just above a whole number.
        (coverage / (1.0 - coverage) * (1.0 - 1e-9)).ceil().max(1.0) as u64
    }
}

impl Limits {
    /// The probability that was asked for.
    pub fn coverage(&self) -> f64 {
        self.coverage
    }

    /// The largest score that belongs to an answer: of classes (`index` 0) -ln of a probability, of target `index` half the width of its
    /// interval. Infinite where there are too few samples.
    pub fn score(&self, index: usize) -> f64 {
        self.scores.get(index).copied().unwrap_or(f64::INFINITY)
    }

    /// Whether there are too few samples for the coverage.
    pub fn is_unbounded(&self) -> bool {
        self.scores.iter().any(|score| score.is_infinite())
    }

    /// How many of the most probable classes are in the set, of those with these scores in ascending order: at least one.
    pub fn set_len(&self, ascending: impl IntoIterator<Item = f64>) -> usize {
        ascending.into_iter().take_while(|score| *score <= self.score(0)).count().max(1)
    }
}
