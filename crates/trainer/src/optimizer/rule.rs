//! The update rules: one function each, from a flat parameter, its gradient and its state to the new parameter and state. They take
//! their tensors by value and keep no copies, so that a backend that can updates in place. Formulas as in `torch.optim`, in its order.

use burn::tensor::Tensor;

use super::config::{AdamConfig, AdamWConfig, LionConfig, OptimizerConfig, RmsPropConfig, SgdConfig};

/// What changes from step to step and from parameter to parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hyper {
    /// The learning rate.
    pub(super) lr: f64,
    /// The weight decay: zero for parameters that are spared.
    pub(super) weight_decay: f64,
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
    match config {
        OptimizerConfig::Sgd(config) => sgd(config, param, grad, state.next(), hyper),
        OptimizerConfig::Adam(AdamConfig { beta1, beta2, eps, .. }) => {
            let grad = penalised(grad, &param, hyper.weight_decay);
            adam((*beta1, *beta2, *eps), param, grad, state.next().zip(state.next()), hyper)
        }
        OptimizerConfig::AdamW(AdamWConfig { beta1, beta2, eps, .. }) => {
            let param = decayed(param, hyper);
            adam((*beta1, *beta2, *eps), param, grad, state.next().zip(state.next()), hyper)
        }
        OptimizerConfig::RmsProp(config) => rmsprop(config, param, grad, state, hyper),
        OptimizerConfig::Lion(config) => lion(config, param, grad, state.next(), hyper),
    }
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

fn sgd(
    config: &SgdConfig,
    param: Tensor<1>,
    grad: Tensor<1>,
    buffer: Option<Tensor<1>>,
    hyper: Hyper,
) -> (Tensor<1>, Vec<Tensor<1>>) {
    let grad = penalised(grad, &param, hyper.weight_decay);
    if config.momentum == 0.0 {
        return (param.sub(grad.mul_scalar(hyper.lr)), vec![]);
    }
    // The first gradient enters whole, whatever the dampening: as PyTorch does it.
    let buffer = match buffer {
        None => grad.clone(),
        Some(buffer) => buffer.mul_scalar(config.momentum).add(grad.clone().mul_scalar(1.0 - config.dampening)),
    };
    let step = if config.nesterov { buffer.clone().mul_scalar(config.momentum).add(grad) } else { buffer.clone() };
    (param.sub(step.mul_scalar(hyper.lr)), vec![buffer])
}

fn adam(
    (beta1, beta2, eps): (f64, f64, f64),
    param: Tensor<1>,
    grad: Tensor<1>,
    averages: Option<(Tensor<1>, Tensor<1>)>,
    hyper: Hyper,
) -> (Tensor<1>, Vec<Tensor<1>>) {
    let (mean, square) = averages.unzip();
    let mean = average(mean, grad.clone(), beta1);
    let square = average(square, grad.square(), beta2);
    let step = hyper.step as f64; // exact: training never takes 2^53 steps
    let (correction1, correction2) = (1.0 - beta1.powf(step), 1.0 - beta2.powf(step));
    let denominator = square.clone().sqrt().div_scalar(correction2.sqrt()).add_scalar(eps);
    let change = mean.clone().mul_scalar(hyper.lr / correction1).div(denominator);
    (param.sub(change), vec![mean, square])
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
