//! Measures a model on samples, without gradients: validation, testing and `trainer eval` are all this.

use burn::tensor::{Device, Tensor};
use data::{Batch, BatchTargets, Inputs, Loader};
use models::{Golden, Model, Pass, Plan};
use tasks::{Calibration, CalibrationFit, Metrics, Task};

use crate::lost::{attended, if_too_many};
use crate::{Answers, Error, Ranks};

/// One batch that was predicted.
pub struct Predicted<'a> {
    /// Positions of the samples in their data set, `[batch]`.
    pub indices: &'a [u32],
    /// Logits, or standardised values of a regression: `[batch, outputs]`.
    pub outputs: &'a [f32],
    /// The truth.
    pub targets: &'a BatchTargets,
}

/// Measures `model` (without autodiff: pass `model.valid()`) over one epoch of `loader`.
///
/// # Errors
/// If a sample cannot be read or has no target, or the device fails.
pub fn evaluate(model: &Model, task: &Task, loader: &Loader, device: &Device) -> Result<Metrics, Error> {
    evaluate_each(model, task.metrics(), loader, device, &mut |_| Ok(()))
}

/// The same from empty sums on ([`Task::metrics_at`]), showing every batch to `observe`, in order.
///
/// # Errors
/// As [`evaluate`], and the first error of `observe`.
pub fn evaluate_each(
    model: &Model,
    metrics: Metrics,
    loader: &Loader,
    device: &Device,
    observe: &mut dyn FnMut(Predicted<'_>) -> Result<(), Error>,
) -> Result<Metrics, Error> {
    let mut proceed = |predicted: Predicted<'_>| observe(predicted).map(|()| true);
    let metrics = measure(model, metrics, loader, device, &Ranks::alone(), &mut proceed)?;
    metrics.ok_or_else(|| Error::Config("the measurement was left".into()))
}

/// The same until `stop` says so, which is asked after every batch: then there is nothing. What is measured also says how sure the model's
/// answers may be said to be; the answers themselves are added to `answers`, if they are wanted. Each rank computes its part of every batch.
///
/// # Errors
/// As [`evaluate`].
pub(crate) fn validate_until(
    model: &Model,
    task: &Task,
    loader: &Loader,
    device: &Device,
    (ranks, stop): (&Ranks, &dyn Fn() -> bool),
    mut answers: Option<&mut Answers>,
) -> Result<Option<(Metrics, Calibration)>, Error> {
    let mut fit = CalibrationFit::new(task);
    let metrics = measure(model, task.metrics(), loader, device, ranks, &mut |batch| {
        fit.add(batch.outputs, batch.targets)?;
        if let Some(answers) = &mut answers {
            answers.add(&batch);
        }
        Ok(!ranks.any(stop())?)
    })?;
    Ok(metrics.map(|metrics| (metrics, fit.finish())))
}

/// Adds to `metrics` as long as `proceed` says true of every batch. With others, `loader` makes this rank's part of batches that aren't shuffled, and
/// everybody hears everybody's outputs: the metrics are those of one process.
pub(crate) fn measure(
    model: &Model,
    mut metrics: Metrics,
    loader: &Loader,
    device: &Device,
    ranks: &Ranks,
    proceed: &mut dyn FnMut(Predicted<'_>) -> Result<bool, Error>,
) -> Result<Option<Metrics>, Error> {
    let plan = model.plan();
    for (number, batch) in loader.epoch(0).enumerate() {
        let mine = batch.map_err(Error::from).and_then(|mut batch| {
            let truth = (std::mem::take(&mut batch.indices), batch.targets.take());
            if batch.is_empty() {
                return Ok((Vec::new(), truth));
            }
            let outputs = attended(device, || answer(model, plan.as_ref(), batch, device));
            Ok((outputs.map_err(|error| if_too_many(error, loader.part_of(number).len()))?, truth))
        });
        let (outputs, (indices, targets)) = match ranks.size() {
            1 => mine?,
            _ => {
                let all = ranks.gather(mine.map(|(outputs, _)| bytemuck::cast_slice(&outputs).to_vec()))?;
                let (indices, targets) = loader.truth(number);
                (all.iter().flat_map(|part| bytemuck::pod_collect_to_vec(part)).collect(), (indices, Some(targets)))
            }
        };
        let Some(targets) = targets else {
            return Err(Error::Config("the data set has no targets to measure against".into()));
        };
        metrics.update(&outputs, &targets)?;
        if !proceed(Predicted { indices: &indices, outputs: &outputs, targets: &targets })? {
            return Ok(None);
        }
    }
    Ok(Some(metrics))
}

/// What `model` answers to the made-up inputs that a model file carries.
pub(crate) fn golden(model: &Model, device: &Device) -> Result<Option<Golden>, Error> {
    let [channels, height, width] = model.input().shape();
    let plan = model.plan();
    Golden::of(model.input(), |inputs| {
        let batch = Batch { indices: Vec::new(), shape: [1, channels, height, width], inputs, targets: None };
        answer(model, plan.as_ref(), batch, device)
    })
}

/// The outputs for a batch, `[batch, outputs]`, the fast way where the device has one.
fn answer(model: &Model, plan: Option<&Plan>, batch: Batch, device: &Device) -> Result<Vec<f32>, Error> {
    match (plan, &batch.inputs) {
        (Some(plan), Inputs::Pixels(values)) => Ok(plan.pixels(values)),
        (Some(plan), Inputs::Floats(values)) => Ok(plan.floats(values)),
        (Some(plan), Inputs::Resident(_)) => Ok(plan.floats(&batch.inputs.into_floats())),
        (None, _) => read(model.forward(batch.into_tensors(device).0, Pass::Predict)),
    }
}

/// A tensor's numbers on the host, row by row.
pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, Error> {
    let data = tensor.try_into_data_as::<f32>().map_err(|error| Error::Device(format!("{error:?}")))?;
    data.try_into_vec::<f32>().map_err(|error| Error::Device(format!("{error:?}")))
}
