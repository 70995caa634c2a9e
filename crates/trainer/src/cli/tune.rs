//! `trainer tune RECIPE`: a search for options. Draws trials from the ranges in the recipe, trains them rung by rung, and leaves the best
//! recipe. What is decided when is `trainer::search`'s; `ranges` reads a recipe, `trial` trains one, `shown` says what came of it.

mod ranges;
mod shown;
mod trial;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use trainer::search::{Halving, Record, SearchEnded, SearchFolder};
use trainer::{Error, Ranks, RunFolder};

use super::failure::{Failure, code};
use super::options::Options;
use super::report::trainer_command;
use super::signals::Signals;
use super::train::{Sitting, name, settled};
use super::{Format, Output, Watch, settle, stream};
use trial::Outcome;

/// Trials at most: each has a folder.
const MOST_TRIALS: usize = 10_000;

/// Its command line.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A TOML file of options, with ranges under [tune], such as lr = { log = [1e-4, 1e-1] }
    recipe: PathBuf,
    /// How many trials; the first is the recipe as it stands
    #[arg(long, value_name = "N", default_value_t = 27)]
    trials: usize,
    /// Stop after this time, with the best so far: 90s, 30m, 1.5h
    #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
    time: Option<String>,
    /// Successive halving: one trial in N goes on, to N times the epochs; 1 trains all of them to the end
    #[arg(long, value_name = "N", default_value_t = 3)]
    eta: usize,
    /// Epochs of the trials that are trained to the end [default: the recipe's]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Device [default: the recipe's]
    #[arg(long)]
    device: Option<String>,
    /// Threads that prepare batches
    #[arg(long, short = 'j', value_name = "N")]
    workers: Option<usize>,
    /// The folder that the search's folder is made in [default: runs]
    #[arg(long, env = "STRIATE_RUNS", value_name = "DIR")]
    runs: Option<PathBuf>,
    /// Name of the search's folder; a number is added if it exists [default: tune-, data and model]
    #[arg(long)]
    name: Option<String>,
    /// Print no progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    output: Output,
}

/// Begins a search.
pub(crate) fn run(arguments: Arguments) -> Result<u8> {
    let Arguments { quiet, output, .. } = arguments;
    let within = |flag: &str, value: usize, most: usize| match (1..=most).contains(&value) {
        true => Ok(()),
        false => Err(Failure::usage(anyhow!("{flag}: expected 1 to {most}, found {value}"))),
    };
    within("--trials", arguments.trials, MOST_TRIALS)?;
    within("--eta", arguments.eta, MOST_TRIALS)?;
    let time = arguments.time.as_deref().map(settle::time).transpose()?;
    if time.is_some_and(|time| time.is_zero()) {
        return Err(Failure::usage(anyhow!("--time: expected more than nothing, such as 90s, 30m or 1.5h")));
    }
    let (recipe, ranges) = ranges::read(&arguments.recipe)?;
    let flags = Options {
        epochs: arguments.epochs,
        device: arguments.device,
        workers: arguments.workers,
        runs: arguments.runs,
        name: arguments.name.clone(),
        ..Options::default()
    };
    let options = flags.over(recipe)?;
    let (filled, dataset) = settled(options.clone(), &Ranks::alone(), quiet)?;
    let options = ranges::fixed(options, &filled);
    ranges::check(&ranges, &options)?;
    let sitting =
        Sitting::prepare(&filled, dataset, Watch { quiet, tui: false }, output, &Ranks::alone())?.initialised()?;
    if sitting.dataset.split.val.is_empty() {
        let what = "trials are chosen by validation, for which there are no samples; give `val` above 0";
        return Err(Failure::usage(anyhow!("recipe `{}`: {what}", arguments.recipe.display())));
    }
    let (metric, higher_is_better) = sitting.task.monitor();
    let rungs = Halving::new(arguments.trials, sitting.config.epochs, arguments.eta);
    if !quiet {
        shown::caution(sitting.dataset.split.val.len()).into_iter().for_each(stream::tell);
        stream::tell(shown::plan(&rungs));
    }
    let record = Record {
        v: Record::VERSION,
        options: serde_json::to_value(&options)?,
        ranges,
        seed: sitting.config.seed,
        rungs,
        time: time.map(|time| time.as_secs_f64()),
        seconds: 0.0,
        metric: metric.to_owned(),
        higher_is_better,
        trials: Vec::new(),
        ended: None,
        best: None,
        test: None,
    };
    let runs = filled.runs.clone().unwrap_or_else(|| "runs".into());
    let folder = arguments.name.unwrap_or_else(|| format!("tune-{}", name(&filled)));
    let folder = SearchFolder::create(&runs, &folder)?;
    record.write(&folder.record())?;
    Search { folder, record, quiet, output }.go_on()
}

/// Goes on with a search that was interrupted, or says again what came of it.
pub(crate) fn resume(arguments: super::Resume) -> Result<u8> {
    let given = [
        ("--epochs", arguments.epochs.is_some()),
        ("--workers", arguments.workers.is_some()),
        ("--device", arguments.device.is_some()),
        ("--data-on", arguments.data_on.is_some()),
        ("--precision", arguments.precision.is_some()),
        ("--checkpoint-minutes", arguments.checkpoint_minutes.is_some()),
        ("--checkpoint-steps", arguments.checkpoint_steps.is_some()),
        ("--tui", arguments.watch.tui),
    ];
    if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
        let what = "a search goes on as it was begun; leave it out, or begin another with `trainer tune`";
        return Err(Failure::usage(anyhow!("{flag}: {what}")));
    }
    let folder = SearchFolder::open(&arguments.run)?;
    let record = Record::read(&folder.record())?;
    Search { folder, record, quiet: arguments.watch.quiet, output: arguments.output }.go_on()
}

/// A search in its folder.
struct Search {
    folder: SearchFolder,
    record: Record,
    quiet: bool,
    output: Output,
}

impl Search {
    /// Trains what there is to train, until all is done, the time runs out or a signal comes; then says what came of it.
    fn go_on(mut self) -> Result<u8> {
        let signals = Signals::listen()?;
        let (clock, before) = (Instant::now(), self.record.seconds);
        let limit = self.record.time.map(Duration::from_secs_f64);
        let spent = || before + clock.elapsed().as_secs_f64();
        let is_over = || limit.is_some_and(|limit| spent() >= limit.as_secs_f64());
        while self.record.ended.is_none() {
            let Some((trial, rung)) = self.record.due() else {
                self.record.ended = Some(SearchEnded::Rungs);
                break;
            };
            let outcome = trial::train(&self.folder, &self.record, trial, rung, &|| signals.stop() || is_over());
            self.record.seconds = spent();
            match outcome? {
                Outcome::Done { outcome, seconds } => {
                    self.record.note(trial, outcome, seconds);
                    self.record.write(&self.folder.record())?;
                    if !self.quiet {
                        stream::tell(shown::progress(&self.record, trial, rung));
                    }
                }
                Outcome::Stopped if signals.stop() => return self.interrupted(&signals),
                Outcome::Stopped => self.record.ended = Some(SearchEnded::Time),
            }
        }
        self.record.write(&self.folder.record())?;
        if self.record.best.is_none() && !self.choose(&signals)? {
            return self.interrupted(&signals);
        }
        self.show()
    }

    fn interrupted(&self, signals: &Signals) -> Result<u8> {
        self.record.write(&self.folder.record())?;
        let command = trainer_command(&format!("resume {}", data::quoted(self.folder.path())));
        stream::tell(format_args!("interrupted; go on with: {command}"));
        Ok(signals.code())
    }

    /// Takes the best trial, by validation, and measures it on the test split; false where a signal came first.
    fn choose(&mut self, signals: &Signals) -> Result<bool> {
        let best = self.record.ranked().first().filter(|trial| trial.failed.is_none()).map(|trial| trial.trial);
        let Some(best) = best else {
            let first = self.record.trials.first().and_then(|trial| trial.failed.clone());
            let why = first
                .map_or_else(|| "the time was over before one was".to_owned(), |why| format!("the first one: {why}"));
            return Err(Failure::with(code::TARGET_MISSED, anyhow!("no trial was trained; {why}")));
        };
        let Some(test) = trial::measure(&self.folder, &self.record, best, &|| signals.stop())? else {
            return Ok(false);
        };
        let options =
            Options { runs: None, name: None, ..Options::from_run(&self.folder.trial(best).join("args.toml"))? };
        RunFolder::write(&self.folder.best(), options.to_toml()?.as_bytes())?;
        (self.record.best, self.record.test) = (Some(best), test);
        self.record.write(&self.folder.record())?;
        Ok(true)
    }

    fn show(&self) -> Result<u8> {
        let best = std::fs::read_to_string(self.folder.best()).map_err(|source| {
            let path = self.folder.best();
            Error::Io { doing: "read", path, source }
        })?;
        RunFolder::write(&self.folder.page(), shown::page(&self.record, &self.folder, &best).html().as_bytes())?;
        match self.output.format {
            Format::Json => stream::print(shown::json(&self.record, &self.folder))?,
            Format::Text => stream::print(shown::text(&self.record, &self.folder))?,
        }
        Ok(code::OK)
    }
}
