//! The gradient of every parameter is the slope of the loss, by finite differences along a direction.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::HashMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Gradients, Tensor, TensorData},
};
use data::random::{Purpose, Random};
use data::{Filter, Fit, ImageSpec, InputSpec};
use models::{
    Activation, CnnConfig, HeadConfig, HeadPool, Kind, Model, ModelConfig, Normalisation, Padding, Pass, PoolConfig,
    PoolKind, Residual, StageConfig, load_tensors, named_tensors, parameter_kinds,
};

/// The same step each time: dropout's masks stay.
const PASS: Pass = Pass::Train { seed: 3, step: 7, first: 0 };

fn input() -> InputSpec {
    let (channels, height, width) = (2, 7, 6);
    let (mean, std) = (vec![0.4, 0.5], vec![0.2, 0.3]);
    InputSpec::Image(ImageSpec { channels, height, width, fit: Fit::Crop, filter: Filter::Triangle, mean, std })
}

fn random(shape: [usize; 4]) -> Tensor<4> {
    let mut random = Random::new(5, Purpose::Bench, 0, 0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.uniform()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

/// A loss that weighs each output differently.
fn loss(model: &Model) -> Tensor<1> {
    let outputs = model.forward(random([3, 2, 7, 6]), PASS);
    let [rows, columns] = outputs.dims();
    let weights: Vec<f32> = (0..rows * columns).map(|i| (i as f32 * 1.7).sin()).collect();
    let weights = Tensor::from_data(TensorData::new(weights, [rows, columns]), &outputs.device());
    (outputs.clone() * weights).sum() + outputs.powi_scalar(2).mean()
}

struct Slopes<'a> {
    gradients: &'a Gradients,
    kinds: HashMap<burn::module::ParamId, (String, Kind)>,
    /// By name, the gradient in memory's layout.
    found: HashMap<String, Vec<f32>>,
}

impl ModuleVisitor for Slopes<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (name, kind) = &self.kinds[&param.id];
        match param.val().grad(self.gradients) {
            // In PyTorch's layout, like the tensors that the test changes.
            Some(gradient) if D == 2 => {
                let data = gradient.swap_dims(0, 1).into_data();
                self.found.insert(name.clone(), data.try_to_vec::<f32>().unwrap());
            }
            Some(gradient) => {
                self.found.insert(name.clone(), gradient.into_data().try_to_vec::<f32>().unwrap());
            }
            None => assert_eq!(*kind, Kind::Running, "{name} has no gradient"),
        }
    }
}

fn check(config: &ModelConfig) {
    let device = Device::flex().autodiff();
    let model = config.init(&input(), 3, 1, &device).unwrap();
    let tensors: HashMap<String, TensorData> = named_tensors(&model).into_iter().map(|t| (t.name, t.data)).collect();
    let gradients = loss(&model).backward();
    let mut slopes = Slopes { gradients: &gradients, kinds: parameter_kinds(&model), found: HashMap::new() };
    model.visit(&mut slopes);
    for (number, (name, gradient)) in slopes.found.iter().enumerate() {
        let mut draw = Random::new(11, Purpose::Bench, number as u32, 1);
        let direction: Vec<f32> = gradient.iter().map(|_| draw.range(-1.0, 1.0)).collect();
        let length = direction.iter().map(|x| x * x).sum::<f32>().sqrt();
        let moved = |along: f32| {
            let old = tensors[name].try_to_vec::<f32>().unwrap();
            let values: Vec<f32> = old.iter().zip(&direction).map(|(x, d)| x + along * d / length).collect();
            let mut tensors = tensors.clone();
            tensors.insert(name.clone(), TensorData::new(values, tensors[name].shape().clone()));
            let model = load_tensors(model.clone(), tensors).unwrap();
            f64::from(loss(&model).into_data().as_slice::<f32>().unwrap()[0])
        };
        let step = 1e-2f32;
        let measured = (moved(step) - moved(-step)) / f64::from(2.0 * step);
        let slope: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(g * d / length)).sum();
        // f32 losses near 1 give differences good to 1e-7 / 1e-2, the third derivative adds 1e-4.
        let scale = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt().max(0.05);
        assert!((measured - slope).abs() < 0.01 * scale, "{name}: {measured} is not {slope} (gradient {scale})");
    }
}

fn stage() -> StageConfig {
    StageConfig { filters: 4, activation: Activation::Silu, ..StageConfig::default() }
}

fn network(stages: Vec<StageConfig>, head: HeadConfig) -> ModelConfig {
    ModelConfig::Cnn(CnnConfig {
        stages,
        head: HeadConfig { activation: Activation::Tanh, ..head },
        ..CnnConfig::default()
    })
}

#[test]
fn of_batch_normalisation_and_both_bridges() {
    for residual in [Residual::Project, Residual::Pad] {
        let first = StageConfig { norm: Normalisation::Batch, ..stage() };
        let second = StageConfig { filters: 7, stride: 2, residual, repeat: 2, ..first.clone() };
        check(&network(vec![first, second], HeadConfig { pool: HeadPool::Global, ..HeadConfig::default() }));
    }
}

#[test]
fn of_dropout_with_its_mask_held() {
    let first = StageConfig { dropout: 0.3, ..stage() };
    let head = HeadConfig { hidden: vec![9], dropout: 0.5, norm: Normalisation::Batch, ..HeadConfig::default() };
    check(&network(vec![first], head));
}

#[test]
fn of_groups_uneven_padding_and_average_pooling() {
    let pool = Some(PoolConfig { kind: PoolKind::Avg, size: 2, stride: Some(1), padding: 0 });
    let first = StageConfig { kernel: 4, groups: 2, norm: Normalisation::Group, pool, ..stage() };
    let second = StageConfig { kernel: 2, stride: 2, padding: Padding::To(7), norm: Normalisation::Layer, ..stage() };
    let head = HeadConfig { hidden: vec![5], norm: Normalisation::Layer, ..HeadConfig::default() };
    check(&network(vec![first, second], head));
}
