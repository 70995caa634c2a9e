//! `trainer inspect MODEL`: what a model file or a preset is made of.

use anyhow::{Result, anyhow};
use data::{Filter, Fit, ImageSpec, InputSpec};
use models::{LayerSummary, ModelFile};
use serde_json::json;

use super::failure::{Failure, code};
use super::{Format, Inspect, settle, stream, trained};
use ::report::grouped;

/// Prints the layers.
pub(crate) fn run(arguments: &Inspect) -> Result<u8> {
    let path = std::path::Path::new(&arguments.model);
    let (config, input, outputs, header) = if path.exists() {
        let header = ModelFile::header(&trained::model_path(path)?)?;
        (header.model.clone(), header.input.clone(), header.outputs, Some(header))
    } else {
        let config = models::ModelConfig::named(&arguments.model)
            .map_err(|error| Failure::usage(anyhow!("`{}` is no file and no preset: {error}", arguments.model)))?;
        (config, input(&arguments.imgsz)?, arguments.outputs, None)
    };
    let layers = models::summary(&config, &input, outputs).map_err(|error| match header {
        // Not what was typed is wrong, but what the file says.
        Some(_) => Failure::with(code::MODEL, anyhow!("`{}`: {error}", path.display())),
        None => error.into(),
    })?;
    if arguments.output.format == Format::Json {
        let (task, metrics) = header.map(|header| (header.task, header.metrics)).unzip();
        stream::print(
            json!({ "v": 1, "model": config, "input": input, "outputs": outputs, "layers": layers, "task": task, "metrics": metrics }),
        )?;
        return Ok(0);
    }
    stream::print(table(&layers))?;
    if let Some(header) = header {
        stream::print(format_args!("task {}", header.task))?;
        stream::print(format_args!("validation metrics {}", header.metrics))?;
    }
    Ok(0)
}

fn table(layers: &[LayerSummary]) -> String {
    let width = layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0).max(5);
    let row = |name: &str, kind: &str, shape: &str, parameters: &str, operations: &str| {
        format!("{name:width$}  {kind:24} {shape:>16} {parameters:>13} {operations:>15}")
    };
    let mut lines = vec![row("layer", "kind", "output shape", "parameters", "multiply-adds")];
    for layer in layers {
        let shape = layer.output.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
        let [parameters, operations] = [layer.parameters, layer.multiply_adds].map(grouped);
        lines.push(row(&layer.name, &layer.kind, &shape, &parameters, &operations));
    }
    let sum = |of: fn(&LayerSummary) -> u64| grouped(layers.iter().map(of).sum());
    lines.push(row("total", "", "", &sum(|l| l.parameters), &sum(|l| l.multiply_adds)));
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
