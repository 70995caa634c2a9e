//! Steps a module's parameters by their gradients, with a state that a checkpoint can carry.
//!
//! Not Burn's `ModuleOptimizer`: that one keys its state by random ids, loads it onto the default device and knows Burn's constants, where
//! users expect PyTorch's. Here the state belongs to a parameter's name, and weight decay spares norms and biases. The formulas are in
//! `rule`, the user's choice in `config`; clipping and accumulation are [`crate::gradient`]'s, the learning rate [`crate::schedule`]'s.

mod config;
mod rule;

use std::collections::{BTreeMap, HashMap};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

pub use config::{AdamConfig, AdamWConfig, LionConfig, OptimizerConfig, RmsPropConfig, SgdConfig};
use rule::Hyper;

use crate::state::{StateError, values};

/// What the optimizer must know of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterInfo {
    /// Its name, which its state carries in a checkpoint.
    pub name: String,
    /// Whether weight decay applies: true for weights, false for biases and for the scales and shifts of norms.
    pub decays: bool,
    /// What the learning rate is multiplied by for it: 1 unless it has one of its own.
    pub rate: f64,
}

/// Names each float parameter of a module by its path, and lets those of more than one dimension decay: biases and norms have one.
pub fn parameters_by_path<M: Module>(module: &M) -> HashMap<ParamId, ParameterInfo> {
    struct Names(Vec<String>, HashMap<ParamId, ParameterInfo>);
    impl ModuleVisitor for Names {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.insert(param.id, ParameterInfo { name: self.0.join("."), decays: D > 1, rate: 1.0 });
        }
    }
    let mut names = Names(Vec::new(), HashMap::new());
    module.visit(&mut names);
    names.1
}

/// The running state of one parameter.
struct State {
    /// Steps taken.
    step: u64,
    /// The rule's tensors, `[n]` each, in the order of `rule::slots`.
    tensors: Vec<Tensor<1>>,
}

/// An optimizer over all parameters of a module.
pub struct Optimizer {
    config: OptimizerConfig,
    parameters: HashMap<ParamId, ParameterInfo>,
    states: BTreeMap<String, State>,
}

impl OptimizerConfig {
    /// How many numbers the rule remembers of each parameter.
    pub fn state_per_parameter(&self) -> usize {
        rule::slots(self).len()
    }
}

impl Optimizer {
    /// An optimizer that has taken no step. Parameters that `parameters` doesn't list are known by their path in the module, and decay if
    /// they have more than one dimension.
    pub fn new(config: &OptimizerConfig, parameters: HashMap<ParamId, ParameterInfo>) -> Self {
        Self { config: config.clone(), parameters, states: BTreeMap::new() }
    }

    /// One step: every parameter that has a gradient moves against it; running statistics and the rest stay as they are.
    pub fn step<M: Module>(&mut self, model: M, grads: GradientsParams, lr: f64) -> M {
        self.step_scaled(model, grads, lr, 1.0)
    }

    /// One step with the gradients multiplied by `scale`, the factor that clipping by the global norm asks for.
    pub fn step_scaled<M: Module>(&mut self, model: M, grads: GradientsParams, lr: f64, scale: f64) -> M {
        model.map(&mut Step { optimizer: self, grads, lr, scale, path: Vec::new() })
    }

    /// What the rule remembers, `[n]` each, under the names of [`Optimizer::state`].
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (String, Tensor<1>)> + '_ {
        let slots = rule::slots(&self.config);
        self.states.iter().flat_map(move |(parameter, state)| {
            let named = slots.clone().into_iter().zip(&state.tensors);
            named.map(move |(slot, tensor)| (format!("{parameter}.{slot}"), tensor.clone())).collect::<Vec<_>>()
        })
    }

    /// All that a checkpoint must keep, in the order of names: `<parameter>.<slot>` with f32 values `[n]`, and `<parameter>.step` with the
    /// number of steps, u64 `[1]`. Reads the tensors back from the device.
    pub fn state(&self) -> Vec<(String, TensorData)> {
        let mut entries: Vec<_> = self.tensors().map(|(name, tensor)| (name, kernels::snapshot(tensor))).collect();
        let steps = self.states.iter();
        entries.extend(steps.map(|(name, state)| (format!("{name}.step"), TensorData::new(vec![state.step], [1]))));
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries
    }

    /// Takes back what [`Optimizer::state`] gave, for `model`, onto the device where its parameters are.
    ///
    /// # Errors
    /// [`StateError`] where a name, a size or a type isn't what `model` and this rule need; the optimizer is then as it was.
    pub fn load_state<M: Module>(&mut self, model: &M, entries: Vec<(String, TensorData)>) -> Result<(), StateError> {
        let known = self.known(model);
        let mut slots = rule::slots(&self.config);
        slots.push("step");
        let mut found: BTreeMap<String, BTreeMap<String, TensorData>> = BTreeMap::new();
        for (name, data) in entries {
            let place = name
                .rsplit_once('.')
                .filter(|(parameter, slot)| known.contains_key(*parameter) && slots.contains(slot));
            let Some((parameter, slot)) = place else {
                let expected = format!("{} of the model's parameters", slots.join(", "));
                return Err(StateError::Unknown { name, expected });
            };
            found.entry(parameter.to_owned()).or_default().insert(slot.to_owned(), data);
        }
        let mut states = BTreeMap::new();
        for (parameter, mut entries) in found {
            let (length, device) = &known[&parameter];
            let mut take = |slot: &str| {
                let name = format!("{parameter}.{slot}");
                entries.remove(slot).map(|data| (name.clone(), data)).ok_or(StateError::Missing { name })
            };
            let (name, data) = take("step")?;
            let step = values::<u64>(&name, &data, &[1])?[0];
            let mut tensors = Vec::new();
            for slot in rule::slots(&self.config) {
                let (name, data) = take(slot)?;
                values::<f32>(&name, &data, &[*length])?;
                tensors.push(Tensor::from_data(data, device));
            }
            states.insert(parameter, State { step, tensors });
        }
        self.states = states;
        Ok(())
    }

    /// The number of elements and the device of every float parameter of `model`, by name.
    fn known<M: Module>(&self, model: &M) -> HashMap<String, (usize, Device)> {
        struct Sizes<'a>(&'a Optimizer, HashMap<ParamId, ParameterInfo>, HashMap<String, (usize, Device)>);
        impl ModuleVisitor for Sizes<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let info = self.0.parameters.get(&param.id).or_else(|| self.1.get(&param.id));
                if let Some(info) = info {
                    self.2.insert(info.name.clone(), (param.shape().num_elements(), param.device().inner()));
                }
            }
        }
        let mut sizes = Sizes(self, parameters_by_path(model), HashMap::new());
        model.visit(&mut sizes);
        sizes.2
    }
}

/// One step on its way through the module.
struct Step<'a> {
    optimizer: &'a mut Optimizer,
    grads: GradientsParams,
    lr: f64,
    scale: f64,
    path: Vec<String>,
}

impl ModuleMapper for Step<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Running statistics come by here too: they have no gradient.
        let Some(grad) = self.grads.remove::<D>(param.id) else { return param };
        let (id, tensor, mapper) = param.consume();
        let optimizer = &mut *self.optimizer;
        let info = optimizer.parameters.entry(id).or_insert_with(|| ParameterInfo {
            name: self.path.join("."),
            decays: D > 1,
            rate: 1.0,
        });
        // Taken out, so that nobody else holds the tensors while the rule updates them.
        let State { step, tensors } =
            optimizer.states.remove(&info.name).unwrap_or(State { step: 0, tensors: Vec::new() });
        let hyper = Hyper {
            lr: self.lr * info.rate,
            weight_decay: if info.decays { optimizer.config.weight_decay() } else { 0.0 },
            scale: self.scale,
            step: step + 1,
        };

        let (shape, require_grad) = (tensor.shape(), tensor.is_require_grad());
        let checkpointing = tensor.gradient_checkpointing_strategy();
        let grad = grad.without_autodiff().reshape([-1]);
        let flat = tensor.without_autodiff().reshape([-1]);
        let (flat, tensors) = rule::update(&optimizer.config, flat, grad, tensors, hyper);
        optimizer.states.insert(info.name.clone(), State { step: hyper.step, tensors });

        let mut tensor: Tensor<D> = flat.reshape(shape);
        if let Some(strategy) = checkpointing {
            tensor = tensor.autodiff().with_gradient_checkpointing_strategy(strategy);
        }
        Param::from_mapped_value(id, tensor.set_require_grad(require_grad), mapper)
    }
}
