//! `trainer inspect MODEL`: what a model file or a preset is made of, and how far a file's answers were found to be sure.

use anyhow::{Result, anyhow};
use data::{Filter, Fit, ImageSpec, InputSpec};
use models::{LayerSummary, ModelConfig, ModelFile, ModelHeader};
use serde_json::{Value, json};
use tasks::{Calibration, Task};
use trainer::COVERAGES;

use super::failure::{Failure, code};
use super::report::significant;
use super::{Format, Inspect, settle, stream, trained};
use ::report::grouped;

/// Prints the layers.
pub(crate) fn run(arguments: &Inspect) -> Result<u8> {
    let path = std::path::Path::new(&arguments.model);
    let (config, input, outputs, header) = named(&arguments.model, &arguments.imgsz, arguments.outputs)?;
    let layers = models::summary(&config, &input, outputs).map_err(|error| match header {
        // Not what was typed is wrong, but what the file says.
        Some(_) => Failure::with(code::MODEL, anyhow!("`{}`: {error}", path.display())),
        None => error.into(),
    })?;
    let calibrated = header.as_ref().map(|header| calibrated(header, path)).transpose()?.flatten();
    let calibrated = calibrated.as_ref().map(|(task, calibration)| (task, calibration));
    if arguments.output.format == Format::Json {
        let (task, metrics) = header.map(|header| (header.task, header.metrics)).unzip();
        let [parameters, multiply_adds, flops] = totals(&layers);
        stream::print(json!({
            "v": 1,
            "model": config,
            "input": input,
            "outputs": outputs,
            "layers": layers,
            "total": { "parameters": parameters, "multiply_adds": multiply_adds, "flops": flops },
            "task": task,
            "metrics": metrics,
            "calibration": calibrated.map(|(task, calibration)| calibration_json(task, calibration)),
        }))?;
        return Ok(0);
    }
    stream::print(table(&layers))?;
    stream::print(
        "FLOPs are of one sample: two for each multiply-add of convolutions and linear layers; the rest isn't counted",
    )?;
    if let Some(header) = header {
        stream::print(format_args!("task {}", header.task))?;
        stream::print(format_args!("validation metrics {}", header.metrics))?;
    }
    for line in calibrated.iter().flat_map(|(task, calibration)| calibration_lines(task, calibration)) {
        stream::print(line)?;
    }
    Ok(0)
}

/// A network by the path of a model file or a run, whose header is returned too; or by the name of a preset, for images and outputs as given.
pub(super) fn named(
    model: &str,
    imgsz: &str,
    outputs: usize,
) -> Result<(ModelConfig, InputSpec, usize, Option<ModelHeader>)> {
    let path = std::path::Path::new(model);
    if path.exists() {
        let header = ModelFile::header(&trained::model_path(path)?)?;
        return Ok((header.model.clone(), header.input.clone(), header.outputs, Some(header)));
    }
    let config = ModelConfig::named(model)
        .map_err(|error| Failure::usage(anyhow!("`{model}` is no file and no preset: {error}")))?;
    Ok((config, input(imgsz)?, outputs, None))
}

/// The calibration that a file holds, if it holds one, and what it is of.
fn calibrated(header: &ModelHeader, path: &std::path::Path) -> Result<Option<(Task, Calibration)>> {
    let Some(section) = header.calibration.clone() else { return Ok(None) };
    let bad =
        |key: &str, what: String| Failure::with(code::MODEL, anyhow!("`{}` metadata `{key}`: {what}", path.display()));
    let task = Task::stored(header.task.clone(), header.outputs).map_err(|what| bad("task", what))?;
    let calibration = Calibration::stored(section, &task).map_err(|what| bad("calibration", what))?;
    Ok(Some((task, calibration)))
}

fn calibration_json(task: &Task, calibration: &Calibration) -> Value {
    let coverage = limits(task, calibration).into_iter().map(|limit| match task {
        Task::Regression(_) => json!({ "asked": limit.asked, "target": limit.target, "half_width": limit.value }),
        _ => json!({ "asked": limit.asked, "least_probability": limit.value }),
    });
    json!({
        "temperature": (!matches!(task, Task::Regression(_))).then(|| calibration.temperature()),
        "fitted_on": calibration.samples(),
        "note": calibration.note(),
        "coverage": coverage.collect::<Vec<_>>(),
    })
}

fn calibration_lines(task: &Task, calibration: &Calibration) -> Vec<String> {
    let samples = grouped(calibration.samples());
    let note = calibration.note().map(|note| format!(" ({})", note.replace(char::is_control, "\u{fffd}")));
    let mut lines = vec![match task {
        Task::Regression(_) => format!("calibration on {samples} samples"),
        _ => format!(
            "calibration on {samples} samples: temperature {}{}",
            calibration.temperature(),
            note.unwrap_or_default()
        ),
    }];
    lines.extend(limits(task, calibration).into_iter().map(|Limit { asked, target, value }| {
        let what = match (&target, value) {
            (None, Some(least)) => {
                format!("sets hold the classes from a probability of {} on", significant(least))
            }
            (None, None) => "sets hold all classes".to_owned(),
            (Some(target), Some(half)) => format!("{target} within {} of the answer", significant(half)),
            (Some(target), None) => format!("{target} without limit"),
        };
        let few = if value.is_none() {
            format!(": {} samples are needed", grouped(Calibration::needed(asked)))
        } else {
            String::new()
        };
        format!("coverage {} %: {}{few}", asked * 100.0, what.replace(char::is_control, "\u{fffd}"))
    }));
    lines
}

/// What belongs to an answer at a coverage.
struct Limit {
    asked: f64,
    /// Of a regression.
    target: Option<String>,
    /// The least probability of a class in the set, or half the width of the target's interval; `None` where there were too few samples.
    value: Option<f64>,
}

/// For each coverage, and of a regression each target; labels have none.
fn limits(task: &Task, calibration: &Calibration) -> Vec<Limit> {
    let mut found = Vec::new();
    for asked in COVERAGES {
        let Ok(limits) = calibration.limits(asked) else { continue };
        let value = |at: usize| Some(limits.score(at)).filter(|score| score.is_finite());
        match task {
            Task::Regression(_) => {
                let targets = task.names().iter().enumerate();
                found.extend(targets.map(|(at, name)| Limit { asked, target: Some(name.clone()), value: value(at) }));
            }
            _ => found.push(Limit { asked, target: None, value: value(0).map(|score| (-score).exp()) }),
        }
    }
    found
}

/// Parameters, multiply-adds and FLOPs of all layers.
fn totals(layers: &[LayerSummary]) -> [u64; 3] {
    let sum = |of: fn(&LayerSummary) -> u64| layers.iter().map(of).fold(0, u64::saturating_add);
    [sum(|layer| layer.parameters), sum(|layer| layer.multiply_adds), sum(|layer| layer.flops)]
}

fn table(layers: &[LayerSummary]) -> String {
    let width = layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0).max(5);
    let row = |name: &str, kind: &str, shape: &str, [parameters, products, flops]: [&str; 3]| {
        format!("{name:width$}  {kind:24} {shape:>16} {parameters:>13} {products:>15} {flops:>15}")
    };
    let counted = |counts: [u64; 3]| counts.map(grouped);
    let mut lines = vec![row("layer", "kind", "output shape", ["parameters", "multiply-adds", "FLOPs"])];
    for layer in layers {
        let shape = layer.output.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
        let counts = counted([layer.parameters, layer.multiply_adds, layer.flops]);
        lines.push(row(&layer.name, &layer.kind, &shape, counts.each_ref().map(String::as_str)));
    }
    lines.push(row("total", "", "", counted(totals(layers)).each_ref().map(String::as_str)));
    lines.join("\n")
}

/// The input of a preset: `N`, `HEIGHTxWIDTH` (gray) or `CHANNELSxHEIGHTxWIDTH`.
fn input(text: &str) -> Result<InputSpec> {
    let parts: Vec<&str> = text.split('x').collect();
    let (channels, size) = match parts.as_slice() {
        [channels, rest @ ..] if rest.len() == 2 => {
            (channels.parse().ok().filter(|n| [1, 3].contains(n)), rest.join("x"))
        }
        _ => (Some(1), text.to_owned()),
    };
    let channels =
        channels.ok_or_else(|| Failure::usage(anyhow!("--imgsz: expected 1 or 3 channels, found `{text}`")))?;
    let [height, width] = settle::image_size(&size)?;
    Ok(InputSpec::Image(ImageSpec {
        channels,
        height,
        width,
        fit: Fit::default(),
        filter: Filter::default(),
        mean: vec![0.0; channels],
        std: vec![1.0; channels],
    }))
}
