//! What the user reads before and after a run: what was found in the data, what was reached, what to try next.

use std::path::Path;

use data::{Dataset, InputSpec, Split, Targets};
use serde_json::{Value, json};
use tasks::Metrics;

use super::bar::grouped;

/// Classes named one by one; beyond that, only the number and the extremes are.
const NAMED_CLASSES: usize = 20;

/// Rows of a per-class table.
pub(crate) const TABLE_ROWS: usize = 50;

/// What was found, a line each.
pub(crate) fn statement(dataset: &Dataset) -> Vec<String> {
    let place = match dataset.found.path.as_os_str().is_empty() {
        true => String::new(),
        false => format!(" `{}`", dataset.found.path.display()),
    };
    let mut lines = vec![
        format!("data     {}{place}: {} samples", dataset.found.format, grouped(dataset.len() as u64)),
        format!("input    {}", input(&dataset.input)),
        format!("task     {}", task(&dataset.targets)),
        format!("split    {}", split(&dataset.split)),
    ];
    lines.extend(dataset.found.notes.iter().map(|note| format!("note     {note}")));
    lines
}

/// The same for programs.
pub(crate) fn statement_json(dataset: &Dataset) -> Value {
    let Split { train, val, test } = &dataset.split;
    json!({
        "v": 1,
        "format": dataset.found.format,
        "path": dataset.found.path,
        "samples": dataset.len(),
        "input": dataset.input,
        "shape": dataset.input.shape(),
        "task": kind(&dataset.targets),
        "outputs": dataset.targets.names(),
        "counts": counts(&dataset.targets),
        "split": { "train": train.len(), "val": val.len(), "test": test.len() },
        "notes": dataset.found.notes,
    })
}

fn input(spec: &InputSpec) -> String {
    match spec {
        InputSpec::Image(image) => {
            let colour = if image.channels == 1 { "gray" } else { "RGB" };
            format!("{}x{} {colour} images", image.height, image.width)
        }
        InputSpec::Table(table) => format!("{} columns, {} features", table.columns.len(), spec.len()),
    }
}

fn kind(targets: &Targets) -> &'static str {
    match targets {
        Targets::Classes { .. } => "classification",
        Targets::Labels { .. } => "multi-label",
        Targets::Values { .. } => "regression",
    }
}

/// Samples of each class or label; for regression nothing.
fn counts(targets: &Targets) -> Vec<u64> {
    let mut counts = vec![0; targets.names().len()];
    match targets {
        Targets::Classes { values, .. } => values.iter().for_each(|&class| counts[class as usize] += 1),
        Targets::Labels { values, names } => {
            values.iter().enumerate().for_each(|(at, &value)| counts[at % names.len()] += u64::from(value));
        }
        Targets::Values { .. } => counts.clear(),
    }
    counts
}

fn task(targets: &Targets) -> String {
    let (names, counts) = (targets.names(), counts(targets));
    let listed = || {
        let mut pairs: Vec<_> = names.iter().zip(&counts).collect();
        if pairs.len() <= NAMED_CLASSES {
            return pairs.iter().map(|(name, count)| format!("{name} ({count})")).collect::<Vec<_>>().join(", ");
        }
        pairs.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let [(most, many), .., (least, few)] = pairs.as_slice() else { return String::new() };
        format!("from {most} ({many}) down to {least} ({few})")
    };
    match targets {
        Targets::Classes { .. } => format!("classification, {} classes: {}", names.len(), listed()),
        Targets::Labels { .. } => format!("multi-label, {} labels: {}", names.len(), listed()),
        Targets::Values { .. } => format!("regression of {}", names.join(", ")),
    }
}

fn split(split: &Split) -> String {
    let [train, val, test] = [&split.train, &split.val, &split.test].map(|part| grouped(part.len() as u64));
    format!("{train} to train, {val} to validate, {test} to test")
}

/// One line of what was reached: every scalar metric, and the interval of an accuracy.
pub(crate) fn summary(metrics: &Metrics) -> String {
    let mut parts = Vec::new();
    for (name, value) in metrics.values() {
        parts.push(match name {
            "accuracy" | "top5" => format!("{name} {:.2} %", value * 100.0),
            _ => format!("{name} {value:.4}"),
        });
    }
    parts.join(", ")
}

/// The command that runs `infer` here: through cargo where this process was started by it.
pub(crate) fn infer_command(arguments: &str) -> String {
    match std::env::var_os("CARGO") {
        Some(_) if arguments.is_empty() => "cargo run -p infer".to_owned(),
        Some(_) => format!("cargo run -p infer -- {arguments}"),
        None => format!("infer {arguments}").trim_end().to_owned(),
    }
}

/// The same for `trainer`.
pub(crate) fn trainer_command(arguments: &str) -> String {
    match std::env::var_os("CARGO") {
        Some(_) => format!("cargo run -p trainer -- {arguments}"),
        None => format!("trainer {arguments}"),
    }
}

/// A path as an argument in a command that is printed to be copied.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    match text.contains(|c: char| c.is_whitespace() || "'\"$&;()*?[]".contains(c)) {
        true => format!("'{}'", text.replace('\'', r"'\''")),
        false => text,
    }
}
