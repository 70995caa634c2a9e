//! `trainer resume RUN`: goes on with a run from its newest whole checkpoint. The run's own configuration decides; only epochs,
//! workers and device may be given anew.

use anyhow::Result;
use trainer::{Checkpoint, Provenance, RunFolder};

use super::options::Options;
use super::train::Sitting;
use super::{Resume, settle, stream};

/// Goes on with a run.
pub(crate) fn run(arguments: Resume) -> Result<u8> {
    let run = RunFolder::open(&arguments.run)?;
    let made_from = Provenance::read(&run)?;
    if let Some(made_from) = &made_from {
        kernels::share_between(made_from.machine.threads);
    }
    let mut options = Options::from_recipe(&run.args())?;
    let mut changed = Vec::new();
    if let Some(epochs) = arguments.epochs.filter(|epochs| options.epochs != Some(*epochs)) {
        changed.push(format!("--epochs {epochs} instead of {}", options.epochs.unwrap_or_default()));
        options.epochs = Some(epochs);
    }
    if let Some(device) = arguments.device.filter(|device| options.device.as_ref() != Some(device)) {
        changed.push(format!("--device {device} instead of {}", options.device.as_deref().unwrap_or("auto")));
        options.device = Some(device);
    }
    options.workers = arguments.workers.or(options.workers);
    let recorded = options.to_toml()?;
    options.split = Some(run.split());
    let (checkpoint, warnings) = Checkpoint::load_newest(&run.checkpoints())?;
    for line in warnings {
        stream::tell(format_args!("warning: {line}"));
    }
    if !changed.is_empty() {
        stream::tell(format_args!("changed: {}", changed.join(", ")));
    }
    let dataset = settle::open(&options)?;
    if let Some(made_from) = &made_from {
        made_from.check_data(&dataset, run.path())?;
        for line in made_from.differences() {
            stream::tell(format_args!("warning: the last bits may differ from here on: {line}"));
        }
    }
    let sitting = Sitting::prepare(&options, dataset, arguments.quiet, arguments.output)?;
    // What is given anew holds for the next sitting too.
    RunFolder::write(&run.args(), recorded.as_bytes())?;
    sitting.train(&run, Some(checkpoint))
}
