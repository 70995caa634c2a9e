//! One class for each sample: softmax cross-entropy, with label smoothing and class weights as PyTorch's `CrossEntropyLoss` has them.

use burn::tensor::{Tensor, activation::log_softmax};
use data::{BatchTargets, Target};
use serde::{Deserialize, Serialize};

use crate::task::{check_stored, given_weights, label_smoothing, only_loss};
use crate::{ClassWeights, Error, LossOptions, Prediction, Reading, Scored};

/// Single-label classification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// Class names, one for each output.
    pub classes: Vec<String>,
    /// How much of each target is spread evenly over the classes, 0 to below 1.
    #[serde(default)]
    pub label_smoothing: f32,
    /// What a sample of each class counts in the loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f32>>,
}

impl Classification {
    pub(crate) fn fit(names: &[String], values: &[u32], train: &[u32], options: &LossOptions) -> Result<Self, Error> {
        only_loss(options, "cross-entropy", "classification")?;
        let mut counts = vec![0_u64; names.len()];
        for &index in train {
            let class = values[index as usize] as usize;
            *counts.get_mut(class).ok_or_else(|| {
                Error::targets(
                    format!("sample {index} is of class {class}, but there are {} class names", names.len()),
                    "name every class",
                )
            })? += 1;
        }
        let present = counts.iter().filter(|&&count| count > 0).count();
        if present < 2 {
            let only = counts.iter().position(|&count| count > 0).map_or("", |class| &names[class]);
            return Err(Error::targets(
                format!("all {} training samples are of class `{only}`", train.len()),
                "give samples of at least two classes",
            ));
        }
        let balanced = |&count: &u64| match count {
            0 => 1.0,
            _ => (train.len() as f64 / (present as f64 * count as f64)) as f32,
        };
        let class_weights = match &options.class_weights {
            ClassWeights::None => None,
            ClassWeights::Auto => Some(counts.iter().map(balanced).collect()),
            ClassWeights::Given(weights) => Some(given_weights(weights, names)?),
        };
        Ok(Self { classes: names.to_vec(), label_smoothing: label_smoothing(options)?, class_weights })
    }

    pub(crate) fn checked(self) -> Result<Self, Error> {
        check_stored(&self.classes, self.label_smoothing, self.class_weights.as_deref())?;
        Ok(self)
    }

    pub(crate) fn loss_name(&self) -> String {
        let mut name = "cross-entropy".to_owned();
        if self.label_smoothing > 0.0 {
            name += &format!(", label smoothing {}", self.label_smoothing);
        }
        if self.class_weights.is_some() {
            name += ", weighted classes";
        }
        name
    }

    /// Cross-entropy of `outputs` (logits, `[batch, classes]`) as PyTorch's `CrossEntropyLoss(weight, label_smoothing)` defines it:
    /// for class indices the mean is weighted by each sample's class, for probabilities it is over the samples.
    pub(crate) fn loss(&self, outputs: Tensor<2>, target: &Target) -> Tensor<1> {
        let device = outputs.device();
        let weights = self.class_weights.as_deref().map(|weights| Tensor::<1>::from_floats(weights, &device));
        match target {
            Target::Classes(classes) => kernels::cross_entropy(outputs, classes.clone(), weights, self.label_smoothing),
            Target::Dense(probabilities) => self.soft_loss(log_softmax(outputs, 1), probabilities.clone(), weights),
        }
    }

    fn soft_loss(&self, log_p: Tensor<2>, probabilities: Tensor<2>, weights: Option<Tensor<1>>) -> Tensor<1> {
        let [batch, k] = log_p.dims();
        let mut q = probabilities; // [batch, classes]
        if self.label_smoothing > 0.0 {
            q = q.mul_scalar(1.0 - self.label_smoothing).add_scalar(self.label_smoothing / k as f32);
        }
        if let Some(weights) = weights {
            q = q * weights.reshape([1, k]);
        }
        (log_p * q).sum().mul_scalar(-1.0 / batch as f32)
    }

    pub(crate) fn decode(&self, outputs: &[f32], reading: &Reading) -> Prediction {
        let softmax = Softmax::at(outputs, reading.temperature);
        let mut ranked: Vec<Scored> = self
            .classes
            .iter()
            .zip(outputs)
            .enumerate()
            .map(|(index, (name, &x))| Scored { index, name: name.clone(), probability: softmax.probability(x) as f32 })
            .collect();
        // By logit, not by probability: far from the top several round to the same one.
        ranked.sort_by(|a, b| logit(outputs[b.index]).total_cmp(&logit(outputs[a.index])));
        let set = reading
            .limits
            .as_ref()
            .map(|limits| limits.set_len(ranked.iter().map(|class| -softmax.log_probability(outputs[class.index]))));
        Prediction::Class { ranked, set }
    }

    pub(crate) fn row(
        &self,
        outputs: &[f32],
        temperature: f64,
        targets: Option<&BatchTargets>,
        index: usize,
    ) -> Vec<String> {
        let softmax = Softmax::at(outputs, temperature);
        let name = |class: usize| self.classes.get(class).cloned().unwrap_or_default();
        let truth = targets.and_then(|targets| dominant_class(targets, index));
        let mut cells = vec![truth.map(name).unwrap_or_default(), name(softmax.best)];
        cells.extend(outputs.iter().map(|&x| (softmax.probability(x) as f32).to_string()));
        cells
    }
}

/// How many rows have their highest output at the target, or where the target is highest.
pub(crate) fn hits(outputs: Tensor<2>, target: &Target) -> Tensor<1> {
    let outputs = outputs.inner();
    let [batch, _] = outputs.dims();
    let found = outputs.argmax(1); // [batch, 1]
    let meant = match target {
        Target::Classes(classes) => classes.clone().inner().reshape([batch, 1]),
        Target::Dense(shares) => shares.clone().inner().argmax(1),
    };
    found.equal(meant).float().sum()
}

/// The class of row `index`; of mixed targets the one with the largest share (the first of equals).
pub(crate) fn dominant_class(targets: &BatchTargets, index: usize) -> Option<usize> {
    match targets {
        BatchTargets::Classes(classes) => classes.get(index).map(|&class| class as usize),
        BatchTargets::Dense { width, values } => {
            values.get(index * width..(index + 1) * width).map(|shares| Softmax::of(shares).best)
        }
    }
}

/// A logit as f64: infinite ones become the largest f32 (so that differences stay finite), NaN the lowest.
pub(crate) fn logit(x: f32) -> f64 {
    if x.is_nan() { f64::from(f32::MIN) } else { f64::from(x.clamp(f32::MIN, f32::MAX)) }
}

/// The softmax of one row of logits, in f64, held so that the loss of a confident row keeps its digits.
pub(crate) struct Softmax {
    /// Index of the largest logit, the first of equals.
    pub(crate) best: usize,
    /// Divides the logits. In f64, where those that differ go on differing.
    temperature: f64,
    /// The largest logit, divided.
    max: f64,
    /// Sum of `exp(x - max)` over all but `best`.
    rest: f64,
}

impl Softmax {
    pub(crate) fn of(outputs: &[f32]) -> Self {
        Self::at(outputs, 1.0)
    }

    /// Of the logits divided by `temperature`.
    pub(crate) fn at(outputs: &[f32], temperature: f64) -> Self {
        let (mut best, mut max) = (0, f64::NEG_INFINITY);
        for (index, &x) in outputs.iter().enumerate() {
            if logit(x) / temperature > max {
                (best, max) = (index, logit(x) / temperature);
            }
        }
        let others = outputs.iter().enumerate().filter(|&(index, _)| index != best);
        let rest = others.map(|(_, &x)| (logit(x) / temperature - max).exp()).sum();
        Self { best, temperature, max, rest }
    }

    /// Log of the probability of an output of this row.
    pub(crate) fn log_probability(&self, x: f32) -> f64 {
        logit(x) / self.temperature - self.max - self.rest.ln_1p()
    }

    /// Probability of an output of this row.
    pub(crate) fn probability(&self, x: f32) -> f64 {
        (logit(x) / self.temperature - self.max).exp() / (1.0 + self.rest)
    }

    /// Log of `p / (1 - p)` of output `index` of this row: orders as the probability does, without saturating near 1.
    pub(crate) fn log_odds(&self, index: usize, x: f32) -> f64 {
        if index == self.best {
            return -self.rest.ln();
        }
        self.log_probability(x) - (-self.probability(x)).ln_1p()
    }
}
