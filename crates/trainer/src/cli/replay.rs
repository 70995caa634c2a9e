//! `trainer replay RUN`: trains a run again from its own options and split, into a folder that goes afterwards, and compares the hash of
//! the weights epoch by epoch. Touches no file of the run.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use data::Dataset;
use serde::Serialize;
use trainer::{Change, Checkpoint, EpochSummary, Error, Provenance, Ranks, RunFolder};

use super::failure::{Failure, code};
use super::options::Options;
use super::train::Sitting;
use super::{Format, Replay, Watch, resume, settings, settle, stream};

/// One epoch, then and now.
#[derive(Serialize)]
struct Compared {
    epoch: usize,
    recorded: String,
    replayed: String,
}

/// Trains a run again.
pub(crate) fn run(arguments: &Replay) -> Result<u8> {
    let run = RunFolder::open(&arguments.run)?;
    let made_from = Provenance::read(&run)?;
    if let Some(made_from) = &made_from {
        kernels::share_between(made_from.machine.threads);
    }
    let metrics = run.read_metrics()?;
    let mut recorded = recorded(&run, metrics.as_ref())?;
    recorded.truncate(arguments.epochs.unwrap_or(usize::MAX).max(1));

    let mut options = Options::from_run(&run.args())?;
    let newest = Checkpoint::load_newest(&run.checkpoints()).ok().map(|(newest, _)| newest);
    let began = made_from.as_ref().map(|made_from| &made_from.settings);
    let was = newest.as_ref().map(|newest| &newest.settings).or(began).filter(|was| !was.is_empty());
    if let Some(was) = was {
        // Where nothing tells of changes any more, there must have been none.
        let told = newest.is_some() || metrics.is_some();
        resume::unchanged(
            &options,
            &run,
            was,
            if told { &["epochs", "device", "precision", "ranks"] } else { &["device", "ranks"] },
        )?;
    }
    let ranks = was.and_then(|was| was.get("ranks").cloned());
    (options.split, options.exclude) = (Some(settings::split(&run)?), None);
    // Where the clock ended the run is known; it must not end this one elsewhere.
    options.time = None;
    let changes = match (newest, metrics) {
        (Some(newest), _) => newest.progress.changes,
        (None, Some(metrics)) => changes(&run, metrics)?,
        (None, None) => Vec::new(),
    };
    as_before(&mut options, &changes);
    let dataset = settle::open(&options)?;
    if let Some(made_from) = &made_from {
        made_from.check_data(&dataset, run.path())?;
    }
    let mut other = made_from.as_ref().map(Provenance::differences).unwrap_or_default();
    other.extend(ranks.map(|ranks| format!("ranks: {ranks} then, 1 now")));

    if let Some(Change { step, setting, was, now }) = changes.first() {
        stream::tell(format_args!(
            "note     from step {step} on the run is not bit-exact ({setting} {now} instead of {was}): epochs before it are compared"
        ));
        recorded.truncate((step / steps(&options, &dataset)?) as usize);
        if recorded.is_empty() {
            let what =
                format!("no epoch ended before step {step}, where {setting} changed: there is nothing to compare");
            return Err(Error::Checkpoint { path: run.path().to_owned(), what }.into());
        }
    }

    let again = Scratch::new()?;
    let sitting = Sitting::prepare(
        &options,
        dataset,
        Watch { quiet: arguments.quiet, tui: false },
        arguments.output,
        &Ranks::alone(),
    )?;
    let sitting = sitting.initialised()?;
    let mut compared: Vec<Compared> = Vec::new();
    let interrupted = sitting.repeat(&again.0, &mut |summary: &EpochSummary| {
        let Some(hash) = recorded.get(compared.len()) else { return false };
        let epoch = compared.len() + 1;
        compared.push(Compared { epoch, recorded: hash.clone(), replayed: summary.weights.clone() });
        compared.len() < recorded.len() && *hash == summary.weights
    })?;
    match interrupted {
        Some(code) => Ok(code),
        None => report(arguments, &run, &compared, &other),
    }
}

/// `other` is what isn't here as it was where the run began.
fn report(arguments: &Replay, run: &RunFolder, compared: &[Compared], other: &[String]) -> Result<u8> {
    let different = compared.iter().find(|epoch| epoch.recorded != epoch.replayed);
    match arguments.output.format {
        Format::Json => stream::print(serde_json::json!({
            "v": 1, "run": run.path(), "same": different.is_none(), "first_different": different, "epochs": compared,
        }))?,
        Format::Text => {
            for epoch in compared.iter().filter(|epoch| epoch.recorded == epoch.replayed) {
                stream::print(format_args!("epoch {:>4}  {}  same", epoch.epoch, epoch.recorded))?;
            }
        }
    }
    let Some(Compared { epoch, recorded, replayed }) = different else {
        stream::tell(format_args!("the weights of {} epochs are the same, to the bit", compared.len()));
        return Ok(code::OK);
    };
    let other = match other.is_empty() {
        true => "program, processor and number of compute threads are those that the run began with".to_owned(),
        false => format!("what is other here: {}", other.join("; ")),
    };
    let what = format!("the weights differ from epoch {epoch} on: expected {recorded}, found {replayed}; {other}");
    Err(Failure::with(code::TARGET_MISSED, anyhow!("`{}`: {what}", run.path().display())))
}

/// What was given anew on resuming, as `metrics.json` has it: it outlives the checkpoints. Old ones don't say.
fn changes(run: &RunFolder, mut metrics: serde_json::Value) -> Result<Vec<Change>> {
    let Some(changes) = metrics.get_mut("changes") else { return Ok(Vec::new()) };
    serde_json::from_value(changes.take()).map_err(|error| {
        let what = format!("`changes`: not what a run writes there: {error}");
        Error::Checkpoint { path: run.metrics(), what }.into()
    })
}

/// What was given anew on resuming as it was before.
fn as_before(options: &mut Options, changes: &[Change]) {
    for change in changes.iter().rev() {
        match change.setting.as_str() {
            "epochs" => options.epochs = change.was.parse().ok(),
            "device" => options.device = Some(change.was.clone()),
            // Runs from before there was a choice don't say.
            "precision" => options.precision = change.was.parse().ok().map(|was: models::Precision| was.to_string()),
            _ => {}
        }
    }
}

/// Optimizer steps in an epoch.
fn steps(options: &Options, dataset: &Dataset) -> Result<u64> {
    let config = settle::config(options, dataset)?;
    Ok(config.batches(dataset.split.train.len()).div_ceil(config.accumulate.max(1)).max(1) as u64)
}

/// The hashes of the weights, epoch by epoch, but for one that the clock ended.
fn recorded(run: &RunFolder, metrics: Option<&serde_json::Value>) -> Result<Vec<String>> {
    let mut recorded = trainer::recorded_weights(run)?;
    let by_time = metrics.is_some_and(|metrics| metrics["ended"] == "time");
    if by_time && recorded.pop().is_some() {
        stream::tell("note     the last epoch was ended by the clock and isn't compared");
    }
    if recorded.is_empty() {
        let what = "expected at least one whole epoch, found none: there is nothing to compare".to_owned();
        return Err(Error::Checkpoint { path: run.results(), what }.into());
    }
    Ok(recorded)
}

/// A run's folder among the temporary files, which goes when it is dropped.
struct Scratch(RunFolder);

impl Scratch {
    fn new() -> Result<Self> {
        let name = format!("striate-replay-{}", std::process::id());
        Ok(Self(RunFolder::create(&std::env::temp_dir(), &name)?))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let path: PathBuf = self.0.path().to_owned();
        if let Err(error) = std::fs::remove_dir_all(&path) {
            stream::tell(format_args!("warning: cannot remove `{}`: {error}", path.display()));
        }
    }
}
