//! What the screen shows, as the run's events tell it. Plain data: nothing here knows a terminal.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use trainer::{EpochSummary, Event, Glance};

use super::curve::Curve;

/// Notes that are kept.
const NOTES: usize = 8;
/// How far back the throughput looks.
const RECENT: Duration = Duration::from_secs(5);

/// A run as far as it has come.
pub(crate) struct State {
    /// Which one.
    pub(super) run: String,
    /// What is learned: images, rows.
    pub(super) unit: &'static str,
    pub(super) epochs: usize,
    /// In an epoch.
    pub(super) batches: usize,
    /// Of the step at hand, counted from 1; 0 before the first one.
    pub(super) epoch: usize,
    pub(super) batch: usize,
    pub(super) phase: Phase,
    /// Over epochs: the mean of the epoch so far, and that of validation.
    pub(super) loss: [Curve; 2],
    /// The metric that is named, in training (accuracy only) and in validation.
    pub(super) metric: [Curve; 2],
    pub(super) metric_name: &'static str,
    pub(super) rate: Curve,
    pub(super) notes: VecDeque<String>,
    /// Epochs done, and batches of the one that follows, of the newest checkpoint.
    pub(super) saved: Option<[usize; 2]>,
    pub(super) save_asked: bool,
    pub(super) best: Option<EpochSummary>,
    /// What the last validation answered, once somebody has looked at it.
    pub(super) glance: Option<Glance>,
    /// Bytes that the process has, and that it may still take.
    pub(super) memory: [Option<u64>; 2],
    /// Samples a second, lately.
    pub(super) throughput: Option<f64>,
    /// Points in time with the samples learned until then.
    learned: VecDeque<(Instant, u64)>,
    /// When this sitting began, and at which batch of the run.
    began: Option<(Instant, usize)>,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing yet.
    Beginning,
    /// Steps.
    Training,
    /// The epoch is learned.
    Validating,
    /// All epochs are done.
    Measuring,
}

impl State {
    /// Before the run begins.
    pub(crate) fn new(run: String, unit: &'static str) -> Self {
        Self {
            run,
            unit,
            epochs: 0,
            batches: 0,
            epoch: 0,
            batch: 0,
            phase: Phase::Beginning,
            loss: Default::default(),
            metric: Default::default(),
            metric_name: "accuracy",
            rate: Curve::default(),
            notes: VecDeque::new(),
            saved: None,
            save_asked: false,
            best: None,
            glance: None,
            memory: [None; 2],
            throughput: None,
            learned: VecDeque::new(),
            began: None,
        }
    }

    /// Takes in an event; `learned` are the samples of this sitting.
    pub(crate) fn follow(&mut self, event: &Event, learned: u64, now: Instant) {
        match event {
            Event::Started { epochs, done, done_batches, batches, .. } => {
                (self.epochs, self.batches) = (*epochs, *batches);
                (self.epoch, self.batch) = match (*done, *done_batches) {
                    (0, 0) => (0, 0),
                    (done, 0) => (done, *batches),
                    (done, batch) => (done + 1, batch),
                };
                (self.began, self.phase) = (Some((now, self.position())), Phase::Training);
                self.learned = [(now, learned)].into();
            }
            Event::Step { epoch, batch, loss, accuracy, lr, .. } => {
                (self.epoch, self.batch) = (*epoch, *batch);
                self.phase = if batch == &self.batches { Phase::Validating } else { Phase::Training };
                let at = self.epochs_learned();
                self.loss[0].push(at, *loss);
                self.metric[0].push(at, accuracy.unwrap_or(f64::NAN));
                self.rate.push(at, *lr);
                self.learned.push_back((now, learned));
                while self.learned.front().is_some_and(|(then, _)| now.duration_since(*then) > RECENT) {
                    self.learned.pop_front();
                }
                self.throughput = throughput(&self.learned).or(self.throughput);
            }
            Event::Epoch(summary) => self.end_epoch(summary, learned, now),
            Event::Saved { done, done_batches } => {
                (self.saved, self.save_asked) = (Some([*done, *done_batches]), false);
            }
            Event::Note(note) => {
                self.notes.push_back(note.clone());
                self.notes.drain(..self.notes.len().saturating_sub(NOTES));
            }
        }
    }

    fn end_epoch(&mut self, summary: &EpochSummary, learned: u64, now: Instant) {
        (self.epoch, self.batch) = (summary.epoch, self.batches);
        self.phase = if summary.epoch >= self.epochs { Phase::Measuring } else { Phase::Training };
        let at = summary.epoch as f64;
        let val = |name: &str| {
            summary.val.iter().find(|(found, _)| found == name).map(|(_, value)| value.unwrap_or(f64::NAN))
        };
        self.loss[0].push(at, summary.train_loss);
        self.metric[0].push(at, summary.train_accuracy.unwrap_or(f64::NAN));
        if let Some(loss) = val("loss") {
            self.loss[1].push(at, loss);
        }
        let found = ["accuracy", "map", "r2"].into_iter().find_map(|name| Some((name, val(name)?)));
        if let Some((name, value)) = found {
            self.metric_name = name;
            self.metric[1].push(at, value);
        }
        if summary.best {
            self.best = Some(summary.clone());
        }
        // Validation and saving are no part of the throughput.
        self.learned = [(now, learned)].into();
    }

    /// Batches learned since the run began.
    fn position(&self) -> usize {
        self.epoch.saturating_sub(1) * self.batches + self.batch
    }

    /// The same in epochs.
    pub(super) fn epochs_learned(&self) -> f64 {
        self.position() as f64 / self.batches.max(1) as f64
    }

    /// How much of the run is done, from 0 to 1.
    pub(super) fn share(&self) -> f64 {
        (self.epochs_learned() / self.epochs.max(1) as f64).clamp(0.0, 1.0)
    }

    /// Time since this sitting began, and what is probably left.
    pub(super) fn times(&self, now: Instant) -> [Option<Duration>; 2] {
        let Some((began, at)) = self.began else { return [None; 2] };
        let (past, done) = (now.duration_since(began), self.position().saturating_sub(at));
        let left = (self.epochs * self.batches).saturating_sub(self.position()) as f64 / done as f64;
        let left = Duration::try_from_secs_f64(past.as_secs_f64() * left).ok();
        [Some(past), left.filter(|_| done > 0 && self.phase != Phase::Measuring)]
    }
}

fn throughput(learned: &VecDeque<(Instant, u64)>) -> Option<f64> {
    let ((first, before), (last, after)) = (learned.front()?, learned.back()?);
    let took = last.duration_since(*first).as_secs_f64();
    (took > 0.0).then(|| (after - before) as f64 / took)
}
