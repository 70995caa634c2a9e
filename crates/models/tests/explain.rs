//! What an output goes by agrees with PyTorch's autograd for every preset, adds up as the papers promise, and follows what differences say.
//! The golden numbers are made by `golden/explain.py`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use data::{Filter, Fit, ImageSpec, InputSpec};
use models::{
    Activation, Attribution, Baseline, CnnConfig, HeadConfig, HeadPool, MlpConfig, Model, ModelConfig, Normalisation,
    Pass, PoolConfig, PoolKind, Residual, StageConfig, feature_maps, grad_cam, integrated_gradients, load_tensors,
    named_tensors,
};
use proptest::prelude::*;
use serde::Deserialize;

mod wave;
use wave::{digest, filled, wave};

/// Relative to the length of what is compared; 6e-6 at most was seen (resnet18).
const TOLERANCE: f64 = 2e-5;
/// Of gradients through deep networks, which the script computes in double precision: a value near zero that falls on the other side of ReLU
/// takes its whole path along. Grad-CAM looks at the head alone.
const FLIPPED: f64 = 3e-3;

#[derive(Deserialize)]
struct Golden {
    steps: usize,
    models: HashMap<String, Case>,
}

#[derive(Deserialize)]
struct Case {
    channels: usize,
    side: usize,
    outputs: Vec<usize>,
    integrated: Vec<Integrated>,
    grad_cam: Option<Map>,
}

#[derive(Deserialize)]
struct Integrated {
    values: [f64; 3],
    sum: f64,
    score: f64,
    baseline: f64,
}

#[derive(Deserialize)]
struct Map {
    size: [usize; 2],
    maps: Vec<[f64; 3]>,
    upsampled: Vec<[f64; 3]>,
}

fn image([channels, height, width]: [usize; 3]) -> InputSpec {
    let (mean, std) = (vec![0.5; channels], vec![0.25; channels]);
    InputSpec::Image(ImageSpec { channels, height, width, fit: Fit::Crop, filter: Filter::Triangle, mean, std })
}

/// The network with the weights of the script.
fn network(config: &ModelConfig, input: &InputSpec, outputs: usize) -> Model {
    let model = config.init(input, outputs, 0, &Device::flex()).unwrap();
    let tensors = named_tensors(&model).into_iter().map(filled).collect();
    load_tensors(model, tensors).unwrap()
}

fn sample(values: &[f32], [channels, height, width]: [usize; 3]) -> Tensor<4> {
    let batch = values.len() / (channels * height * width);
    Tensor::from_data(TensorData::new(values.to_vec(), [batch, channels, height, width]), &Device::flex())
}

fn score(model: &Model, input: &[f32], output: usize) -> f64 {
    let outputs = model.forward(sample(input, model.input().shape()), Pass::Predict);
    f64::from(outputs.into_data().iter::<f32>().nth(output).unwrap())
}

fn close(what: &str, found: f64, expected: f64, bound: f64) {
    assert!((found - expected).abs() <= bound, "{what}: {found} is not {expected} (by {bound:e})");
}

/// As in `digest` of the script; all three beside the length.
fn alike(what: &str, values: &[f32], expected: [f64; 3], tolerance: f64) {
    let values: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
    for (found, expected) in digest(&values).into_iter().zip(expected) {
        close(what, found, expected, tolerance * digest(&values)[2]);
    }
}

fn compare(name: &str) {
    let golden: Golden = serde_json::from_str(include_str!("golden/explain.json")).unwrap();
    let case = &golden.models[name];
    let shape = [case.channels, case.side, case.side];
    let len: usize = shape.iter().product();
    let model = network(&ModelConfig::named(name).unwrap(), &image(shape), 10);
    let x: Vec<f32> = wave(case.outputs.len() * len, 0.5).into_iter().map(|x| (x as f32 + 1.0) / 2.0).collect();
    let flipped = if ["resnet18", "resnet50"].contains(&name) { FLIPPED } else { TOLERANCE };
    for (at, expected) in case.integrated.iter().enumerate() {
        let baseline = [Baseline::Mean, Baseline::Black][at % 2].values(model.input()).unwrap();
        let one = sample(&x[at * len..][..len], shape);
        let found = integrated_gradients(&model, one, &baseline, case.outputs[at], golden.steps).unwrap();
        alike(&format!("{name}, integrated gradients {at}"), &found.values, expected.values, flipped);
        let sum = expected.score - expected.baseline + found.gap();
        close(&format!("{name}, the sum"), sum, expected.sum, flipped * expected.values[2].max(expected.sum.abs()));
        close(&format!("{name}, the score"), f64::from(found.score), expected.score, TOLERANCE * expected.score.abs());
    }
    let Some(expected) = &case.grad_cam else {
        let refused = grad_cam(&model, sample(&x, shape), &case.outputs).unwrap_err();
        assert!(refused.to_string().contains("a perceptron has no convolution") && refused.is_usage(), "{refused}");
        return;
    };
    for (at, found) in grad_cam(&model, sample(&x, shape), &case.outputs).unwrap().iter().enumerate() {
        assert_eq!(found.size, expected.size, "{name}");
        alike(&format!("{name}, Grad-CAM {at}"), &found.map, expected.maps[at], TOLERANCE);
        let large = found.upsampled([case.side, case.side]);
        alike(&format!("{name}, Grad-CAM {at} at the input's size"), &large, expected.upsampled[at], TOLERANCE);
        close(&format!("{name}, the score"), f64::from(found.score), case.integrated[at].score, TOLERANCE);
    }
}

#[test]
fn presets_agree_with_pytorch() {
    for name in ["mlp", "cnn", "lenet5", "resnet20"] {
        compare(name);
    }
}

#[test]
fn residual_networks_agree_with_pytorch_and_torchvision() {
    for name in ["resnet18-small", "resnet18", "resnet50"] {
        compare(name);
    }
}

/// A smooth network, whose integral a sum approaches quickly.
fn smooth(pool: Option<PoolConfig>, norm: Normalisation, residual: Residual) -> ModelConfig {
    let stage = StageConfig { filters: 4, norm, activation: Activation::Silu, ..StageConfig::default() };
    let stages = vec![stage.clone(), StageConfig { filters: 6, repeat: 2, residual, pool, ..stage }];
    let head = HeadConfig { hidden: vec![5], activation: Activation::Tanh, ..HeadConfig::default() };
    ModelConfig::Cnn(CnnConfig { stages, head, ..CnnConfig::default() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn integrated_gradients_add_up_to_the_change_of_the_output(
        (channels, height, width) in (1_usize..4, 3_usize..10, 3_usize..10),
        kind in 0_usize..4,
        phase in 0.0_f64..50.0,
        output in 0_usize..3,
    ) {
        let average = Some(PoolConfig { kind: PoolKind::Avg, stride: Some(1), ..PoolConfig::max(2) });
        let config = match kind {
            0 => ModelConfig::Mlp(MlpConfig { activation: Activation::Gelu, ..MlpConfig::with_hidden([7, 5]) }),
            1 => smooth(None, Normalisation::Batch, Residual::Project),
            2 => smooth(average, Normalisation::Group, Residual::None),
            _ => smooth(average, Normalisation::None, Residual::Pad),
        };
        let shape = [channels, height, width];
        let model = network(&config, &image(shape), 3);
        let x: Vec<f32> = wave(channels * height * width, phase).into_iter().map(|x| (x as f32 + 1.0) / 2.0).collect();
        let baseline = Baseline::Black.values(model.input()).unwrap();
        let gap = |steps| integrated_gradients(&model, sample(&x, shape), &baseline, output, steps).unwrap().gap().abs();
        let change = (score(&model, &x, output) - score(&model, &baseline, output)).abs();
        prop_assert!(gap(300) <= 1e-3 * change.max(0.1), "{} of {change}", gap(300));
    }
}

#[test]
fn a_single_step_is_the_gradient_in_the_middle_as_differences_say() {
    let shape = [2, 6, 5];
    let model = network(&smooth(None, Normalisation::Batch, Residual::Project), &image(shape), 3);
    let x: Vec<f32> = wave(60, 2.0).into_iter().map(|x| (x as f32 + 1.0) / 2.0).collect();
    let baseline: Vec<f32> = wave(60, 9.0).into_iter().map(|x| (x as f32 + 1.0) / 2.0).collect();
    let found = integrated_gradients(&model, sample(&x, shape), &baseline, 1, 1).unwrap();
    let step = 1e-2;
    let largest = found.values.iter().fold(0.0_f64, |most, value| most.max(f64::from(value.abs())));
    for (at, value) in found.values.iter().enumerate() {
        let moved = |by: f32| {
            let mut middle: Vec<f32> = x.iter().zip(&baseline).map(|(x, from)| (x + from) / 2.0).collect();
            middle[at] += by;
            score(&model, &middle, 1)
        };
        let slope = (moved(step) - moved(-step)) / f64::from(2.0 * step);
        let expected = slope * f64::from(x[at] - baseline[at]);
        assert!((f64::from(*value) - expected).abs() < 0.01 * largest, "{at}: {value} is not {expected} of {largest}");
    }
}

#[test]
fn the_map_behind_grad_cam_is_that_of_the_last_block_whatever_pools_it() {
    let shape = [1, 12, 12];
    let stage = |activation, pool| StageConfig { filters: 6, activation, pool, ..StageConfig::default() };
    for (activation, pool) in [
        (Activation::Relu, Some(PoolConfig::max(2))),
        (Activation::LeakyRelu, Some(PoolConfig::max(3))),
        (Activation::Relu, None),
        (Activation::Gelu, Some(PoolConfig { kind: PoolKind::Avg, ..PoolConfig::max(2) })),
    ] {
        let stages = vec![stage(activation, pool), stage(activation, pool)];
        let head = HeadConfig { pool: HeadPool::Global, ..HeadConfig::default() };
        let model = network(&ModelConfig::Cnn(CnnConfig { stages, head, ..CnnConfig::default() }), &image(shape), 2);
        let x: Vec<f32> = wave(144, 0.5).into_iter().map(|x| (x as f32 + 1.0) / 2.0).collect();
        let maps = feature_maps(&model, sample(&x, shape), usize::MAX);
        let map = maps.iter().rfind(|map| map.layer == "stages.1.blocks.0").unwrap();
        for output in 0..2 {
            let found = grad_cam(&model, sample(&x, shape), &[output]).unwrap().remove(0);
            assert_eq!((found.layer.as_str(), &found.size[..]), ("stages.1.blocks.0", &map.shape[2..]));
            let expected = score(&model, &x, output);
            assert!((f64::from(found.score) - expected).abs() < 1e-5, "{activation}: {} {expected}", found.score);
        }
    }
}

#[test]
fn grad_cam_is_usual_where_the_last_map_is_not_coarse() {
    let usual = |name: &str, side| Attribution::usual(&ModelConfig::named(name).unwrap(), &image([3, side, side]));
    for (name, side) in [("cnn", 28), ("cnn", 14), ("resnet20", 32), ("resnet50", 224)] {
        assert_eq!(usual(name, side), Attribution::GradCam, "{name} {side}");
    }
    for (name, side) in [("cnn", 8), ("cnn", 13), ("resnet50", 64), ("mlp", 28)] {
        assert_eq!(usual(name, side), Attribution::Occlusion, "{name} {side}");
    }
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let input = image([1, 4, 4]);
    let model = network(&ModelConfig::named("mlp").unwrap(), &input, 3);
    let x = || sample(&[0.5; 16], [1, 4, 4]);
    let refused = integrated_gradients(&model, x(), &[0.0; 16], 3, 8).unwrap_err();
    assert_eq!(refused.to_string(), "output: there are 3, counted from 0; 3 is none of them");
    assert!(integrated_gradients(&model, x(), &[0.0; 16], 0, 0).is_err());
    assert!(Baseline::Absent.values(&input).is_err());
}
