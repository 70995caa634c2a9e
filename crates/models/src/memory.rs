//! How many numbers one sample leaves in memory while a network learns from it: computed from the configuration, without building it. What
//! a whole training step takes is the trainer's estimate.

use data::InputSpec;

use crate::{
    Activation, CnnConfig, Error, ModelConfig, Normalisation, Residual, StageConfig,
    summary::{LayerSummary, product, summary},
};

/// What a network holds while it learns, in numbers of four bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Trained numbers.
    pub parameters: u64,
    /// For each sample: outputs of layers that wait for the way back.
    pub kept: u64,
    /// For each sample: the largest output of a layer.
    pub largest: u64,
}

/// Tensors that the composed normalisation of groups keeps of each input: centred, squared, divided, reshaped, scaled.
const GROUP_NORM: u64 = 5;
/// Tensors that an activation keeps which isn't part of the layer before it.
const ACTIVATION: u64 = 2;

/// The footprint of the network that `config` makes for `input` and `outputs`.
///
/// # Errors
/// Those of [`ModelConfig::init`]; nothing is built.
pub fn footprint(config: &ModelConfig, input: &InputSpec, outputs: usize) -> Result<Footprint, Error> {
    let mut all = Footprint::default();
    for layer in summary(config, input, outputs)? {
        let (kept, largest) = outputs_of(config, &layer);
        all.parameters = all.parameters.saturating_add(layer.parameters);
        all.kept = all.kept.saturating_add(kept);
        all.largest = all.largest.max(largest);
    }
    Ok(all)
}

/// The numbers that a layer keeps of one sample, and those that it puts out.
fn outputs_of(config: &ModelConfig, layer: &LayerSummary) -> (u64, u64) {
    let size = product(&layer.output);
    let (norm, activation, dropout) = match config {
        ModelConfig::Mlp(mlp) => (mlp.norm, mlp.activation, mlp.dropout),
        ModelConfig::Cnn(cnn) => match stage_of(cnn, &layer.name) {
            Some(stage) => return in_stage(stage, layer, size),
            None => (cnn.head.norm, cnn.head.activation, cnn.head.dropout),
        },
    };
    (times(size, norm, activation, dropout, layer), size)
}

/// The stage that a layer is in.
fn stage_of<'a>(cnn: &'a CnnConfig, name: &str) -> Option<&'a StageConfig> {
    let number = name.strip_prefix("stages.")?.split('.').next()?;
    cnn.stages.get(number.parse::<usize>().ok()?)
}

fn in_stage(stage: &StageConfig, layer: &LayerSummary, size: u64) -> (u64, u64) {
    let dropped = if stage.dropout > 0.0 { 2 } else { 0 };
    let alone = stage.residual == Residual::None && stage.norm == Normalisation::None && stage.repeat == 1;
    let one_pass = alone && stage.activation == Activation::Relu && stage.pool.is_some();
    match layer.name.ends_with(".pool") {
        // What wins each window, and a byte that says where it was.
        true => (size.saturating_mul(1 + dropped).saturating_add(size / 4), size),
        // Convolution, ReLU and pooling are one.
        false if one_pass => (0, 0),
        // Where nothing pools, the last of a stage's layers is dropped from; counted for each, for they are alike.
        false if stage.pool.is_none() => (times(size, stage.norm, stage.activation, stage.dropout, layer), size),
        false => (times(size, stage.norm, stage.activation, 0.0, layer), size),
    }
}

fn times(size: u64, norm: Normalisation, activation: Activation, dropout: f64, layer: &LayerSummary) -> u64 {
    let normalises = layer.kind.ends_with("norm");
    let grouped = normalises && matches!(norm, Normalisation::Layer | Normalisation::Group);
    let ends = normalises || norm == Normalisation::None;
    let own = if grouped { GROUP_NORM } else { 1 };
    let activated = match activation {
        Activation::Relu | Activation::None => 0,
        _ => ACTIVATION,
    };
    let behind = if ends { activated + if dropout > 0.0 { 2 } else { 0 } } else { 0 };
    size.saturating_mul(own + behind)
}

#[cfg(test)]
mod tests {
    use data::{Filter, Fit, ImageSpec};

    use super::*;

    fn image(side: usize) -> InputSpec {
        let (mean, std) = (vec![0.0], vec![1.0]);
        let (fit, filter) = (Fit::default(), Filter::default());
        InputSpec::Image(ImageSpec { channels: 1, height: side, width: side, fit, filter, mean, std })
    }

    #[test]
    fn a_perceptron_keeps_the_outputs_of_its_layers() {
        let found = footprint(&ModelConfig::named("mlp").unwrap(), &image(28), 10).unwrap();
        let parameters = 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10;
        assert_eq!(found, Footprint { parameters, kept: 512 + 256 + 10, largest: 512 });
    }

    #[test]
    fn a_convolution_that_pools_keeps_what_is_left_and_where_it_was() {
        let found = footprint(&ModelConfig::named("cnn").unwrap(), &image(28), 10).unwrap();
        let stages = [32 * 14 * 14, 64 * 7 * 7].map(|size| size + size / 4).iter().sum::<u64>();
        // The flattened map is counted with the head.
        assert_eq!((found.kept, found.largest), (stages + 64 * 7 * 7 + 128 + 10, 32 * 14 * 14));
    }

    #[test]
    fn sizes_beyond_counting_stay_the_largest_number() {
        assert_eq!(times(u64::MAX / 2, Normalisation::Group, Activation::Gelu, 0.5, &layer()), u64::MAX);
    }

    fn layer() -> LayerSummary {
        LayerSummary {
            name: "x".into(),
            kind: "group norm".into(),
            output: vec![1],
            parameters: 0,
            multiply_adds: 0,
            flops: 0,
        }
    }
}
