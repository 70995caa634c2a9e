//! What a network makes of samples on the way to its outputs, layer by layer: the maps after each convolution with its activation, after
//! each pooling, and the vectors behind them. [`Model::forward`] computes some of them in one pass, so that they never stand in memory; here each
//! is computed by itself, to the same numbers. The layers' own walk is beside their `forward`.

use burn::{module::Module, tensor::Tensor};

use crate::{Activation, Model, Normalisation};

/// What one layer made of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureMap {
    /// Its place, as in [`crate::summary`]: "stages.0.blocks.0" (a convolution with its activation, or a residual block), "stages.0.pool",
    /// "head" (the global average), "head.hidden.0", "head.output"; of an MLP "hidden.0" and "output".
    pub layer: String,
    /// What it does, in words: "conv 3x3, relu".
    pub kind: String,
    /// Channels that the layer has, or units.
    pub channels: usize,
    /// `[samples, channels, height, width]` of `values`; a vector's height and width are 1.
    pub shape: [usize; 4],
    /// After the activation.
    pub values: Vec<f32>,
}

/// Feeds `inputs`, as [`Model::forward`] takes them, forward for prediction, and reads back what each layer put out, in the order of computation; the last
/// are the outputs. Of layers that put out maps the first `most` channels, so that large ones cost little; of vectors all units.
///
/// # Panics
/// As [`Model::forward`] does.
pub fn feature_maps(model: &Model, inputs: Tensor<4>, most: usize) -> Vec<FeatureMap> {
    let mut recorder = Recorder { most, maps: Vec::new() };
    // A copy without autodiff: nothing is kept for a way back.
    model.valid().record(inputs.without_autodiff(), &mut recorder);
    recorder.maps
}

/// Takes down what layers put out.
pub(crate) struct Recorder {
    most: usize,
    maps: Vec<FeatureMap>,
}

impl Recorder {
    /// `x` is `[batch, channels, height, width]`.
    pub(crate) fn map(&mut self, layer: String, kind: String, x: &Tensor<4>) {
        let [samples, channels, height, width] = x.dims();
        let kept = channels.min(self.most);
        let values = read(x.clone().slice([0..samples, 0..kept]));
        self.maps.push(FeatureMap { layer, kind, channels, shape: [samples, kept, height, width], values });
    }

    /// `x` is `[batch, units]`.
    pub(crate) fn vector(&mut self, layer: String, kind: String, x: &Tensor<2>) {
        let [samples, units] = x.dims();
        self.maps.push(FeatureMap {
            layer,
            kind,
            channels: units,
            shape: [samples, units, 1, 1],
            values: read(x.clone()),
        });
    }
}

/// A layer with what follows it, in words: "conv 3x3, batch norm, relu".
pub(crate) fn words(layer: &str, norm: Normalisation, activation: Activation) -> String {
    let mut words = layer.to_owned();
    if norm != Normalisation::None {
        words += &format!(", {norm} norm");
    }
    if activation != Activation::None {
        words += &format!(", {activation}");
    }
    words
}

fn read<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}
