//! Any number of labels for each sample: binary cross-entropy on logits, as PyTorch's `BCEWithLogitsLoss(pos_weight)` has it.

use burn::tensor::Tensor;
use data::{BatchTargets, Target};
use serde::{Deserialize, Serialize};

use crate::classification::logit;
use crate::task::{check_stored, given_weights, label_smoothing, only_loss};
use crate::{ClassWeights, Error, LossOptions, Prediction, Scored};

/// A label applies from this probability on, where nothing else is said.
pub const THRESHOLD: f32 = 0.5;

/// Multi-label classification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiLabel {
    /// Label names, one for each output.
    pub labels: Vec<String>,
    /// Targets are moved from 0 and 1 towards a half by half of this, 0 to below 1.
    #[serde(default)]
    pub label_smoothing: f32,
    /// What a positive of each label counts in the loss, beside 1 for a negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive_weights: Option<Vec<f32>>,
    /// The probability, above 0 and below 1, from which on each label applies. None in files before there were any: [`THRESHOLD`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Vec<f32>>,
}

impl MultiLabel {
    pub(crate) fn fit(names: &[String], values: &[u8], train: &[u32], options: &LossOptions) -> Result<Self, Error> {
        only_loss(options, "bce", "multi-label classification")?;
        let mut positives = vec![0_u64; names.len()];
        for &index in train {
            let row = &values[index as usize * names.len()..][..names.len()];
            positives.iter_mut().zip(row).for_each(|(count, &value)| *count += u64::from(value > 0));
        }
        let n = train.len() as u64;
        if positives.iter().all(|&count| count == 0 || count == n) {
            return Err(Error::targets(
                format!("every label is the same for all {n} training samples"),
                "give samples that differ in at least one label",
            ));
        }
        let balanced = |&count: &u64| match count {
            0 => 1.0,
            count if count == n => 1.0,
            _ => ((n - count) as f64 / count as f64) as f32,
        };
        let positive_weights = match &options.class_weights {
            ClassWeights::None => None,
            ClassWeights::Auto => Some(positives.iter().map(balanced).collect()),
            ClassWeights::Given(weights) => Some(given_weights(weights, names)?),
        };
        let thresholds = Some(given_thresholds(options.thresholds.as_deref().unwrap_or(&[THRESHOLD]), names)?);
        Ok(Self { labels: names.to_vec(), label_smoothing: label_smoothing(options)?, positive_weights, thresholds })
    }

    pub(crate) fn checked(self) -> Result<Self, Error> {
        check_stored(&self.labels, self.label_smoothing, self.positive_weights.as_deref())?;
        match &self.thresholds {
            Some(given) if given.len() != self.labels.len() || !given.iter().all(is_threshold) => {
                Err(Error::Stored(format!("thresholds: expected {} numbers between 0 and 1", self.labels.len())))
            }
            _ => Ok(self),
        }
    }

    /// The probability from which on the label at `index` applies.
    pub fn threshold(&self, index: usize) -> f32 {
        self.thresholds.as_ref().and_then(|given| given.get(index)).copied().unwrap_or(THRESHOLD)
    }

    /// The same of every label, in their order.
    pub fn thresholds(&self) -> Vec<f32> {
        (0..self.labels.len()).map(|label| self.threshold(label)).collect()
    }

    /// Whether a logit, divided by `temperature`, says that the label at `index` applies.
    pub(crate) fn predicts(&self, index: usize, x: f32, temperature: f64) -> bool {
        sigmoid(x, temperature) as f32 >= self.threshold(index)
    }

    pub(crate) fn loss_name(&self) -> String {
        let mut name = "binary cross-entropy".to_owned();
        if self.label_smoothing > 0.0 {
            name += &format!(", label smoothing {}", self.label_smoothing);
        }
        if self.positive_weights.is_some() {
            name += ", weighted positives";
        }
        name
    }

    /// Binary cross-entropy of `outputs` (logits, `[batch, labels]`): the mean over all samples and labels. Class indices count as
    /// one label each.
    pub(crate) fn loss(&self, outputs: Tensor<2>, target: &Target) -> Tensor<1> {
        let device = outputs.device();
        let mut y = match target {
            Target::Dense(labels) => labels.clone(),
            Target::Classes(classes) => classes.clone().one_hot::<2>(self.labels.len()).float(),
        }; // [batch, labels]
        if self.label_smoothing > 0.0 {
            y = y.mul_scalar(1.0 - self.label_smoothing).add_scalar(self.label_smoothing / 2.0);
        }
        match self.positive_weights.as_deref() {
            None => (softplus(outputs.clone()) - outputs * y).mean(),
            Some(weights) => {
                // w y softplus(-x) + (1 - y) softplus(x), where softplus(-x) = softplus(x) - x.
                let weighted = y.clone() * Tensor::<1>::from_floats(weights, &device).reshape([1, self.labels.len()]);
                let both = weighted.clone() - y + 1.0;
                (softplus(outputs.clone()) * both - outputs * weighted).mean()
            }
        }
    }

    pub(crate) fn decode(&self, outputs: &[f32], temperature: f64) -> Prediction {
        let scored = self
            .labels
            .iter()
            .zip(outputs)
            .enumerate()
            .map(|(index, (name, &x))| Scored {
                index,
                name: name.clone(),
                probability: sigmoid(x, temperature) as f32,
            })
            .collect();
        Prediction::Labels { scored, thresholds: self.thresholds() }
    }

    pub(crate) fn row(
        &self,
        outputs: &[f32],
        temperature: f64,
        targets: Option<&BatchTargets>,
        index: usize,
    ) -> Vec<String> {
        let joined = |applies: &dyn Fn(usize) -> bool| {
            let names =
                self.labels.iter().enumerate().filter(|&(label, _)| applies(label)).map(|(_, name)| name.as_str());
            names.collect::<Vec<_>>().join(";")
        };
        let truth = targets.map(|targets| joined(&|label| label_applies(targets, index, label)));
        let predicted = joined(&|label| outputs.get(label).is_some_and(|&x| self.predicts(label, x, temperature)));
        let mut cells = vec![truth.unwrap_or_default(), predicted];
        cells.extend(outputs.iter().map(|&x| (sigmoid(x, temperature) as f32).to_string()));
        cells
    }
}

/// `log(1 + exp(x))` as a log-sum-exp of 0 and x with a detached shift: its gradient is the sigmoid everywhere, at 0 too, where
/// `max(x, 0) + log(1 + exp(-|x|))` would give 0 for the network whose last layer starts at zero.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    let shift = x.clone().detach().clamp_min(0.0);
    let negative = shift.clone().neg().exp();
    (x - shift.clone()).exp().add(negative).log().add(shift)
}

/// Whether `label` applies to row `index`.
pub(crate) fn label_applies(targets: &BatchTargets, index: usize, label: usize) -> bool {
    match targets {
        BatchTargets::Classes(classes) => classes.get(index).is_some_and(|&class| class as usize == label),
        BatchTargets::Dense { width, values } => values.get(index * width + label).is_some_and(|&value| value >= 0.5),
    }
}

/// Given thresholds, if there is one, or one for each label, and all are probabilities that split.
fn given_thresholds(given: &[f32], names: &[String]) -> Result<Vec<f32>, Error> {
    let wrong = |what: String| Err(Error::option("--threshold", what));
    if let Some(found) = given.iter().find(|number| !is_threshold(number)) {
        return wrong(format!("expected numbers between 0 and 1, found {found}"));
    }
    match given {
        [one] => Ok(vec![*one; names.len()]),
        given if given.len() == names.len() => Ok(given.to_vec()),
        given => wrong(format!(
            "expected one number, or {}, one for each of {}, found {}",
            names.len(),
            names.join(", "),
            given.len()
        )),
    }
}

fn is_threshold(number: &f32) -> bool {
    *number > 0.0 && *number < 1.0
}

/// Probability of a logit that is divided by `temperature`.
pub(crate) fn sigmoid(x: f32, temperature: f64) -> f64 {
    1.0 / (1.0 + (-logit(x) / temperature).exp())
}
