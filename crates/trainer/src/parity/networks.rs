//! Whole networks: what one answers, the gradients of a training pass, and ten steps of training.
//!
//! What is compared must not magnify rounding itself, or it says nothing about a device. Networks by name do, as they are drawn: an input of
//! `resnet50` that is moved by 1e-7 moves its gradients by a third, on one CPU. ReLU and maxima are why, whose slope jumps where rounding moves a
//! number past another one, and branches that add up over dozens of blocks. Their gradients and steps are therefore those of the network made
//! smooth (`smooth`), and the branches of all of them are weighted down (`damped`), as training does by itself (Goyal 2017 begins with zero).

use std::collections::{HashMap, HashSet};

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use data::{Filter, Fit, ImageSpec, InputSpec, Target};
use models::{Activation, Kind, Model, ModelConfig, Pass, PoolKind};
use tasks::{Classification, Task};

use super::{Case, Outcome, Part, random, values};
use crate::optimizer::{Optimizer, OptimizerConfig};

/// A network, and a batch for it.
#[derive(Clone)]
pub(super) struct Network {
    model: ModelConfig,
    /// Channels, rows, columns.
    shape: [usize; 3],
    batch: usize,
    /// How far each number of the inputs may be moved: to see what a case makes of rounding.
    moved: f32,
}

/// Outputs of every network here.
const OUTPUTS: usize = 5;
/// Dropout's masks are a function of it.
const SEED: u64 = 3;
const TRAIN: Pass = Pass::Train { seed: SEED, step: 2, first: 0 };

/// The weight of the last normalisation of each residual block, 1 as it is drawn.
const BRANCH: f32 = 0.2;

/// Every preset at the smallest images that it is of use for.
fn presets() -> Vec<(&'static str, Network)> {
    let preset = |&name: &&'static str| {
        let shape = match name {
            "mlp" | "cnn" | "lenet5" => [1, 28, 28],
            "resnet20" | "resnet18-small" => [3, 16, 16],
            _ => [3, 64, 64],
        };
        Some((name, Network::new(ModelConfig::preset(name)?, shape, 4)))
    };
    ModelConfig::PRESETS.iter().filter_map(preset).collect()
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, network) in presets() {
        let trained = network.clone();
        cases.push(Case::new(Part::Preset, name, move |device| both(&network, device)));
        cases.push(Case::new(Part::Training, name, move |device| ten_steps(&trained, device)));
    }
    cases
}

impl Network {
    pub(super) fn new(model: ModelConfig, shape: [usize; 3], batch: usize) -> Self {
        Self { model, shape, batch, moved: 0.0 }
    }

    /// The network with weights that are the same on every device.
    pub(super) fn init(&self, device: &Device) -> Result<Model, String> {
        let [channels, height, width] = self.shape;
        let (mean, std) = (vec![0.1; channels], (1..=channels).map(|channel| 0.5 * channel as f32).collect());
        let input = ImageSpec { channels, height, width, fit: Fit::Crop, filter: Filter::Triangle, mean, std };
        let model = self.model.init(&InputSpec::Image(input), OUTPUTS, 1, device);
        model.and_then(damped).map_err(|error| error.to_string())
    }

    /// The same without what jumps: SiLU for each activation, means for maxima.
    fn smooth(&self) -> Self {
        let mut network = self.clone();
        match &mut network.model {
            ModelConfig::Mlp(mlp) => mlp.activation = Activation::Silu,
            ModelConfig::Cnn(cnn) => {
                for stage in &mut cnn.stages {
                    stage.activation = Activation::Silu;
                    stage.pool.iter_mut().for_each(|pool| pool.kind = PoolKind::Avg);
                }
                cnn.head.activation = Activation::Silu;
            }
        }
        network
    }

    fn inputs(&self, seed: u32, device: &Device) -> Tensor<4> {
        let [channels, height, width] = self.shape;
        let draw = |seed| Tensor::<4>::from_data(random([self.batch, channels, height, width], seed), device);
        if self.moved == 0.0 { draw(seed) } else { draw(seed) + draw(seed + 100) * self.moved }
    }
}

/// `model` with little weight on the branch of each residual block.
fn damped(model: Model) -> Result<Model, models::Error> {
    let tensors = models::named_tensors(&model);
    let names: HashSet<_> = tensors.iter().map(|tensor| tensor.name.clone()).collect();
    // A bottleneck has three.
    let is_last = |name: &str| {
        let of_two = name.ends_with(".norm2.weight") && !names.contains(&name.replace(".norm2.", ".norm3."));
        of_two || name.ends_with(".norm3.weight")
    };
    let branch = |data: &TensorData| vec![BRANCH; data.num_elements()];
    let weighted = tensors.into_iter().map(|tensor| match is_last(&tensor.name) {
        true => (tensor.name, TensorData::new(branch(&tensor.data), tensor.data.shape().clone())),
        false => (tensor.name, tensor.data),
    });
    models::load_tensors(model, weighted.collect())
}

/// What a network answers as it is, and what it does made smooth, with the gradients of that.
fn both(network: &Network, device: &Device) -> Result<Outcome, String> {
    let (as_it_is, smooth) = (outputs(network, device)?, answers(&network.smooth(), device)?);
    Ok(Outcome { outputs: [as_it_is, smooth.outputs].concat(), ..smooth })
}

/// The outputs of a training pass and of prediction behind it, which has running statistics to go by.
fn outputs(network: &Network, device: &Device) -> Result<Vec<Vec<f64>>, String> {
    let model = network.init(device)?;
    let trained = model.forward(network.inputs(1, device), TRAIN);
    let predicted = model.forward(network.inputs(3, device), Pass::Predict);
    Ok(vec![values(trained)?, values(predicted)?])
}

/// The same, and the gradients of the training pass.
pub(super) fn answers(network: &Network, device: &Device) -> Result<Outcome, String> {
    let model = network.init(device)?;
    let outputs = model.forward(network.inputs(1, device), TRAIN);
    let weights = Tensor::from_data(random(outputs.dims(), 2), device);
    let loss = (outputs.clone() * weights).sum() + outputs.clone().powi_scalar(2).mean();
    let gradients = loss.backward();
    let predicted = model.forward(network.inputs(3, device), Pass::Predict);
    let outputs = vec![values(outputs)?, values(predicted)?];
    Ok(Outcome { outputs, gradients: slopes(&model, &gradients)? })
}

/// Ten updates of the network made smooth by SGD with momentum: the loss before each, the weights at the end.
fn ten_steps(network: &Network, device: &Device) -> Result<Outcome, String> {
    let network = &network.smooth();
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

// Of the older CPU backend it would take minutes, and show the same.
#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::parity::apart;

    /// Where a case magnified rounding, a device that computes as it should would fail it, and one that doesn't could hide.
    #[test]
    fn no_network_magnifies_what_rounding_may_do_to_its_inputs() {
        let cpu = device::select("cpu").unwrap().device.autodiff();
        for (name, network) in presets() {
            let moved = Network { moved: 1e-7, ..network.clone() };
            for part in [Part::Preset, Part::Training] {
                let run = |network| if part == Part::Preset { both(network, &cpu) } else { ten_steps(network, &cpu) };
                let (found, expected) = (run(&moved).unwrap(), run(&network).unwrap());
                let output = apart(&found.outputs, &expected.outputs, false).unwrap();
                let gradient = apart(&found.gradients, &expected.gradients, true);
                println!("{} {name}: {output:.1e} {:.1e}", part.name(), gradient.unwrap_or(0.0));
                let [most, most_gradient] = part.limits().map(|limit| limit / 10.0);
                assert!(output > 0.0 && output < most, "{part:?} {name}: {output}");
                assert!(gradient.is_none_or(|gradient| gradient < most_gradient), "{part:?} {name}: {gradient:?}");
            }
        }
    }
}
