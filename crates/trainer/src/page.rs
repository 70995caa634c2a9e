//! Gathers what the report of a run shows, and writes it: `report.html`, its pictures as files, `per_class.csv`, `predictions_test.csv`
//! or `predictions_val.csv`.
//! Takes whatever there is of a run. How the page looks is `crates/report`'s; the files that resuming and replaying read are not touched.

mod answered;
mod glance;
mod looked;
mod predictions;
mod shown;

pub use glance::{Found, Glance};

use std::path::PathBuf;
use std::sync::Arc;

use data::{Batch, Dataset, InputSpec};
use models::{Model, ModelConfig};
use report::{Layer, Page, cells};
use tasks::{Calibration, Metrics, Task};

use crate::run_folder::{MOST_TEXT, make};
use crate::{Answers, Checkpoint, Error, Provenance, RunFolder};

/// Samples in a picture of a batch.
const PICTURES: usize = 16;

/// What is known of a run when its report is written.
#[derive(Default)]
pub struct Known {
    /// What the network answers to.
    pub task: Option<Task>,
    /// Its architecture, and what it takes.
    pub model: Option<(ModelConfig, InputSpec)>,
    /// The best model itself, for what it looks at.
    pub best: Option<Model>,
    /// The samples.
    pub dataset: Option<Arc<Dataset>>,
    /// What the best model answered.
    pub measured: Option<(Metrics, Answers)>,
    /// How sure it may be of them.
    pub calibration: Option<Calibration>,
    /// The first batch as it is trained on, in pixels; of tables none.
    pub first_batch: Option<Batch>,
    /// What is missing or odd, a line each.
    pub notes: Vec<String>,
    /// What to type next: what it does, and the command.
    pub commands: Vec<(String, String)>,
}

/// Writes the report of `run`, and returns the path of its page. Reads `args.toml`, `results.csv`, `run.json` and `metrics.json`, as far as
/// they are there and whole; what isn't is said in the page.
///
/// # Errors
/// If the system refuses to write, or a sample that is to be shown cannot be read.
pub fn write_report(run: &RunFolder, known: Known) -> Result<PathBuf, Error> {
    let Known { task, model, best, dataset, measured, calibration, first_batch, mut notes, commands } = known;
    let name = std::fs::canonicalize(run.path()).unwrap_or_else(|_| run.path().to_owned());
    let mut page = Page {
        name: name.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        task: task.as_ref().map(words).unwrap_or_default(),
        results: text(run.results(), &mut notes),
        configuration: text(run.args(), &mut notes),
        commands,
        ..Page::default()
    };
    (page.facts, page.best_epoch) = facts(run, &mut notes);
    if let (Some(task), Some((config, input))) = (&task, &model) {
        let shape = input.shape().map(|side| side.to_string()).join("\u{d7}");
        page.input = match input {
            InputSpec::Image(_) => format!("{shape} pixels"),
            InputSpec::Table(table) => format!("{} columns, {} features", table.columns.len(), input.len()),
        };
        match models::summary(config, input, task.outputs()) {
            Ok(layers) => page.layers = layers.into_iter().map(layer).collect(),
            Err(error) => notes.push(format!("the network cannot be listed: {error}")),
        }
    }
    let temperature = calibration.as_ref().map_or(1.0, Calibration::temperature);
    let answered = match (&task, &dataset, &measured) {
        (Some(task), Some(dataset), Some((_, answers))) => {
            Some(answered::Answered::new(task, dataset, answers, temperature))
        }
        _ => None,
    };
    match (&task, &dataset, &measured, &answered) {
        (Some(task), Some(dataset), Some((metrics, answers)), Some(answered)) => {
            RunFolder::write(&run.predictions(answers.split), answered.csv(dataset).as_bytes())?;
            let held_out = answered.held_out(metrics, dataset, &mut notes);
            if let report::Outcome::Classes { rows, .. } | report::Outcome::Labels { rows, .. } = &held_out.outcome {
                RunFolder::write(&run.per_class(), cells::per_class(answers.split, rows).as_bytes())?;
            }
            if let Some([low, high]) = metrics.report().accuracy_interval {
                let accuracy = metrics.get("accuracy").unwrap_or(f64::NAN);
                let value = format!("{:.2} % (95 %: {:.1} to {:.1})", accuracy * 100.0, low * 100.0, high * 100.0);
                page.facts.insert(0, (format!("Accuracy ({})", answers.split), value));
            }
            if metrics.undefined() > 0 {
                notes.push(format!("for {} samples the network put out NaN; they count as wrong", metrics.undefined()));
            }
            page.held_out = Some(held_out);
            page.coverage =
                calibration.and_then(|calibration| crate::coverage_of(task, &calibration, dataset, answers));
            if let InputSpec::Image(_) = dataset.input {
                page.val_batch = shown::load(answered.spread(PICTURES), dataset, &mut notes);
            }
        }
        _ => notes.push(
            "no answers were measured: there is no best model yet, or no validation or test samples that it could answer".to_owned(),
        ),
    }
    if let (Some(best), Some(dataset)) = (&best, &dataset) {
        let sample =
            measured.as_ref().and_then(|(_, answers)| answers.indices.first().copied()).zip(page.val_batch.first());
        page.features = looked::features(best, dataset, answered.as_ref(), sample, &mut notes);
    }
    if let (Some(task), Some(batch)) = (&task, &first_batch) {
        page.train_batch = shown::batch(batch, task, PICTURES);
    }
    write_files(run, &page, &mut notes)?;
    page.notes = notes;
    RunFolder::write(&run.report(), page.html().as_bytes())?;
    Ok(run.report())
}

/// The pictures as files: PNG beside the page, SVG in `plots`. One that cannot be drawn is noted.
fn write_files(run: &RunFolder, page: &Page, notes: &mut Vec<String>) -> Result<(), Error> {
    let (plots, files) = (run.path().join("plots"), page.files());
    if !files.is_empty() {
        make(&plots)?;
    }
    for (name, sheet) in files {
        RunFolder::write(&plots.join(name).with_extension("svg"), sheet.svg().as_bytes())?;
        match sheet.png() {
            Ok(png) => RunFolder::write(&run.path().join(name).with_extension("png"), &png)?,
            Err(error) => notes.push(format!("`{name}.png` could not be drawn: {error}")),
        }
    }
    Ok(())
}

fn words(task: &Task) -> String {
    let n = task.outputs();
    match task {
        Task::Classification(_) => format!("classification, {n} classes"),
        Task::MultiLabel(_) => format!("multi-label classification, {n} labels"),
        Task::Regression(_) => format!("regression, {n} target{}", if n == 1 { "" } else { "s" }),
    }
}

fn layer(layer: models::LayerSummary) -> Layer {
    let models::LayerSummary { name, kind, output, parameters, flops, .. } = layer;
    Layer { name, kind, output, parameters, flops }
}

/// A text of the run, also where it isn't UTF-8 any more.
fn text(path: PathBuf, notes: &mut Vec<String>) -> String {
    match data::read_regular(&path, MOST_TEXT) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            notes.push(format!("`{}` cannot be read: {error}", path.display()));
            String::new()
        }
    }
}

/// What people ask first, and the best epoch.
fn facts(run: &RunFolder, notes: &mut Vec<String>) -> (Vec<(String, String)>, usize) {
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: Option<String>| facts.extend(value.map(|value| (name.to_owned(), value)));
    let mut best = None;
    match run.read_metrics() {
        Ok(Some(metrics)) => {
            let whole = |name: &str| metrics[name].as_u64();
            best = whole("best_epoch");
            fact("Ended by", metrics["ended"].as_str().map(|why| why.replace('_', " ")));
            fact("Epochs", whole("epochs").map(|epochs| epochs.to_string()));
            fact("Best epoch", best.filter(|best| *best > 0).map(|best| best.to_string()));
            // Without validation nothing was chosen.
            let chosen = metrics["monitor"].as_str().filter(|_| !metrics["chosen_on"].is_null());
            fact("Chosen by", chosen.map(|monitor| format!("{monitor} on validation")));
            fact("Training time", metrics["seconds"].as_f64().map(|seconds| format!("{seconds:.1} s")));
        }
        Err(error) => notes.push(error.to_string()),
        Ok(None) => {
            notes.push("the run has not ended: the numbers may be of its middle".to_owned());
            let progress = Checkpoint::load_newest(&run.checkpoints()).ok().map(|(newest, _)| newest.progress);
            best = progress.as_ref().and_then(|progress| Some(progress.best.as_ref()?.epoch as u64));
            fact("Epochs", progress.map(|progress| progress.epoch.to_string()));
            fact("Best epoch so far", best.map(|best| best.to_string()));
        }
    }
    match Provenance::read(run) {
        Ok(Some(made)) => {
            fact("Seed", Some(made.seed.to_string()));
            fact("Device", Some(made.device.join(", ")));
            fact("Made by", Some(format!("striate {}, binary {:.16}", made.striate, made.binary_sha256)));
        }
        Ok(None) => {}
        Err(error) => notes.push(error.to_string()),
    }
    (facts, best.unwrap_or(0) as usize)
}
