//! `trainer report RUN`, and the report at the end of a training: `report.html` and the tables beside it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use data::{Batch, Dataset, InputSpec, Like, Loader};
use models::ModelFile;
use tasks::{Calibration, Task};
use trainer::{Answers, Known, Provenance, RunFolder, TrainConfig};

use super::options::Options;
use super::report::trainer_command;
use super::{Format, ReportRun, chosen, settle, stream};

/// Writes the report of a run again.
pub(crate) fn run(arguments: &ReportRun) -> Result<u8> {
    let run = RunFolder::open(&arguments.run)?.held()?;
    let mut known = Known { commands: commands(run.path()), ..Known::default() };
    if let Err(error) = learn(&run, &arguments.device, &mut known) {
        known.notes.push(format!("{error:#}"));
    }
    known.notes.iter().for_each(|note| stream::tell(format_args!("note     {}", note.replace(char::is_control, " "))));
    let path = trainer::write_report(&run, known)?;
    match arguments.output.format {
        Format::Json => stream::print(serde_json::json!({ "v": 1, "run": run.path(), "report": path }))?,
        Format::Text => stream::print(path.display())?,
    }
    Ok(0)
}

/// Takes up the best model and the data, step by step: what was found before an error is kept.
fn learn(run: &RunFolder, device: &str, known: &mut Known) -> Result<()> {
    let best = run.best();
    if !best.is_file() {
        return Ok(());
    }
    let device = chosen::device(device)?;
    let file = ModelFile::load(&best, &device.device)?;
    known.model = Some((file.model.config().clone(), file.model.input().clone()));
    let task: Task = serde_json::from_value(file.task.clone())
        .with_context(|| format!("`{}`: its task is not one that this build knows", best.display()))?;
    known.task = Some(task.clone());
    let calibration = file.calibration.clone().map(|section| Calibration::stored(section, &task)).transpose();
    known.calibration = calibration.map_err(|what| anyhow!("`{}` metadata `calibration`: {what}", best.display()))?;
    let (dataset, config) = open(run, &file, &task).context("the run's data cannot be read")?;
    if let Some(made) = Provenance::read(run)?
        && let Err(error) = made.check_data(&dataset, run.path())
    {
        known.notes.push(error.to_string());
    }
    let dataset = Arc::new(dataset);
    known.dataset = Some(dataset.clone());
    known.first_batch = first_batch(&dataset, &config).transpose()?;
    let ended = run.metrics().is_file();
    let sums = task.metrics_at(known.calibration.as_ref().map_or(1.0, Calibration::temperature));
    known.measured = Answers::of(&file.model, sums, &dataset, &device.device, !ended)?;
    known.best = Some(file.model);
    Ok(())
}

/// The run's data, cut as it was for training and read as the model reads it; and how it trained on them.
fn open(run: &RunFolder, file: &ModelFile, task: &Task) -> Result<(Dataset, TrainConfig)> {
    let mut options = Options::from_run(&run.args())?;
    if run.split().is_file() {
        // Samples that were left out are `unused` in it.
        (options.split, options.exclude) = (Some(run.split()), None);
    }
    let mut open = settle::open_options(&options)?;
    open.like = Some(Like { input: file.model.input().clone(), outputs: task.outputs_kind() });
    let dataset = data::open(&settle::locate(&options)?, &open)?;
    let config = settle::config(&options, &dataset)?;
    Ok((dataset, config))
}

/// The first batch as it is trained on; of tables none, for there is nothing to see.
pub(crate) fn first_batch(dataset: &Arc<Dataset>, config: &TrainConfig) -> Option<Result<Batch, data::Error>> {
    let training = Loader::new(dataset.clone(), dataset.split.train.to_vec(), config.batch);
    let images = matches!(dataset.input, InputSpec::Image(_));
    images.then(|| training.shuffled(config.seed).augmented(config.augment, config.seed).epoch(0).next()).flatten()
}

/// What to type next.
pub(crate) fn commands(run: &Path) -> Vec<(String, String)> {
    let path = data::quoted(run);
    let commands = [
        ("Train it again and compare the weights, to the bit", format!("replay {path}")),
        ("Measure the best model", format!("eval {path}")),
        ("Go on training", format!("resume {path} --epochs N")),
        ("Write this page again", format!("report {path}")),
    ];
    commands.map(|(what, command)| (what.to_owned(), trainer_command(&command))).into()
}
