//! Networks by name. Each is an ordinary configuration: a recipe can say the same in its own words.

use crate::{
    CnnConfig, Error, HeadConfig, HeadPool, Init, MlpConfig, ModelConfig, Normalisation, Padding, PoolConfig, Residual,
    StageConfig, named,
};

impl ModelConfig {
    /// The names that [`ModelConfig::preset`] knows.
    pub const PRESETS: &'static [&'static str] =
        &["mlp", "cnn", "lenet5", "resnet20", "resnet18-small", "resnet18", "resnet50"];

    /// The network of that name: `mlp` (hidden layers of 512 and 256), `cnn` (3x3 convolutions of 32 and 64 filters, each pooled by 2;
    /// 128 hidden units), `lenet5` (LeCun 1998 with ReLU and maximum pooling; pads images up to 32x32), `resnet20` (He 2016 for small
    /// images, 269,722 parameters for ten classes of RGB), `resnet18-small` (64 to 512 filters behind a 3x3 stem, for small images),
    /// `resnet18` and `resnet50` (as torchvision has them: a 7x7 stem that reduces images by four; made for 224x224).
    pub fn preset(name: &str) -> Option<Self> {
        Some(match name {
            "mlp" => Self::Mlp(MlpConfig::default()),
            "cnn" => Self::Cnn(CnnConfig::default()),
            "lenet5" => Self::Cnn(lenet5()),
            "resnet20" => Self::Cnn(resnet(16, &[16, 32, 64], 3, Residual::Pad)),
            "resnet18-small" => Self::Cnn(resnet(64, &[64, 128, 256, 512], 2, Residual::Project)),
            "resnet18" => Self::Cnn(imagenet(resnet(64, &[64, 128, 256, 512], 2, Residual::Project))),
            "resnet50" => Self::Cnn(resnet50()),
            _ => return None,
        })
    }

    /// The network of that name.
    ///
    /// # Errors
    /// [`Error::Name`] with the nearest name for one that isn't known.
    pub fn named(name: &str) -> Result<Self, Error> {
        Self::preset(name).ok_or_else(|| named::unknown("model", name, Self::PRESETS))
    }
}

fn lenet5() -> CnnConfig {
    let stage = |filters, padding| StageConfig {
        filters,
        kernel: 5,
        padding,
        pool: Some(PoolConfig::max(2)),
        ..StageConfig::default()
    };
    CnnConfig {
        stages: vec![stage(6, Padding::To(32)), stage(16, Padding::Valid)],
        head: HeadConfig { hidden: vec![120, 84], ..HeadConfig::default() },
        init: Init::Torch,
    }
}

/// A stem of one convolution, then stages of `repeat` residual blocks; each but the first halves the map.
fn resnet(stem: usize, filters: &[usize], repeat: usize, residual: Residual) -> CnnConfig {
    let base = StageConfig { norm: Normalisation::Batch, ..StageConfig::default() };
    let mut stages = vec![StageConfig { filters: stem, ..base.clone() }];
    stages.extend(filters.iter().enumerate().map(|(i, &filters)| StageConfig {
        filters,
        stride: if i == 0 { 1 } else { 2 },
        residual,
        repeat,
        ..base.clone()
    }));
    let head = HeadConfig { pool: HeadPool::Global, ..HeadConfig::default() };
    CnnConfig { stages, head, init: Init::KaimingNormal }
}

/// With the stem for large images: a 7x7 convolution and pooling that halve the map each.
fn imagenet(mut network: CnnConfig) -> CnnConfig {
    let stem = &mut network.stages[0];
    (stem.kernel, stem.stride) = (7, 2);
    stem.pool = Some(PoolConfig { stride: Some(2), padding: 1, ..PoolConfig::max(3) });
    network
}

/// Blocks of three convolutions that are four times as wide at their ends.
fn resnet50() -> CnnConfig {
    let mut network = imagenet(resnet(64, &[256, 512, 1024, 2048], 0, Residual::Project));
    for (stage, repeat) in network.stages[1..].iter_mut().zip([3, 4, 6, 3]) {
        (stage.bottleneck, stage.repeat) = (Some(stage.filters / 4), repeat);
    }
    network
}
