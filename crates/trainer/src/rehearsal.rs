//! An update of a training before there is a run, for whoever wants to know whether a device's memory holds it. Nothing of it stays.

use std::sync::Arc;

use burn::tensor::Device;
use data::Dataset;
use tasks::Task;

use crate::batches::{held_out, resident, training};
use crate::evaluate::measure;
use crate::lost::{attended, if_memory};
use crate::train::beginning;
use crate::{Error, OnNan, Ranks, TrainConfig};

/// Learns from the first batches of a training by these settings, as many as show what it takes, and measures on a batch of held-out samples:
/// what is there at once then is all that will be.
///
/// # Errors
/// [`Error::Memory`] where the device's memory ends, with what the estimate says; [`Error::Device`] where it fails otherwise, and the errors of
/// the data.
pub fn rehearse(config: &TrainConfig, dataset: &Arc<Dataset>, task: &Task, device: &Device) -> Result<(), Error> {
    let outcome = match attended(device, || act(config, dataset, task, device)) {
        // Whether it learns is not asked here.
        Err(Error::Diverged { .. }) => Ok(()),
        outcome => outcome,
    };
    // What the runtime keeps for the next tensors would count as taken.
    let swept = attended(device, || {
        device.sync().map_err(|error| Error::Device(format!("{error:?}")))?;
        device.memory_cleanup();
        Ok(())
    });
    outcome.and(swept).map_err(|error| if_memory(error, config, dataset, task.outputs(), 1))
}

fn act(config: &TrainConfig, dataset: &Arc<Dataset>, task: &Task, device: &Device) -> Result<(), Error> {
    let there = resident(config, dataset, device)?;
    let loader = training(config, dataset).resident(there.clone());
    let mut learner = beginning(config, dataset, task, device)?;
    if config.on_nan == OnNan::Skip {
        learner = learner.watching(dataset.clone());
    }
    // Two batches that wait for an update take as much as any more.
    for batch in loader.epoch(0).take(config.accumulate.min(2)) {
        let share = learner.share(&loader, batch)?;
        learner = learner.learn(share)?;
    }
    learner = learner.flush()?;
    let split = &dataset.split;
    let indices = if split.val.is_empty() { &split.test } else { &split.val };
    let loader = held_out(config, dataset, indices, &Ranks::alone(), there);
    measure(&learner.candidate()?, task.metrics(), &loader, device, &Ranks::alone(), &mut |_| Ok(false)).map(drop)
}
