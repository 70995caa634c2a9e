//! The network with what it expects: one noun for every architecture. Normalises its input at the head of `forward`, so that training
//! and serving cannot drift apart.

use burn::{
    module::Module,
    tensor::{Tensor, TensorData},
};
use data::InputSpec;

use crate::{ModelConfig, Precision, cnn::Cnn, features::Recorder, mlp::Mlp, precision::widened};

/// What a forward pass is for. Said at each call, never taken from the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Nothing is dropped, batch normalisation uses its running statistics: the output of a sample doesn't depend on its batch.
    Predict,
    /// Dropout drops, its masks a function of (seed, step, place in the batch); batch normalisation uses the batch's statistics and updates its own.
    Train {
        /// The run's seed.
        seed: u64,
        /// How many optimiser steps have been made.
        step: u64,
        /// The place of the first sample in the batch of this step: not 0 where others feed forward what comes before it.
        first: usize,
    },
}

/// A network, and what it expects as input.
#[derive(Module, Debug)]
pub struct Model {
    net: Net,
    outputs: usize,
    #[module(skip)]
    input: InputSpec,
    #[module(skip)]
    config: ModelConfig,
    #[module(skip)]
    normal: Normal,
    #[module(skip)]
    precision: Precision,
}

/// The architectures.
#[derive(Module, Debug)]
pub(crate) enum Net {
    Mlp(Mlp),
    Cnn(Cnn),
}

/// (x - mean) / std, with as little work as the numbers allow.
#[derive(Clone, Debug)]
enum Normal {
    Identity,
    Scalar { mean: f32, std: f32 },
    Channels { mean: Vec<f32>, std: Vec<f32> },
}

impl Model {
    pub(crate) fn new(net: Net, config: ModelConfig, input: InputSpec, outputs: usize) -> Self {
        let (mean, std) = input.normalisation();
        let (normal, precision) = (Normal::new(mean, std), Precision::default());
        Self { net, outputs, input, config, normal, precision }
    }

    /// The same model, whose passes for training compute in `precision`. No file keeps it: the weights are f32 as before, and so is prediction.
    pub fn trained_in(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The outputs (logits) of a batch: `[batch, channels, height, width]` as [`data::Batch::into_tensors`] makes it, pixels in 0..=1 or
    /// features as they are, to `[batch, outputs]`, in f32 whatever the layers compute in.
    ///
    /// # Panics
    /// Where the shape isn't that of [`Model::input`], or the tensor lies on another device.
    pub fn forward(&self, inputs: Tensor<4>, pass: Pass) -> Tensor<2> {
        let mut x = self.normal.forward(inputs);
        if self.precision != Precision::F32 && matches!(pass, Pass::Train { .. }) {
            // From here on a layer computes in the format of its input.
            x = x.cast(self.precision.dtype());
        }
        widened(match &self.net {
            Net::Mlp(net) => net.forward(x.flatten(1, 3), pass),
            Net::Cnn(net) => net.forward(x, pass),
        })
    }

    /// [`forward`](Self::forward) for prediction, layer by layer; see [`crate::feature_maps`].
    pub(crate) fn record(&self, inputs: Tensor<4>, recorder: &mut Recorder) {
        let x = self.normal.forward(inputs);
        match (&self.net, &self.config) {
            (Net::Mlp(net), ModelConfig::Mlp(config)) => {
                net.record(x.flatten(1, 3), "", (config.norm, config.activation), recorder);
            }
            (Net::Cnn(net), ModelConfig::Cnn(config)) => net.record(x, config, recorder),
            _ => unreachable!("a network is of the architecture of its configuration"),
        }
    }

    /// What the last convolution makes of a batch for prediction, after its activation and before any pooling, with the name of its block;
    /// `None` for a perceptron.
    pub(crate) fn last_map(&self, inputs: Tensor<4>) -> Option<(String, Tensor<4>)> {
        match (&self.net, &self.config) {
            (Net::Cnn(net), ModelConfig::Cnn(config)) => Some(net.last_map(self.normal.forward(inputs), config)),
            _ => None,
        }
    }

    /// The outputs for prediction that follow from [`last_map`](Self::last_map).
    pub(crate) fn after_last_map(&self, map: Tensor<4>) -> Tensor<2> {
        match (&self.net, &self.config) {
            (Net::Cnn(net), ModelConfig::Cnn(config)) => net.after_last_map(map, config),
            _ => unreachable!("only a network with convolutions has a last map"),
        }
    }

    /// The same for prediction, prepared for the CPU with the network's present weights: no tensors, and a fraction of the time. `None`
    /// where another backend than `flex` has the weights; then [`forward`](Self::forward) is the way.
    pub fn plan(&self) -> Option<kernels::Plan> {
        #[cfg(feature = "flex")]
        return crate::plan::plan(self);
        #[cfg(not(feature = "flex"))]
        None
    }

    /// The layers in the order in which [`forward`](Self::forward) runs them for prediction, behind the normalisation of
    /// [`Model::input`], with the present weights: for writing the network down in other forms. Linear layers behind a map take its values
    /// in the order `[channels, height, width]`. `None` where the device fails to give the weights back.
    pub fn layers(&self) -> Option<Vec<kernels::Layer>> {
        crate::plan::layers(self)
    }

    /// What the network expects.
    pub fn input(&self) -> &InputSpec {
        &self.input
    }

    /// What the network was made of.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// How many outputs it has.
    pub fn outputs(&self) -> usize {
        self.outputs
    }
}

impl Normal {
    fn new(mean: Vec<f32>, std: Vec<f32>) -> Self {
        let same = |values: &[f32]| values.windows(2).all(|pair| pair[0] == pair[1]);
        match (mean.first(), std.first()) {
            (Some(0.0), Some(1.0)) if same(&mean) && same(&std) => Self::Identity,
            (Some(&m), Some(&s)) if same(&mean) && same(&std) => Self::Scalar { mean: m, std: s },
            _ => Self::Channels { mean, std },
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Identity => x,
            Self::Scalar { mean, std } => x.sub_scalar(*mean).div_scalar(*std),
            Self::Channels { mean, std } => {
                let device = x.device();
                let channels = |values: &[f32]| {
                    Tensor::<4>::from_data(TensorData::new(values.to_vec(), [1, values.len(), 1, 1]), &device)
                };
                (x - channels(mean)) / channels(std)
            }
        }
    }
}
