//! The update rules, from a flat parameter, its gradient and its state to the new parameter and state: SGD and the Adams are those of
//! `kernels`, the others stand here. They take their tensors by value and keep no copies, so that a backend that can updates in place.
//! Formulas as in `torch.optim`, in its order.

use burn::tensor::Tensor;

use super::config::{AdamConfig, AdamWConfig, LionConfig, OptimizerConfig, RmsPropConfig, SgdConfig};

/// What changes from step to step and from parameter to parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hyper {
    /// The learning rate.
    pub(super) lr: f64,
    /// The weight decay: zero for parameters that are spared.
    pub(super) weight_decay: f64,
    /// The factor of the gradient that clipping asks for.
    pub(super) scale: f64,
    /// The number of this step for this parameter, from 1.
    pub(super) step: u64,
}

/// The names of a rule's state tensors, in the order in which `update` has them; PyTorch's names.
pub(super) fn slots(config: &OptimizerConfig) -> Vec<&'static str> {
    match config {
        OptimizerConfig::Sgd(config) if config.momentum > 0.0 => vec!["momentum_buffer"],
        OptimizerConfig::Sgd(_) => vec![],
        OptimizerConfig::Adam(_) | OptimizerConfig::AdamW(_) => vec!["exp_avg", "exp_avg_sq"],
        OptimizerConfig::RmsProp(config) => {
            let centered = config.centered.then_some("grad_avg");
            let momentum = (config.momentum > 0.0).then_some("momentum_buffer");
            ["square_avg"].into_iter().chain(centered).chain(momentum).collect()
        }
        OptimizerConfig::Lion(_) => vec!["exp_avg"],
    }
}

/// One step of one parameter. All tensors are `[n]` and on one device without autodiff; `state` is empty or zeros before the first step.
pub(super) fn update(
    config: &OptimizerConfig,
    param: Tensor<1>,
    grad: Tensor<1>,
    state: Vec<Tensor<1>>,
    hyper: Hyper,
) -> (Tensor<1>, Vec<Tensor<1>>) {
    let mut state = state.into_iter();
    let step = kernels::Step { lr: hyper.lr, weight_decay: hyper.weight_decay, scale: hyper.scale, number: hyper.step };
    match config {
        OptimizerConfig::Sgd(SgdConfig { momentum, dampening, nesterov, .. }) => {
            let rule = kernels::Sgd { momentum: *momentum, dampening: *dampening, nesterov: *nesterov };
            let (param, buffer) = kernels::sgd(rule, param, grad, state.next(), step);
            (param, buffer.into_iter().collect())
        }
        OptimizerConfig::Adam(AdamConfig { beta1, beta2, eps, .. })
        | OptimizerConfig::AdamW(AdamWConfig { beta1, beta2, eps, .. }) => {
            let decoupled = matches!(config, OptimizerConfig::AdamW(_));
            let rule = kernels::Adam { beta1: *beta1, beta2: *beta2, eps: *eps, decoupled };
            let averages = state.next().zip(state.next()).map(|(mean, square)| [mean, square]);
            let (param, averages) = kernels::adam(rule, param, grad, averages, step);
            (param, Vec::from(averages))
        }
        OptimizerConfig::RmsProp(config) => rmsprop(config, param, scaled(grad, hyper), state, hyper),
        OptimizerConfig::Lion(config) => lion(config, param, scaled(grad, hyper), state.next(), hyper),
    }
}

fn scaled(grad: Tensor<1>, hyper: Hyper) -> Tensor<1> {
    if hyper.scale == 1.0 { grad } else { grad.mul_scalar(hyper.scale) }
}

/// `g + decay * p`: the gradient of the L2 penalty added.
fn penalised(grad: Tensor<1>, param: &Tensor<1>, decay: f64) -> Tensor<1> {
    if decay == 0.0 { grad } else { param.clone().mul_scalar(decay).add(grad) }
}

/// `p * (1 - lr * decay)`: decay apart from the gradient.
fn decayed(param: Tensor<1>, hyper: Hyper) -> Tensor<1> {
    if hyper.weight_decay == 0.0 { param } else { param.mul_scalar(1.0 - hyper.lr * hyper.weight_decay) }
}

/// `decay * average + (1 - decay) * value`.
fn average(average: Option<Tensor<1>>, value: Tensor<1>, decay: f64) -> Tensor<1> {
    let value = value.mul_scalar(1.0 - decay);
    match average {
        Some(average) => average.mul_scalar(decay).add(value),
        None => value,
    }
}

fn rmsprop(
    config: &RmsPropConfig,
    param: Tensor<1>,
    grad: Tensor<1>,
    mut state: impl Iterator<Item = Tensor<1>>,
    hyper: Hyper,
) -> (Tensor<1>, Vec<Tensor<1>>) {
    let grad = penalised(grad, &param, hyper.weight_decay);
    let square = average(state.next(), grad.clone().square(), config.alpha);
    let mut after = vec![square.clone()];
    let mut variance = square;
    if config.centered {
        let mean = average(state.next(), grad.clone(), config.alpha);
        // Rounding can leave a variance of nothing below zero, whose root would be NaN.
        variance = variance.sub(mean.clone().square()).clamp_min(0.0);
        after.push(mean);
    }
    let mut step = grad.div(variance.sqrt().add_scalar(config.eps));
    if config.momentum > 0.0 {
        step = match state.next() {
            Some(buffer) => buffer.mul_scalar(config.momentum).add(step),
            None => step,
        };
        after.push(step.clone());
    }
    (param.sub(step.mul_scalar(hyper.lr)), after)
}

fn lion(
    config: &LionConfig,
    param: Tensor<1>,
    grad: Tensor<1>,
    mean: Option<Tensor<1>>,
    hyper: Hyper,
) -> (Tensor<1>, Vec<Tensor<1>>) {
    let step = average(mean.clone(), grad.clone(), config.beta1).sign();
    let mean = average(mean, grad, config.beta2);
    (decayed(param, hyper).sub(step.mul_scalar(hyper.lr)), vec![mean])
}
