//! The ranges in a recipe's `[tune]`: which options may be searched, and whether they take what is drawn.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, anyhow};
use serde_json::Value;
use trainer::search::{Range, Space};

use crate::cli::failure::Failure;
use crate::cli::options::{Batch, Options, plain};

/// Options that decide which samples are measured, how long trials are, or where they lie: trials that differ in them are not comparable.
const FIXED: [&str; 21] = [
    "data",
    "label",
    "label_strip",
    "header",
    "test",
    "split",
    "exclude",
    "val",
    "limit",
    "task",
    "seed",
    "epochs",
    "time",
    "target",
    "target_loss",
    "checkpoint_minutes",
    "checkpoint_steps",
    "device",
    "tensorboard",
    "runs",
    "name",
];

/// A recipe and its ranges.
pub(super) fn read(path: &Path) -> Result<(Options, Space)> {
    let mut recipe = Options::from_recipe_with_ranges(path)?;
    let wrong = |what: String| Failure::usage(anyhow!("recipe `{}` [tune]: {what}", path.display()));
    let Some(table) = recipe.tune.take() else {
        let what = "expected ranges, such as lr = { log = [1e-4, 1e-1] }, found no [tune]";
        return Err(Failure::usage(anyhow!("recipe `{}`: {what}", path.display())));
    };
    let (known, mut ranges) = (Options::keys(), BTreeMap::new());
    for (name, range) in table {
        if !known.contains(&name.as_str()) {
            let hint = data::near(&name, known.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
            return Err(wrong(format!("unknown option `{name}`{}", hint.unwrap_or_default())));
        }
        if FIXED.contains(&name.as_str()) {
            return Err(wrong(format!("`{name}` must be the same for all trials, or they could not be compared")));
        }
        let range: Range = range.try_into().map_err(|error: toml::de::Error| {
            let expected = "expected { log = [a, b] }, { uniform = [a, b] }, { int = [a, b] } or { choice = [...] }";
            wrong(format!("{name}: {expected}: {}", plain(error.message())))
        })?;
        ranges.insert(name, range);
    }
    let ranges = Space::new(ranges);
    ranges.check().map_err(wrong)?;
    Ok((recipe, ranges))
}

/// The options with what every trial shares as it was settled: paths that hold in any folder, the number of epochs, a batch that was chosen.
pub(super) fn fixed(options: Options, filled: &Options) -> Options {
    let batch = options.batch.map(|batch| filled.batch.unwrap_or(batch));
    Options {
        data: filled.data.clone(),
        test: filled.test.clone(),
        split: filled.split.clone(),
        exclude: filled.exclude.clone(),
        init_from: filled.init_from.clone(),
        init_sha256: filled.init_sha256.clone(),
        epochs: filled.epochs,
        seed: filled.seed,
        batch: batch.filter(|batch| matches!(batch, Batch::Size(_))),
        runs: None,
        name: None,
        ..options
    }
}

/// Refuses ranges that hold values which their options don't take.
pub(super) fn check(ranges: &Space, options: &Options) -> Result<()> {
    for (name, range) in ranges.ranges() {
        for value in range.extremes() {
            let values = [(name.clone(), value.clone())].into();
            with(options, &values).map_err(|what| Failure::usage(anyhow!("[tune] {name}: {value}: {what}")))?;
        }
    }
    Ok(())
}

/// The options with these values.
///
/// # Errors
/// Where an option doesn't take its value, in words.
pub(super) fn with(options: &Options, values: &BTreeMap<String, Value>) -> Result<Options, String> {
    let drawn: Options = toml::Table::try_from(values)
        .map(|table| table.try_into::<Options>())
        .map_err(|error| error.to_string())?
        .map_err(|error| plain(error.message()))?;
    drawn.over(options.clone()).map_err(|error| error.to_string())
}
