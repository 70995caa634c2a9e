//! What a search has come to so far, and what comes next: `tune.json`, which `docs/formats.md` specifies. All decisions are functions of what
//! stands in it, so that a search that was killed goes on as if it hadn't been.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Halving, Space};
use crate::{Error, RunFolder};

/// Bytes that a record has at most.
const MOST: u64 = 64 << 20;

/// A search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`Record::VERSION`].
    pub v: u32,
    /// The recipe, without its ranges: opaque here.
    pub options: Value,
    /// What is varied.
    pub ranges: Space,
    /// Decides the draws.
    pub seed: u64,
    /// How many trials there are, and how far each is trained.
    pub rungs: Halving,
    /// Seconds that it may take, over all sittings.
    pub time: Option<f64>,
    /// Seconds that it has taken.
    pub seconds: f64,
    /// The validation metric that chooses.
    pub metric: String,
    /// Whether more of it is better.
    pub higher_is_better: bool,
    /// The trials that have begun, by their numbers.
    pub trials: Vec<Trial>,
    /// Why it ended, if it did.
    pub ended: Option<SearchEnded>,
    /// The number of the best trial, once it has ended.
    pub best: Option<u32>,
    /// The report of the best trial's model on the test split, which chose nothing.
    pub test: Option<Value>,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchEnded {
    /// Every rung is done.
    Rungs,
    /// The time ran out.
    Time,
}

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number, from 1.
    pub trial: u32,
    /// The values drawn for it; none for the first, which is the recipe itself.
    pub values: BTreeMap<String, Value>,
    /// What it reached at the end of each rung.
    pub reached: Vec<Reached>,
    /// Seconds of training.
    pub seconds: f64,
    /// Why it goes on no further, if anything went wrong with it.
    pub failed: Option<String>,
}

/// The best epoch of a trial so far, on validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// Epochs done.
    pub epochs: usize,
    /// Which epoch is the best, from 1.
    pub best_epoch: usize,
    /// The metric there; none where it is undefined.
    pub value: Option<f64>,
    /// The validation loss there, which decides between equals.
    pub loss: Option<f64>,
}

impl Record {
    /// The version that this program writes.
    pub const VERSION: u32 = 1;

    /// Reads it.
    ///
    /// # Errors
    /// If it cannot be read, is of a newer version, or isn't what a search writes.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |what: String| Error::checkpoint(path, what);
        let bytes = data::read_regular(path, MOST).map_err(Error::io("read", path))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(format!("not JSON: {error}")))?;
        let version = value["v"].as_u64();
        if let Some(newer) = version.filter(|version| *version > u64::from(Self::VERSION)) {
            let known = Self::VERSION;
            return Err(wrong(format!(
                "`v`: this program knows versions up to {known}, found {newer}; use a newer one"
            )));
        }
        let record: Self =
            serde_json::from_value(value).map_err(|error| wrong(format!("not what a search writes: {error}")))?;
        record.check().map_err(wrong)?;
        Ok(record)
    }

    /// Writes it whole or not at all.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::Config(error.to_string()))?;
        RunFolder::write(path, &text)
    }

    fn check(&self) -> Result<(), String> {
        self.rungs.check()?;
        self.ranges.check().map_err(|what| format!("ranges: {what}"))?;
        let (all, rungs) = (self.all(), self.rungs.rungs().len());
        let seconds =
            [Some(self.seconds), self.time].into_iter().flatten().chain(self.trials.iter().map(|trial| trial.seconds));
        if seconds.into_iter().any(|seconds| std::time::Duration::try_from_secs_f64(seconds).is_err()) {
            return Err("seconds: expected numbers of 0 or more".into());
        }
        let orderly = self.trials.windows(2).all(|two| two[0].trial < two[1].trial);
        let known = self.trials.iter().all(|trial| (1..=all).contains(&trial.trial) && trial.reached.len() <= rungs);
        let best = self.best.is_none_or(|best| self.trials.iter().any(|trial| trial.trial == best));
        match orderly && known && best {
            true => Ok(()),
            false => Err(format!(
                "trials: expected each once, by its number from 1 to {all}, with no more than {rungs} rungs"
            )),
        }
    }

    /// How many trials there are in all.
    fn all(&self) -> u32 {
        self.rungs.rungs().first().map_or(0, |rung| u32::try_from(rung.trials).unwrap_or(u32::MAX))
    }

    /// What is to be trained next: a trial, and the place of the rung that it is trained to. `None` once every rung is done.
    pub fn due(&self) -> Option<(u32, usize)> {
        let done = |trial: u32, rung: usize| {
            let begun = self.trials.iter().find(|begun| begun.trial == trial);
            begun.is_some_and(|begun| begun.failed.is_some() || begun.reached.len() > rung)
        };
        (0..self.rungs.rungs().len()).find_map(|rung| {
            self.members(rung).into_iter().find(|&trial| !done(trial, rung)).map(|trial| (trial, rung))
        })
    }

    /// The trials of a rung, by number: all, or the best of the rung before, which must be done.
    fn members(&self, rung: usize) -> Vec<u32> {
        let Some(before) = rung.checked_sub(1) else { return (1..=self.all()).collect() };
        let mut there: Vec<&Trial> = self.trials.iter().filter(|trial| trial.reached.len() > before).collect();
        there.sort_by(|a, b| self.order(a, b, |trial| trial.reached.get(before)));
        let mut members: Vec<u32> =
            there.iter().take(self.rungs.rungs()[rung].trials).map(|trial| trial.trial).collect();
        members.sort_unstable();
        members
    }

    /// Takes down what a trial came to.
    pub fn note(&mut self, trial: u32, outcome: Result<Reached, String>, seconds: f64) {
        let at = self.trials.binary_search_by_key(&trial, |begun| begun.trial).unwrap_or_else(|place| {
            let values = self.ranges.draw(self.seed, trial);
            self.trials.insert(place, Trial { trial, values, reached: Vec::new(), seconds: 0.0, failed: None });
            place
        });
        let begun = &mut self.trials[at];
        begun.seconds = seconds;
        match outcome {
            Ok(reached) => begun.reached.push(reached),
            Err(why) => begun.failed = Some(why),
        }
    }

    /// The trials from the best to the worst; those that failed are the last.
    pub fn ranked(&self) -> Vec<&Trial> {
        let mut trials: Vec<&Trial> = self.trials.iter().collect();
        let result = |trial: &Trial| trial.failed.is_none();
        trials.sort_by(|a, b| result(b).cmp(&result(a)).then_with(|| self.order(a, b, |trial| trial.reached.last())));
        trials
    }

    /// The better first: by the metric, then by the loss, then by number.
    fn order<'a>(&self, a: &'a Trial, b: &'a Trial, of: impl Fn(&'a Trial) -> Option<&'a Reached>) -> Ordering {
        // What is undefined is worse than anything.
        let worst = |value: Option<f64>| value.unwrap_or(f64::INFINITY);
        let value = |trial| {
            let value = of(trial).and_then(|reached: &Reached| reached.value);
            worst(value.map(|value| if self.higher_is_better { -value } else { value }))
        };
        let loss = |trial| worst(of(trial).and_then(|reached: &Reached| reached.loss));
        value(a).total_cmp(&value(b)).then(loss(a).total_cmp(&loss(b))).then(a.trial.cmp(&b.trial))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Range;
    use super::*;

    fn record(trials: usize, epochs: usize) -> Record {
        Record {
            v: Record::VERSION,
            options: Value::Null,
            ranges: Space::new([("lr".to_owned(), Range::Log([1e-4, 1e-1]))].into()),
            seed: 7,
            rungs: Halving::new(trials, epochs, 3),
            time: None,
            seconds: 0.0,
            metric: "accuracy".to_owned(),
            higher_is_better: true,
            trials: Vec::new(),
            ended: None,
            best: None,
            test: None,
        }
    }

    fn reached(epochs: usize, value: f64) -> Reached {
        Reached { epochs, best_epoch: 1, value: Some(value), loss: Some(1.0) }
    }

    /// Goes through a search whose trial `n` reaches `value(n)`, and writes down and reads again the record after each.
    fn searched(mut record: Record, value: impl Fn(u32) -> Result<f64, String>) -> (Record, Vec<(u32, usize)>) {
        let (scratch, mut steps) = (tempfile::tempdir().unwrap(), Vec::new());
        let path = scratch.path().join("tune.json");
        while let Some((trial, rung)) = record.due() {
            steps.push((trial, rung));
            let epochs = record.rungs.rungs()[rung].epochs;
            record.note(trial, value(trial).map(|value| reached(epochs, value)), 0.5);
            record.write(&path).unwrap();
            let read = Record::read(&path).unwrap();
            assert_eq!(read, record);
            record = read;
        }
        (record, steps)
    }

    #[test]
    fn the_best_of_each_rung_go_on_to_the_next() {
        let (record, steps) = searched(record(9, 9), |trial| Ok(f64::from(trial % 5)));
        let of = |rung| steps.iter().filter(|step| step.1 == rung).map(|step| step.0).collect::<Vec<_>>();
        assert_eq!((of(0), of(1), of(2)), ((1..=9).collect(), vec![3, 4, 9], vec![4]));
        assert_eq!(record.ranked()[..3].iter().map(|trial| trial.trial).collect::<Vec<_>>(), [4, 9, 3]);
        assert_eq!(steps.len(), 13);
    }

    #[test]
    fn a_trial_that_fails_goes_on_no_further_and_ends_nothing() {
        let fail = |trial| if trial == 4 { Err("diverged".to_owned()) } else { Ok(f64::from(trial)) };
        let (record, steps) = searched(record(9, 9), fail);
        assert_eq!(steps.iter().filter(|step| step.0 == 4).count(), 1);
        assert_eq!(record.ranked().last().unwrap().failed.as_deref(), Some("diverged"));
        let (record, steps) = searched(self::record(9, 9), |_| Err("no".to_owned()));
        assert!(steps.len() == 9 && record.ranked().iter().all(|trial| trial.failed.is_some()));
    }

    #[test]
    fn less_is_better_of_a_loss_and_what_is_undefined_is_worse_than_anything() {
        let mut record = Record { higher_is_better: false, ..record(3, 1) };
        for (trial, value) in [(1, None), (2, Some(0.5)), (3, Some(0.25))] {
            record.note(trial, Ok(Reached { value, ..reached(1, 0.0) }), 0.0);
        }
        assert_eq!(record.ranked().iter().map(|trial| trial.trial).collect::<Vec<_>>(), [3, 2, 1]);
    }

    #[test]
    fn a_record_that_no_search_writes_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("tune.json");
        let sound = serde_json::to_value(searched(record(3, 3), |_| Ok(1.0)).0).unwrap();
        let error = |edit: &dyn Fn(&mut Value)| {
            let mut value = sound.clone();
            edit(&mut value);
            std::fs::write(&path, value.to_string()).unwrap();
            Record::read(&path).unwrap_err()
        };
        assert!(error(&|value| value["v"] = 2.into()).to_string().contains("versions up to 1, found 2"));
        let edits: [fn(&mut Value); 7] = [
            |value| value["rungs"] = serde_json::json!([]),
            |value| value["trials"][0]["trial"] = 9.into(),
            |value| value["trials"][1]["trial"] = 1.into(),
            |value| value["ranges"] = serde_json::json!({}),
            |value| value["seconds"] = (-1.0).into(),
            |value| value["best"] = 17.into(),
            |value| *value = Value::Null,
        ];
        for edit in edits {
            assert_eq!(error(&edit).exit_code(), 4);
        }
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Record::read(&path).unwrap_err().exit_code(), 4);
    }
}
