//! The multilayer perceptron: hidden layers of linear, normalisation, activation and dropout, then a linear output. Also the head of
//! a CNN.

use burn::{module::Module, tensor::Tensor};
use serde::{Deserialize, Serialize};

use crate::{
    Activation, Error, Init, Normalisation, Pass,
    builder::Builder,
    features::{Recorder, words},
    layers::{Dropout, Linear, Norm, finish},
    summary::{Summary, product},
};

/// Widths, counts and sizes beyond this are mistakes, and would overflow what follows.
const MOST: usize = 1 << 20;

/// A multilayer perceptron.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MlpConfig {
    /// Units of each hidden layer; none makes it linear.
    pub hidden: Vec<usize>,
    /// After each hidden layer.
    pub activation: Activation,
    /// Between a hidden layer and its activation.
    pub norm: Normalisation,
    /// Probability with which a hidden unit is dropped in training, in `[0, 1)`.
    pub dropout: f64,
    /// How weights begin.
    pub init: Init,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            hidden: vec![512, 256],
            activation: Activation::Relu,
            norm: Normalisation::None,
            dropout: 0.0,
            init: Init::Torch,
        }
    }
}

impl MlpConfig {
    /// A perceptron of these hidden layers.
    pub fn with_hidden(hidden: impl Into<Vec<usize>>) -> Self {
        Self { hidden: hidden.into(), ..Self::default() }
    }

    pub(crate) fn plan(&self, inputs: usize, outputs: usize, summary: &mut Summary) -> Result<MlpPlan, Error> {
        let plan = MlpPlan {
            inputs,
            hidden: self.hidden.clone(),
            outputs,
            activation: self.activation,
            norm: self.norm,
            dropout: self.dropout,
            drop_inputs: false,
        };
        plan.summarise("", summary)?;
        Ok(plan)
    }
}

/// A perceptron for known inputs and outputs.
#[derive(Debug)]
pub(crate) struct MlpPlan {
    pub(crate) inputs: usize,
    pub(crate) hidden: Vec<usize>,
    pub(crate) outputs: usize,
    pub(crate) activation: Activation,
    pub(crate) norm: Normalisation,
    pub(crate) dropout: f64,
    /// Whether a perceptron without hidden layers drops its inputs instead, as a CNN's head does.
    pub(crate) drop_inputs: bool,
}

impl MlpPlan {
    /// Checks the numbers and lists the layers, their names behind `prefix`.
    pub(crate) fn summarise(&self, prefix: &str, summary: &mut Summary) -> Result<(), Error> {
        check_dropout("dropout", self.dropout)?;
        let mut inputs = self.inputs;
        for (i, &width) in self.hidden.iter().enumerate() {
            within(&format!("hidden layer {}", i + 1), "units", width, 1..=MOST)?;
            self.list_linear(format!("{prefix}hidden.{i}.linear"), inputs, width, self.bias(), summary)?;
            if self.norm != Normalisation::None {
                let learnt = 2 * width as u64;
                summary.push(format!("{prefix}hidden.{i}.norm"), format!("{} norm", self.norm), &[width], learnt, 0)?;
            }
            inputs = width;
        }
        self.list_linear(format!("{prefix}output"), inputs, self.outputs, true, summary)
    }

    fn list_linear(
        &self,
        name: String,
        inputs: usize,
        outputs: usize,
        bias: bool,
        summary: &mut Summary,
    ) -> Result<(), Error> {
        let products = product(&[inputs, outputs]);
        let biases = if bias { outputs as u64 } else { 0 };
        summary.push(name, "linear".to_owned(), &[outputs], products.saturating_add(biases), products)
    }

    /// Batch normalisation would subtract a bias again.
    fn bias(&self) -> bool {
        self.norm != Normalisation::Batch
    }

    pub(crate) fn init(&self, builder: &mut Builder<'_>) -> Mlp {
        let mut inputs = self.inputs;
        let mut hidden = Vec::with_capacity(self.hidden.len());
        for &width in &self.hidden {
            hidden.push(Hidden {
                linear: Linear::init(inputs, width, self.bias(), builder),
                norm: Norm::init(self.norm, width, builder),
                dropout: Dropout::init(self.dropout, builder),
                activation: self.activation,
            });
            inputs = width;
        }
        let drop_inputs = self.drop_inputs && hidden.is_empty();
        let dropout = if drop_inputs { Dropout::init(self.dropout, builder) } else { None };
        Mlp { hidden, dropout, output: Linear::init(inputs, self.outputs, true, builder) }
    }
}

/// Refuses a number outside of `range`.
pub(crate) fn within(
    place: &str,
    what: &str,
    number: usize,
    range: std::ops::RangeInclusive<usize>,
) -> Result<(), Error> {
    if range.contains(&number) {
        return Ok(());
    }
    Err(Error::config(place, format!("{what} must be {} to {}, not {number}", range.start(), range.end())))
}

/// Refuses a probability that isn't one, and 1, which would leave nothing.
pub(crate) fn check_dropout(place: &str, probability: f64) -> Result<(), Error> {
    if (0.0..1.0).contains(&probability) {
        return Ok(());
    }
    Err(Error::config(place, format!("the probability must be at least 0 and below 1, not {probability}")))
}

/// A multilayer perceptron.
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    hidden: Vec<Hidden>,
    dropout: Option<Dropout>,
    output: Linear,
}

#[derive(Module, Debug)]
struct Hidden {
    linear: Linear,
    norm: Option<Norm>,
    dropout: Option<Dropout>,
    #[module(skip)]
    activation: Activation,
}

impl Mlp {
    /// `[batch, inputs]` to `[batch, outputs]`.
    pub(crate) fn forward(&self, x: Tensor<2>, pass: Pass) -> Tensor<2> {
        let x = self.hidden.iter().fold(x, |x, layer| layer.forward(x, pass));
        let x = match &self.dropout {
            Some(dropout) => dropout.forward(x, pass),
            None => x,
        };
        self.output.forward(x, false)
    }

    /// The same for prediction, layer by layer, their names behind `prefix`; hidden layers have this normalisation and activation.
    pub(crate) fn record(
        &self,
        mut x: Tensor<2>,
        prefix: &str,
        (norm, activation): (Normalisation, Activation),
        recorder: &mut Recorder,
    ) {
        for (index, layer) in self.hidden.iter().enumerate() {
            x = layer.forward(x, Pass::Predict);
            recorder.vector(format!("{prefix}hidden.{index}"), words("linear", norm, activation), &x);
        }
        recorder.vector(format!("{prefix}output"), "linear".to_owned(), &self.output.forward(x, false));
    }
}

impl Hidden {
    fn forward(&self, x: Tensor<2>, pass: Pass) -> Tensor<2> {
        // With nothing between them, layer and ReLU are one pass.
        let x = match (&self.norm, self.activation) {
            (None, Activation::Relu) => self.linear.forward(x, true),
            _ => finish(self.linear.forward(x, false), &self.norm, None, self.activation, pass),
        };
        match &self.dropout {
            Some(dropout) => dropout.forward(x, pass),
            None => x,
        }
    }
}
