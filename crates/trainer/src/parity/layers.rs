//! Networks of one kind of layer each, at sizes that divide by nothing.

use models::{
    Activation, CnnConfig, HeadConfig, HeadPool, MlpConfig, ModelConfig, Normalisation, Padding, PoolConfig, PoolKind,
    Residual, StageConfig,
};

use super::networks::{Network, answers};
use super::{Case, Part};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, model: ModelConfig| {
        let network = Network::new(model, [3, 11, 13], 6);
        cases.push(Case::new(Part::Layer, name, move |device| answers(&network, device)));
    };
    for &activation in Activation::ALL {
        let hidden = MlpConfig { activation, ..MlpConfig::with_hidden([17]) };
        add(format!("linear layer, activation {activation}"), ModelConfig::Mlp(hidden));
    }
    for norm in [Normalisation::Batch, Normalisation::Layer, Normalisation::Group] {
        let hidden = MlpConfig { norm, ..MlpConfig::with_hidden([66]) };
        add(format!("linear layer, normalisation {norm}"), ModelConfig::Mlp(hidden));
        add(format!("convolution, normalisation {norm}"), of_stage(StageConfig { norm, ..stage() }));
    }
    add("dropout of hidden units".into(), ModelConfig::Mlp(MlpConfig { dropout: 0.4, ..MlpConfig::with_hidden([23]) }));
    for (name, stage) in stages() {
        add(name.to_owned(), of_stage(stage));
    }
    add("head: mean of each channel".into(), with_head(HeadConfig { pool: HeadPool::Global, ..HeadConfig::default() }));
    add("head: all values of the map".into(), with_head(HeadConfig { hidden: vec![9], ..HeadConfig::default() }));
    cases
}

fn stages() -> Vec<(&'static str, StageConfig)> {
    let pool = |kind, size, stride, padding| Some(PoolConfig { kind, size, stride: Some(stride), padding });
    let residual =
        |residual| StageConfig { filters: 12, stride: 2, norm: Normalisation::Batch, residual, repeat: 2, ..stage() };
    vec![
        ("convolution 1x1", StageConfig { kernel: 1, ..stage() }),
        ("convolution 3x3", stage()),
        ("convolution 3x3, stride 2", StageConfig { stride: 2, ..stage() }),
        ("convolution 4x4, uneven padding", StageConfig { kernel: 4, ..stage() }),
        ("convolution 5x5, no padding", StageConfig { kernel: 5, padding: Padding::Valid, ..stage() }),
        ("convolution in groups", StageConfig { filters: 12, groups: 3, ..stage() }),
        ("dropout of maps", StageConfig { dropout: 0.3, ..stage() }),
        ("maximum pooling", StageConfig { pool: pool(PoolKind::Max, 2, 2, 0), ..stage() }),
        ("maximum pooling, windows that overlap", StageConfig { pool: pool(PoolKind::Max, 3, 2, 1), ..stage() }),
        ("average pooling", StageConfig { pool: pool(PoolKind::Avg, 2, 2, 0), ..stage() }),
        ("average pooling, windows that overlap", StageConfig { pool: pool(PoolKind::Avg, 3, 2, 1), ..stage() }),
        ("residual blocks, bridge by convolution", residual(Residual::Project)),
        ("residual blocks, bridge by zeros", residual(Residual::Pad)),
        ("residual blocks with a bottleneck", StageConfig { bottleneck: Some(5), ..residual(Residual::Project) }),
    ]
}

fn stage() -> StageConfig {
    StageConfig { filters: 8, ..StageConfig::default() }
}

fn of_stage(stage: StageConfig) -> ModelConfig {
    let head = HeadConfig { pool: HeadPool::Global, ..HeadConfig::default() };
    ModelConfig::Cnn(CnnConfig { stages: vec![stage], head, ..CnnConfig::default() })
}

fn with_head(head: HeadConfig) -> ModelConfig {
    ModelConfig::Cnn(CnnConfig { stages: vec![stage()], head, ..CnnConfig::default() })
}
