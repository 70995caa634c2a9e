//! What the first steps of a network cost on a device, where its programs are compiled and tuned, and what the later ones do. On a GPU the
//! difference is seconds to minutes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use data::Target;
use models::{Model, ModelConfig, Pass};
use tasks::{Classification, Regression, RegressionLoss, Task};

use crate::lost::{attended, if_too_many};
use crate::optimizer::{Optimizer, OptimizerConfig};
use crate::{Error, evaluate};

/// How long the first of something took, and how long the last.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Latency {
    /// With all that is done once.
    pub first: f64,
    /// After some others.
    pub then: f64,
}

/// What [`warm`] found, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Warmth {
    /// A step of training: forward, backward, update.
    pub train: Latency,
    /// A prediction.
    pub predict: Latency,
}

/// Steps of each kind: enough for what is tuned to have settled.
const STEPS: usize = 4;

/// Takes a few steps of training and predicts a few times, `batch` samples of nothing at once.
///
/// # Errors
/// If the network makes no sense for `input`, or the device fails.
pub fn warm(
    model: &ModelConfig,
    input: &data::InputSpec,
    outputs: usize,
    batch: usize,
    device: &Device,
) -> Result<Warmth, Error> {
    attended(device, || steps(model, input, outputs, batch, device)).map_err(|error| if_too_many(error, batch))
}

fn steps(
    model: &ModelConfig,
    input: &data::InputSpec,
    outputs: usize,
    batch: usize,
    device: &Device,
) -> Result<Warmth, Error> {
    let [channels, height, width] = input.shape();
    let mut model = model.init(input, outputs, 0, &device.clone().autodiff())?;
    let task = task(outputs);
    let mut optimizer = Optimizer::new(&OptimizerConfig::default(), HashMap::new());
    let inputs = |device: &Device| Tensor::<4>::zeros([batch, channels, height, width], device);
    let mut steps = Vec::new();
    for step in 0..STEPS {
        let (from, step) = (Instant::now(), step as u64);
        model = learn(model, &mut optimizer, inputs(&device.clone().autodiff()), &task, step)?;
        steps.push(from.elapsed());
    }
    let model = model.valid();
    let mut predictions = Vec::new();
    for _ in 0..STEPS {
        let from = Instant::now();
        evaluate::read(model.forward(inputs(device), Pass::Predict))?;
        predictions.push(from.elapsed());
    }
    Ok(Warmth { train: latency(&steps), predict: latency(&predictions) })
}

/// One update, and a wait for the device.
fn learn(model: Model, optimizer: &mut Optimizer, inputs: Tensor<4>, task: &Task, step: u64) -> Result<Model, Error> {
    let ([batch, ..], device) = (inputs.dims(), inputs.device());
    let outputs = model.forward(inputs, Pass::Train { seed: 0, step, first: 0 });
    let loss = task.loss(outputs, &target(task, batch, &device));
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    let model = optimizer.step(model, gradients, 1e-6);
    evaluate::read(loss.inner())?;
    device.inner().sync().map_err(|error| Error::Device(format!("{error:?}")))?;
    Ok(model)
}

/// Classes; with one output, a number.
fn task(outputs: usize) -> Task {
    let names = (0..outputs).map(|name| name.to_string()).collect();
    match outputs {
        1 => Task::Regression(Regression {
            targets: names,
            mean: vec![0.0],
            std: vec![1.0],
            loss: RegressionLoss::default(),
        }),
        _ => Task::Classification(Classification { classes: names, label_smoothing: 0.0, class_weights: None }),
    }
}

fn target(task: &Task, batch: usize, device: &Device) -> Target {
    match task {
        Task::Classification(_) => {
            Target::Classes(Tensor::<1, Int>::from_data(TensorData::new(vec![0i32; batch], [batch]), device))
        }
        _ => Target::Dense(Tensor::zeros([batch, task.outputs()], device)),
    }
}

fn latency(times: &[Duration]) -> Latency {
    let seconds = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64);
    Latency { first: seconds(times.first()), then: seconds(times.last()) }
}
