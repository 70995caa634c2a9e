//! A plan answers what `forward` answers: every architecture, with weights and running statistics that hide nothing.

#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use data::random::{Purpose, Random};
use data::{Column, ColumnKind, Filter, Fit, ImageSpec, InputSpec, TableSpec};
use models::{
    Activation, CnnConfig, HeadConfig, HeadPool, Kind, MlpConfig, Model, ModelConfig, Normalisation, Padding, Pass,
    PoolConfig, PoolKind, Residual, StageConfig, load_tensors, named_tensors,
};

fn image(channels: usize, height: usize, width: usize) -> InputSpec {
    InputSpec::Image(ImageSpec {
        channels,
        height,
        width,
        fit: Fit::Crop,
        filter: Filter::Triangle,
        mean: (0..channels).map(|channel| 0.4 + 0.1 * channel as f32).collect(),
        std: (0..channels).map(|channel| 0.3 - 0.05 * channel as f32).collect(),
    })
}

fn random(seed: u64, count: usize) -> impl Iterator<Item = f32> {
    let mut random = Random::new(seed, Purpose::Bench, 0, 0);
    (0..count).map(move |_| random.below(1 << 20) as f32 / (1 << 20) as f32)
}

/// With biases, scales and running statistics that are neither 0 nor 1.
fn model(config: &ModelConfig, input: &InputSpec) -> Model {
    let model = config.init(input, 10, 1, &Device::flex()).unwrap();
    let tensors: HashMap<String, TensorData> = named_tensors(&model)
        .into_iter()
        .enumerate()
        .map(|(index, tensor)| {
            let count = tensor.data.num_elements();
            let moved: Vec<f32> = match (tensor.kind, tensor.name.rsplit('.').next()) {
                (Kind::Weight, _) => tensor.data.try_to_vec::<f32>().unwrap(),
                (Kind::Running, Some("running_var")) | (Kind::Norm, Some("weight")) => {
                    random(index as u64, count).map(|x| 0.5 + x).collect()
                }
                _ => random(index as u64, count).map(|x| x - 0.5).collect(),
            };
            (tensor.name, TensorData::new(moved, tensor.data.shape().clone()))
        })
        .collect();
    load_tensors(model, tensors).unwrap()
}

fn agrees(name: &str, config: &ModelConfig, input: &InputSpec, batches: &[usize]) {
    let model = model(config, input);
    let plan = model.plan().unwrap_or_else(|| panic!("{name}: no plan"));
    let [channels, height, width] = input.shape();
    let most = batches.iter().copied().max().unwrap_or(0);
    let pixels: Vec<u8> = random(7, most * input.len()).map(|x| (x * 256.0) as u8).collect();
    let floats: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    let x = Tensor::from_data(TensorData::new(floats.clone(), [most, channels, height, width]), &Device::flex());
    let expected = model.forward(x, Pass::Predict).into_data().try_to_vec::<f32>().unwrap();
    let scale = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    for &batch in batches {
        let found = plan.floats(&floats[..batch * input.len()]);
        assert_eq!(found.len(), batch * 10, "{name}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= 1e-5 * scale,
                "{name}, batch {batch}: {found} for {expected} of {scale}"
            );
        }
        assert_eq!(found, plan.pixels(&pixels[..batch * input.len()]), "{name}: pixels are 255ths");
        // A sample's answer doesn't depend on what else is in the batch, nor on how many threads share it.
        let alone: Vec<f32> =
            floats.chunks_exact(input.len()).take(batch.min(3)).flat_map(|sample| plan.floats(sample)).collect();
        assert_eq!(found[..alone.len()], alone, "{name}");
    }
}

fn cnn(stages: impl IntoIterator<Item = StageConfig>, head: HeadConfig) -> ModelConfig {
    ModelConfig::Cnn(CnnConfig { stages: stages.into_iter().collect(), head, ..CnnConfig::default() })
}

const BATCHES: &[usize] = &[0, 1, 2, 7, 64];

#[test]
fn presets_answer_as_they_do_forward() {
    for name in ["mlp", "cnn", "lenet5"] {
        agrees(name, &ModelConfig::preset(name).unwrap(), &image(1, 28, 28), BATCHES);
    }
    agrees("cnn, RGB", &ModelConfig::preset("cnn").unwrap(), &image(3, 21, 30), BATCHES);
    agrees("resnet20", &ModelConfig::preset("resnet20").unwrap(), &image(3, 32, 32), &[0, 1, 2, 7]);
    for name in ["resnet18-small", "resnet18", "resnet50"] {
        let Some(ModelConfig::Cnn(mut resnet)) = ModelConfig::preset(name) else { panic!("a CNN") };
        for (stage, filters) in resnet.stages.iter_mut().zip([8, 8, 16, 24, 40]) {
            stage.filters = filters;
            stage.bottleneck = stage.bottleneck.map(|_| filters / 2);
        }
        agrees(&format!("{name}, narrow"), &ModelConfig::Cnn(resnet), &image(3, 35, 32), &[0, 1, 2, 7]);
    }
}

#[test]
fn every_activation_and_normalisation_answers_as_it_does_forward() {
    for &activation in Activation::ALL {
        for &norm in Normalisation::ALL {
            let name = format!("{activation}, {norm}");
            let pool = Some(PoolConfig::max(2));
            let stage = StageConfig { filters: 12, activation, norm, pool, ..StageConfig::default() };
            let head = HeadConfig { hidden: vec![33], activation, norm, ..HeadConfig::default() };
            agrees(&name, &cnn([stage], head), &image(1, 9, 7), &[1, 2, 7]);
            let hidden = vec![40, 24];
            let mlp = MlpConfig { hidden, activation, norm, ..MlpConfig::default() };
            agrees(&name, &ModelConfig::Mlp(mlp), &image(3, 4, 5), &[1, 2, 7]);
            for residual in [Residual::Project, Residual::Pad] {
                let stage = StageConfig { filters: 8, activation, norm, residual, repeat: 2, ..StageConfig::default() };
                let wider = StageConfig { filters: 12, stride: 2, ..stage.clone() };
                let head = HeadConfig { pool: HeadPool::Global, ..HeadConfig::default() };
                agrees(&format!("{name}, {residual}"), &cnn([stage, wider], head), &image(3, 8, 6), &[1, 2, 7]);
            }
        }
    }
}

#[test]
fn odd_shapes_answer_as_they_do_forward() {
    let first = StageConfig { filters: 12, ..StageConfig::default() };
    let stages = [
        ("depthwise", StageConfig { groups: 12, ..first.clone() }),
        ("groups", StageConfig { groups: 3, filters: 18, repeat: 2, ..first.clone() }),
        ("more than depthwise", StageConfig { groups: 12, filters: 24, ..first.clone() }),
        ("valid", StageConfig { padding: Padding::Valid, kernel: 4, ..first.clone() }),
        ("much padding", StageConfig { padding: Padding::Each(4), kernel: 5, stride: 3, ..first.clone() }),
        ("padding to a size", StageConfig { padding: Padding::To(23), kernel: 2, ..first.clone() }),
        ("an even kernel", StageConfig { kernel: 4, repeat: 2, ..first.clone() }),
        ("a kernel larger than the map", StageConfig { kernel: 17, ..first.clone() }),
        ("many filters", StageConfig { filters: 100, ..first.clone() }),
        ("one filter", StageConfig { filters: 1, ..first.clone() }),
        ("one by one, strides", StageConfig { kernel: 1, stride: 2, ..first.clone() }),
    ];
    let pools = [
        None,
        Some(PoolConfig::max(3)),
        Some(PoolConfig { size: 3, stride: Some(2), padding: 0, kind: PoolKind::Max }),
        Some(PoolConfig { size: 2, stride: Some(3), padding: 1, kind: PoolKind::Max }),
        Some(PoolConfig { size: 3, stride: Some(2), padding: 1, kind: PoolKind::Max }),
        Some(PoolConfig { size: 2, stride: None, padding: 0, kind: PoolKind::Avg }),
        Some(PoolConfig { size: 3, stride: Some(1), padding: 1, kind: PoolKind::Avg }),
    ];
    for (name, stage) in stages {
        for pool in pools {
            let input = if pool.is_none() { image(3, 16, 11) } else { image(1, 13, 19) };
            let stage = StageConfig { pool, ..stage.clone() };
            let stages = [first.clone(), stage, StageConfig { filters: 5, ..first.clone() }];
            agrees(&format!("{name}, {pool:?}"), &cnn(stages, HeadConfig::default()), &input, &[0, 1, 2, 7]);
        }
    }
}

#[test]
fn small_inputs_and_networks_answer_as_they_do_forward() {
    let none = HeadConfig { hidden: Vec::new(), ..HeadConfig::default() };
    agrees("a pixel", &cnn([StageConfig::default()], none), &image(1, 1, 1), BATCHES);
    let linear = ModelConfig::Mlp(MlpConfig::with_hidden([]));
    agrees("a linear layer", &linear, &image(2, 3, 5), BATCHES);
    let column = |index: usize| Column {
        name: format!("c{index}"),
        position: index,
        kind: ColumnKind::Categorical { categories: (0..=index).map(|category| category.to_string()).collect() },
    };
    let table = InputSpec::Table(TableSpec {
        columns: (0..5).map(column).collect(),
        targets: Vec::new(),
        width: 5,
        header: true,
    });
    agrees("a table", &ModelConfig::preset("mlp").unwrap(), &table, BATCHES);
}

#[test]
fn what_lies_beyond_the_numbers_comes_through() {
    let input = image(1, 28, 28);
    for name in ["mlp", "cnn"] {
        let plan = model(&ModelConfig::preset(name).unwrap(), &input).plan().unwrap();
        let mut samples = vec![0.5; 3 * 784];
        samples[784 + 300] = f32::NAN;
        let out = plan.floats(&samples);
        assert!(out[10..20].iter().any(|x| x.is_nan()), "{name}: {out:?}");
        assert!(out[..10].iter().chain(&out[20..]).all(|x| x.is_finite()), "{name}: other samples: {out:?}");
    }
}
