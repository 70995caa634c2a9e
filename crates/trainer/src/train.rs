//! The training loop, from the first weights to the last epoch, top to bottom: initialise, feed forward, loss, backpropagate,
//! update, repeat until the epochs are over or the loss is low enough.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use data::{Dataset, Loader};
use models::ModelFile;
use serde::Serialize;
use tasks::{Metrics, Task};

use crate::learner::Learner;
use crate::{Checkpoint, EpochSummary, Error, Event, RunFolder, TrainConfig, evaluate};

/// Everything a run needs.
pub struct Job<'a> {
    /// The settings.
    pub config: &'a TrainConfig,
    /// The samples and their split.
    pub dataset: Arc<Dataset>,
    /// What turns outputs into a loss.
    pub task: Task,
    /// Where to compute.
    pub device: Device,
    /// Where results go.
    pub run: &'a RunFolder,
    /// Where to go on; `None` starts anew.
    pub resume: Option<Checkpoint>,
    /// What the model file says about its making: configuration, data. No clock, host or path.
    pub provenance: serde_json::Value,
}

/// How a run ended, and what it reached.
#[derive(Clone, Debug)]
pub struct Report {
    /// Why it ended.
    pub ended: Ended,
    /// Epochs done, over all sittings.
    pub epochs: usize,
    /// The best epoch, counted from 1; zero before the first validation.
    pub best_epoch: usize,
    /// The best model on the validation split.
    pub val: Option<Metrics>,
    /// The best model on the test split, which nothing chose on. `None` without one, or after an interrupt.
    pub test: Option<Metrics>,
    /// Seconds of training, over all sittings.
    pub seconds: f64,
    /// Training samples learned in this sitting.
    pub learned: u64,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All epochs are done.
    Epochs,
    /// `target_loss` was reached.
    TargetLoss,
    /// `target` was reached.
    Target,
    /// `patience` ran out.
    Patience,
    /// `time` ran out.
    Time,
    /// The caller asked to stop; the run can be resumed.
    Interrupted,
}

/// Trains `job` until its end or until `stop` says so, which is asked after every batch. Leaves the model files, `results.csv` and a
/// checkpoint in the run folder.
///
/// # Errors
/// See [`Error`]; what was saved before stays whole.
pub fn train(job: Job<'_>, stop: &dyn Fn() -> bool, on_event: &mut dyn FnMut(Event)) -> Result<Report, Error> {
    let Job { config, dataset, task, device, run, resume, provenance } = job;
    config.check()?;
    let split = &dataset.split;
    let loader =
        |indices: &[u32], batch| Loader::new(dataset.clone(), indices.to_vec(), batch).workers(config.workers).floats();
    let training = loader(&split.train, config.batch).shuffled(config.seed).augmented(config.augment, config.seed);
    // Validation needs no gradients, so its batches can be larger at the same memory.
    let held_out = |indices: &[u32]| loader(indices, config.batch.max(256));
    if training.batches() == 0 {
        return Err(Error::Config("the training split is empty".into()));
    }

    // Initialise: the same weights for the same seed, on every device.
    let model = config.model.init(&dataset.input, task.outputs(), config.seed, &device.clone().autodiff())?;
    let layers = models::summary(&config.model, &dataset.input, task.outputs())?;
    let parameters = layers.iter().map(|layer| layer.parameters).sum();
    let mut learner = Learner::new(model, task.clone(), config, training.batches());
    if let Some(checkpoint) = resume {
        learner = learner.restore(checkpoint)?;
        run.truncate_results(learner.progress.epoch)?;
    }
    on_event(Event::Started {
        parameters,
        epochs: config.epochs,
        done: learner.progress.epoch,
        batches: training.batches(),
        samples: [split.train.len(), split.val.len(), split.test.len()],
    });

    // Repeat, until the epochs are over or the loss is low enough.
    let (clock, before) = (Instant::now(), learner.progress.seconds);
    let mut learned = 0;
    let mut ended = learner.exhausted();
    while ended.is_none() {
        for batch in training.epoch(learner.progress.epoch).skip_batches(learner.progress.batch) {
            let batch = batch?;
            let samples = batch.len();
            learner = learner.learn(batch)?;
            learner.progress.seconds = before + clock.elapsed().as_secs_f64();
            learned += samples as u64;
            on_event(learner.step_event(samples));
            if stop() {
                ended = Some(Ended::Interrupted);
                break;
            }
            if config.time.is_some_and(|limit| learner.progress.seconds >= limit.as_secs_f64()) {
                ended = Some(Ended::Time);
                learner = learner.flush()?;
                break;
            }
        }
        if ended == Some(Ended::Interrupted) {
            learner.checkpoint()?.save(&run.checkpoints())?;
            break;
        }

        // Validate: on samples that no gradient saw. The best epoch is chosen by this and nothing else.
        let candidate = learner.candidate()?;
        let metrics = match split.val.is_empty() {
            true => None,
            false => Some(evaluate(&candidate, &task, &held_out(&split.val), &device)?),
        };
        let summary = learner.end_epoch(metrics.as_ref());
        let file = ModelFile {
            model: candidate,
            task: serde_json::to_value(&task).map_err(|error| Error::Config(error.to_string()))?,
            provenance: provenance.clone(),
            metrics: serde_json::json!({ "val": defined(&summary) }),
        };
        file.save(&run.last())?;
        if summary.best {
            file.save(&run.best())?;
        }
        learner.checkpoint()?.save(&run.checkpoints())?;
        run.append_result(&summary)?;
        on_event(Event::Epoch(summary));
        // A goal that is reached in the last moment is reached.
        ended = learner.reached(metrics.as_ref()).or(ended);
    }

    // Measure the best epoch, once, on samples that chose nothing.
    let ended = ended.unwrap_or(Ended::Epochs);
    let best_epoch = learner.progress.best.as_ref().map_or(0, |best| best.epoch);
    let (mut val, mut test) = (None, None);
    if ended != Ended::Interrupted && best_epoch > 0 {
        let best = ModelFile::load(&run.best(), &device)?.model;
        let measure = |indices: &[u32]| -> Result<Option<Metrics>, Error> {
            match indices.is_empty() {
                true => Ok(None),
                false => Ok(Some(evaluate(&best, &task, &held_out(indices), &device)?)),
            }
        };
        (val, test) = (measure(&split.val)?, measure(&split.test)?);
    }
    let progress = &learner.progress;
    Ok(Report { ended, epochs: progress.epoch, best_epoch, val, test, seconds: progress.seconds, learned })
}

/// The validation metrics that are defined, by name.
fn defined(summary: &EpochSummary) -> BTreeMap<&str, f64> {
    summary.val.iter().filter_map(|(name, value)| Some((name.as_str(), (*value)?))).collect()
}
