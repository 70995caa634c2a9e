//! `trainer eval MODEL DATA`: measures a model file on data that is read as the model reads it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use data::{Dataset, Loader};
use serde_json::json;
use tasks::{Metrics, Task};
use trainer::{CoverageSums, Predicted};

use super::failure::{Failure, code};
use super::options::Options;
use super::trained::{self, Trained};
use super::{Eval, Format, chosen, report, settle, stream};
use ::report::grouped;

/// Is shown the outputs of each sample, with its batch and its row there.
type Write<'a> = dyn FnMut(&Predicted<'_>, usize, &[f32]) -> Result<(), trainer::Error> + 'a;

/// Measures a model.
pub(crate) fn run(arguments: &Eval) -> Result<u8> {
    if arguments.batch == 0 {
        return Err(Failure::usage(anyhow!("--batch: expected at least 1, found 0")));
    }
    if let Some(file) = &arguments.save_predictions {
        data::check_place("--save-predictions", file, &["csv"], &[b"source,"])?;
    }
    let device = chosen::device(&arguments.device)?;
    let trained = Trained::load(&arguments.model, &device.device)?;
    let Trained { path, file, task, calibration } = &trained;
    let target = arguments.target.as_deref().map(|text| task.goal(text)).transpose()?;

    let mut options = data_options(arguments)?;
    trained.cut_as_trained(&mut options);
    let mut open = settle::open_options(&options)?;
    open.like = Some(trained.like());
    let dataset = data::open(&settle::locate(&options)?, &open)?;
    let (part, indices) = part(arguments.on.as_deref(), &dataset)?;

    // A part that was cut for measuring is a decision that its reader should know.
    dataset.found.notes.iter().for_each(|note| stream::tell(format!("note     {note}")));
    let dataset = Arc::new(dataset);
    let loader = Loader::new(dataset.clone(), indices, arguments.batch).workers(arguments.workers);
    let mut sums = calibration.as_ref().map(|calibration| CoverageSums::new(task, calibration));
    let mut measure = |write: &mut Write<'_>| {
        trainer::evaluate_each(
            &file.model,
            task.metrics_at(trained.temperature()),
            &loader,
            &device.device,
            &mut |batch| {
                for (row, outputs) in batch.outputs.chunks(task.outputs()).enumerate() {
                    sums.iter_mut().for_each(|sums| sums.add(outputs, batch.targets, row));
                    write(&batch, row, outputs)?;
                }
                Ok(())
            },
        )
    };
    let metrics = match &arguments.save_predictions {
        None => measure(&mut |_, _, _| Ok(()))?,
        Some(path) => save_predictions(path, task, trained.temperature(), &dataset, &mut measure)?,
    };
    let coverage = sums.and_then(|sums| sums.finish(part));
    match arguments.output.format {
        Format::Json => {
            let result = json!({ "v": 1, "model": path, "on": part, "samples": loader.samples(), "metrics": metrics.report(),
                "calibration": coverage.as_ref().map(trainer::coverage_json) });
            stream::print(result)?;
        }
        Format::Text => {
            let samples = grouped(loader.samples() as u64);
            stream::print(format_args!("{samples} samples ({part}) of {}", dataset.found.format))?;
            stream::print(report::summary(&metrics))?;
            for line in coverage.iter().flat_map(report::trust) {
                stream::print(line)?;
            }
            stream::print_bytes(metrics.table(report::TABLE_ROWS).as_bytes())?;
        }
    }
    match target {
        Some(target) if !target.reached(&metrics) => {
            Err(Failure::with(code::TARGET_MISSED, anyhow!("the target {target} is not reached")))
        }
        _ => Ok(0),
    }
}

/// The options that the data is opened by: those of the run where no other data is named.
fn data_options(arguments: &Eval) -> Result<Options> {
    let mut options = match &arguments.data {
        None => trained::own_data(&arguments.model)?,
        Some(data) => Options { data: Some(data.clone()), ..Options::default() },
    };
    if !arguments.label.is_empty() {
        options.label = Some(arguments.label.clone());
    }
    options.label_strip = arguments.label_strip.clone().or(options.label_strip);
    options.split = arguments.split.clone().or(options.split);
    options.exclude = arguments.exclude.clone().or(options.exclude);
    options.seed = arguments.seed.or(options.seed);
    Ok(options)
}

/// The samples to measure on, with their name.
fn part(on: Option<&str>, dataset: &Dataset) -> Result<(&'static str, Vec<u32>)> {
    let split = &dataset.split;
    let all = || {
        let mut all = [&split.train[..], &split.val, &split.test].concat();
        all.sort_unstable();
        all
    };
    match on {
        Some("train") => Ok(("train", split.train.clone())),
        Some("val") => Ok(("val", split.val.clone())),
        Some("test") => Ok(("test", split.test.clone())),
        Some("all") => Ok(("all", all())),
        None if split.test.is_empty() => Ok(("all", all())),
        None => Ok(("test", split.test.clone())),
        Some(other) => Err(Failure::usage(anyhow!("--on: expected train, val, test or all, found `{other}`"))),
    }
}

/// Measures, and writes a row for each sample, in order; the file appears when it is whole.
fn save_predictions(
    path: &Path,
    task: &Task,
    temperature: f64,
    dataset: &Dataset,
    measure: &mut dyn FnMut(&mut Write<'_>) -> Result<Metrics, trainer::Error>,
) -> Result<Metrics> {
    let failed = |source: std::io::Error| trainer::Error::Io { doing: "write", path: path.to_owned(), source };
    data::replace(path, |file| -> Result<Metrics> {
        let mut writer = csv::Writer::from_writer(file);
        let mut write = |fields: Vec<String>| writer.write_record(fields).map_err(|error| failed(source(error)));
        write(task.header())?;
        let metrics = measure(&mut |batch, row, outputs| {
            let name = dataset.sources.name(batch.indices[row] as usize);
            write(task.row(&name, outputs, temperature, Some(batch.targets), row))
        })?;
        writer.flush().map_err(failed)?;
        Ok(metrics)
    })
    // What the system says of the file itself has no place yet.
    .map_err(|error| error.downcast::<std::io::Error>().map_or_else(|other| other, |source| failed(source).into()))
}

/// What the system said; the conversion that the csv crate has forgets whether the disk is full.
fn source(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => source,
        other => std::io::Error::other(format!("{other:?}")),
    }
}
