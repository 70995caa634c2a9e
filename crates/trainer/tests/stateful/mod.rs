//! A small run of the library with everything that has a state, and the data for it.

use std::path::Path;

use data::{Augment, Dataset, OpenOptions};
use models::{CnnConfig, ModelConfig, Normalisation};
use trainer::{OptimizerConfig, TrainConfig};

/// Batch norm, dropout, augmentation, momentum, averaged weights.
pub(crate) fn config(dataset: &Dataset) -> TrainConfig {
    let mut cnn = CnnConfig::from_filters(&[4, 8]);
    cnn.head.dropout = 0.2;
    cnn.stages.iter_mut().for_each(|stage| stage.norm = Normalisation::Batch);
    TrainConfig {
        epochs: 3,
        batch: 16,
        optimizer: OptimizerConfig::named("sgd").unwrap().with_momentum(0.9),
        lr: 0.05,
        augment: Augment::parse("light", &dataset.input, &dataset.targets).unwrap(),
        ema: Some(0.9),
        checkpoint_every: None,
        ..TrainConfig::new(ModelConfig::Cnn(cnn))
    }
}

/// 300 of the digits.
pub(crate) fn digits() -> Dataset {
    let options = OpenOptions { limit: Some(300), ..OpenOptions::default() };
    data::open(Path::new("digits"), &options).unwrap()
}
