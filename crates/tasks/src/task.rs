//! The task: which of the kinds it is, and what all kinds can do. What each does is in the file that bears its name.

use burn::tensor::Tensor;
use data::{BatchTargets, Outputs, Target, Targets};
use serde::{Deserialize, Serialize};

use crate::classification::{Softmax, dominant_class, logit};
use crate::metrics::bce;
use crate::multi_label::label_applies;
use crate::{Classification, Error, Goal, Metrics, MultiLabel, Prediction, Reading, Regression};

/// What a network is asked for. Stored in the model file as JSON, with the kind under `task`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", try_from = "Unchecked")]
pub enum Task {
    /// One class for each sample.
    Classification(Classification),
    /// Any number of labels for each sample.
    MultiLabel(MultiLabel),
    /// One number or several for each sample.
    Regression(Regression),
}

/// A task as it stands in a file, before its parts are known to fit together.
#[derive(Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", expecting = "an object with the key `task`")]
enum Unchecked {
    Classification(Classification),
    MultiLabel(MultiLabel),
    Regression(Regression),
}

impl TryFrom<Unchecked> for Task {
    type Error = Error;

    fn try_from(task: Unchecked) -> Result<Self, Error> {
        match task {
            Unchecked::Classification(task) => task.checked().map(Self::Classification),
            Unchecked::MultiLabel(task) => task.checked().map(Self::MultiLabel),
            Unchecked::Regression(task) => task.checked().map(Self::Regression),
        }
    }
}

/// What a user may say about the loss, and about what is decided. `Default` is the plain loss of each task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossOptions {
    /// How much of each target is spread evenly over the classes, 0 (default) to below 1. Not for regression.
    pub label_smoothing: f32,
    /// What a sample's class counts in the loss; for multi-label, what a positive counts beside a negative. Not for regression.
    pub class_weights: ClassWeights,
    /// `cross-entropy`, `bce`, `mse`, `mae`, `huber` or `huber:DELTA`; `None`: cross-entropy, binary cross-entropy or `mse`.
    pub loss: Option<String>,
    /// For multi-label: the probability, above 0 and below 1, from which on a label applies, one for all or one for each; `None`:
    /// [`THRESHOLD`](crate::THRESHOLD). The loss doesn't depend on it; what is made of outputs does.
    pub thresholds: Option<Vec<f32>>,
}

/// What the classes count in the loss.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ClassWeights {
    /// All the same.
    #[default]
    None,
    /// By inverse frequency in the training split: `n / (classes * count)`, as scikit-learn's `balanced`; for multi-label
    /// `negatives / positives` of each label. A class or label without training samples gets 1.
    Auto,
    /// These, in the order of the classes or labels; positive.
    Given(Vec<f32>),
}

impl Task {
    /// The task that `targets` ask for, fitted on the samples `train` (indices into `targets`): class weights, mean and scale of
    /// numbers.
    ///
    /// # Errors
    /// Where nothing can be learned (no training samples, one class only, a constant target), and where an option doesn't suit.
    pub fn for_targets(targets: &Targets, train: &[u32], options: &LossOptions) -> Result<Self, Error> {
        if train.is_empty() || targets.names().is_empty() {
            return Err(Error::targets(
                "there are no training samples with targets",
                "give more data or another split",
            ));
        }
        if let Some(index) = train.iter().find(|&&index| index as usize >= targets.len()) {
            return Err(Error::targets(
                format!("training sample {index} has no target: there are {}", targets.len()),
                "give a split of this data set",
            ));
        }
        if options.thresholds.is_some() && !matches!(targets, Targets::Labels { .. }) {
            return Err(Error::option(
                "--threshold",
                "it is for samples of several labels, which these are not; leave it out",
            ));
        }
        match targets {
            Targets::Classes { names, values } => {
                Classification::fit(names, values, train, options).map(Self::Classification)
            }
            Targets::Labels { names, values } => MultiLabel::fit(names, values, train, options).map(Self::MultiLabel),
            Targets::Values { names, values } => Regression::fit(names, values, train, options).map(Self::Regression),
        }
    }

    /// The task in the section of a model file, for a network of `outputs` outputs.
    ///
    /// # Errors
    /// One line that says what is wrong: no task that this build knows, or one of other outputs.
    pub fn stored(section: serde_json::Value, outputs: usize) -> Result<Self, String> {
        let task: Self = serde_json::from_value(section).map_err(|error| error.to_string())?;
        match task.outputs() {
            named if named == outputs => Ok(task),
            named => Err(format!("names {named} outputs, the network has {outputs}")),
        }
    }

    /// How many numbers the network puts out for each sample.
    pub fn outputs(&self) -> usize {
        self.names().len()
    }

    /// Names of the classes, labels or target columns, one for each output.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Classification(task) => &task.classes,
            Self::MultiLabel(task) => &task.labels,
            Self::Regression(task) => &task.targets,
        }
    }

    /// The task in a word, as in the model file: `classification`, `multi-label`, `regression`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Classification(_) => "classification",
            Self::MultiLabel(_) => "multi-label",
            Self::Regression(_) => "regression",
        }
    }

    /// The kind and names of the outputs, for reading other data as this task's ([`data::Like`]).
    pub fn outputs_kind(&self) -> Outputs {
        let names = self.names().to_vec();
        match self {
            Self::Classification(_) => Outputs::Classes(names),
            Self::MultiLabel(_) => Outputs::Labels(names),
            Self::Regression(_) => Outputs::Values(names),
        }
    }

    /// The loss that training minimises, `[1]`: the mean over the batch.
    ///
    /// `outputs` is `[batch, outputs]`; `target` is in the user's units, on the device of `outputs` (with or without autodiff).
    pub fn loss(&self, outputs: Tensor<2>, target: &Target) -> Tensor<1> {
        match self {
            Self::Classification(task) => task.loss(outputs, target),
            Self::MultiLabel(task) => task.loss(outputs, target),
            Self::Regression(task) => task.loss(outputs, target),
        }
    }

    /// What a batch with these targets counts beside others, where the gradients of several are averaged: what [`Task::loss`] divides its sum
    /// by. The samples; where classes are weighed, the sum of the weights of their classes.
    pub fn batch_weight(&self, targets: &BatchTargets) -> f64 {
        match (self, targets) {
            (
                Self::Classification(Classification { class_weights: Some(weights), .. }),
                BatchTargets::Classes(classes),
            ) => {
                let weight = |class: &u32| weights.get(*class as usize).copied().map_or(0.0, f64::from);
                classes.iter().map(weight).sum()
            }
            (_, BatchTargets::Classes(classes)) => classes.len() as f64,
            (_, BatchTargets::Dense { width, values }) => (values.len() / (*width).max(1)) as f64,
        }
    }

    /// How many rows of `outputs`, `[batch, outputs]`, have their highest value at the class that is meant (of mixed targets the one
    /// with the largest share), as a number `[1]` on their device, without autodiff: for watching a training without reading the
    /// outputs. `None` where the task has no accuracy.
    pub fn hits(&self, outputs: Tensor<2>, target: &Target) -> Option<Tensor<1>> {
        match self {
            Self::Classification(_) => Some(crate::classification::hits(outputs, target)),
            Self::MultiLabel(_) | Self::Regression(_) => None,
        }
    }

    /// The training loss in words, such as `cross-entropy, label smoothing 0.1`.
    pub fn loss_name(&self) -> String {
        match self {
            Self::Classification(task) => task.loss_name(),
            Self::MultiLabel(task) => task.loss_name(),
            Self::Regression(task) => task.loss.to_string(),
        }
    }

    /// Empty sums, which keep every score so that rankings (AUROC, average precision) can be read: for evaluating.
    pub fn metrics(&self) -> Metrics {
        self.metrics_at(1.0)
    }

    /// The same where labels are decided by probabilities at `temperature`, as [`Task::decode_as`] does; all other numbers are those of the
    /// outputs as they are.
    pub fn metrics_at(&self, temperature: f64) -> Metrics {
        Metrics::new(self, temperature, true)
    }

    /// Empty sums that keep no scores, in constant memory: for watching a training epoch. Rankings are absent.
    pub fn training_metrics(&self) -> Metrics {
        Metrics::new(self, 1.0, false)
    }

    /// Names of the scalar metrics, in the order of [`Metrics::values`], whether or not they are defined for some data.
    pub fn metric_names(&self) -> Vec<&'static str> {
        self.metrics().names()
    }

    /// By which metric the best epoch is chosen, and whether higher is better.
    pub fn monitor(&self) -> (&'static str, bool) {
        match self {
            Self::Classification(_) => ("accuracy", true),
            Self::MultiLabel(_) => ("map", true),
            Self::Regression(_) => ("loss", false),
        }
    }

    /// Reads `NAME=VALUE` (`--target accuracy=0.99`) as a goal that this task can reach.
    ///
    /// # Errors
    /// If it isn't of that form or names no metric of this task; the message has the nearest name.
    pub fn goal(&self, text: &str) -> Result<Goal, Error> {
        Goal::parse(text, &self.metric_names())
    }

    /// What the network's outputs for one sample mean, `[outputs]`. Infinite outputs are taken as the largest number, NaN as the
    /// lowest (a NaN of a regression stays one).
    pub fn decode(&self, outputs: &[f32]) -> Prediction {
        self.decode_as(outputs, &Reading::default())
    }

    /// The same with the temperature of a [`Calibration`](crate::Calibration), and with sets or intervals where `reading` has limits.
    /// Labels have neither.
    pub fn decode_as(&self, outputs: &[f32], reading: &Reading) -> Prediction {
        match self {
            Self::Classification(task) => task.decode(outputs, reading),
            Self::MultiLabel(task) => task.decode(outputs, reading.temperature),
            Self::Regression(task) => task.decode(outputs, reading),
        }
    }

    /// The same as plain numbers, in the order of the names: the probability of each class or label at `temperature` (1: as the network
    /// was trained), or the values in the user's units.
    pub fn numbers(&self, outputs: &[f32], temperature: f64) -> Vec<f64> {
        match self {
            Self::Classification(_) => {
                let softmax = Softmax::at(outputs, temperature);
                outputs.iter().map(|&x| softmax.probability(x)).collect()
            }
            Self::MultiLabel(_) => outputs.iter().map(|&x| crate::multi_label::sigmoid(x, temperature)).collect(),
            Self::Regression(task) => outputs.iter().enumerate().map(|(column, &x)| task.value(column, x)).collect(),
        }
    }

    /// Output `index` of the network, as far as it can be read alone: a number in the user's units; what softmax or the sigmoid takes as it is.
    pub fn in_units(&self, index: usize, output: f32) -> f64 {
        match self {
            Self::Regression(task) => task.value(index, output),
            Self::Classification(_) | Self::MultiLabel(_) => f64::from(output),
        }
    }

    /// How far `outputs` of one sample (`[outputs]`) are from its targets, row `index` of `targets`: for classes one number, -ln of the true
    /// one's probability; for labels -ln of the probability of what each is; for numbers |prediction - truth|, in the user's units. NaN
    /// where there is no target.
    pub fn scores(&self, outputs: &[f32], targets: &BatchTargets, index: usize, temperature: f64) -> Vec<f64> {
        let each = outputs.iter().enumerate();
        match self {
            Self::Classification(_) => {
                let truth = dominant_class(targets, index).and_then(|class| outputs.get(class));
                vec![truth.map_or(f64::NAN, |&x| -Softmax::at(outputs, temperature).log_probability(x))]
            }
            Self::MultiLabel(_) => each
                .map(|(label, &x)| {
                    bce(logit(x) / temperature, f64::from(u8::from(label_applies(targets, index, label))))
                })
                .collect(),
            Self::Regression(task) => each
                .map(|(column, &x)| {
                    let truth = crate::regression::truth(targets, index, column);
                    truth.map_or(f64::NAN, |truth| (task.value(column, x) - f64::from(truth)).abs())
                })
                .collect(),
        }
    }

    /// -ln of the probability of each class, in their order: exact where a probability is next to 0 or 1. Empty for other tasks.
    pub fn surprises(&self, outputs: &[f32], temperature: f64) -> Vec<f64> {
        let Self::Classification(_) = self else { return Vec::new() };
        let softmax = Softmax::at(outputs, temperature);
        outputs.iter().map(|&x| -softmax.log_probability(x)).collect()
    }

    /// Column names of a table of predictions (`trainer eval --save-predictions`): `source`, the truth, the prediction, and for
    /// classes and labels a probability for each.
    pub fn header(&self) -> Vec<String> {
        let answer = match self {
            Self::Regression(task) => task.header(),
            _ => ["true", "predicted"].map(String::from).to_vec(),
        };
        let probabilities: &[String] = if let Self::Regression(_) = self { &[] } else { self.names() };
        let probabilities = probabilities.iter().map(|name| format!("p_{name}"));
        std::iter::once("source".to_owned()).chain(answer).chain(probabilities).collect()
    }

    /// One row of a table of predictions, in the order of [`Task::header`]: `outputs` of the sample called `source`, `[outputs]`,
    /// read at `temperature`, and its targets, which are row `index` of `targets`; without targets the truth stays empty.
    pub fn row(
        &self,
        source: &str,
        outputs: &[f32],
        temperature: f64,
        targets: Option<&BatchTargets>,
        index: usize,
    ) -> Vec<String> {
        let cells = match self {
            Self::Classification(task) => task.row(outputs, temperature, targets, index),
            Self::MultiLabel(task) => task.row(outputs, temperature, targets, index),
            Self::Regression(task) => task.row(outputs, targets, index),
        };
        std::iter::once(source.to_owned()).chain(cells).collect()
    }
}

/// Label smoothing as given, if it is one.
pub(crate) fn label_smoothing(options: &LossOptions) -> Result<f32, Error> {
    let smoothing = options.label_smoothing;
    if (0.0..1.0).contains(&smoothing) {
        return Ok(smoothing);
    }
    Err(Error::option("--label-smoothing", format!("expected a number from 0 to below 1, found {smoothing}")))
}

/// Refuses a loss that belongs to another task.
pub(crate) fn only_loss(options: &LossOptions, name: &str, task: &str) -> Result<(), Error> {
    match options.loss.as_deref() {
        Some(given) if given != name => {
            Err(Error::option("--loss", format!("{task} is trained with `{name}`, found `{given}`")))
        }
        _ => Ok(()),
    }
}

/// Given weights, if there is one for each name and all are positive.
pub(crate) fn given_weights(weights: &[f32], names: &[String]) -> Result<Vec<f32>, Error> {
    if weights.len() != names.len() {
        return Err(Error::option(
            "--class-weights",
            format!("expected {} numbers, one for each of {}, found {}", names.len(), names.join(", "), weights.len()),
        ));
    }
    match weights.iter().find(|&&weight| !(weight.is_finite() && weight > 0.0)) {
        Some(weight) => Err(Error::option("--class-weights", format!("expected numbers above zero, found {weight}"))),
        None => Ok(weights.to_vec()),
    }
}

/// Refuses a stored task whose parts don't fit together.
pub(crate) fn check_stored(names: &[String], smoothing: f32, weights: Option<&[f32]>) -> Result<(), Error> {
    if names.is_empty() {
        return Err(Error::Stored("no outputs are named".into()));
    }
    let mut seen = std::collections::HashSet::new();
    if let Some(name) = names.iter().find(|name| !seen.insert(*name)) {
        return Err(Error::Stored(format!("expected every name once, found `{name}` twice")));
    }
    if !(0.0..1.0).contains(&smoothing) {
        return Err(Error::Stored(format!("label_smoothing: expected 0 to below 1, found {smoothing}")));
    }
    match weights {
        Some(weights) if weights.len() != names.len() || weights.iter().any(|w| !(w.is_finite() && *w > 0.0)) => {
            Err(Error::Stored(format!("weights: expected {} numbers above zero", names.len())))
        }
        _ => Ok(()),
    }
}
