//! Updates of a training before there is a run, for whoever wants to know whether a device's memory holds it. Nothing of it stays.

use std::sync::Arc;

use burn::tensor::Device;
use data::{Dataset, Loader};
use models::Model;
use tasks::Task;

use crate::batches::{held_out, resident, training};
use crate::evaluate::measure;
use crate::learner::Learner;
use crate::lost::{attended, if_memory};
use crate::memory::MEASURED;
use crate::train::beginning;
use crate::{Error, OnNan, Ranks, TrainConfig};

/// Learns from batches of a training by these settings, as many as show what it takes, and measures on a batch of held-out samples: what is
/// there at once then is all that one process will have. The inner error is [`Error::Memory`] of a step, or of measuring as many samples: a smaller
/// batch may fit.
///
/// # Errors
/// [`Error::Memory`] where memory ends for what doesn't become less with the batch; [`Error::Device`] where the device fails otherwise, and the
/// errors of the data.
pub fn rehearse(
    config: &TrainConfig,
    dataset: &Arc<Dataset>,
    task: &Task,
    device: &Device,
) -> Result<Result<(), Error>, Error> {
    let outcome = act(config, dataset, task, device);
    // What the runtime keeps for the next tensors would count as taken.
    let swept = attended(device, || {
        device.sync().map_err(|error| Error::Device(format!("{error:?}")))?;
        device.memory_cleanup();
        Ok(())
    });
    let outcome = outcome?;
    swept.map(|()| outcome)
}

fn act(config: &TrainConfig, dataset: &Arc<Dataset>, task: &Task, device: &Device) -> Result<Result<(), Error>, Error> {
    let there = resident(config, dataset, device)?;
    let loader = training(config, dataset).resident(there.clone());
    let learned = attended(device, || updates(beginning(config, dataset, task, device)?, config, dataset, &loader));
    // The learner stays: its moments and averages lie there meanwhile.
    let (_learner, model) = match learned.map_err(|error| if_memory(error, config, dataset, task.outputs(), 1)) {
        // Whether it learns is not asked here.
        Err(Error::Diverged { .. }) => return Ok(Ok(())),
        Err(error @ Error::Memory(_)) => return Ok(Err(error)),
        learned => learned?,
    };
    let split = &dataset.split;
    let indices = if split.val.len() < split.test.len() { &split.test } else { &split.val };
    let loader = held_out(config, dataset, indices, &Ranks::alone(), there);
    match measure(&model, task.metrics(), &loader, device, &Ranks::alone(), &mut |_| Ok(false)) {
        // Fewer aren't measured at once, however few are trained.
        Err(error @ Error::Memory(_)) if config.batch > MEASURED => Ok(Err(error)),
        measured => measured.map(|_| Ok(())),
    }
}

/// Two updates, each of two batches if they are accumulated: two that wait take as much as any more. The first brings the optimizer's moments,
/// the second has them beside the outputs of layers. What comes of it is the learner, and the model that is to be measured.
fn updates<'a>(
    mut learner: Learner<'a>,
    config: &TrainConfig,
    dataset: &Arc<Dataset>,
    loader: &Loader,
) -> Result<(Learner<'a>, Model), Error> {
    if config.on_nan == OnNan::Skip {
        learner = learner.watching(dataset.clone());
    }
    // A batch that f16 cannot hold would bring no moments.
    if let Some(scale) = &mut learner.progress.loss_scale {
        scale.exponent = 0;
    }
    for _ in 0..2 {
        for batch in loader.epoch(0).take(config.accumulate.min(2)) {
            let share = learner.share(loader, batch)?;
            learner = learner.learn(share)?;
        }
        learner = learner.flush()?;
        learner.progress.batch = 0;
    }
    // Reads all that is kept: a runtime tells of memory that has ended when what should lie there is read.
    let model = learner.candidate()?;
    Ok((learner, model))
}
