//! What is done about numbers that aren't finite: the user's choice, its limits, and the search for the place where they began. The steps
//! themselves are the learner's.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use data::Dataset;
use models::{Model, Pass};

use crate::evaluate::read;
use crate::gradient;
use crate::optimizer::parameters_by_path;
use crate::{Change, Checkpoint, Error, Event, Job};

/// What to do about a batch whose loss or gradient is NaN or infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNan {
    /// End the run. Losses are read every 16 steps; then the steps since the last checkpoint are made again to find the layer.
    #[default]
    Stop,
    /// Leave the batch out, as if it weren't there: at most 10 of an epoch, and at most half of it. Every step waits for its loss and for the norm of its gradients.
    Skip,
    /// Go back to the beginning of the epoch, with half the learning rate from there on: at most 5 times.
    Rollback,
}

impl OnNan {
    /// Their names.
    pub const NAMES: &'static [&'static str] = &["stop", "skip", "rollback"];

    /// By name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "stop" => Some(Self::Stop),
            "skip" => Some(Self::Skip),
            "rollback" => Some(Self::Rollback),
            _ => None,
        }
    }
}

/// Batches of an epoch that may be left out, and no more than half of them.
const MOST_LEFT_OUT: usize = 10;
/// Times that a run goes back: the learning rate is then a thirty-second of what it was.
const MOST_ROLLBACKS: i32 = 5;

/// A batch on its way through the model, for the case that something is wrong with it.
pub(crate) struct Watched<'a> {
    pub(crate) dataset: &'a Dataset,
    /// As it was before.
    pub(crate) model: Model,
    pub(crate) inputs: Tensor<4>,
    /// Positions of the samples in the data set.
    pub(crate) indices: Vec<u32>,
    pub(crate) pass: Pass,
}

impl Watched<'_> {
    /// Where the numbers of this batch stopped being finite, in words: in its inputs, the weights, a layer on the way forward, the loss, or a
    /// gradient on the way back. `None` where all is well. Waits for the device.
    pub(crate) fn cause(&self, loss: Tensor<1>, gradients: &GradientsParams) -> Result<Option<String>, Error> {
        let loss = read(loss)?.into_iter().next().unwrap_or(f32::NAN);
        let gradients_are_fine = || gradient::norm(&self.model, gradients).is_finite();
        if loss.is_finite() && gradients_are_fine() {
            return Ok(None);
        }
        if let Some(cause) = self.input()? {
            return Ok(Some(cause));
        }
        if let Some((name, what)) = bad_weights(&self.model) {
            return Ok(Some(format!("`{name}` became {what} by the update before{HINT}")));
        }
        if let Some(fault) = models::first_fault(&self.model, self.inputs.clone(), self.pass) {
            return Ok(Some(format!("the outputs of layer `{}` are {}{HINT}", fault.layer, fault.what)));
        }
        if !loss.is_finite() {
            return Ok(Some(format!("the loss is {loss}, and every layer's outputs are finite{HINT}")));
        }
        let fault = gradient::first_not_finite(&self.model, gradients);
        Ok(fault.map(|fault| {
            let name = name_of(&self.model, &fault.parameter);
            format!("the gradient of `{name}` {}, and the loss is finite{HINT}", fault.what)
        }))
    }

    /// The first number of the batch itself that isn't finite.
    fn input(&self) -> Result<Option<String>, Error> {
        let values = read(self.inputs.clone().inner())?;
        let Some(at) = values.iter().position(|value| !value.is_finite()) else { return Ok(None) };
        let each = (values.len() / self.indices.len().max(1)).max(1);
        let index = self.indices.get(at / each).copied().unwrap_or_default() as usize;
        let (source, feature, value) = (self.dataset.sources.name(index), at % each + 1, values[at]);
        Ok(Some(format!("number {feature} of {each} of the input `{source}` is {value}; correct the data")))
    }
}

/// What a user may try.
pub(crate) const HINT: &str = "; try a lower --lr, or --clip-norm 1";

/// The first weight or running statistic, in the order of computation, that isn't finite, and what it is. Waits for the device once where
/// all are.
pub(crate) fn bad_weights(model: &Model) -> Option<(String, &'static str)> {
    struct Parameters(Vec<(ParamId, Tensor<1>)>);
    impl ModuleVisitor for Parameters {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push((param.id, param.val().reshape([-1])));
        }
    }
    let mut found = Parameters(Vec::new());
    model.valid().visit(&mut found);
    let (id, what) = first_fault(found.0)?;
    Some((models::parameter_kinds(model).remove(&id)?.0, what))
}

/// The first of the tensors that isn't finite, and what it is. Waits for the device once where all are.
pub(crate) fn first_fault<T>(tensors: Vec<(T, Tensor<1>)>) -> Option<(T, &'static str)> {
    if tensors.is_empty() {
        return None;
    }
    let sums = tensors.iter().map(|(_, values)| kernels::sum_of_squares(values.clone()));
    let sums = Tensor::cat(sums.collect(), 0).into_data();
    let mut suspects = sums.iter::<f64>().zip(tensors).filter(|(sum, _)| !sum.is_finite());
    // A sum of squares leaves f32's range before its numbers do.
    suspects.find_map(|(_, (name, values))| Some((name, models::fault(values)?)))
}

/// The name in the model file of the parameter at `path` in the module.
fn name_of(model: &Model, path: &str) -> String {
    let paths = parameters_by_path(model);
    let id = paths.iter().find(|(_, info)| info.name == path).map(|(id, _)| *id);
    let name = id.and_then(|id| models::parameter_kinds(model).remove(&id));
    name.map_or_else(|| path.to_owned(), |(name, _)| name)
}

/// How many batches of an epoch may be left out: more than that is no accident.
pub(crate) fn most_left_out(batches: usize) -> usize {
    MOST_LEFT_OUT.min(batches / 2).max(1)
}

/// What the run that came to a halt knows, and its folder may not.
pub(crate) struct Known {
    /// How often it went back.
    pub(crate) rollbacks: i32,
    /// What was given anew.
    pub(crate) changes: Vec<Change>,
    /// The state at the beginning of its epoch, where that could not be saved.
    pub(crate) beginning: Option<Checkpoint>,
}

/// What is done about numbers that aren't finite, once the run has come to a halt: the state to go on from.
///
/// # Errors
/// Where the run ends: with the place where the numbers stopped being finite, as far as it can be found.
pub(crate) fn answer(
    job: &Job<'_>,
    late: Error,
    known: Known,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(Event),
) -> Result<Checkpoint, Error> {
    match job.config.on_nan {
        // Its batches were looked at when they came.
        OnNan::Skip => Err(late),
        OnNan::Rollback if known.rollbacks < MOST_ROLLBACKS => match beginning(job, &late, known)? {
            Some(state) => roll_back(job, state, &late, on_event),
            None => Err(look_closer(job, late, stop, on_event)),
        },
        OnNan::Stop | OnNan::Rollback => Err(look_closer(job, late, stop, on_event)),
    }
}

/// The state before the first step of the epoch in which numbers stopped being finite.
fn beginning(job: &Job<'_>, late: &Error, known: Known) -> Result<Option<Checkpoint>, Error> {
    let Error::Diverged { epoch, .. } = late else { return Ok(None) };
    let unsaved = known.beginning.filter(|state| state.progress.epoch + 1 == *epoch);
    let found = match unsaved {
        None if !job.ranks.is_first() => None,
        // What cannot be read is not there.
        None => Checkpoint::at_beginning_of(epoch - 1, &job.run.checkpoints()).ok().flatten(),
        unsaved => unsaved,
    };
    let mut found = match job.ranks.checkpoint(found)? {
        None if *epoch == 1 => Some(job.beginning()?.checkpoint()?),
        found => found,
    };
    if let Some(found) = &mut found {
        // It may be of before the run last went back, or was given something anew.
        (found.progress.rollbacks, found.progress.changes) = (known.rollbacks, known.changes);
    }
    Ok(found)
}

/// Halves the learning rate from `state` on and makes it the only checkpoint: whatever came after it belongs to another run.
fn roll_back(
    job: &Job<'_>,
    mut state: Checkpoint,
    late: &Error,
    on_event: &mut dyn FnMut(Event),
) -> Result<Checkpoint, Error> {
    state.progress.rollbacks += 1;
    state.settings = job.settings.clone();
    let (epoch, times) = (state.progress.epoch + 1, state.progress.rollbacks);
    on_event(Event::Note(format!(
        "{late}: back to the beginning of epoch {epoch}, with half the learning rate ({times} of {MOST_ROLLBACKS} times)"
    )));
    if !job.ranks.is_first() {
        return Ok(state);
    }
    // Being killed in between, or being refused a part of it, is harmless: a checkpoint from after the beginning leads to the same place,
    // and the next save removes it.
    let folder = job.run.checkpoints();
    let refused = match state.save(&folder) {
        Ok(path) => {
            let pruned = Checkpoint::prune(&folder, &[&path]);
            state.path = Some(path);
            pruned.err().map(|error| format!("an older checkpoint, or a part of one, stays: {error}"))
        }
        Err(error) if !job.run.path().is_dir() => return Err(job.run.lost(error)),
        Err(error) => Some(format!("not saved: {error}; training goes on, and the next save tries again")),
    };
    refused.into_iter().for_each(|what| on_event(Event::Note(format!("warning: {what}"))));
    Ok(state)
}

/// Makes the steps since the last checkpoint again, each looked at, to say where the numbers stopped being finite: `late` is what was seen
/// when the losses were read. Returns that where nothing more is found.
fn look_closer(job: &Job<'_>, late: Error, stop: &dyn Fn() -> bool, on_event: &mut dyn FnMut(Event)) -> Error {
    let Error::Diverged { epoch, batch, .. } = &late else { return late };
    let newest = || Checkpoint::load_newest(&job.run.checkpoints()).map(|(checkpoint, _)| checkpoint).ok();
    let from = match job.ranks.checkpoint(job.ranks.is_first().then(newest).flatten()) {
        Ok(from) => from,
        Err(error) => return error,
    };
    let step = from.as_ref().map_or(0, |checkpoint| checkpoint.progress.step);
    on_event(Event::Note(format!(
        "numbers are not finite: the steps from {step} on are made again, to find where it begins"
    )));
    match again(job, from, [*epoch, *batch], stop) {
        Err(found @ Error::Diverged { .. }) => found,
        _ => late,
    }
}

/// Learns from the batches after the checkpoint, up to the one `until`, epoch and batch counted from 1.
fn again(job: &Job<'_>, from: Option<Checkpoint>, until: [usize; 2], stop: &dyn Fn() -> bool) -> Result<(), Error> {
    let mut learner = job.beginning()?.watching(job.dataset.clone());
    if let Some(checkpoint) = from {
        learner = learner.restore(checkpoint)?;
    }
    let epoch = learner.progress.epoch;
    // What is decided between epochs is not decided again.
    if epoch + 1 != until[0] {
        return Ok(());
    }
    let training = job.training();
    for batch in training.epoch(epoch).skip_batches(learner.progress.batch) {
        if job.ranks.any(stop())? || learner.progress.batch >= until[1] {
            break;
        }
        let share = learner.share(&training, batch)?;
        learner = learner.learn(share)?;
    }
    learner.candidate().map(drop)
}
