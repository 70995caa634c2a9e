//! The training loop, from the first weights to the last epoch, top to bottom: initialise, feed forward, loss, backpropagate,
//! update, repeat until the epochs are over or the loss is low enough.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use data::{Dataset, Resident};
use models::{Model, ModelFile};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tasks::{Calibration, Metrics, Task};

use crate::answers::Answers;
use crate::batches::{check_batches, held_out, resident, training};
use crate::decision::Decision;
use crate::divergence::{self, Known};
use crate::evaluate::{golden, validate_until};
use crate::keeper::Keeper;
use crate::learner::Learner;
use crate::lost::{advised, attended};
use crate::{
    Best, Change, Checkpoint, EpochSummary, Error, Event, Job, LeftOut, OnNan, Progress, RunFolder, Seen, TrainConfig,
};

/// A learner at the first weights: the same for the same seed, on every device.
pub(crate) fn beginning<'a>(
    config: &'a TrainConfig,
    dataset: &Arc<Dataset>,
    task: &Task,
    device: &Device,
) -> Result<Learner<'a>, Error> {
    let mut model = config.model.init(&dataset.input, task.outputs(), config.seed, &device.clone().autodiff())?;
    if let Some(initial) = &config.initial {
        model = initial.put(model)?;
    }
    Learner::new(model, task.clone(), config, training(config, dataset).batches())
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
    /// The best epoch on validation, also of a run that hasn't ended.
    pub reached: Option<Best>,
    /// The best model on the validation split.
    pub val: Option<Metrics>,
    /// The best model on the test split, which nothing chose on. `None` without one, or after an interrupt.
    pub test: Option<Metrics>,
    /// The best model. `None` without an epoch, or after an interrupt.
    pub best: Option<Model>,
    /// What the best model answered on the test split, or, without one, on the validation split. `None` without either, or
    /// after an interrupt.
    pub answers: Option<Answers>,
    /// What validation said about how sure the best model may be. `None` without it, or after an interrupt.
    pub calibration: Option<Calibration>,
    /// Seconds of training, over all sittings.
    pub seconds: f64,
    /// Training samples learned in this sitting.
    pub learned: u64,
    /// What was given anew on resuming; without any, the weights are those of an uninterrupted run.
    pub changes: Vec<Change>,
    /// Batches that were left out, for their numbers weren't finite.
    pub left_out: Vec<LeftOut>,
    /// How often the learning rate was halved, for numbers weren't finite.
    pub rollbacks: i32,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The caller's [`Job::pause`] was reached, or the run was over before; it can be resumed.
    Paused,
}

/// Trains `job` until its end or until `stop` says so, which is asked after every step. Leaves the model files, `results.csv` and a
/// checkpoint in the run folder; they are written while training goes on.
///
/// # Errors
/// See [`Error`]; what was saved before stays whole. A save that fails is an event as long as a later one can make up for it.
pub fn train(mut job: Job<'_>, stop: &dyn Fn() -> bool, on_event: &mut dyn FnMut(Event)) -> Result<Report, Error> {
    job.config.check()?;
    let run = if job.ranks.is_first() { job.run.held()? } else { job.run.clone() };
    let mut resume = job.ranks.checkpoint(job.resume.take())?;
    let told = |error| advised(error, &job);
    let there = resident(job.config, &job.dataset, &job.device).map_err(told)?;
    loop {
        let so_far = resume.as_ref().map(|checkpoint| checkpoint.progress.clone()).unwrap_or_default();
        let keep = || Keeper::new(&run, job.config, job.settings.clone(), resume.as_ref());
        let mut keeper = job.ranks.is_first().then(keep).transpose()?;
        let outcome = attended(&job.device, || go_on(&job, &mut keeper, resume, there.clone(), stop, on_event));
        let error = match outcome {
            Err(error) => told(error),
            report => return report,
        };
        // What was good is on disk before anything else is done.
        let beginning = keeper.map_or(Ok(None), |keeper| keeper.abandon(on_event));
        if !matches!(error, Error::Diverged { .. }) {
            return Err(error);
        }
        let beginning = beginning?;
        let known = Known { rollbacks: so_far.rollbacks, changes: so_far.changes, beginning };
        let answer = attended(&job.device, || divergence::answer(&job, error, known, stop, on_event));
        resume = Some(answer.map_err(told)?);
    }
}

/// The same, as long as all numbers are finite.
fn go_on(
    job: &Job<'_>,
    keeper: &mut Option<Keeper<'_>>,
    resume: Option<Checkpoint>,
    resident: Option<Arc<Resident>>,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(Event),
) -> Result<Report, Error> {
    let Job { config, dataset, task, device, run, provenance, ranks, .. } = job;
    let split = &dataset.split;
    let training = job.training().resident(resident.clone());
    let held_out = |indices: &[u32]| held_out(config, dataset, indices, ranks, resident.clone());
    check_batches(config, &training, split.train.len())?;
    if config.batch < ranks.size() {
        let (batch, ranks) = (config.batch, ranks.size());
        return Err(Error::Config(format!("--batch: expected a sample for each of the {ranks} ranks, found {batch}")));
    }

    // Initialise.
    let mut learner = job.beginning()?;
    let layers = models::summary(&config.model, &dataset.input, task.outputs())?;
    let parameters = layers.iter().map(|layer| layer.parameters).sum();
    if config.on_nan == OnNan::Skip {
        learner = learner.watching(dataset.clone());
    }
    if let Some(checkpoint) = resume {
        learner = learner.restore(checkpoint)?;
    }
    if let Some(note) = learner.note_of_ranks() {
        on_event(Event::Note(note));
    }
    on_event(Event::Started {
        parameters,
        epochs: config.epochs,
        done: learner.progress.epoch,
        done_batches: learner.progress.batch,
        batches: training.batches(),
        samples: [split.train.len(), split.val.len(), split.test.len()],
    });

    // Repeat, until the epochs are over or the loss is low enough.
    let (clock, before) = (Instant::now(), learner.progress.seconds);
    let mut learned = 0;
    let mut ended = learner.exhausted();
    while ended.is_none() && !job.is_paused(&learner.progress) {
        for batch in training.epoch(learner.progress.epoch).skip_batches(learner.progress.batch) {
            let share = match learner.share(&training, batch) {
                Ok(share) => share,
                Err(error) => return Err(leave(learner, keeper, error, on_event)),
            };
            let samples = share.samples;
            learner = learner.learn(share)?;
            learner.progress.seconds = before + clock.elapsed().as_secs_f64();
            learned += samples as u64;
            on_event(learner.step_event(samples));
            learner.notes().into_iter().for_each(|note| on_event(Event::Note(note)));
            let decision = Decision::of(job, &learner, keeper, stop, on_event)?;
            learner.progress.seconds = decision.seconds;
            if decision.stop {
                ended = Some(Ended::Interrupted);
                break;
            }
            if config.time.is_some_and(|limit| learner.progress.seconds >= limit.as_secs_f64()) {
                ended = Some(Ended::Time);
                learner = learner.flush()?;
                break;
            }
            if decision.save {
                save(&mut learner, keeper, on_event)?;
            }
        }

        // Validate: on samples that no gradient saw. The best epoch is chosen by this and nothing else.
        learner = learner.align()?;
        let (candidate, mut metrics, mut calibration) = (learner.candidate()?, None, None);
        let mut answers = (job.wants_answers && !split.val.is_empty()).then(|| Answers::none("val"));
        if ended != Some(Ended::Interrupted) && !split.val.is_empty() {
            let measured =
                validate_until(&candidate, task, &held_out(&split.val), device, (ranks, stop), answers.as_mut());
            (metrics, calibration) = match measured {
                Ok(measured) => measured.unzip(),
                Err(error) => return Err(leave(learner, keeper, error, on_event)),
            };
            ended = if metrics.is_none() { Some(Ended::Interrupted) } else { ended };
        }
        if ended == Some(Ended::Interrupted) {
            save(&mut learner, keeper, on_event)?;
            break;
        }
        learner.check_validation(metrics.as_ref())?;
        let summary = learner.end_epoch(metrics.as_ref());
        learner.compare(&summary.weights)?;
        if let Some(watch) = job.watch {
            let calibration = calibration.as_ref();
            watch(Seen { model: &candidate, epoch: summary.epoch, answers, calibration });
        }
        // A goal that is reached in the last moment is reached; but the last epoch isn't whole where the clock cut it.
        ended = match (learner.reached(metrics.as_ref()), ended) {
            (Some(Ended::Epochs | Ended::Patience), Some(Ended::Time)) => Some(Ended::Time),
            (reached, ended) => reached.or(ended),
        };
        if ended == Some(Ended::Time) {
            // A clock that is asked again may say something else, as may the number of epochs.
            learner.progress.reached = ended;
        }
        if let Some(keeper) = keeper {
            let file = ModelFile {
                golden: golden(&candidate, device)?,
                model: candidate,
                task: json(task)?,
                provenance: provenance.clone(),
                metrics: serde_json::json!({ "val": defined(&summary) }),
                calibration: calibration.as_ref().map(json).transpose()?,
            };
            keeper.publish(file.pack(&run.last())?, &summary);
        }
        // This is what was asked for meanwhile.
        let _ = job.is_save_wanted();
        save(&mut learner, keeper, on_event)?;
        on_event(Event::Epoch(summary));
    }
    keeper.as_mut().map_or(Ok(()), |keeper| keeper.finish(on_event))?;
    if ranks.size() > 1 {
        let share = 100.0 * ranks.talked().as_secs_f64() / clock.elapsed().as_secs_f64().max(1e-9);
        on_event(Event::Note(format!("ranks    {share:.1} % of the time in messages, and waiting for others")));
    }

    // Measure the best epoch, once, on samples that chose nothing.
    let mut ended = match ended {
        Some(Ended::Interrupted) => Ended::Interrupted,
        _ if job.pause.is_some() => Ended::Paused,
        ended => ended.unwrap_or(Ended::Epochs),
    };
    let best_epoch = learner.progress.best.as_ref().map_or(0, |best| best.epoch);
    let (mut best, mut val, mut test, mut answers, mut calibration) = (None, None, None, None, None);
    if !matches!(ended, Ended::Interrupted | Ended::Paused) && best_epoch > 0 {
        let model;
        (model, calibration) = best_model(job)?;
        let model = best.insert(model);
        let sums = task.metrics_at(calibration.as_ref().map_or(1.0, Calibration::temperature));
        for (name, indices, measured) in [("val", &split.val, &mut val), ("test", &split.test, &mut test)] {
            if !indices.is_empty() && ended != Ended::Interrupted {
                (*measured, answers) =
                    Answers::until(name, model, sums.clone(), &held_out(indices), device, (ranks, stop))?.unzip();
                ended = if measured.is_none() { Ended::Interrupted } else { ended };
            }
        }
    }
    let Progress { epoch: epochs, best: reached, seconds, changes, left_out, rollbacks, .. } = learner.progress;
    Ok(Report {
        ended,
        epochs,
        best_epoch,
        reached,
        val,
        test,
        best,
        answers,
        calibration,
        seconds,
        learned,
        changes,
        left_out,
        rollbacks,
    })
}

/// Has rank 0 save the state, which no rank leaves to be saved where its numbers aren't finite.
fn save(
    learner: &mut Learner<'_>,
    keeper: &mut Option<Keeper<'_>>,
    on_event: &mut dyn FnMut(Event),
) -> Result<(), Error> {
    match keeper {
        Some(keeper) => keeper.save(learner.checkpoint()?, on_event),
        None => learner.check(),
    }
}

/// Saves what was learned before `error`, which is the data's: once they are repaired, the run goes on there.
fn leave(
    mut learner: Learner<'_>,
    keeper: &mut Option<Keeper<'_>>,
    error: Error,
    on_event: &mut dyn FnMut(Event),
) -> Error {
    let saved = learner.settle().and_then(|()| save(&mut learner, keeper, on_event));
    let mut finish = || keeper.as_mut().map_or(Ok(()), |keeper| keeper.finish(on_event));
    saved.and_then(|()| finish()).err().unwrap_or(error)
}

/// The best model and its calibration, which lie in the run's folder: what they are on rank 0.
fn best_model(job: &Job<'_>) -> Result<(Model, Option<Calibration>), Error> {
    let Job { config, dataset, task, device, run, ranks, .. } = job;
    if !ranks.is_first() {
        let model = config.model.init(&dataset.input, task.outputs(), config.seed, device)?;
        return Ok((models::load_tensors(model, ranks.tensors(None)?.into_iter().collect())?, None));
    }
    let file = ModelFile::load(&run.best(), device).map_err(|error| run.lost(error.into()))?;
    if ranks.size() > 1 {
        let tensors = models::named_tensors(&file.model).into_iter().map(|tensor| (tensor.name, tensor.data));
        ranks.tensors(Some(&tensors.collect()))?;
    }
    Ok((file.model, file.calibration.map(|section| stored(section, task, run)).transpose()?))
}

/// The calibration in the best model file of `run`.
fn stored(section: Value, task: &Task, run: &RunFolder) -> Result<Calibration, Error> {
    let bad = |what| Error::checkpoint(&run.best(), format!("metadata `calibration`: {what}"));
    Calibration::stored(section, task).map_err(bad)
}

fn json(value: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::Config(error.to_string()))
}

/// The validation metrics that are defined, by name.
fn defined(summary: &EpochSummary) -> BTreeMap<&str, f64> {
    summary.val.iter().filter_map(|(name, value)| Some((name.as_str(), (*value)?))).collect()
}
