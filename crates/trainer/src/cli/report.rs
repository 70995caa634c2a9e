//! What the user reads before and after a run: what was found in the data, what was reached, what to try next.

use ::report::Coverage;
use data::{Dataset, InputSpec, Split, Targets};
use serde_json::{Value, json};
use tasks::Metrics;

use ::report::grouped;

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
    // Names of classes and files come from anywhere: control characters could move a terminal's cursor.
    lines.into_iter().map(|line| line.replace(char::is_control, "\u{fffd}")).collect()
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

/// What the samples are called.
pub(crate) fn unit(spec: &InputSpec) -> &'static str {
    match spec {
        InputSpec::Image(_) => "images",
        InputSpec::Table(_) => "rows",
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

/// One line of what was reached: the metrics that people ask for first, the accuracy with its 95 % interval. All of them are in
/// `metrics.json`.
pub(crate) fn summary(metrics: &Metrics) -> String {
    let report = metrics.report();
    let mut parts = Vec::new();
    if let Some(accuracy) = metrics.get("accuracy") {
        let interval =
            report.accuracy_interval.map(|[low, high]| format!(" (95 %: {:.1} to {:.1})", low * 100.0, high * 100.0));
        parts.push(format!("accuracy {:.2} %{}", accuracy * 100.0, interval.unwrap_or_default()));
    }
    for name in ["map", "exact_match", "r2", "rmse", "mae", "macro_f1", "loss"] {
        parts.extend(metrics.get(name).map(|value| format!("{name} {}", significant(value))));
    }
    parts.join(", ")
}

/// How far a model's answers can be relied on, a line or two.
pub(crate) fn trust(coverage: &Coverage) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(temperature), Some(loss), Some(error)) = (coverage.temperature, coverage.loss, coverage.error) {
        let both = |[before, after]: [f64; 2]| format!("{} before, {} after", significant(before), significant(after));
        let note = coverage.note.iter().map(|note| format!(" ({})", note.replace(char::is_control, "\u{fffd}")));
        lines.push(format!(
            "temperature {temperature}{}, fitted on {} samples: loss {}; calibration error {}",
            note.collect::<String>(),
            grouped(coverage.fitted_on),
            both(loss),
            both(error)
        ));
    }
    for row in &coverage.rows {
        let Some(share) = row.covered else { continue };
        let what = match (&row.target, row.size) {
            (None, Some(size)) => format!("sets of {} classes on average", significant(size)),
            (None, None) => "sets of all classes: validation had too few samples".to_owned(),
            (Some(target), Some(width)) => format!("intervals of {target} are {} wide", significant(width)),
            (Some(target), None) => format!("intervals of {target} have no ends: validation had too few samples"),
        };
        let [asked, value, low, high] = [row.asked, share.value, share.low, share.high].map(|share| share * 100.0);
        lines
            .push(format!("coverage {asked} % asked for, {value:.1} % measured (95 %: {low:.1} to {high:.1}); {what}"));
    }
    lines
}

/// Four digits that matter: `0.9812`, `48210`, `0.00001234`, `3.828e29`.
pub(crate) fn significant(value: f64) -> String {
    if value.abs() >= 1e9 || value != 0.0 && value.abs() < 1e-5 {
        return format!("{value:.3e}");
    }
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    format!("{value:.*}", (3.0 - magnitude).clamp(0.0, 8.0) as usize)
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

#[cfg(test)]
mod tests {
    use super::significant;

    #[test]
    fn numbers_show_four_digits() {
        assert_eq!(
            [0.98124, 48210.4, 0.00001234, 0.0, -2.71859, -3.8279e29].map(significant),
            ["0.9812", "48210", "0.00001234", "0.000", "-2.719", "-3.828e29"]
        );
    }
}
