//! One trial of a search: from where it stands to the end of a rung. Its run is one like any other, so that it goes on bit for bit from its
//! checkpoint; its schedule is planned for all epochs, whichever rung it ends at.

use anyhow::Result;
use serde_json::Value;
use trainer::search::{Reached, Record, SearchFolder};
use trainer::{Error, Ranks};

use super::ranges;
use crate::cli::failure::{code, exit_code};
use crate::cli::options::Options;
use crate::cli::resume::{self, Ready};
use crate::cli::train::{Sitting, settled};
use crate::cli::{Format, Output, Resume, Watch};

/// What came of a trial.
pub(super) enum Outcome {
    /// It reached its rung, or failed and why.
    Done {
        outcome: Result<Reached, String>,
        /// Of training, over all sittings.
        seconds: f64,
    },
    /// It was told to stop; what it has learned is saved.
    Stopped,
}

/// Nothing is printed of a trial itself.
const SILENT: Watch = Watch { quiet: true, tui: false };
const TEXT: Output = Output { format: Format::Text };

/// Trains `trial` to the end of `rung`.
///
/// # Errors
/// What isn't the trial's own fault.
pub(super) fn train(
    folder: &SearchFolder,
    record: &Record,
    trial: u32,
    rung: usize,
    stop: &dyn Fn() -> bool,
) -> Result<Outcome> {
    let epochs = record.rungs.rungs()[rung].epochs;
    let failed = |error: anyhow::Error| match is_its_own(&error) {
        true => Ok(Outcome::Done { outcome: Err(one_line(&error)), seconds: 0.0 }),
        false => Err(error),
    };
    let Ready { run, sitting, settings, checkpoint } = match ready(folder, record, trial) {
        Ok(ready) => ready,
        Err(error) => return failed(error),
    };
    match sitting.until(&run, settings, checkpoint, epochs, stop) {
        Ok(None) => Ok(Outcome::Stopped),
        Ok(Some(paused)) => {
            let finite = |value: f64| Some(value).filter(|value| value.is_finite());
            let reached = Reached {
                epochs: paused.epochs,
                best_epoch: paused.best_epoch,
                value: paused.reached.as_ref().and_then(|best| finite(best.value)),
                loss: paused.reached.as_ref().and_then(|best| finite(best.loss)),
            };
            Ok(Outcome::Done { outcome: Ok(reached), seconds: paused.seconds })
        }
        Err(error) => failed(error),
    }
}

/// Measures the best model of `trial` on the test split; a trial with all of its epochs becomes a run that has ended, with its report. None where
/// it was told to stop; none inside where there is no test split.
pub(super) fn measure(
    folder: &SearchFolder,
    record: &Record,
    trial: u32,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Option<Value>>> {
    let all = record.rungs.rungs().last().map_or(0, |rung| rung.epochs);
    let done = record.trials.iter().find(|begun| begun.trial == trial).and_then(|begun| begun.reached.last());
    let Ready { run, sitting, settings, checkpoint } = ready(folder, record, trial)?;
    match done.is_some_and(|done| done.epochs >= all) {
        true => Ok(sitting
            .complete(&run, settings, checkpoint, stop)?
            .map(|metrics| Some(metrics["test"].clone()).filter(|test| !test.is_null()))),
        false => Ok(Some(sitting.measure(&run)?)),
    }
}

/// The run of a trial: as it stands, or anew with the values that are drawn for it.
fn ready(folder: &SearchFolder, record: &Record, trial: u32) -> Result<Ready> {
    if folder.begun(trial)?.is_some() {
        let arguments = Resume {
            run: folder.trial(trial),
            epochs: None,
            workers: None,
            device: None,
            data_on: None,
            precision: None,
            checkpoint_minutes: None,
            checkpoint_steps: None,
            watch: SILENT,
            output: TEXT,
        };
        return resume::ready(&arguments, &Ranks::alone());
    }
    let base: Options = serde_json::from_value(record.options.clone())
        .map_err(|error| Error::Checkpoint { path: folder.record(), what: format!("`options`: {error}") })?;
    let drawn = ranges::with(&base, &record.ranges.draw(record.seed, trial)).map_err(Error::Config)?;
    let (options, dataset) = settled(drawn, &Ranks::alone(), true)?;
    let sitting = Sitting::prepare(&options, dataset, SILENT, TEXT, &Ranks::alone())?.initialised()?;
    let (run, settings) = sitting.begin(folder.path(), &SearchFolder::name(trial))?;
    Ok(Ready { run, sitting, settings, checkpoint: None })
}

/// Whether an error is one of the values that were drawn: numbers that diverge, options that don't go together, networks that don't fit.
fn is_its_own(error: &anyhow::Error) -> bool {
    let too_large = error.chain().any(|cause| matches!(cause.downcast_ref(), Some(Error::Memory(_))));
    too_large || matches!(exit_code(error), code::USAGE | code::DIVERGED)
}

fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").replace(char::is_control, " ")
}
