//! What a user may set for a training run, by flag, environment variable or recipe file: every field optional. Layers them in one
//! order (defaults < recipe < environment < flags) and writes the effective ones to `args.toml`. What they mean is in `settle`.

mod batch;
mod recipe;
mod words;

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::failure::Failure;

pub(crate) use batch::Batch;
pub(crate) use words::plain;

/// The options of `trainer train`. A recipe is a TOML file of the same keys, with `_` for `-`; an environment variable has the same
/// name in capitals behind `STRIATE_`.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_line_help = false)]
pub(crate) struct Options {
    /// What to train on: a folder of images, a table, an image list, IDX or CIFAR files, or the name of a fetched set [default: digits]
    #[arg(value_name = "DATA", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Same as the positional DATA, which wins
    #[arg(long = "data", value_name = "DATA", id = "data_flag", env = "STRIATE_DATA", help_heading = "Data")]
    #[serde(skip)]
    pub data_flag: Option<String>,
    /// Target column or columns of a table or image list, by name or position (from 1)
    #[arg(long, env = "STRIATE_LABEL", value_delimiter = ',', value_name = "COLS", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Vec<String>>,
    /// Characters to cut off the end of every label
    #[arg(long, env = "STRIATE_LABEL_STRIP", value_name = "CHARS", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_strip: Option<String>,
    /// Whether a table's first row names its columns [default: by what it looks like]
    #[arg(long, env = "STRIATE_HEADER", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Columns of a table whose numbers are codes of categories
    #[arg(long, env = "STRIATE_CATEGORICAL", value_delimiter = ',', value_name = "COLS", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub categorical: Option<Vec<String>>,
    /// Columns of a table to leave out
    #[arg(long, env = "STRIATE_DROP", value_delimiter = ',', value_name = "COLS", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop: Option<Vec<String>>,
    /// A second table that holds the test rows
    #[arg(long, env = "STRIATE_TEST", value_name = "FILE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// A split.csv of an earlier run to follow
    #[arg(long, env = "STRIATE_SPLIT", value_name = "FILE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<PathBuf>,
    /// An exclude list (CSV with a column `sample`), as `trainer doctor --fix` writes it: samples that neither train nor test
    #[arg(long, env = "STRIATE_EXCLUDE", value_name = "FILE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<PathBuf>,
    /// Share of the training samples that is kept for validation where the data has none for it; 0 for no validation, so that the
    /// last epoch is taken [default: 0.1]
    #[arg(long, env = "STRIATE_VAL", value_name = "SHARE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val: Option<f64>,
    /// Keep a stratified part of N samples
    #[arg(long, env = "STRIATE_LIMIT", value_name = "N", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Read targets as this: classification, regression or multi-label [default: by the data]
    #[arg(long, env = "STRIATE_TASK", value_name = "TASK", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Image size: N or HEIGHTxWIDTH [default: by the data]
    #[arg(long, alias = "img-size", env = "STRIATE_IMGSZ", value_name = "SIZE", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imgsz: Option<String>,
    /// Image channels: 1 (gray) or 3 (RGB) [default: by the data]
    #[arg(long, env = "STRIATE_CHANNELS", value_name = "N", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Images of another aspect ratio: crop, stretch or pad [default: crop]
    #[arg(long, env = "STRIATE_FIT", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<String>,
    /// Resize filter: nearest, triangle, catmullrom or lanczos3 [default: triangle]
    #[arg(long, env = "STRIATE_FILTER", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Memory for decoded images in MiB; a folder that needs more is decoded while training [default: 2048]
    #[arg(long, env = "STRIATE_MEMORY", value_name = "MIB", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// none, light, strong, or a list such as flip,crop:4,rotate:10,mixup:0.2 [default: none]
    #[arg(long, env = "STRIATE_AUGMENT", value_name = "LIST", help_heading = "Data")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<String>,

    /// A preset: mlp, cnn, lenet5, resnet20, resnet18-small, resnet18 or resnet50; a recipe may hold a whole architecture here [default: cnn, mlp for tables]
    #[arg(long, env = "STRIATE_MODEL", value_name = "NAME", value_parser = Choice::name, help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Choice>,
    /// Units of the hidden fully connected layers
    #[arg(long, env = "STRIATE_HIDDEN", value_delimiter = ',', value_name = "N,N", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<usize>>,
    /// Filters of each convolution stage
    #[arg(long, env = "STRIATE_FILTERS", value_delimiter = ',', value_name = "N,N", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<usize>>,
    /// Kernel size of the convolutions
    #[arg(long, env = "STRIATE_KERNEL", value_name = "N", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<usize>,
    /// Probability that dropout zeroes an activation
    #[arg(long, env = "STRIATE_DROPOUT", value_name = "P", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// Normalisation: none, batch, ...
    #[arg(long, env = "STRIATE_NORM", value_name = "NAME", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm: Option<String>,
    /// Activation: relu, gelu, silu, tanh ...
    #[arg(long, env = "STRIATE_ACTIVATION", value_name = "NAME", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation: Option<String>,
    /// Initialiser of the weights: kaiming_uniform, xavier_normal, orthogonal ...
    #[arg(long, env = "STRIATE_INIT", value_name = "NAME", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,

    /// Weights to begin with: one of striate's model files or its run, another .safetensors, or PyTorch's .pt; torchvision's and timm's
    /// resnet18 and resnet50 too. Without --model the network is the file's
    #[arg(long, env = "STRIATE_INIT_FROM", value_name = "FILE", help_heading = "Transfer")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_from: Option<PathBuf>,
    /// Take what fits of the file; without it only the output layer may differ
    #[arg(long, env = "STRIATE_INIT_PARTIAL", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Transfer")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_partial: Option<bool>,
    /// The file's output layer: take it, draw a new one, or auto: take it unless its classes, labels or targets are known to be others
    /// [default: auto]
    #[arg(long, env = "STRIATE_INIT_HEAD", value_name = "NAME", help_heading = "Transfer")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_head: Option<String>,
    /// What the SHA-256 of that file must be; runs record it
    #[arg(long, env = "STRIATE_INIT_SHA256", value_name = "HASH", help_heading = "Transfer")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_sha256: Option<String>,
    /// Leave parameters as they are, by name or pattern: stages.* for all but the head; may be given again. Batch normalisation that is
    /// frozen uses its running statistics, which stay
    #[arg(long, env = "STRIATE_FREEZE", value_name = "PATTERN", value_delimiter = ',', help_heading = "Transfer")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Vec<String>>,
    /// Peak learning rate of the head, on the same schedule [default: that of the rest]
    #[arg(long, env = "STRIATE_HEAD_LR", value_name = "RATE", help_heading = "Transfer")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_lr: Option<f64>,
    /// What images are normalised by: data (their own mean and deviation) or imagenet, which torchvision's and timm's weights expect
    /// [default: data]
    #[arg(long, env = "STRIATE_NORMALISE", value_name = "NAME", help_heading = "Transfer")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalise: Option<String>,

    /// Loss of a regression: mse, mae or huber[:DELTA] [default: mse]
    #[arg(long, env = "STRIATE_LOSS", value_name = "NAME", help_heading = "Loss")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<String>,
    /// Probability spread over the wrong classes [default: 0]
    #[arg(long, alias = "smoothing", env = "STRIATE_LABEL_SMOOTHING", value_name = "P", help_heading = "Loss")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,
    /// none, auto (rare classes weigh more) or a number for each class [default: none]
    #[arg(long, env = "STRIATE_CLASS_WEIGHTS", value_name = "LIST", help_heading = "Loss")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<String>,
    /// Of several labels: the probability from which on one applies, or a list with one for each [default: 0.5]
    #[arg(long, env = "STRIATE_THRESHOLD", value_name = "LIST", help_heading = "Loss")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,

    /// Passes over the training split
    #[arg(long, env = "STRIATE_EPOCHS", value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Samples in a step; auto for as many as half of the free memory holds, auto:2GiB for as many as that does, if of use [default: 64]
    #[arg(long, short, alias = "batch-size", env = "STRIATE_BATCH", value_name = "N", value_parser = Batch::parse, help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// Where memory holds no such step: halve the batch until it does, and double --accumulate each time, so that an update learns from as many
    #[arg(long, env = "STRIATE_HALVE_BATCH", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halve_batch: Option<bool>,
    /// Leave out the last batch of each epoch where it is short, so that all have one shape
    #[arg(long, env = "STRIATE_DROP_LAST", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_last: Option<bool>,
    /// Batches whose gradients are averaged for one update [default: 1]
    #[arg(long, env = "STRIATE_ACCUMULATE", value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<usize>,
    /// sgd, adam, adamw, rmsprop or lion; a recipe may hold all of its constants here [default: adamw]
    #[arg(long, alias = "opt", env = "STRIATE_OPTIMIZER", value_name = "NAME", value_parser = Choice::name, help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<Choice>,
    /// Peak learning rate [default: by the optimizer]
    #[arg(long, alias = "learning-rate", env = "STRIATE_LR", value_name = "RATE", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Momentum of sgd and rmsprop [default: 0.9 for sgd]
    #[arg(long, env = "STRIATE_MOMENTUM", value_name = "M", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Nesterov's momentum for sgd
    #[arg(long, env = "STRIATE_NESTEROV", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// Weight decay; norms and biases are spared [default: by the optimizer]
    #[arg(long, env = "STRIATE_WEIGHT_DECAY", value_name = "W", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// constant, step, linear, cosine, one_cycle, polynomial or plateau; a recipe may hold all of its numbers here [default: cosine]
    #[arg(long, alias = "sched", env = "STRIATE_SCHEDULE", value_name = "NAME", value_parser = Choice::name, help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Choice>,
    /// Epochs (may be a fraction) in which the learning rate rises from zero [default: 0]
    #[arg(long, alias = "warmup-epochs", env = "STRIATE_WARMUP", value_name = "EPOCHS", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<f64>,
    /// Epochs between the drops of the step schedule
    #[arg(long, env = "STRIATE_STEP_EPOCHS", value_name = "EPOCHS", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_epochs: Option<u32>,
    /// Factor of the step and plateau schedules [default: 0.1]
    #[arg(long, env = "STRIATE_GAMMA", value_name = "FACTOR", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// Largest global norm of the gradients
    #[arg(long, env = "STRIATE_CLIP_NORM", value_name = "NORM", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Largest absolute value of a gradient
    #[arg(long, env = "STRIATE_CLIP_VALUE", value_name = "VALUE", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_value: Option<f64>,
    /// On a NaN or infinite loss or gradient: stop, skip the batch, or rollback to the epoch's start at half the rate [default: stop]
    #[arg(long, env = "STRIATE_ON_NAN", value_name = "WHAT", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_nan: Option<String>,
    /// Keep averaged weights with this decay, and validate and save those
    #[arg(long, env = "STRIATE_EMA", value_name = "DECAY", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Decides every random draw [default: 0]
    #[arg(long, env = "STRIATE_SEED", value_name = "N", help_heading = "Training")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,

    /// Stop after this many epochs without a better validation
    #[arg(long, env = "STRIATE_PATIENCE", value_name = "EPOCHS", help_heading = "Stopping")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Stop once the validation loss is at most this
    #[arg(long, env = "STRIATE_TARGET_LOSS", value_name = "LOSS", help_heading = "Stopping")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_loss: Option<f64>,
    /// Stop once a validation metric is reached, such as accuracy=0.99; exit 6 if it never is
    #[arg(long, env = "STRIATE_TARGET", value_name = "METRIC=VALUE", help_heading = "Stopping")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Stop after this time: 90s, 10m, 1.5h
    #[arg(long, env = "STRIATE_TIME", allow_hyphen_values = true, value_name = "TIME", help_heading = "Stopping")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,

    /// Save the state after this many minutes (may be a fraction), also within an epoch; 0 for epoch ends only [default: 5]
    #[arg(long, env = "STRIATE_CHECKPOINT_MINUTES", value_name = "N", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_minutes: Option<f64>,
    /// Save the state after this many optimizer steps too
    #[arg(long, env = "STRIATE_CHECKPOINT_STEPS", value_name = "N", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_steps: Option<u64>,
    /// auto, flex, ndarray, wgpu[:N], vulkan[:N], metal[:N] or cuda[:N], as far as this build has them [default: auto]
    #[arg(long, env = "STRIATE_DEVICE", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What a training step computes in: f32, bf16 or f16. Weights, norms, the loss, validation and files are f32 whatever it is; f16 scales
    /// the loss by itself. Saves memory and time on GPUs that have it, on a CPU neither [default: f32]
    #[arg(long, env = "STRIATE_PRECISION", value_name = "FORMAT", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Where the data set lies while it is learned from: host, device (with its augmentation), or auto: on a GPU where a quarter of the free
    /// memory holds it. Changes no weight [default: auto]
    #[arg(long, env = "STRIATE_DATA_ON", value_name = "WHERE", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_on: Option<String>,
    /// Threads that prepare batches [default: 1]
    #[arg(long, short = 'j', env = "STRIATE_WORKERS", value_name = "N", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// Write curves, pictures and histograms for TensorBoard into the run's folder
    #[arg(long, env = "STRIATE_TENSORBOARD", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensorboard: Option<bool>,
    /// Folder of the runs [default: runs]
    #[arg(long, env = "STRIATE_RUNS", value_name = "DIR", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<PathBuf>,
    /// The ranges of `trainer tune`, which are for nothing else.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tune: Option<toml::Table>,
    /// Name of the run's folder; a number is added if it exists [default: by data and model]
    #[arg(long, env = "STRIATE_NAME", help_heading = "Machine")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What has a name, and in a recipe may be a whole table instead: `[model]`, `[optimizer]`, `[schedule]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Choice {
    /// A preset of that name.
    Name(String),
    /// All of it.
    Table(toml::Table),
}

impl Choice {
    fn name(name: &str) -> Result<Self, std::convert::Infallible> {
        Ok(Self::Name(name.to_owned()))
    }
}

impl Options {
    /// Every key of a recipe.
    pub(crate) fn keys() -> Vec<&'static str> {
        // The one list of the names is the struct itself: clap knows them.
        let command = <Self as clap::Args>::augment_args(clap::Command::new("train"));
        command
            .get_arguments()
            .map(|argument| argument.get_id().as_str().to_owned().leak() as &'static str)
            .filter(|key| *key != "data_flag")
            .collect()
    }

    /// Refuses a `STRIATE_` variable that is no option: a slip of the keyboard would otherwise be passed over in silence.
    pub(crate) fn check_environment(names: impl IntoIterator<Item = String>) -> Result<()> {
        let known: Vec<String> =
            Self::keys().into_iter().chain(["recipe"]).map(|key| format!("STRIATE_{}", key.to_uppercase())).collect();
        let unknown = names.into_iter().find(|name| name.starts_with("STRIATE_") && !known.contains(name));
        let Some(name) = unknown else { return Ok(()) };
        let near = data::near(&name.trim_start_matches("STRIATE_").to_lowercase(), Self::keys())
            .map(|near| format!("; did you mean `STRIATE_{}`?", near.to_uppercase()))
            .unwrap_or_default();
        Err(Failure::usage(anyhow::anyhow!("environment variable `{name}` is no option{near}")))
    }

    /// These options, with `below` where they say nothing. Another `model` takes the place of the whole architecture below.
    pub(crate) fn over(mut self, mut below: Self) -> Result<Self> {
        self.data = self.data.or(self.data_flag.take());
        if self.model.is_some() {
            (below.model, below.hidden, below.filters, below.kernel) = (None, None, None, None);
            (below.dropout, below.norm, below.activation, below.init) = (None, None, None, None);
        }
        // TOML, in which runs keep their options, has no whole numbers beyond i64.
        let table = |options: Self| toml::Table::try_from(&options).map_err(|_| options.too_large());
        let mut both = table(below)?;
        both.extend(table(self)?);
        Ok(both.try_into()?)
    }

    /// The error of the first whole number that TOML doesn't hold.
    fn too_large(&self) -> anyhow::Error {
        let all = serde_json::to_value(self).unwrap_or_default();
        let large = |value: &serde_json::Value| value.as_u64().is_some_and(|number| i64::try_from(number).is_err());
        let found = all.as_object().and_then(|all| all.iter().find(|(_, value)| large(value)));
        let (key, value) = found.map_or(("an option".into(), String::new()), |(key, value)| {
            (format!("--{}", key.replace('_', "-")), format!(", found {value}"))
        });
        Failure::usage(anyhow::anyhow!("{key}: expected at most {}{value}", i64::MAX))
    }

    /// Whether nothing says what to train on: then the first run's recipe does.
    pub(crate) fn names_no_data(&self) -> bool {
        self.data.is_none() && self.data_flag.is_none()
    }

    /// As a recipe's text.
    pub(crate) fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(&toml::Table::try_from(self)?)?)
    }
}

#[cfg(test)]
mod tests;
