//! Numbers for each sample. The network predicts standardised values (mean 0, deviation 1 over the training split), on which the
//! loss is computed; predictions and metrics are in the user's units.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Tensor;
use data::{BatchTargets, Target};
use serde::{Deserialize, Serialize};

use crate::{ClassWeights, Error, LossOptions, Prediction, Reading};

/// Regression with one or more targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// Names of the targets, one for each output.
    pub targets: Vec<String>,
    /// Mean of each target over the training split, in the user's units.
    pub mean: Vec<f32>,
    /// Standard deviation (of the population) of each target over the training split; above zero.
    pub std: Vec<f32>,
    /// What is minimised.
    pub loss: RegressionLoss,
}

/// The loss of a regression, on standardised targets; the mean over samples and targets. With d = prediction - target:
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RegressionLoss {
    /// `d^2`.
    #[default]
    Mse,
    /// `|d|`.
    Mae,
    /// `d^2 / 2` up to `|d|` of this delta, `delta * (|d| - delta / 2)` beyond (PyTorch's `HuberLoss`). In standard deviations.
    Huber(f32),
}

impl Regression {
    pub(crate) fn fit(names: &[String], values: &[f32], train: &[u32], options: &LossOptions) -> Result<Self, Error> {
        if options.label_smoothing != 0.0 {
            return Err(Error::option("--label-smoothing", "a regression has no classes to smooth; leave it out"));
        }
        if options.class_weights != ClassWeights::None {
            return Err(Error::option("--class-weights", "a regression has no classes to weigh; leave it out"));
        }
        let loss = options.loss.as_deref().map_or(Ok(RegressionLoss::default()), str::parse)?;
        let (mut mean, mut std) = (Vec::new(), Vec::new());
        for (column, name) in names.iter().enumerate() {
            let (m, s) = moments(name, train.iter().map(|&index| values[index as usize * names.len() + column]))?;
            mean.push(m);
            std.push(s);
        }
        Ok(Self { targets: names.to_vec(), mean, std, loss })
    }

    pub(crate) fn checked(self) -> Result<Self, Error> {
        let k = self.targets.len();
        crate::task::check_stored(&self.targets, 0.0, None)?;
        let scales = self.std.iter().all(|std| std.is_finite() && *std > 0.0);
        if k == 0 || self.mean.len() != k || self.std.len() != k || !scales || !self.mean.iter().all(|m| m.is_finite())
        {
            return Err(Error::Stored("expected for each target a name, a finite mean and a std above zero".into()));
        }
        Ok(self)
    }

    /// The loss of `outputs` (standardised, `[batch, targets]`) against a target in the user's units.
    pub(crate) fn loss(&self, outputs: Tensor<2>, target: &Target) -> Tensor<1> {
        let (device, k) = (outputs.device(), self.targets.len());
        let target = match target {
            Target::Dense(values) => values.clone(),
            Target::Classes(classes) => classes.clone().float().reshape([-1, 1]),
        };
        let mean = Tensor::<1>::from_floats(self.mean.as_slice(), &device).reshape([1, k]);
        let std = Tensor::<1>::from_floats(self.std.as_slice(), &device).reshape([1, k]);
        let d = outputs - (target - mean) / std; // [batch, targets]
        // Each loss is g(d) * d for a factor whose derivative autodiff needn't see: half the passes, and the right gradient at 0.
        match self.loss {
            RegressionLoss::Mse => (d.clone() * d).mean(),
            RegressionLoss::Mae => (d.clone().detach().sign() * d).mean(),
            RegressionLoss::Huber(delta) => {
                let slope = d.clone().detach().clamp(-delta, delta);
                (slope.clone() * (d - slope.mul_scalar(0.5))).mean()
            }
        }
    }

    /// Output `column` in the user's units.
    pub(crate) fn value(&self, column: usize, output: f32) -> f64 {
        f64::from(output.clamp(f32::MIN, f32::MAX)) * f64::from(self.std[column]) + f64::from(self.mean[column])
    }

    pub(crate) fn decode(&self, outputs: &[f32], reading: &Reading) -> Prediction {
        let named = self.targets.iter().zip(outputs).enumerate();
        let values = named.map(|(column, (name, &x))| (name.clone(), self.value(column, x))).collect();
        let margins =
            reading.limits.as_ref().map(|limits| (0..self.targets.len()).map(|at| limits.score(at)).collect());
        Prediction::Values { values, margins }
    }

    pub(crate) fn header(&self) -> Vec<String> {
        match self.targets.as_slice() {
            [_] => vec!["true".into(), "predicted".into()],
            names => names.iter().flat_map(|name| [format!("true_{name}"), format!("predicted_{name}")]).collect(),
        }
    }

    pub(crate) fn row(&self, outputs: &[f32], targets: Option<&BatchTargets>, index: usize) -> Vec<String> {
        let truth = |column| targets.and_then(|targets| truth(targets, index, column));
        let pair = |(column, &x): (usize, &f32)| {
            let predicted = (self.value(column, x) as f32).to_string();
            [truth(column).map(|value| value.to_string()).unwrap_or_default(), predicted]
        };
        outputs.iter().enumerate().take(self.targets.len()).flat_map(pair).collect()
    }
}

/// The target `column` of row `index`.
pub(crate) fn truth(targets: &BatchTargets, index: usize, column: usize) -> Option<f32> {
    match targets {
        BatchTargets::Dense { width, values } => values.get(index * width + column).copied(),
        BatchTargets::Classes(classes) => classes.get(index).map(|&class| class as f32),
    }
}

impl RegressionLoss {
    /// The loss of one standardised difference.
    pub(crate) fn of(self, d: f64) -> f64 {
        match self {
            Self::Mse => d * d,
            Self::Mae => d.abs(),
            Self::Huber(delta) => {
                let slope = d.clamp(-f64::from(delta), f64::from(delta));
                slope * (d - 0.5 * slope)
            }
        }
    }
}

/// Mean and standard deviation of a target, by two passes in f64.
fn moments(name: &str, values: impl ExactSizeIterator<Item = f32> + Clone) -> Result<(f32, f32), Error> {
    let n = values.len() as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / n;
    let first = values.clone().next().unwrap_or_default();
    if !mean.is_finite() {
        return Err(Error::targets(format!("target `{name}` is not a finite number everywhere"), "mend those rows"));
    }
    if values.clone().all(|value| value == first) {
        return Err(Error::targets(
            format!("target `{name}` is {first} in all {n} training samples: there is nothing to learn"),
            "choose another target with --label",
        ));
    }
    let variance = values.map(|value| (f64::from(value) - mean).powi(2)).sum::<f64>() / n;
    Ok((mean as f32, (variance.sqrt() as f32).clamp(f32::MIN_POSITIVE, f32::MAX)))
}

impl FromStr for RegressionLoss {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::option("--loss", format!("expected mse, mae, huber or huber:DELTA, found `{text}`"));
        match text.split_once(':') {
            None if text == "mse" => Ok(Self::Mse),
            None if text == "mae" => Ok(Self::Mae),
            None if text == "huber" => Ok(Self::Huber(1.0)),
            Some(("huber", delta)) => match delta.parse() {
                Ok(delta) if f32::is_finite(delta) && delta > 0.0 => Ok(Self::Huber(delta)),
                _ => Err(Error::option(
                    "--loss",
                    format!("huber's delta: expected a number above zero, found `{delta}`"),
                )),
            },
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for RegressionLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mse => f.write_str("mse"),
            Self::Mae => f.write_str("mae"),
            Self::Huber(delta) => write!(f, "huber:{delta}"),
        }
    }
}

impl TryFrom<String> for RegressionLoss {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<RegressionLoss> for String {
    fn from(loss: RegressionLoss) -> Self {
        loss.to_string()
    }
}
