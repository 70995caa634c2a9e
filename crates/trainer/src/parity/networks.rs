//! Whole networks: what one answers, the gradients of a training pass, and ten steps of training.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use data::{Filter, Fit, ImageSpec, InputSpec, Target};
use models::{Kind, Model, ModelConfig, Pass};
use tasks::{Classification, Task};

use super::{Case, Outcome, Part, random, values};
use crate::optimizer::{Optimizer, OptimizerConfig};

/// A network, and a batch for it.
#[derive(Clone)]
pub(super) struct Network {
    pub(super) model: ModelConfig,
    /// Channels, rows, columns.
    pub(super) shape: [usize; 3],
    pub(super) batch: usize,
}

/// Outputs of every network here.
const OUTPUTS: usize = 5;
/// Dropout's masks are a function of it.
const SEED: u64 = 3;

/// Every preset at the smallest images that it is of use for.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ModelConfig::PRESETS {
        let Some(model) = ModelConfig::preset(name) else { continue };
        let shape = match *name {
            "mlp" | "cnn" | "lenet5" => [1, 28, 28],
            "resnet20" | "resnet18-small" => [3, 16, 16],
            _ => [3, 64, 64],
        };
        let network = Network { model, shape, batch: 4 };
        let trained = network.clone();
        cases.push(Case::new(Part::Preset, *name, move |device| answers(&network, device)));
        cases.push(Case::new(Part::Training, *name, move |device| ten_steps(&trained, device)));
    }
    cases
}

impl Network {
    /// The network with weights that are the same on every device.
    pub(super) fn init(&self, device: &Device) -> Result<Model, String> {
        let [channels, height, width] = self.shape;
        let (mean, std) = (vec![0.1; channels], (1..=channels).map(|channel| 0.5 * channel as f32).collect());
        let input = ImageSpec { channels, height, width, fit: Fit::Crop, filter: Filter::Triangle, mean, std };
        self.model.init(&InputSpec::Image(input), OUTPUTS, 1, device).map_err(|error| error.to_string())
    }

    fn inputs(&self, seed: u32, device: &Device) -> Tensor<4> {
        let [channels, height, width] = self.shape;
        Tensor::from_data(random([self.batch, channels, height, width], seed), device)
    }
}

/// The outputs of a training pass and of prediction behind it, which has running statistics to go by, and the gradients of the former.
pub(super) fn answers(network: &Network, device: &Device) -> Result<Outcome, String> {
    let model = network.init(device)?;
    let outputs = model.forward(network.inputs(1, device), Pass::Train { seed: SEED, step: 2, first: 0 });
    let weights = Tensor::from_data(random(outputs.dims(), 2), device);
    let loss = (outputs.clone() * weights).sum() + outputs.clone().powi_scalar(2).mean();
    let gradients = loss.backward();
    let predicted = model.forward(network.inputs(3, device), Pass::Predict);
    let outputs = vec![values(outputs)?, values(predicted)?];
    Ok(Outcome { outputs, gradients: slopes(&model, &gradients)? })
}

/// Ten updates by SGD with momentum: the loss before each, the weights at the end.
fn ten_steps(network: &Network, device: &Device) -> Result<Outcome, String> {
    let mut model = network.init(device)?;
    let task = Task::Classification(Classification {
        classes: (0..OUTPUTS).map(|class| class.to_string()).collect(),
        label_smoothing: 0.1,
        class_weights: None,
    });
    let rule = OptimizerConfig::named("sgd").ok_or("there is no optimizer sgd")?.with_momentum(0.9);
    let mut optimizer = Optimizer::new(&rule, HashMap::new());
    let mut losses = Vec::new();
    for step in 0..10 {
        let classes: Vec<i32> = (0..network.batch).map(|row| ((row + step) % OUTPUTS) as i32).collect();
        let classes = Tensor::<1, Int>::from_data(TensorData::new(classes, [network.batch]), device);
        let pass = Pass::Train { seed: SEED, step: step as u64, first: 0 };
        let outputs = model.forward(network.inputs(step as u32, device), pass);
        let loss = task.loss(outputs, &Target::Classes(classes));
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        losses.extend(values(loss)?);
        model = optimizer.step(model, gradients, 1e-3);
    }
    Ok(Outcome { outputs: [vec![losses], weights(&model)].concat(), gradients: Vec::new() })
}

/// The weights, each tensor by itself.
pub(super) fn weights(model: &Model) -> Vec<Vec<f64>> {
    models::named_tensors(model).into_iter().map(|tensor| tensor.data.iter::<f64>().collect()).collect()
}

/// The gradient of each parameter that is trained.
fn slopes(model: &Model, gradients: &Gradients) -> Result<Vec<Vec<f64>>, String> {
    struct Slopes<'a> {
        gradients: &'a Gradients,
        kinds: HashMap<ParamId, (String, Kind)>,
        found: Result<Vec<Vec<f64>>, String>,
    }
    impl ModuleVisitor for Slopes<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = param.val().grad(self.gradients).map(values).transpose();
            let named = self.kinds.get(&param.id);
            let trained = named.is_none_or(|(_, kind)| *kind != Kind::Running);
            match (gradient, &mut self.found) {
                (Ok(Some(gradient)), Ok(found)) => found.push(gradient),
                (Ok(None), Ok(_)) if trained => {
                    let name = named.map_or("a parameter", |(name, _)| name);
                    self.found = Err(format!("{name} has no gradient"));
                }
                (Err(why), Ok(_)) => self.found = Err(why),
                _ => {}
            }
        }
    }
    let mut slopes = Slopes { gradients, kinds: models::parameter_kinds(model), found: Ok(Vec::new()) };
    model.visit(&mut slopes);
    slopes.found
}
