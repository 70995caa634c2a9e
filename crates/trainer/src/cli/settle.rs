//! From options to settings: fills in every default, and says what is wrong in the words of the flags.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use data::{Augment, Dataset, InputSpec, OpenOptions, TaskKind};
use models::{Custom, ModelConfig, Precision};
use serde::de::DeserializeOwned;
use tasks::{ClassWeights, LossOptions, Task};
use trainer::memory::{self, Estimate};
use trainer::{OnNan, OptimizerConfig, ScheduleConfig, TrainConfig};

use super::chosen;
use super::failure::{Failure, code};
use super::initial;
use super::options::{Batch, Choice, Options, plain};

/// Opens the data that `options` name.
pub(crate) fn open(options: &Options) -> Result<Dataset> {
    let mut dataset = data::open(&locate(options)?, &open_options(options)?)?;
    if let Some(name) = &options.normalise {
        initial::normalise(name, &mut dataset)?;
    }
    Ok(dataset)
}

/// The path that `options` name, or the folder of the fetched data set of that name.
pub(crate) fn locate(options: &Options) -> Result<PathBuf> {
    let name = options.data.as_deref().unwrap_or("digits");
    if name.is_empty() {
        let what = "DATA is empty; give a file or folder, or `digits` for the embedded ones";
        return Err(Failure::usage(anyhow!(what)));
    }
    if name == "digits" || Path::new(name).exists() {
        return Ok(name.into());
    }
    if !crate::manifest::is_known(name) {
        return match crate::manifest::nearest(name) {
            Some(near) => Err(Failure::with(
                code::DATA,
                anyhow!("`{name}`: there is no such file or folder; did you mean the data set `{near}`?"),
            )),
            None => Ok(name.into()),
        };
    }
    let missing = || anyhow!("the data set `{name}` is not here yet; fetch it with `trainer data fetch {name}`");
    crate::manifest::locate(name).ok_or_else(|| Failure::with(code::DATA, missing()))
}

/// The data's part of the options.
pub(crate) fn open_options(options: &Options) -> Result<OpenOptions> {
    Ok(OpenOptions {
        label: options.label.clone().unwrap_or_default(),
        label_strip: options.label_strip.clone(),
        drop: options.drop.clone().unwrap_or_default(),
        test: options.test.clone(),
        split: options.split.clone(),
        exclude: options.exclude.clone(),
        val: options.val,
        seed: options.seed.unwrap_or(0),
        limit: options.limit,
        image_size: options.imgsz.as_deref().map(image_size).transpose()?,
        channels: options.channels,
        fit: options.fit.as_deref().map(|name| named("--fit", name)).transpose()?.unwrap_or_default(),
        filter: options.filter.as_deref().map(|name| named("--filter", name)).transpose()?.unwrap_or_default(),
        memory: options.memory.map(|mib| mib << 20),
        task: options.task.as_deref().map(task).transpose()?,
        header: options.header,
        categorical: options.categorical.clone().unwrap_or_default(),
        audit: false,
        like: None,
    })
}

/// The options with every default filled in: what `args.toml` holds.
pub(crate) fn fill(mut options: Options, dataset: &Dataset) -> Result<Options> {
    let table = matches!(dataset.input, InputSpec::Table(_));
    let weights = initial::settle(&mut options)?;
    let model = match options.model.take() {
        Some(Choice::Table(table)) => whole("model", &table)?,
        Some(Choice::Name(name)) => preset(&name)?,
        None => match (&weights, &options.init_from) {
            (Some(weights), Some(path)) => initial::network(weights, path)?,
            _ => preset(if table { "mlp" } else { "cnn" })?,
        },
    };
    let model = model
        .customise(&Custom {
            hidden: options.hidden.take(),
            filters: options.filters.take(),
            kernel: options.kernel.take(),
            dropout: options.dropout.take(),
            norm: parsed("--norm", options.norm.take())?,
            activation: parsed("--activation", options.activation.take())?,
            init: parsed("--init", options.init.take())?,
        })
        .map_err(Failure::usage)?;
    options.model = Some(Choice::Table(toml::Table::try_from(&model)?));

    options.optimizer.get_or_insert_with(|| Choice::Name("adamw".into()));
    let default_lr = optimizer(&options)?.default_lr();
    options.lr.get_or_insert(default_lr);
    options.data.get_or_insert_with(|| "digits".into());
    if let Some(data) = options.data.as_mut().filter(|data| *data != "digits") {
        // Absolute, so that the run can be resumed from another folder.
        if let Ok(path) = std::fs::canonicalize(&*data) {
            *data = path.to_string_lossy().into_owned();
        }
    }
    for file in [&mut options.test, &mut options.split, &mut options.exclude].into_iter().flatten() {
        if let Ok(path) = std::fs::canonicalize(&*file) {
            *file = path;
        }
    }
    options.epochs.get_or_insert(20);
    options.batch.get_or_insert(Batch::Size(64));
    options.accumulate.get_or_insert(1);
    options.schedule.get_or_insert_with(|| Choice::Name("cosine".into()));
    options.label_smoothing.get_or_insert(0.0);
    options.class_weights.get_or_insert_with(|| "none".into());
    options.augment.get_or_insert_with(|| "none".into());
    options.on_nan.get_or_insert_with(|| "stop".into());
    options.seed.get_or_insert(0);
    options.device.get_or_insert_with(|| "auto".into());
    options.precision.get_or_insert_with(|| Precision::F32.name().into());
    options.data_on.get_or_insert_with(|| "auto".into());
    options.workers.get_or_insert(1);
    options.checkpoint_minutes.get_or_insert(TrainConfig::CHECKPOINT_EVERY.as_secs_f64() / 60.0);
    options.runs.get_or_insert_with(|| "runs".into());
    if let Some(Batch::Auto(budget)) = options.batch {
        options.batch = Some(Batch::Size(1));
        options.batch = Some(Batch::Size(batch(&options, dataset, budget)?));
    }
    Ok(options)
}

/// The batch for `--batch auto`: by what a step of these options takes, of `budget` bytes, or of half of what is available, for the rest of
/// the machine has work of its own.
fn batch(options: &Options, dataset: &Dataset, budget: Option<u64>) -> Result<usize> {
    let device = chosen::device(options.device.as_deref().unwrap_or("auto"))?;
    if device.name != "flex" {
        let what = format!(
            "how much a step takes on `{}`, or how much there is, is not known; give --batch N, with --halve-batch if it may be less",
            device.name
        );
        return Err(Failure::usage(anyhow!("--batch auto: {what}")));
    }
    let unknown =
        || Failure::usage(anyhow!("--batch auto: this system doesn't say what is free; give --batch auto:2GiB"));
    let budget = budget.or(memory::available().map(|free| free / 2)).ok_or_else(unknown)?;
    let config = config(options, dataset)?;
    config.check()?;
    let task = Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss)?;
    let frozen = trainer::initial::frozen(&config, &dataset.input, task.outputs(), &device.device)?.frozen;
    let estimate = Estimate::of(&config, dataset, task.outputs(), frozen)?;
    Ok(estimate.batch_within(budget, dataset.split.train.len())?)
}

/// The settings that filled-in options mean for `dataset`.
pub(crate) fn config(options: &Options, dataset: &Dataset) -> Result<TrainConfig> {
    let Some(Choice::Table(table)) = &options.model else { bail!("the options are not filled in") };
    let model: ModelConfig = whole("model", table)?;
    let mut config = TrainConfig::new(model);
    config.loss = loss(options)?;
    config.epochs = options.epochs.unwrap_or(config.epochs);
    config.batch = options.batch.map_or(config.batch, Batch::size);
    config.accumulate = options.accumulate.unwrap_or(1);
    config.optimizer = optimizer(options)?;
    config.lr = options.lr.unwrap_or(config.lr);
    config.schedule = schedule(options)?;
    config.head_lr = options.head_lr;
    config.freeze = options.freeze.clone().unwrap_or_default();
    config.clip_norm = options.clip_norm;
    config.clip_value = options.clip_value;
    config.augment = Augment::parse(options.augment.as_deref().unwrap_or("none"), &dataset.input, &dataset.targets)?;
    config.on_nan = on_nan(options.on_nan.as_deref().unwrap_or("stop"))?;
    config.precision = precision(options)?;
    config.ema = options.ema;
    config.patience = options.patience;
    config.target_loss = options.target_loss;
    config.time = options.time.as_deref().map(time).transpose()?;
    config.checkpoint_every = options.checkpoint_minutes.map_or(Ok(config.checkpoint_every), minutes)?;
    config.checkpoint_steps = options.checkpoint_steps;
    config.seed = options.seed.unwrap_or(0);
    config.drop_last = options.drop_last.unwrap_or(false);
    config.workers = options.workers.unwrap_or(1);
    needs_validation(options, &config, dataset)?;
    warms_up(&config, dataset.split.train.len())?;
    Ok(config)
}

/// Refuses what only validation can decide where nothing is validated: it would never happen.
fn needs_validation(options: &Options, config: &TrainConfig, dataset: &Dataset) -> Result<()> {
    let plateau = matches!(config.schedule.kind, trainer::schedule::ScheduleKind::Plateau { .. });
    let idle = [
        ("--patience", options.patience.is_some()),
        ("--target", options.target.is_some()),
        ("--target-loss", options.target_loss.is_some()),
        ("--schedule plateau", plateau),
    ];
    match idle.iter().find(|(_, given)| *given && dataset.split.val.is_empty()) {
        Some((flag, _)) => Err(Failure::usage(anyhow!(
            "{flag} goes by validation, for which there are no samples; give --val above 0, or leave it out"
        ))),
        None => Ok(()),
    }
}

/// Refuses a warm-up in steps that the run never leaves.
fn warms_up(config: &TrainConfig, samples: usize) -> Result<()> {
    let batches = config.batches(samples).div_ceil(config.accumulate.max(1));
    let (steps, warmup) = (batches.saturating_mul(config.epochs) as u64, config.schedule.warmup_steps);
    match warmup > 0 && warmup >= steps {
        true => Err(Failure::usage(anyhow!(
            "schedule: {warmup} steps of warm-up leave nothing of the {steps} of this run; give fewer, or more --epochs"
        ))),
        false => Ok(()),
    }
}

/// A preset by name.
pub(crate) fn preset(name: &str) -> Result<ModelConfig> {
    ModelConfig::named(name).map_err(|error| Failure::usage(anyhow!("--model: {error}")))
}

fn loss(options: &Options) -> Result<LossOptions> {
    let class_weights = match options.class_weights.as_deref() {
        None | Some("none") => ClassWeights::None,
        Some("auto") => ClassWeights::Auto,
        Some(list) => ClassWeights::Given(numbers(list).ok_or_else(|| {
            Failure::usage(anyhow!("--class-weights: expected none, auto or a number for each class, found `{list}`"))
        })?),
    };
    let threshold = |list: &String| {
        let expected = "a probability such as 0.5, or one for each label";
        numbers(list).ok_or_else(|| Failure::usage(anyhow!("--threshold: expected {expected}, found `{list}`")))
    };
    Ok(LossOptions {
        label_smoothing: options.label_smoothing.unwrap_or(0.0) as f32,
        class_weights,
        loss: options.loss.clone(),
        thresholds: options.threshold.as_ref().map(threshold).transpose()?,
    })
}

/// Numbers between commas.
fn numbers(list: &str) -> Option<Vec<f32>> {
    list.split(',').map(|number| number.trim().parse().ok()).collect()
}

/// The optimizer by its name, with those of its constants that have flags.
fn optimizer(options: &Options) -> Result<OptimizerConfig> {
    let mut config = match &options.optimizer {
        Some(Choice::Table(table)) => whole("optimizer", table)?,
        Some(Choice::Name(name)) => {
            OptimizerConfig::named(name).ok_or_else(|| unknown("--optimizer", name, OptimizerConfig::NAMES))?
        }
        None => OptimizerConfig::default(),
    };
    let name = config.name();
    // PyTorch's SGD has no momentum of its own; everybody who trains networks by it gives it 0.9.
    let usual = (name == "sgd" && !matches!(options.optimizer, Some(Choice::Table(_)))).then_some(0.9);
    if let Some(momentum) = options.momentum.or(usual) {
        config = config.with_momentum(momentum);
    }
    if let Some(weight_decay) = options.weight_decay {
        config = config.with_weight_decay(weight_decay);
    }
    match (&mut config, options.nesterov) {
        (OptimizerConfig::Sgd(sgd), Some(nesterov)) => sgd.nesterov = nesterov,
        (_, Some(true)) => return Err(Failure::usage(anyhow!("--nesterov is for sgd, not for {name}"))),
        _ => {}
    }
    config.check().map_err(|what| Failure::usage(anyhow!("--optimizer {name}: {what}")))?;
    Ok(config)
}

/// The schedule by its name, with those of its numbers that have flags; a number that it hasn't is an error.
fn schedule(options: &Options) -> Result<ScheduleConfig> {
    let mut table = match &options.schedule {
        Some(Choice::Table(table)) => table.clone(),
        Some(Choice::Name(name)) if ScheduleConfig::named(name).is_none() => {
            return Err(unknown("--schedule", name, ScheduleConfig::NAMES));
        }
        Some(Choice::Name(name)) => toml::Table::from_iter([("name".to_owned(), name.replace('-', "_").into())]),
        None => toml::Table::from_iter([("name".to_owned(), "cosine".into())]),
    };
    table.extend(options.warmup.map(|epochs| ("warmup_epochs".to_owned(), epochs.into())));
    table.extend(options.step_epochs.map(|epochs| ("every".to_owned(), i64::from(epochs).into())));
    let plateau = table.get("name").and_then(|name| name.as_str()) == Some("plateau");
    let factor = if plateau { "factor" } else { "gamma" };
    table.extend(options.gamma.map(|gamma| (factor.to_owned(), gamma.into())));
    whole("schedule", &table)
}

/// What a table of a recipe holds.
fn whole<T: DeserializeOwned>(key: &str, table: &toml::Table) -> Result<T> {
    let read = table.clone().try_into();
    read.map_err(|error: toml::de::Error| Failure::usage(anyhow!("{key}: {}", plain(error.message()))))
}

fn unknown(flag: &str, name: &str, known: &[&str]) -> anyhow::Error {
    let hint =
        data::near(name, known.iter().copied()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    Failure::usage(anyhow!("{flag}: unknown name `{name}`; {hint}known are {}", known.join(", ")))
}

/// A word that the models crate knows by name.
fn parsed<T: FromStr<Err = models::Error>>(flag: &str, word: Option<String>) -> Result<Option<T>> {
    word.map(|word| word.parse().map_err(|error| Failure::usage(anyhow!("{flag}: {error}")))).transpose()
}

/// What a step computes in.
pub(crate) fn precision(options: &Options) -> Result<Precision> {
    Ok(parsed("--precision", options.precision.clone())?.unwrap_or_default())
}

fn on_nan(name: &str) -> Result<OnNan> {
    OnNan::named(name).ok_or_else(|| unknown("--on-nan", name, OnNan::NAMES))
}

fn task(name: &str) -> Result<TaskKind> {
    match name {
        "classification" => Ok(TaskKind::Classification),
        "multi-label" => Ok(TaskKind::MultiLabel),
        "regression" => Ok(TaskKind::Regression),
        _ => Err(Failure::usage(anyhow!("--task: expected classification, multi-label or regression, found `{name}`"))),
    }
}

/// A value that serde knows by name.
fn named<T: DeserializeOwned>(flag: &str, name: &str) -> Result<T> {
    T::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(name))
        .map_err(|error| Failure::usage(anyhow!("{flag}: {error}")))
}

/// `N` or `HEIGHTxWIDTH`.
pub(crate) fn image_size(text: &str) -> Result<[usize; 2]> {
    let (height, width) = text.split_once(['x', 'X']).unwrap_or((text, text));
    match (height.trim().parse(), width.trim().parse()) {
        (Ok(height), Ok(width)) if (1..=4096).contains(&height) && (1..=4096).contains(&width) => Ok([height, width]),
        _ => Err(Failure::usage(anyhow!("--imgsz: expected N or HEIGHTxWIDTH, each in 1..=4096, found `{text}`"))),
    }
}

/// Minutes; zero is never.
fn minutes(number: f64) -> Result<Option<Duration>> {
    match Duration::try_from_secs_f64(number * 60.0) {
        Ok(time) => Ok(Some(time).filter(|time| !time.is_zero())),
        Err(_) => Err(Failure::usage(anyhow!("--checkpoint-minutes: expected minutes, 0 or more, found {number}"))),
    }
}

/// `90s`, `10m`, `1.5h`; a bare number is seconds.
pub(crate) fn time(text: &str) -> Result<Duration> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let scale = match unit {
        "" | "s" => Some(1.0),
        "m" | "min" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    };
    number
        .trim()
        .parse::<f64>()
        .ok()
        .zip(scale)
        .and_then(|(number, scale)| Duration::try_from_secs_f64(number * scale).ok())
        .ok_or_else(|| Failure::usage(anyhow!("--time: expected such as 90s, 10m or 1.5h, found `{text}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(time("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(time("1.5h").unwrap(), Duration::from_secs(5400));
        assert_eq!(time("10m").unwrap(), Duration::from_secs(600));
        for bad in ["", "m", "10x", "-3s", "1e99h"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(image_size("32").unwrap(), [32, 32]);
        assert_eq!(image_size("24x32").unwrap(), [24, 32]);
        for bad in ["0", "x", "32x", "5000", "a"] {
            assert!(image_size(bad).is_err(), "{bad}");
        }
    }
}
