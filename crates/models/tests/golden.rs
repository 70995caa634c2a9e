//! Forward passes, what each layer makes on the way, three steps of SGD and running statistics agree with PyTorch's, for every preset and
//! for what no preset has. The numbers are made by `golden/generate.py`, and with torchvision's own networks by `golden/resnets.py`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::{GradientsParams, SgdConfig},
    tensor::{Device, Gradients, Int, Tensor, TensorData, activation::log_softmax},
};
use data::{Filter, Fit, ImageSpec, InputSpec};
use models::{
    Activation, CnnConfig, HeadConfig, Kind, MlpConfig, Model, ModelConfig, Normalisation, Pass, PoolConfig, PoolKind,
    StageConfig, feature_maps, load_tensors, named_tensors, summary,
};
use serde::Deserialize;

mod wave;
use wave::{digest, filled, wave};

/// Relative to the greatest number of what is compared. Sums of f32 in another order: 3e-6 at most was seen (resnet18-small, after three
/// steps), 1e-6 for all others.
const TOLERANCE: f64 = 1e-5;
/// After steps of the networks whose gradients are compared by themselves, below.
const STEPPED: f64 = 2e-4;
/// Of gradients of deep networks: a value near zero that falls on the other side of ReLU takes its whole path along. The script says how far
/// PyTorch is from itself; 3.6e-2 at most was seen, of a vector of 64.
const FLIPPED: f64 = 6e-2;
const OUTPUTS: usize = 10;

#[derive(Deserialize)]
struct Golden {
    models: HashMap<String, Case>,
    #[serde(default)]
    activations: HashMap<String, Vec<f32>>,
}

#[derive(Deserialize)]
struct Case {
    parameters: u64,
    batch: usize,
    channels: usize,
    side: usize,
    #[serde(default = "usual")]
    lr: f64,
    before: Vec<f64>,
    /// By the layer's name, before training.
    maps: HashMap<String, Map>,
    losses: Vec<f64>,
    /// Of the first step, where the script kept them.
    #[serde(default)]
    gradients: HashMap<String, [f64; 3]>,
    after: Vec<f64>,
    /// First value, sum weighed by a wave, length.
    tensors: HashMap<String, [f64; 3]>,
}

fn usual() -> f64 {
    0.01
}

#[derive(Deserialize)]
struct Map {
    shape: Vec<usize>,
    /// As of `tensors`.
    values: [f64; 3],
}

fn golden() -> Golden {
    let mut golden: Golden = serde_json::from_str(include_str!("golden/golden.json")).unwrap();
    let resnets: Golden = serde_json::from_str(include_str!("golden/resnets.json")).unwrap();
    golden.models.extend(resnets.models);
    golden
}

fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) -> f64 {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-3, |most: f64, x| most.max(x.abs()));
    let worst = found.iter().zip(expected).fold(0.0, |worst: f64, (x, y)| worst.max((x - y).abs() / scale));
    assert!(worst <= tolerance, "{what}: off by {worst:.1e} of {scale:.3}");
    worst
}

fn floats(data: &TensorData) -> Vec<f64> {
    data.as_slice::<f32>().unwrap().iter().map(|x| f64::from(*x)).collect()
}

/// `digest` of the script, all three against `length`, the only one of them that isn't near zero by chance.
fn beside(values: &[f64], length: f64) -> [f64; 3] {
    digest(values).map(|number| number / length)
}

/// Compares what each layer makes of `x`; the network "grouped" is written in one piece and has no layers to ask.
fn compare_maps(name: &str, model: &Model, x: Tensor<4>, case: &Case) -> f64 {
    let found = feature_maps(model, x, usize::MAX);
    let mut worst: f64 = 0.0;
    for map in &found {
        let Some(Map { shape, values: [first, weighed, length] }) = case.maps.get(&map.layer) else {
            // The head's mean and the outputs are no modules there; what they come to is compared as the outputs.
            assert!(matches!(&*map.layer, "head" | "head.output" | "output") || name == "grouped", "{}", map.layer);
            continue;
        };
        assert_eq!(map.shape[..shape.len()], shape[..], "{name}, {}", map.layer);
        let values: Vec<f64> = map.values.iter().map(|x| f64::from(*x)).collect();
        let expected = [first / length, weighed / length, 1.0];
        worst = worst.max(close(&format!("{name}, {}", map.layer), &beside(&values, *length), &expected, TOLERANCE));
    }
    let named = found.iter().filter(|map| case.maps.contains_key(&map.layer)).count();
    assert_eq!(named, case.maps.len(), "{name}: {:?}", case.maps.keys());
    worst
}

/// The gradients of each parameter, where the script kept them.
fn compare_gradients(name: &str, model: &Model, gradients: &Gradients, case: &Case) -> f64 {
    struct Slopes<'a> {
        gradients: &'a Gradients,
        found: Vec<Vec<f64>>,
    }
    impl ModuleVisitor for Slopes<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.gradients) {
                // The matrix of a linear layer lies transposed in memory.
                let gradient = if D == 2 { gradient.swap_dims(0, 1) } else { gradient };
                self.found.push(floats(&gradient.into_data()));
            }
        }
    }
    if case.gradients.is_empty() {
        return 0.0;
    }
    let mut slopes = Slopes { gradients, found: Vec::new() };
    model.visit(&mut slopes);
    let names: Vec<String> =
        named_tensors(model).into_iter().filter(|t| t.kind != Kind::Running).map(|t| t.name).collect();
    assert_eq!((names.len(), slopes.found.len()), (case.gradients.len(), case.gradients.len()), "{name}");
    let mut worst: f64 = 0.0;
    for (tensor, values) in names.iter().zip(&slopes.found) {
        let [first, weighed, length] = case.gradients[tensor];
        let expected = [first / length, weighed / length, 1.0];
        let what = format!("{name}, gradient of {tensor}");
        worst = worst.max(close(&what, &beside(values, length), &expected, FLIPPED));
    }
    worst
}

fn cross_entropy(logits: Tensor<2>, batch: usize) -> Tensor<1> {
    let classes: Vec<i32> = (0..batch).map(|i| ((3 * i + 1) % OUTPUTS) as i32).collect();
    let classes = Tensor::<2, Int>::from_data(TensorData::new(classes, [batch, 1]), &logits.device());
    log_softmax(logits, 1).gather(1, classes).mean().neg()
}

fn compare(name: &str, config: &ModelConfig) {
    let case = &golden().models[name];
    let Case { batch, channels, side, .. } = *case;
    let (filter, fit) = (Filter::Triangle, Fit::Crop);
    let (mean, std) = (vec![0.5; channels], vec![0.25; channels]);
    let input = InputSpec::Image(ImageSpec { channels, height: side, width: side, fit, filter, mean, std });
    let listed: u64 = summary(config, &input, OUTPUTS).unwrap().iter().map(|layer| layer.parameters).sum();
    assert_eq!(listed, case.parameters, "{name}");

    let device = Device::flex().autodiff();
    let model = config.init(&input, OUTPUTS, 0, &device).unwrap();
    let tensors = named_tensors(&model).into_iter().map(filled).collect();
    let mut model: Model = load_tensors(model, tensors).unwrap();
    let x: Vec<f32> = wave(batch * channels * side * side, 0.5).into_iter().map(|x| (x as f32 + 1.0) / 2.0).collect();
    let x = Tensor::<4>::from_data(TensorData::new(x, [batch, channels, side, side]), &device);

    let predict = |model: &Model| floats(&model.forward(x.clone(), Pass::Predict).into_data());
    let before = close(&format!("{name}, outputs before"), &predict(&model), &case.before, TOLERANCE);
    let maps = compare_maps(name, &model, x.clone(), case);
    let mut optimizer = SgdConfig::new().init();
    let (mut worst, mut slopes) = (0.0_f64, 0.0);
    let stepped = if case.gradients.is_empty() { TOLERANCE } else { STEPPED };
    for (step, expected) in case.losses.iter().enumerate() {
        let loss = cross_entropy(model.forward(x.clone(), Pass::Train { seed: 0, step: step as u64, first: 0 }), batch);
        worst = worst.max(close(&format!("{name}, loss {step}"), &floats(&loss.to_data()), &[*expected], stepped));
        let gradients = loss.backward();
        if step == 0 {
            slopes = compare_gradients(name, &model, &gradients, case);
        }
        let gradients = GradientsParams::from_grads(gradients, &model);
        model = optimizer.step(case.lr, model, gradients);
    }
    let found = named_tensors(&model);
    assert_eq!(found.len(), case.tensors.len(), "{name}");
    for tensor in found {
        let [first, weighed, length] = case.tensors[&tensor.name];
        let values = floats(&tensor.data);
        let expected = [first / length, weighed / length, 1.0];
        worst = worst.max(close(&format!("{name}, {}", tensor.name), &beside(&values, length), &expected, stepped));
    }
    let after = close(&format!("{name}, outputs after"), &predict(&model), &case.after, stepped);
    println!(
        "{name}: off by {before:.1e} before ({maps:.1e} on the way), {worst:.1e} in training ({slopes:.1e} the gradients), {after:.1e} after"
    );
}

#[test]
fn presets_agree_with_pytorch() {
    for name in ["mlp", "cnn", "lenet5", "resnet20"] {
        compare(name, &ModelConfig::named(name).unwrap());
    }
    compare("lenet5-32", &ModelConfig::named("lenet5").unwrap());
}

#[test]
fn resnet18_small_agrees_with_pytorch() {
    compare("resnet18-small", &ModelConfig::named("resnet18-small").unwrap());
}

#[test]
fn resnet18_agrees_with_torchvision() {
    compare("resnet18", &ModelConfig::named("resnet18").unwrap());
}

#[test]
fn resnet50_agrees_with_torchvision() {
    compare("resnet50", &ModelConfig::named("resnet50").unwrap());
}

#[test]
fn normalised_perceptrons_agree_with_pytorch() {
    for norm in [Normalisation::Batch, Normalisation::Layer] {
        compare(&format!("mlp-{norm}"), &ModelConfig::Mlp(MlpConfig { norm, ..MlpConfig::with_hidden([32, 16]) }));
    }
}

#[test]
fn groups_even_kernels_and_average_pooling_agree_with_pytorch() {
    let stage = StageConfig {
        filters: 8,
        kernel: 4,
        groups: 2,
        norm: Normalisation::Group,
        activation: Activation::Gelu,
        pool: Some(PoolConfig { kind: PoolKind::Avg, size: 3, stride: Some(2), padding: 0 }),
        ..StageConfig::default()
    };
    let head = HeadConfig { hidden: vec![20], activation: Activation::Gelu, ..HeadConfig::default() };
    compare("grouped", &ModelConfig::Cnn(CnnConfig { stages: vec![stage], head, ..CnnConfig::default() }));
}

#[test]
fn activations_agree_with_pytorch() {
    let golden = golden().activations;
    assert_eq!(golden.len(), Activation::ALL.len());
    for activation in Activation::ALL {
        let x: Vec<f32> = (0..33).map(|i| -4.0 + 0.25 * i as f32).collect();
        let x = Tensor::<1>::from_data(TensorData::new(x, [33]), &Device::flex());
        let expected: Vec<f64> = golden[activation.name()].iter().map(|x| f64::from(*x)).collect();
        close(activation.name(), &floats(&activation.forward(x).into_data()), &expected, 1e-6);
    }
}
