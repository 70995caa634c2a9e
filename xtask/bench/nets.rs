//! The benchmark's networks as configurations of ours, their inputs, and what they cost. Included by the benchmarks of `trainer` and
//! `infer`; `plain` writes the same networks with Burn's own modules.

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData};
use data::random::{Purpose, Random};
use data::{Filter, Fit, ImageSpec, InputSpec};
use models::{CnnConfig, HeadConfig, HeadPool, Init, ModelConfig, Normalisation, StageConfig};

/// Classes of every network.
pub(crate) const CLASSES: usize = 10;

/// Width of each pointwise convolution of `mobile`, and the stride of the depthwise one before it.
pub(crate) const MOBILE: [(usize, usize); 5] = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1)];

/// The network called `name`: a preset, or `mobile`.
pub(crate) fn config(name: &str) -> Result<ModelConfig> {
    if name == "mobile" {
        return Ok(ModelConfig::Cnn(mobile()));
    }
    ModelConfig::preset(name).with_context(|| format!("there is no network `{name}`"))
}

/// Depthwise 3x3 and pointwise 1x1 convolutions in turn (Howard 2017), from 32 to 256 filters, on 3x32x32.
fn mobile() -> CnnConfig {
    let base = StageConfig { norm: Normalisation::Batch, ..StageConfig::default() };
    let mut stages = vec![base.clone()]; // 32 filters
    let mut inputs = 32;
    for (filters, stride) in MOBILE {
        stages.push(StageConfig { filters: inputs, groups: inputs, stride, ..base.clone() });
        stages.push(StageConfig { filters, kernel: 1, ..base.clone() });
        inputs = filters;
    }
    let head = HeadConfig { pool: HeadPool::Global, ..HeadConfig::default() };
    CnnConfig { stages, head, init: Init::KaimingNormal }
}

/// Channels, height and width of an input of `name`.
pub(crate) fn shape(name: &str) -> [usize; 3] {
    if matches!(name, "resnet20" | "mobile") { [3, 32, 32] } else { [1, 28, 28] }
}

/// What `name` takes; already normalised, as the peers have it.
pub(crate) fn input(name: &str) -> InputSpec {
    let [channels, height, width] = shape(name);
    let (mean, std) = (vec![0.0; channels], vec![1.0; channels]);
    InputSpec::Image(ImageSpec { channels, height, width, fit: Fit::default(), filter: Filter::default(), mean, std })
}

/// Operations to predict one image, and to train on one: forward, then twice as many backward, but for the first layer, whose input needs
/// no gradient.
pub(crate) fn flop(name: &str) -> Result<[u64; 2]> {
    let layers = models::summary(&config(name)?, &input(name), CLASSES)?;
    let products: Vec<u64> = layers.iter().map(|layer| layer.multiply_adds).filter(|count| *count > 0).collect();
    let all: u64 = products.iter().sum();
    Ok([2 * all, 2 * (3 * all - products.first().copied().unwrap_or_default())])
}

/// Noise for `count` images of `name`.
pub(crate) fn pixels(name: &str, count: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed, Purpose::Bench, 0, 0);
    (0..count * shape(name).iter().product::<usize>()).map(|_| random.below(256) as u8).collect()
}

/// A batch of noise on the device, `[batch, channels, height, width]`.
pub(crate) fn batch(name: &str, batch: usize, device: &Device) -> Tensor<4> {
    let floats: Vec<f32> = pixels(name, batch, 1).into_iter().map(|pixel| f32::from(pixel) / 255.0).collect();
    let [channels, height, width] = shape(name);
    Tensor::from_data(TensorData::new(floats, [batch, channels, height, width]), device)
}
