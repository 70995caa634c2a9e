//! `trainer train`, and `trainer` without anything, which is the same without arguments.

mod outcome;
mod silent;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use data::Dataset;
use models::{Model, Precision};
use serde_json::json;
use tasks::{Calibration, Task};
use trainer::{
    Answers, Checkpoint, Ended, Event, Glance, Job, Known, Origin, Provenance, Ranks, Report, RunFolder, Seen,
    Settings, memory,
};

use outcome::target_reached;

use super::bar::Bar;
use super::board::Board;
use super::events::EventLog;
use super::failure::{Failure, code};
use super::initial::{self, Begun};
use super::options::{Batch, Choice, Options};
use super::signals::Signals;
use super::tui::{Screen, State};
use super::{Format, Output, Train, Watch, chosen, halved, page, ranks, report, residence, settings, settle, stream};
use ::report::grouped;

/// The recipe of the first run, whose file states what it reached.
const DIGITS: &str = include_str!("../../../../datasets/digits/cnn.toml");

/// The worst answers that a screen shows, at most.
const WORST: usize = 16;

/// `trainer train`.
pub(crate) fn run(arguments: Train, ranks: &Ranks) -> Result<u8> {
    Options::check_environment(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
    let options = layered(arguments.options, arguments.recipe.as_deref())?;
    ranks::check(&options, ranks)?;
    let watch = ranks::watch(arguments.watch, ranks);
    let (options, dataset) = settled(options, ranks, watch.quiet || arguments.print_config)?;
    if arguments.print_config && !ranks.is_first() {
        return Ok(0);
    }
    if arguments.print_config {
        match arguments.output.format {
            Format::Json => stream::print(serde_json::to_string(&options)?)?,
            Format::Text => stream::print_bytes(options.to_toml()?.as_bytes())?,
        }
        return Ok(0);
    }
    let runs = options.runs.clone().unwrap_or_else(|| "runs".into());
    let sitting = Sitting::prepare(&options, dataset, watch, arguments.output, ranks)?.initialised()?;
    let (run, settings) = sitting.begin(&runs, &name(&options))?;
    sitting.train(&run, settings, None)
}

/// The flags over the recipe, or over that of the first run where nothing says what to train on.
pub(crate) fn layered(flags: Options, recipe: Option<&Path>) -> Result<Options> {
    let recipe = match recipe {
        Some(path) => Options::from_recipe(path)?,
        None if flags.names_no_data() => Options::parse(DIGITS, "digits/cnn.toml")?,
        None => Options::default(),
    };
    flags.over(recipe)
}

/// The data that options name, and the options with every default filled in; says what was chosen of them by the machine.
pub(crate) fn settled(options: Options, ranks: &Ranks, quiet: bool) -> Result<(Options, Arc<Dataset>)> {
    let dataset = Arc::new(settle::open(&options)?);
    let chosen = matches!(options.batch, Some(Batch::Auto(_)));
    let options = settle::fill(options, &dataset)?;
    if let Some(Batch::Size(size)) = options.batch.filter(|_| chosen && !quiet) {
        let samples = dataset.split.train.len();
        let (most, samples) = (memory::most_useful(samples), grouped(samples as u64));
        let why = format!("as memory allows, and no more than the {most} that are of use for {samples} samples");
        stream::tell(format_args!("batch    {size}: the largest power of two, {why}"));
    }
    Ok((halved::fitted(options, &dataset, ranks, quiet)?, dataset))
}

/// The run's folder name: as given, else by data and model.
pub(crate) fn name(options: &Options) -> String {
    if let Some(name) = &options.name {
        return name.clone();
    }
    let data = options.data.as_deref().unwrap_or("digits");
    let stem = Path::new(data).file_stem().unwrap_or_default().to_string_lossy();
    let architecture = match &options.model {
        Some(Choice::Table(table)) => table.get("arch").and_then(|arch| arch.as_str()).unwrap_or("model"),
        _ => "model",
    };
    let stem: String = stem.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
    format!("{}-{architecture}", stem.trim_matches(['.', '-']))
}

/// One sitting of a run: from settled options to the last line that is printed.
pub(crate) struct Sitting {
    options: Options,
    pub(super) config: trainer::TrainConfig,
    pub(super) dataset: Arc<Dataset>,
    pub(super) task: Task,
    pub(super) device: device::Selected,
    pub(super) bar: Bar,
    tui: bool,
    output: Output,
    /// Where the first weights came from.
    origin: Option<Origin>,
    /// Who trains with this process.
    ranks: Ranks,
}

impl Sitting {
    /// Settles everything that can fail before a folder is made, and says what was found.
    pub(crate) fn prepare(
        options: &Options,
        dataset: impl Into<Arc<Dataset>>,
        watch: Watch,
        output: Output,
        ranks: &Ranks,
    ) -> Result<Self> {
        let dataset = dataset.into();
        let mut config = settle::config(options, &dataset)?;
        config.check()?;
        let task = Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss)?;
        config.target = options.target.as_deref().map(|text| task.goal(text)).transpose()?;
        let (device, spoken) = chosen::for_training(options, config.precision, ranks)?;
        let available = chosen::available(&device);
        let (there, lies) = residence::settle(options, &config, &dataset, (&device, available))?;
        config.resident = there > 0;
        let mut bar = Bar::new(report::unit(&dataset.input), watch.quiet);
        for line in report::statement(&dataset) {
            bar.draw(&Event::Note(line));
        }
        bar.draw(&Event::Note(format!("augment  {}", config.augment)));
        for line in [Some(spoken), lies].into_iter().flatten() {
            bar.draw(&Event::Note(line));
        }
        let frozen = trainer::initial::frozen(&config, &dataset.input, task.outputs(), &device.device)?;
        for line in initial::rates(&config, &frozen) {
            bar.draw(&Event::Note(line));
        }
        if let Some(available) = available {
            let step = memory::Estimate::of_rank(&config, &dataset, task.outputs(), frozen.frozen, ranks.size())?;
            step.check(available.saturating_sub(there))?;
            bar.draw(&Event::Note(format!(
                "memory   about {step} to train; {} are available",
                memory::readable(available)
            )));
        }
        if let Some(note) = &device.note {
            bar.draw(&Event::Note(format!("note     {note}")));
        }
        Ok(Self {
            options: options.clone(),
            config,
            dataset,
            task,
            device,
            bar,
            tui: watch.tui,
            output,
            origin: None,
            ranks: ranks.clone(),
        })
    }

    /// With the weights that the run begins with, if a file has them; a run that goes on from a checkpoint doesn't ask for it.
    pub(crate) fn initialised(mut self) -> Result<Self> {
        let read = initial::read(&self.options, &self.config, &self.dataset, &self.task, &self.device)?;
        if let Some(Begun { initial, origin, lines }) = read {
            lines.into_iter().for_each(|line| self.bar.draw(&Event::Note(line)));
            (self.config.initial, self.origin) = (Some(initial), Some(origin));
        }
        Ok(self)
    }

    /// Makes the run's folder, with all that is known before it trains.
    pub(crate) fn begin(&self, runs: &Path, name: &str) -> Result<(RunFolder, Settings)> {
        let args = self.options.to_toml()?;
        let made_from = self.made_from(&args)?;
        ranks::compare(&self.ranks, &made_from, self.common()?)?;
        if !self.ranks.is_first() {
            return Ok((RunFolder::elsewhere(), Settings::new()));
        }
        let run = RunFolder::create(runs, name)?;
        RunFolder::write(&run.args(), args.as_bytes())?;
        self.write_split(&run)?;
        let settings = ranks::counted(settings::of(&self.options, &run, &self.device.name)?, &self.ranks);
        Provenance { settings: settings.clone(), ..made_from }.write(&run)?;
        Ok((run, settings))
    }

    /// What the run is made from; `args` is its `args.toml`.
    pub(crate) fn made_from(&self, args: &str) -> Result<Provenance> {
        let device = [self.device.name.as_str(), self.device.hardware.as_str()];
        let made_from = Provenance::of(args, self.config.seed, device, &self.dataset)?;
        Ok(Provenance { initial: self.origin.clone(), ..made_from })
    }

    /// The options, as `args.toml` has them.
    pub(crate) fn args(&self) -> Result<String> {
        self.options.to_toml()
    }

    /// Compares what the ranks are about to do.
    pub(crate) fn meet(&self) -> Result<()> {
        ranks::compare(&self.ranks, &self.made_from(&self.args()?)?, self.common()?)
    }

    /// The settings that ranks have in common: each has a device of its own, all of one backend.
    fn common(&self) -> Result<Settings> {
        settings::without_split(&self.options, self.device.backend.name())
    }

    /// Records which sample went where.
    pub(crate) fn write_split(&self, run: &RunFolder) -> Result<()> {
        Ok(data::split::write_csv(&run.split(), &self.dataset)?)
    }

    /// Trains, and reports.
    pub(crate) fn train(mut self, run: &RunFolder, settings: Settings, resume: Option<Checkpoint>) -> Result<u8> {
        let signals = Signals::listen()?;
        if !self.ranks.is_first() {
            return self.follow(run, &signals);
        }
        let mut bar = self.bar.take();
        let mut log = EventLog::open(run.path());
        let board = self.open_board(run, resume.is_none())?.map(RefCell::new);
        let screen = self.open_screen(run, &signals, &mut bar).map(RefCell::new);
        let watch = |seen: Seen<'_>| {
            board.iter().for_each(|board| board.borrow_mut().show_weights(seen.model, seen.epoch));
            if let (Some(screen), Some(answers)) = (&screen, seen.answers) {
                screen.borrow().look_at(answers, seen.calibration.map_or(1.0, Calibration::temperature));
            }
        };
        let save_now = || screen.as_ref().is_some_and(|screen| screen.borrow().is_save_wanted());
        let job = Job {
            watch: Some(&watch),
            wants_answers: screen.is_some(),
            save_now: Some(&save_now),
            ..self.job(run, settings, resume)
        };
        let outcome = trainer::train(job, &|| signals.stop(), &mut |event| {
            if let Some(screen) = &screen {
                screen.borrow_mut().record(&event);
                if !screen.borrow().is_up() {
                    bar.say_held();
                }
            }
            bar.draw(&event);
            log.record(&event);
            let mut troubles: Vec<String> = log.trouble().into_iter().collect();
            if let Some(board) = &board {
                board.borrow_mut().record(&event);
                troubles.extend(board.borrow_mut().trouble());
            }
            for trouble in troubles.into_iter().map(Event::Note) {
                screen.iter().for_each(|screen| screen.borrow_mut().record(&trouble));
                bar.draw(&trouble);
            }
        });
        drop(screen);
        bar.finish();
        let mut report = outcome.inspect_err(|error| log.failed(error))?;
        if report.ended == Ended::Interrupted {
            log.ended(&report);
            stream::tell(format_args!(
                "interrupted in epoch {}; go on with: {}",
                (report.epochs + 1).min(self.config.epochs),
                report::trainer_command(&format!("resume {}", data::quoted(run.path())))
            ));
            return Ok(signals.code());
        }
        let metrics = self.write_metrics(run, &report)?;
        log.ended(&report);
        let answers = report.answers.take();
        let best = report.best.take();
        let page = self.write_report(run, &report, answers, best);
        match self.output.format {
            Format::Json => stream::print(json!({ "v": 1, "run": run.path(), "result": metrics }))?,
            Format::Text => stream::print(self.outcome(run, &report, page.as_deref()))?,
        }
        match &self.config.target {
            Some(target) if !target_reached(target, &report) => Err(Failure::with(
                code::TARGET_MISSED,
                anyhow!("the target {target} was not reached in {} epochs", report.epochs),
            )),
            _ => Ok(0),
        }
    }

    /// The screen, if the user wants one and there is a terminal; what the bar says is then held until it is gone.
    fn open_screen(&self, run: &RunFolder, signals: &Signals, bar: &mut Bar) -> Option<Screen> {
        let state = State::new(run.path().display().to_string(), report::unit(&self.dataset.input));
        let (task, dataset) = (self.task.clone(), self.dataset.clone());
        let look = move |answers: &Answers, temperature| Glance::of(answers, &task, &dataset, temperature, WORST);
        match self.tui.then(|| Screen::open(state, signals.clone(), Box::new(look)))? {
            Ok(screen) => {
                bar.hold();
                Some(screen)
            }
            Err(why) => {
                bar.draw(&Event::Note(format!("note     --tui: {why}; plain lines instead")));
                None
            }
        }
    }

    /// TensorBoard's file of this sitting, if the user wants one; in a new run with the first batch that it will learn from.
    fn open_board(&self, run: &RunFolder, new: bool) -> Result<Option<Board>> {
        if self.options.tensorboard != Some(true) {
            return Ok(None);
        }
        let mut board = Board::open(run.path());
        if let Some(batch) = page::first_batch(&self.dataset, &self.config).filter(|_| new) {
            board.show_batch(batch?);
        }
        Ok(Some(board))
    }

    /// Writes the page that people look at, and returns its path. No failure of it costs the run, which is saved already.
    fn write_report(
        &self,
        run: &RunFolder,
        report: &Report,
        answers: Option<Answers>,
        best: Option<Model>,
    ) -> Option<PathBuf> {
        let metrics = report.test.as_ref().or(report.val.as_ref()).cloned();
        let known = Known {
            task: Some(self.task.clone()),
            model: Some((self.config.model.clone(), self.dataset.input.clone())),
            best,
            dataset: Some(self.dataset.clone()),
            measured: metrics.zip(answers),
            calibration: report.calibration.clone(),
            // A sample that cannot be read any more has no place in a page about what was learned.
            first_batch: page::first_batch(&self.dataset, &self.config).and_then(Result::ok),
            notes: Vec::new(),
            commands: page::commands(run.path()),
        };
        match trainer::write_report(run, known) {
            Ok(path) => Some(path),
            Err(error) => {
                let again = report::trainer_command(&format!("report {}", data::quoted(run.path())));
                stream::tell(format_args!(
                    "warning: the report could not be written: {error}; try again with: {again}"
                ));
                None
            }
        }
    }

    fn job<'a>(&'a self, run: &'a RunFolder, settings: Settings, resume: Option<Checkpoint>) -> Job<'a> {
        Job {
            resume,
            provenance: self.provenance(),
            settings,
            ranks: self.ranks.clone(),
            ..Job::new(&self.config, self.task.clone(), self.dataset.clone(), self.device.device.clone(), run)
        }
    }

    /// What a model file says about its making. No clock, run name, host or path: equal runs give equal files.
    fn provenance(&self) -> serde_json::Value {
        let mut options = self.options.clone();
        (options.data, options.runs, options.name, options.device, options.workers) = (None, None, None, None, None);
        (options.test, options.split, options.exclude, options.init_from) = (None, None, None, None);
        (options.checkpoint_minutes, options.checkpoint_steps, options.tensorboard) = (None, None, None);
        options.data_on = None;
        options.precision = options.precision.filter(|precision| precision != Precision::F32.name());
        json!({
            "striate": env!("CARGO_PKG_VERSION"),
            "options": options,
            "samples": { "train": self.dataset.split.train.len(), "val": self.dataset.split.val.len() },
        })
    }
}
