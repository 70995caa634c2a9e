//! What happens to whole parameters between two steps: the updates of SGD, Adam and AdamW, the sum of squares that clipping asks for,
//! and the running average of weights. On the CPU each is one pass, in place where nobody else holds the tensors. Formulas as in
//! `torch.optim`, in its order.

use burn::tensor::Tensor;

#[cfg(feature = "flex")]
mod slices;

/// What every update needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The learning rate.
    pub lr: f64,
    /// The weight decay: zero for parameters that are spared.
    pub weight_decay: f64,
    /// The factor of the gradient that clipping asks for, 1 without.
    pub scale: f64,
    /// The number of this step for this parameter, from 1.
    pub number: u64,
}

/// Stochastic gradient descent (`torch.optim.SGD`); its weight decay is added to the gradient.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// How much of the last step goes into the next; 0 for plain gradient descent.
    pub momentum: f64,
    /// How much of the gradient doesn't enter the momentum.
    pub dampening: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
}

/// Adam (`torch.optim.Adam`, Kingma and Ba 2015) and AdamW (`torch.optim.AdamW`, Loshchilov and Hutter 2019).
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// Decay of the gradient's mean.
    pub beta1: f64,
    /// Decay of the squared gradient's mean.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Whether weight decay multiplies the weight by `1 - lr * weight_decay`, as AdamW does, rather than being added to the gradient.
    pub decoupled: bool,
}

/// One step of SGD: parameter and gradient, `[n]` both, to the new parameter and momentum. Without a momentum so far, the gradient
/// enters it whole, whatever the dampening; none comes back where the rule has none.
pub fn sgd(
    rule: Sgd,
    param: Tensor<1>,
    grad: Tensor<1>,
    momentum: Option<Tensor<1>>,
    step: Step,
) -> (Tensor<1>, Option<Tensor<1>>) {
    #[cfg(feature = "flex")]
    if slices::takes(&param, [Some(&grad), momentum.as_ref()]) {
        return slices::sgd(rule, param, grad, momentum, step);
    }
    sgd_composed(rule, param, grad, momentum, step)
}

/// The definition of [`sgd`], in Burn's operations.
pub fn sgd_composed(
    rule: Sgd,
    param: Tensor<1>,
    grad: Tensor<1>,
    momentum: Option<Tensor<1>>,
    step: Step,
) -> (Tensor<1>, Option<Tensor<1>>) {
    let grad = penalised(scaled(grad, step), &param, step);
    if rule.momentum == 0.0 {
        return (param.sub(grad.mul_scalar(step.lr)), None);
    }
    let momentum = match momentum {
        None => grad.clone(),
        Some(momentum) => momentum.mul_scalar(rule.momentum).add(grad.clone().mul_scalar(1.0 - rule.dampening)),
    };
    let change = if rule.nesterov { momentum.clone().mul_scalar(rule.momentum).add(grad) } else { momentum.clone() };
    (param.sub(change.mul_scalar(step.lr)), Some(momentum))
}

/// One step of Adam or AdamW: parameter and gradient, `[n]` both, to the new parameter and the averages of the gradient and of its
/// square, which begin with zeros.
pub fn adam(
    rule: Adam,
    param: Tensor<1>,
    grad: Tensor<1>,
    averages: Option<[Tensor<1>; 2]>,
    step: Step,
) -> (Tensor<1>, [Tensor<1>; 2]) {
    #[cfg(feature = "flex")]
    {
        let [mean, square] =
            averages.as_ref().map(|[mean, square]| [mean, square]).map_or([None; 2], |both| both.map(Some));
        if slices::takes(&param, [Some(&grad), mean, square]) {
            return slices::adam(rule, param, grad, averages, step);
        }
    }
    adam_composed(rule, param, grad, averages, step)
}

/// The definition of [`adam`], in Burn's operations.
pub fn adam_composed(
    rule: Adam,
    param: Tensor<1>,
    grad: Tensor<1>,
    averages: Option<[Tensor<1>; 2]>,
    step: Step,
) -> (Tensor<1>, [Tensor<1>; 2]) {
    let grad = scaled(grad, step);
    let (param, grad) = match rule.decoupled {
        true if step.weight_decay != 0.0 => (param.mul_scalar(1.0 - step.lr * step.weight_decay), grad),
        true => (param, grad),
        false => {
            let grad = penalised(grad, &param, step);
            (param, grad)
        }
    };
    let (mean, square) = averages.map(|[mean, square]| (mean, square)).unzip();
    let average = |average: Option<Tensor<1>>, value: Tensor<1>, decay: f64| {
        let value = value.mul_scalar(1.0 - decay);
        match average {
            Some(average) => average.mul_scalar(decay).add(value),
            None => value,
        }
    };
    let mean = average(mean, grad.clone(), rule.beta1);
    let square = average(square, grad.square(), rule.beta2);
    let [rate, root] = rule.corrections(step);
    let denominator = square.clone().sqrt().div_scalar(root).add_scalar(rule.eps);
    let change = mean.clone().mul_scalar(rate).div(denominator);
    (param.sub(change), [mean, square])
}

impl Adam {
    /// The learning rate and the root of the second correction, as far as the averages still remember that they began with zeros.
    fn corrections(&self, step: Step) -> [f64; 2] {
        let number = step.number as f64; // exact: training never takes 2^53 steps
        [step.lr / (1.0 - self.beta1.powf(number)), (1.0 - self.beta2.powf(number)).sqrt()]
    }
}

fn scaled(grad: Tensor<1>, step: Step) -> Tensor<1> {
    if step.scale == 1.0 { grad } else { grad.mul_scalar(step.scale) }
}

/// `g + decay * p`: the gradient of the L2 penalty added.
fn penalised(grad: Tensor<1>, param: &Tensor<1>, step: Step) -> Tensor<1> {
    if step.weight_decay == 0.0 { grad } else { param.clone().mul_scalar(step.weight_decay).add(grad) }
}

/// `(1 - weight) * average + weight * seen`, `[n]` all.
pub fn blend(average: Tensor<1>, seen: Tensor<1>, weight: f64) -> Tensor<1> {
    #[cfg(feature = "flex")]
    if slices::takes(&average, [Some(&seen)]) {
        return slices::blend(average, seen, weight);
    }
    average.mul_scalar(1.0 - weight).add(seen.mul_scalar(weight))
}

/// The sum of the squares of all values, `[1]`.
pub fn sum_of_squares<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    #[cfg(feature = "flex")]
    if crate::flex::is_flex(&x) && !x.is_autodiff() {
        return slices::sum_of_squares(x);
    }
    x.square().sum()
}
