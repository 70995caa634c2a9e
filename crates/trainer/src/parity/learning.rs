//! Losses of every task, and every optimizer.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use data::Target;
use models::{MlpConfig, Model, ModelConfig};
use tasks::{Classification, MultiLabel, Regression, Task};

use super::networks::{Network, weights};
use super::{Case, Outcome, Part, random, values};
use crate::optimizer::{Optimizer, OptimizerConfig};

/// Samples and outputs.
const SHAPE: [usize; 2] = [13, 5];

/// What a sample's targets are.
#[derive(Clone, Copy)]
enum Truth {
    Classes,
    /// 0 or 1.
    Labels,
    /// Shares of classes.
    Shares,
    Numbers,
}

pub(super) fn losses() -> Vec<Case> {
    let names = || (0..SHAPE[1]).map(|name| name.to_string()).collect::<Vec<_>>();
    let weights = vec![0.5, 2.0, 1.0, 1.5, 0.1];
    let classes = |label_smoothing, class_weights| {
        Task::Classification(Classification { classes: names(), label_smoothing, class_weights })
    };
    let labels = |label_smoothing, positive_weights| {
        Task::MultiLabel(MultiLabel { labels: names(), label_smoothing, positive_weights, thresholds: None })
    };
    let mut tasks = vec![
        ("cross-entropy", classes(0.0, None), Truth::Classes),
        ("cross-entropy, weighted, smoothed", classes(0.1, Some(weights.clone())), Truth::Classes),
        ("cross-entropy of mixed samples", classes(0.1, Some(weights.clone())), Truth::Shares),
        ("binary cross-entropy", labels(0.0, None), Truth::Labels),
        ("binary cross-entropy, weighted, smoothed", labels(0.1, Some(weights)), Truth::Labels),
    ];
    for name in ["mse", "mae", "huber"] {
        let Ok(loss) = name.parse() else { continue };
        let (mean, std) = (vec![0.5; SHAPE[1]], vec![2.0; SHAPE[1]]);
        tasks.push((name, Task::Regression(Regression { targets: names(), mean, std, loss }), Truth::Numbers));
    }
    let case = |(name, task, truth): (&str, Task, Truth)| {
        Case::new(Part::Loss, name, move |device| loss(&task, &target(truth, device), device))
    };
    tasks.into_iter().map(case).collect()
}

fn loss(task: &Task, target: &Target, device: &Device) -> Result<Outcome, String> {
    let outputs = Tensor::<2>::from_data(random(SHAPE, 1), device).mul_scalar(4.0).detach().require_grad();
    let loss = task.loss(outputs.clone(), target);
    let gradient = outputs.grad(&loss.backward()).ok_or("the outputs have no gradient")?;
    Ok(Outcome { outputs: vec![values(loss)?], gradients: vec![values(gradient)?] })
}

fn target(truth: Truth, device: &Device) -> Target {
    let numbers = random(SHAPE, 2).iter::<f32>().collect::<Vec<_>>();
    let dense = |values: Vec<f32>| Target::Dense(Tensor::from_data(TensorData::new(values, SHAPE), device));
    match truth {
        Truth::Classes => {
            let classes: Vec<i32> = (0..SHAPE[0]).map(|row| (row * 3 % SHAPE[1]) as i32).collect();
            Target::Classes(Tensor::<1, Int>::from_data(TensorData::new(classes, [SHAPE[0]]), device))
        }
        Truth::Labels => dense(numbers.iter().map(|&number| f32::from(u8::from(number > 0.0))).collect()),
        Truth::Shares => {
            let share = |row: &[f32]| {
                let sum: f32 = row.iter().map(|number| number.abs()).sum();
                row.iter().map(|number| number.abs() / sum).collect::<Vec<_>>()
            };
            dense(numbers.chunks(SHAPE[1]).flat_map(share).collect())
        }
        Truth::Numbers => dense(numbers.iter().map(|number| number * 5.0).collect()),
    }
}

pub(super) fn optimizers() -> Vec<Case> {
    let case = |name: &&'static str| {
        let name = *name;
        Case::new(Part::Optimizer, name, move |device| three_updates(name, device))
    };
    OptimizerConfig::NAMES.iter().map(case).collect()
}

/// Three updates by gradients that are the same everywhere: the weights, and what the optimizer remembers. Steps as large as the weights, so
/// that a wrong one shows.
fn three_updates(name: &str, device: &Device) -> Result<Outcome, String> {
    let config = OptimizerConfig::named(name).ok_or("there is no such optimizer")?;
    let config = config.with_momentum(0.9).with_weight_decay(0.1);
    let model = ModelConfig::Mlp(MlpConfig::with_hidden([6]));
    let mut model = Network::new(model, [1, 1, 7], 1).init(device)?;
    let mut optimizer = Optimizer::new(&config, HashMap::new());
    for step in 0..3 {
        let gradients = given(&model, step * 10, device);
        model = optimizer.step_scaled(model, gradients, 0.1, 0.5);
    }
    let state = optimizer.state().into_iter().map(|(_, data)| data.iter::<f64>().collect());
    Ok(Outcome { outputs: weights(&model).into_iter().chain(state).collect(), gradients: Vec::new() })
}

fn given(model: &Model, seed: u32, device: &Device) -> GradientsParams {
    struct Given(GradientsParams, u32, Device);
    impl ModuleVisitor for Given {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1 += 1;
            let data = random::<D>(param.shape().dims(), self.1);
            self.0.register::<D>(param.id, Tensor::from_data(data, &self.2));
        }
    }
    let mut given = Given(GradientsParams::new(), seed, device.clone().inner());
    model.visit(&mut given);
    given.0
}
