//! `trainer resume RUN`: goes on with a run from its newest whole checkpoint. The settings in the checkpoint decide; epochs, device and
//! precision may be given anew, which is said and recorded, and so may what changes no weight. Any other difference is an error.

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};
use trainer::search::SearchFolder;
use trainer::{Change, Checkpoint, OnNan, Provenance, Ranks, RunFolder, Settings};

use super::failure::{Failure, code};
use super::options::Options;
use super::train::Sitting;
use super::{Resume, chosen, ranks, settings, settle, stream};

/// A run that is ready to go on.
pub(super) struct Ready {
    pub(super) run: RunFolder,
    pub(super) sitting: Sitting,
    pub(super) settings: Settings,
    /// Where it goes on; none where it begins again.
    pub(super) checkpoint: Option<Checkpoint>,
}

/// What the other ranks are told by rank 0, which alone looks into the run.
#[derive(Serialize, Deserialize)]
struct Told {
    options: String,
    threads: usize,
    initialised: bool,
}

/// Goes on with a run, or with a search.
pub(crate) fn run(arguments: Resume, ranks: &Ranks) -> Result<u8> {
    if SearchFolder::is_one(&arguments.run) {
        return if ranks.size() > 1 { Err(ranks::refused(ranks)) } else { super::tune::resume(arguments) };
    }
    let Ready { run, sitting, settings, checkpoint } = match ranks.is_first() {
        true => ready(&arguments, ranks)?,
        false => follow(&arguments, ranks)?,
    };
    if ranks.size() > 1 {
        if ranks.is_first() {
            let (options, initialised) = (sitting.args()?, sitting.config.initial.is_some());
            let told = Told { options, threads: kernels::threads(), initialised };
            ranks.broadcast(Ok(serde_json::to_vec(&told)?))?;
        }
        sitting.meet()?;
    }
    sitting.train(&run, settings, checkpoint)
}

/// Takes up the run that rank 0 has taken up.
fn follow(arguments: &Resume, ranks: &Ranks) -> Result<Ready> {
    let told: Told = serde_json::from_slice(&ranks.broadcast(Ok(Vec::new()))?)?;
    kernels::share_between(told.threads);
    let options = Options::parse(&told.options, "the options of rank 0")?;
    let dataset = settle::open(&options)?;
    let watch = ranks::watch(arguments.watch, ranks);
    let mut sitting = Sitting::prepare(&options, dataset, watch, arguments.output, ranks)?;
    if told.initialised {
        sitting = sitting.initialised()?;
    }
    Ok(Ready { run: RunFolder::elsewhere(), sitting, settings: Settings::new(), checkpoint: None })
}

/// Takes up a run as it stands.
pub(super) fn ready(arguments: &Resume, ranks: &Ranks) -> Result<Ready> {
    if let Some(name) = &arguments.precision {
        settle::precision(&Options { precision: Some(name.clone()), ..Options::default() })?;
    }
    let run = RunFolder::open(&arguments.run)?.held()?;
    if let Some(note) = run.lock_note() {
        stream::tell(format_args!("note: {note}"));
    }
    let made_from = Provenance::read(&run)?;
    if let Some(made_from) = &made_from {
        kernels::share_between(made_from.machine.threads);
    }
    let began = Options::from_run(&run.args())?;
    let mut options = began.clone();
    options.workers = arguments.workers.or(options.workers);
    options.data_on = arguments.data_on.clone().or(options.data_on);
    options.checkpoint_minutes = arguments.checkpoint_minutes.or(options.checkpoint_minutes);
    options.checkpoint_steps = arguments.checkpoint_steps.or(options.checkpoint_steps);
    if !Checkpoint::any(&run.checkpoints())? {
        return begin_again(run, &began, options, (arguments, ranks), made_from.as_ref());
    }

    let (mut checkpoint, warnings) = Checkpoint::load_newest(&run.checkpoints())?;
    for line in warnings {
        stream::tell(format_args!("warning: {line}"));
    }
    catch_up(&mut options, &checkpoint);
    // Checkpoints of the first format know no settings. Nothing else asks for the device of before: it may be gone.
    let before = checkpoint.settings.is_empty().then(|| settings_of(&options, &run)).transpose()?;
    options.epochs = arguments.epochs.or(options.epochs);
    options.device = arguments.device.clone().or(options.device);
    options.precision = arguments.precision.clone().or(options.precision);
    let now = ranks::counted(settings_of(&options, &run)?, ranks);
    let was = before.as_ref().unwrap_or(&checkpoint.settings);
    let changes = changes(was, &now, arguments, &run, checkpoint.progress.step)?;
    let recorded = options.to_toml()?;
    (options.split, options.exclude) = (Some(run.split()), None);
    let dataset = settle::open(&options)?;
    compare(made_from.as_ref(), &dataset, &run)?;
    let mut sitting = Sitting::prepare(&options, dataset, arguments.watch, arguments.output, ranks)?;
    // Going back to the beginning of the first epoch is going back to the first weights.
    if checkpoint.progress.epoch == 0 && sitting.config.on_nan == OnNan::Rollback {
        sitting = sitting.initialised()?;
    }
    if !changes.is_empty() {
        // The checkpoint first: it wins over an args.toml that lags behind.
        if changes.iter().any(|change| change.setting == "epochs") {
            checkpoint.progress.reached = None;
        }
        checkpoint.progress.changes.extend(changes);
        checkpoint.settings = now.clone();
        checkpoint.path = Some(checkpoint.save(&run.checkpoints())?);
    }
    RunFolder::write(&run.args(), recorded.as_bytes())?;
    Ok(Ready { run, sitting, settings: now, checkpoint: Some(checkpoint) })
}

/// A run that was killed before its first checkpoint: nothing is lost but what the same settings make again. `began` are those that it began
/// with, as far as its `args.toml` says so.
fn begin_again(
    run: RunFolder,
    began: &Options,
    mut options: Options,
    (arguments, ranks): (&Resume, &Ranks),
    made_from: Option<&Provenance>,
) -> Result<Ready> {
    // A run that has ended had some; to train it anew over its results is not what whoever removed them has asked for.
    if run.metrics().is_file() {
        let what = "the run has ended and its checkpoints are gone: there is nothing to go on from; train anew with `trainer train`";
        return Err(Failure::with(code::MODEL, anyhow!("`{}`: {what}", run.path().display())));
    }
    stream::tell(format_args!("note: `{}` has no checkpoint yet: the run begins again", run.path().display()));
    options.epochs = arguments.epochs.or(options.epochs);
    options.device = arguments.device.clone().or(options.device);
    options.precision = arguments.precision.clone().or(options.precision);
    let split = run.split();
    match made_from {
        Some(made_from) if made_from.settings.is_empty() => made_from.check_config(&began.to_toml()?, &run)?,
        Some(made_from) => {
            let mut was = made_from.settings.clone();
            let now = if split.is_file() {
                settings_of(&options, &run)?
            } else {
                // One that is cut anew is compared by the data's fingerprint.
                was.remove("split.csv");
                settings::without_split(&options, &device(&options)?)?
            };
            let now = ranks::counted(now, ranks);
            for (setting, was, now) in given_anew(&was, &now, arguments, &run)? {
                stream::tell(format_args!("changed: {} {now} instead of {was}", flag(&setting)));
            }
        }
        None => {}
    }
    let recorded = options.to_toml()?;
    if split.is_file() {
        (options.split, options.exclude) = (Some(split.clone()), None);
    }
    let dataset = settle::open(&options)?;
    if let Some(made_from) = made_from {
        made_from.check_data(&dataset, run.path())?;
    }
    let sitting = Sitting::prepare(&options, dataset, arguments.watch, arguments.output, ranks)?.initialised()?;
    // What was not written before the kill is what would have been; the program and what is given anew are those of now.
    let made_from = sitting.made_from(&recorded)?;
    RunFolder::write(&run.args(), recorded.as_bytes())?;
    if !split.is_file() {
        sitting.write_split(&run)?;
    }
    let settings = ranks::counted(settings_of(&options, &run)?, ranks);
    Provenance { settings: settings.clone(), ..made_from }.write(&run)?;
    Ok(Ready { run, sitting, settings, checkpoint: None })
}

/// Compares data and machine with those that the run began with.
fn compare(made_from: Option<&Provenance>, dataset: &data::Dataset, run: &RunFolder) -> Result<()> {
    let Some(made_from) = made_from else { return Ok(()) };
    made_from.check_data(dataset, run.path())?;
    for line in made_from.differences() {
        stream::tell(format_args!("warning: the last bits may differ from here on: {line}"));
    }
    Ok(())
}

fn settings_of(options: &Options, run: &RunFolder) -> Result<Settings> {
    settings::of(options, run, &device(options)?)
}

/// The name of the device that the options come to here.
fn device(options: &Options) -> Result<String> {
    Ok(chosen::device(options.device.as_deref().unwrap_or("auto"))?.name)
}

/// An `args.toml` that still has the value from before a change: the process died between saving the one and the other.
fn catch_up(options: &mut Options, checkpoint: &Checkpoint) {
    let lags = |name: &str, value: Option<String>| {
        let change = checkpoint.progress.changes.iter().rev().find(|change| change.setting == name)?;
        (value.as_ref() == Some(&change.was)).then(|| change.now.clone())
    };
    if let Some(epochs) = lags("epochs", options.epochs.map(|epochs| epochs.to_string())) {
        options.epochs = epochs.parse().ok();
    }
    if let Some(precision) = lags("precision", options.precision.clone()) {
        options.precision = Some(precision);
    }
    // What it is called here is asked of the device itself, unless nobody wants to know: it may be gone.
    let full_name = |name: &String| chosen::device(name).map_or_else(|_| name.clone(), |device| device.name);
    let changed = checkpoint.progress.changes.iter().any(|change| change.setting == "device");
    if let Some(device) = lags("device", options.device.as_ref().filter(|_| changed).map(full_name)) {
        options.device = Some(device);
    }
}

/// What the user gave anew, at this step.
///
/// # Errors
/// If anything else differs.
fn changes(was: &Settings, now: &Settings, given: &Resume, run: &RunFolder, step: u64) -> Result<Vec<Change>> {
    let changes = given_anew(was, now, given, run)?.into_iter().map(|(setting, was, now)| {
        stream::tell(format_args!(
            "changed: {} {now} instead of {was}; from step {step} on the run is not bit for bit what it would have been",
            flag(&setting)
        ));
        Change { step, setting, was, now }
    });
    Ok(changes.collect())
}

/// The settings that the user gave anew: name, value before and value now.
///
/// # Errors
/// If anything else differs.
fn given_anew(
    was: &Settings,
    now: &Settings,
    given: &Resume,
    run: &RunFolder,
) -> Result<Vec<(String, String, String)>> {
    let mut anew = Vec::new();
    for (setting, mut was, mut now) in settings::differences(was, now) {
        if setting == "ranks" {
            // One process is not counted.
            [&mut was, &mut now].into_iter().filter(|count| *count == "not set").for_each(|count| *count = "1".into());
        }
        let (given, flag) = match setting.as_str() {
            "epochs" => (given.epochs.is_some(), true),
            "device" => (given.device.is_some(), true),
            "ranks" => (true, false),
            "precision" => (given.precision.is_some(), true),
            _ => (false, false),
        };
        if given {
            anew.push((setting, was, now));
            continue;
        }
        let advice = match flag {
            true => format!("give --{setting} {now} to go on with that, which is then not bit-exact"),
            false => "put the old value back, or train anew with `trainer train`".to_owned(),
        };
        return Err(edited(run, &setting, &was, &now, &advice));
    }
    Ok(anew)
}

/// How a setting is given: the ranks by mpirun, all else by a flag.
fn flag(setting: &str) -> String {
    if setting == "ranks" { "ranks".to_owned() } else { format!("--{setting}") }
}

/// Refuses options that aren't those that the run was trained with, as `was` has them; but for those in `free`.
pub(super) fn unchanged(options: &Options, run: &RunFolder, was: &Settings, free: &[&str]) -> Result<()> {
    let differences = settings::differences(was, &settings_of(options, run)?);
    match differences.into_iter().find(|(setting, ..)| !free.contains(&setting.as_str())) {
        Some((setting, was, now)) => Err(edited(run, &setting, &was, &now, "put the old value back")),
        None => Ok(()),
    }
}

fn edited(run: &RunFolder, setting: &str, was: &str, now: &str, advice: &str) -> anyhow::Error {
    let place = if setting == "split.csv" { run.split() } else { run.args() };
    let what = format!("`{setting}` is {now}, but the run was trained with {was}; {advice}");
    Failure::with(code::MODEL, anyhow!("`{}`: {what}", place.display()))
}
