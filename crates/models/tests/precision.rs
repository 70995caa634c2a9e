//! Passes for training in 16 bits: what they compute, and what stays as it is.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{DType, Device, Gradients, Tensor, TensorData},
};
use data::random::{Purpose, Random};
use data::{Filter, Fit, ImageSpec, InputSpec};
use models::{
    Activation, CnnConfig, HeadConfig, HeadPool, MlpConfig, Model, ModelConfig, Normalisation, Pass, PoolConfig,
    PoolKind, Precision, Residual, StageConfig, named_tensors, parameter_kinds,
};

const PASS: Pass = Pass::Train { seed: 3, step: 7, first: 0 };
/// The formats of 16 bits, with half the distance from 1 to the next number.
const HALVES: [(Precision, f64); 2] = [(Precision::Bf16, 1.0 / 256.0), (Precision::F16, 1.0 / 2048.0)];

fn model(config: &ModelConfig) -> Model {
    let (mean, std) = (vec![0.4, 0.5], vec![0.2, 0.3]);
    let spec = ImageSpec { channels: 2, height: 8, width: 8, fit: Fit::Crop, filter: Filter::Triangle, mean, std };
    config.init(&InputSpec::Image(spec), 3, 1, &Device::flex().autodiff()).unwrap()
}

fn inputs(scale: f32) -> Tensor<4> {
    let mut random = Random::new(5, Purpose::Bench, 0, 0);
    let values: Vec<f32> = (0..16 * 2 * 8 * 8).map(|_| scale * random.uniform()).collect();
    Tensor::from_data(TensorData::new(values, [16, 2, 8, 8]), &Device::flex().autodiff())
}

/// Gradients by name, of a loss that weighs each output differently.
fn gradients(model: &Model) -> HashMap<String, Vec<f32>> {
    struct Read<'a>(&'a Model, Gradients, HashMap<String, Vec<f32>>);
    impl ModuleVisitor for Read<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(gradient) = param.val().grad(&self.1) else { return };
            assert_eq!(gradient.dtype(), DType::F32, "gradients are for weights of f32");
            let name = parameter_kinds(self.0).remove(&param.id).unwrap().0;
            self.2.insert(name, gradient.into_data().try_to_vec::<f32>().unwrap());
        }
    }
    let outputs = model.forward(inputs(1.0), PASS);
    assert_eq!(outputs.dtype(), DType::F32, "a loss is computed in f32");
    let weights: Vec<f32> = (0..48).map(|i| 1.0 + 0.5 * (i as f32 * 1.7).sin()).collect();
    let weights = Tensor::from_data(TensorData::new(weights, [16, 3]), &outputs.device());
    let mut read = Read(model, (outputs * weights).sum().backward(), HashMap::new());
    model.visit(&mut read);
    read.2
}

fn stage() -> StageConfig {
    StageConfig { filters: 6, activation: Activation::Tanh, ..StageConfig::default() }
}

fn cnn(stages: Vec<StageConfig>, head: HeadConfig) -> ModelConfig {
    ModelConfig::Cnn(CnnConfig { stages, head, ..CnnConfig::default() })
}

/// A network for each kind of layer, and what its gradients are off by at most, in units of the format's rounding.
fn networks() -> Vec<(String, ModelConfig, f64)> {
    let mut networks = Vec::new();
    for activation in Activation::ALL {
        let config = MlpConfig { hidden: vec![20, 20], activation: *activation, ..MlpConfig::default() };
        networks.push((format!("linear and {activation}"), ModelConfig::Mlp(config), 20.0));
    }
    for norm in Normalisation::ALL {
        let second = StageConfig { stride: 2, groups: 3, ..stage() };
        // Of nine units each would be a group of its own, which is constant.
        let in_head = if *norm == Normalisation::Group { Normalisation::Layer } else { *norm };
        let head = HeadConfig { hidden: vec![9], activation: Activation::Silu, norm: in_head, ..HeadConfig::default() };
        let stages = [stage(), second].map(|stage| StageConfig { norm: *norm, ..stage });
        networks.push((format!("convolution and {norm}"), cnn(stages.to_vec(), head), 20.0));
    }
    for residual in [Residual::Project, Residual::Pad] {
        let first = StageConfig { norm: Normalisation::Batch, ..stage() };
        let second = StageConfig { filters: 7, stride: 2, residual, repeat: 2, ..first.clone() };
        let head = HeadConfig { pool: HeadPool::Global, ..HeadConfig::default() };
        networks.push((format!("bridges, {residual}"), cnn(vec![first, second], head), 20.0));
    }
    for kind in [PoolKind::Avg, PoolKind::Max] {
        let pool = Some(PoolConfig { kind, ..PoolConfig::default() });
        let head = HeadConfig { hidden: vec![9], dropout: 0.4, ..HeadConfig::default() };
        let stages = [Activation::Tanh, Activation::Tanh].map(|activation| StageConfig {
            pool,
            activation,
            dropout: 0.2,
            ..stage()
        });
        // Rounding makes another pixel the greatest here and there, which then takes the gradient.
        let most = if kind == PoolKind::Max { 50.0 } else { 20.0 };
        networks.push((format!("{kind} pooling and dropout"), cnn(stages.to_vec(), head), most));
    }
    networks
}

fn length(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value * value)).sum::<f64>().sqrt()
}

#[test]
fn gradients_of_each_kind_of_layer_are_those_of_f32_but_for_rounding() {
    for (what, config, most) in networks() {
        let exact = gradients(&model(&config));
        let longest = exact.values().map(|values| length(values.iter().copied())).fold(0.0, f64::max);
        for (precision, rounding) in HALVES {
            let found = gradients(&model(&config).trained_in(precision));
            assert_eq!(found.len(), exact.len());
            let mut worst = 0.0_f64;
            for (name, exact) in &exact {
                let off = length(exact.iter().zip(&found[name]).map(|(a, b)| a - b));
                // Gradients that cancel out are as exact as what cancels.
                let size = length(exact.iter().copied()).max(0.1 * longest);
                let units = off / size / rounding;
                assert!(units <= most, "{what} in {precision}, {name}: off by {units:.1} units, of {most}");
                worst = worst.max(units);
            }
            assert!(worst > 0.1, "{what} in {precision}: nothing was rounded");
        }
    }
}

/// Numbers of running statistics, by name.
fn statistics(model: &Model) -> Vec<(String, TensorData)> {
    let all = named_tensors(model).into_iter();
    all.filter(|tensor| tensor.name.contains("running")).map(|tensor| (tensor.name, tensor.data)).collect()
}

fn normalised() -> ModelConfig {
    let first = StageConfig { norm: Normalisation::Batch, ..stage() };
    cnn(vec![first], HeadConfig { hidden: vec![9], norm: Normalisation::Batch, ..HeadConfig::default() })
}

#[test]
fn running_statistics_move_in_f32_as_those_of_f32_do() {
    let moved = |precision| {
        let model = model(&normalised()).trained_in(precision);
        model.forward(inputs(1.0), PASS);
        statistics(&model)
    };
    let exact = moved(Precision::F32);
    for (precision, rounding) in HALVES {
        let found = moved(precision);
        assert_ne!(found, exact, "{precision} is not f32");
        for ((name, exact), (_, found)) in exact.iter().zip(found) {
            let pairs = exact.iter::<f32>().zip(found.try_to_vec::<f32>().unwrap());
            let off = pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
            assert!(off < 4.0 * rounding, "{name} in {precision}: {off}");
        }
    }
}

#[test]
fn prediction_is_f32_whatever_a_model_trains_in() {
    let outputs =
        |precision| model(&normalised()).trained_in(precision).forward(inputs(1.0), Pass::Predict).into_data();
    let exact = outputs(Precision::F32);
    HALVES.iter().for_each(|(precision, _)| assert_eq!(outputs(*precision), exact, "{precision}"));
}

#[test]
fn f16_ends_at_65504_and_bf16_does_not() {
    let is_finite = |precision| {
        let model = model(&ModelConfig::Mlp(MlpConfig { hidden: vec![9], ..MlpConfig::default() }));
        let outputs = model.trained_in(precision).forward(inputs(1e6), PASS).into_data();
        outputs.iter::<f32>().all(f32::is_finite)
    };
    assert_eq!([Precision::F32, Precision::Bf16, Precision::F16].map(is_finite), [true, true, false]);
}
