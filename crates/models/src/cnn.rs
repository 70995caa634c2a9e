//! The convolutional network: stages, then a head that pools or flattens the last map and ends in a perceptron.

use burn::{module::Module, tensor::Tensor};
use serde::{Deserialize, Serialize};

use crate::{
    Activation, Error, Init, Normalisation, Pass, PoolConfig, StageConfig,
    builder::Builder,
    features::Recorder,
    layers::{flatten, global_average},
    mlp::{Mlp, MlpPlan, within},
    named::named,
    stage::{Stage, StagePlan},
    summary::Summary,
};

/// A convolutional network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CnnConfig {
    /// From the input to the last map; at least one.
    pub stages: Vec<StageConfig>,
    /// From the last map to the outputs.
    pub head: HeadConfig,
    /// How weights begin.
    pub init: Init,
}

named! {
    /// What the head makes of the last map.
    pub enum HeadPool("head pooling") {
        /// All its values, in PyTorch's order.
        #[default]
        Flat = "flat",
        /// The mean of each channel.
        Global = "global",
    }
}

/// The head of a CNN.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadConfig {
    /// What becomes of the last map.
    pub pool: HeadPool,
    /// Units of each hidden layer between the map and the outputs.
    pub hidden: Vec<usize>,
    /// After each hidden layer.
    pub activation: Activation,
    /// Between a hidden layer and its activation.
    pub norm: Normalisation,
    /// Probability with which a hidden unit, or without hidden layers an input of the output layer, is dropped in training.
    pub dropout: f64,
}

impl Default for CnnConfig {
    /// The bench model: 3x3 convolutions of 32 and 64 filters, each pooled by 2, and a hidden layer of 128.
    fn default() -> Self {
        Self::from_filters(&[32, 64])
    }
}

impl CnnConfig {
    /// A stage of one 3x3 convolution and 2x2 maximum pooling for each of `filters`, and a hidden layer of 128.
    pub fn from_filters(filters: &[usize]) -> Self {
        let stage =
            |&filters: &usize| StageConfig { filters, pool: Some(PoolConfig::max(2)), ..StageConfig::default() };
        let head = HeadConfig { hidden: vec![128], ..HeadConfig::default() };
        Self { stages: filters.iter().map(stage).collect(), head, init: Init::Torch }
    }

    pub(crate) fn plan(&self, input: [usize; 3], outputs: usize, summary: &mut Summary) -> Result<CnnPlan, Error> {
        within("stages", "their number", self.stages.len(), 1..=1000)?;
        let mut shape = input;
        let mut stages = Vec::with_capacity(self.stages.len());
        for (index, stage) in self.stages.iter().enumerate() {
            let plan = stage.plan(index, shape, summary)?;
            shape = plan.output;
            stages.push(plan);
        }
        let inputs = match self.head.pool {
            HeadPool::Global => shape[0],
            HeadPool::Flat => shape.iter().product(),
        };
        let kind = if self.head.pool == HeadPool::Global { "global average" } else { "flatten" };
        summary.push("head".to_owned(), kind.to_owned(), &[inputs], 0, 0)?;
        let head = MlpPlan {
            inputs,
            hidden: self.head.hidden.clone(),
            outputs,
            activation: self.head.activation,
            norm: self.head.norm,
            dropout: self.head.dropout,
            drop_inputs: true,
        };
        head.summarise("head.", summary)?;
        Ok(CnnPlan { stages, pool: self.head.pool, head })
    }
}

/// A CNN for an input of known shape.
#[derive(Debug)]
pub(crate) struct CnnPlan {
    pub(crate) stages: Vec<StagePlan>,
    pub(crate) pool: HeadPool,
    pub(crate) head: MlpPlan,
}

impl CnnPlan {
    pub(crate) fn init(&self, builder: &mut Builder<'_>) -> Cnn {
        Cnn {
            stages: self.stages.iter().map(|stage| stage.init(builder)).collect(),
            head: self.head.init(builder),
            pool: self.pool,
        }
    }
}

/// A convolutional network.
#[derive(Module, Debug)]
pub(crate) struct Cnn {
    stages: Vec<Stage>,
    head: Mlp,
    #[module(skip)]
    pool: HeadPool,
}

impl Cnn {
    /// `[batch, channels, height, width]` to `[batch, outputs]`.
    pub(crate) fn forward(&self, x: Tensor<4>, pass: Pass) -> Tensor<2> {
        let x = self.stages.iter().fold(x, |x, stage| stage.forward(x, pass));
        self.answer(x, pass)
    }

    /// From what the last stage puts out.
    fn answer(&self, x: Tensor<4>, pass: Pass) -> Tensor<2> {
        let x = match self.pool {
            HeadPool::Global => global_average(x),
            HeadPool::Flat => flatten(x),
        };
        self.head.forward(x, pass)
    }

    /// What the last block makes of `x` for prediction, before the stage's pooling, and its name; `config` is what the network was made of.
    pub(crate) fn last_map(&self, x: Tensor<4>, config: &CnnConfig) -> (String, Tensor<4>) {
        let last = self.stages.len().saturating_sub(1);
        let x = self.stages[..last].iter().fold(x, |x, stage| stage.forward(x, Pass::Predict));
        let (block, map) = self.stages[last].last_map(x, &config.stages[last]);
        (format!("stages.{last}.blocks.{block}"), map)
    }

    /// The outputs that follow from it.
    pub(crate) fn after_last_map(&self, map: Tensor<4>, config: &CnnConfig) -> Tensor<2> {
        let pool = config.stages.last().and_then(|stage| stage.pool.as_ref());
        let x = match pool {
            Some(pool) => pool.forward(map, Activation::None),
            None => map,
        };
        self.answer(x, Pass::Predict)
    }

    /// The same for prediction, layer by layer; `config` is what it was made of.
    pub(crate) fn record(&self, mut x: Tensor<4>, config: &CnnConfig, recorder: &mut Recorder) {
        for (index, (stage, config)) in self.stages.iter().zip(&config.stages).enumerate() {
            x = stage.record(x, &format!("stages.{index}"), config, recorder);
        }
        let x = match self.pool {
            HeadPool::Global => {
                let x = global_average(x);
                recorder.vector("head".to_owned(), "global average".to_owned(), &x);
                x
            }
            HeadPool::Flat => flatten(x),
        };
        self.head.record(x, "head.", (config.head.norm, config.head.activation), recorder);
    }
}
