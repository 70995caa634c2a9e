//! The updates on slices of f32, several threads at a time for large parameters.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Float, Tensor};

use super::{Adam, Sgd, Step};
use crate::product::arch;
use crate::{flex, parallel};

/// Whether all of them are f32 on Flex, without gradients of their own, and of the parameter's size.
pub(super) fn takes<const N: usize>(param: &Tensor<1>, others: [Option<&Tensor<1>>; N]) -> bool {
    let fits = |tensor: &Tensor<1>| tensor.dims() == param.dims() && !tensor.is_autodiff() && flex::is_flex(tensor);
    fits(param) && others.into_iter().flatten().all(fits)
}

fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    let Ok(tensor) = tensor.try_into_primitive::<Flex>() else { unreachable!("`takes` has asked for Flex") };
    tensor
}

fn tensor(primitive: FlexTensor) -> Tensor<1> {
    Tensor::<1, Float>::from_primitive::<Flex>(primitive)
}

/// A tensor to change in place: its own storage where nobody else holds it and nothing else is in it, otherwise a copy.
struct Changed(FlexTensor);

impl Changed {
    fn new(tensor: Tensor<1>) -> Self {
        let tensor = primitive(tensor);
        let len = flex::dims::<1>(&tensor)[0];
        let whole =
            tensor.layout().start_offset() == 0 && tensor.is_contiguous() && tensor.storage::<f32>().len() == len;
        Self(if whole { tensor } else { flex::tensor(flex::values(&tensor).into_owned(), [len]) })
    }

    fn zeros(len: usize) -> Self {
        Self(flex::tensor(vec![0.0; len], [len]))
    }

    fn values(&mut self) -> &mut [f32] {
        self.0.storage_mut()
    }

    fn tensor(self) -> Tensor<1> {
        tensor(self.0)
    }
}

/// Runs `body(p, g, m, v)` for parts of the slices; a slice may be empty instead. `bytes` are what an element moves.
#[inline(always)]
fn each(
    param: &mut [f32],
    grad: &[f32],
    states: [&mut [f32]; 2],
    bytes: usize,
    body: impl Fn(&mut [f32], &[f32], &mut [f32], &mut [f32]) + Sync,
) {
    let parts = parallel::parts(param.len(), bytes);
    let size = |state: &[f32]| usize::from(!state.is_empty());
    let sizes = [size(states[0]), size(states[1])];
    let [mean, square] = states;
    let (mean, square) = (parallel::cut(&parts, mean, sizes[0]), parallel::cut(&parts, square, sizes[1]));
    let states = parallel::cut(&parts, param, 1).into_iter().zip(mean).zip(square).collect();
    parallel::each(&parts, states, |part, ((param, mean), square): ((&mut [f32], _), _)| {
        arch().dispatch(
            #[inline(always)]
            || body(param, &grad[part], mean, square),
        );
    });
}

pub(super) fn sgd(
    rule: Sgd,
    param: Tensor<1>,
    grad: Tensor<1>,
    momentum: Option<Tensor<1>>,
    step: Step,
) -> (Tensor<1>, Option<Tensor<1>>) {
    let (mut param, grad) = (Changed::new(param), primitive(grad));
    let grad = flex::values(&grad);
    let [lr, decay, scale] = [step.lr, step.weight_decay, step.scale].map(|value| value as f32);
    if rule.momentum == 0.0 {
        let states: [&mut [f32]; 2] = [&mut [], &mut []];
        each(
            param.values(),
            &grad,
            states,
            12,
            #[inline(always)]
            |param, grad, _, _| {
                for (p, &g) in param.iter_mut().zip(grad) {
                    *p -= lr * penalised(g, *p, scale, decay);
                }
            },
        );
        return (param.tensor(), None);
    }
    let first = momentum.is_none();
    let mut momentum = momentum.map_or_else(|| Changed::zeros(grad.len()), Changed::new);
    let enters = if first { 1.0 } else { (1.0 - rule.dampening) as f32 };
    let (keeps, nesterov) = (rule.momentum as f32, rule.nesterov);
    each(
        param.values(),
        &grad,
        [momentum.values(), &mut []],
        20,
        #[inline(always)]
        |param, grad, momentum, _| {
            for ((p, &g), m) in param.iter_mut().zip(grad).zip(momentum) {
                let g = penalised(g, *p, scale, decay);
                *m = *m * keeps + g * enters;
                *p -= lr * if nesterov { *m * keeps + g } else { *m };
            }
        },
    );
    (param.tensor(), Some(momentum.tensor()))
}

pub(super) fn adam(
    rule: Adam,
    param: Tensor<1>,
    grad: Tensor<1>,
    averages: Option<[Tensor<1>; 2]>,
    step: Step,
) -> (Tensor<1>, [Tensor<1>; 2]) {
    let (mut param, grad) = (Changed::new(param), primitive(grad));
    let grad = flex::values(&grad);
    let [mut mean, mut square] = match averages {
        Some(averages) => averages.map(Changed::new),
        None => [Changed::zeros(grad.len()), Changed::zeros(grad.len())],
    };
    let [rate, root] = rule.corrections(step);
    let (shrink, penalty) = match rule.decoupled {
        true => ((1.0 - step.lr * step.weight_decay) as f32, 0.0),
        false => (1.0, step.weight_decay as f32),
    };
    let [rate, root, eps, scale] = [rate, 1.0 / root, rule.eps, step.scale].map(|value| value as f32);
    let [keep1, keep2] = [rule.beta1 as f32, rule.beta2 as f32];
    let [enter1, enter2] = [(1.0 - rule.beta1) as f32, (1.0 - rule.beta2) as f32];
    each(
        param.values(),
        &grad,
        [mean.values(), square.values()],
        28,
        #[inline(always)]
        |param, grad, mean, square| {
            for (((p, &g), m), v) in param.iter_mut().zip(grad).zip(mean).zip(square) {
                let g = penalised(g, *p, scale, penalty);
                *m = *m * keep1 + g * enter1;
                *v = *v * keep2 + g * g * enter2;
                *p = *p * shrink - *m * rate / (v.sqrt() * root + eps);
            }
        },
    );
    (param.tensor(), [mean.tensor(), square.tensor()])
}

/// The gradient with its factor and the L2 penalty. Without one a parameter that is no number must not reach its momentum.
#[inline(always)]
fn penalised(g: f32, p: f32, scale: f32, decay: f32) -> f32 {
    let g = g * scale;
    if decay == 0.0 { g } else { p * decay + g }
}

pub(super) fn blend(average: Tensor<1>, seen: Tensor<1>, weight: f64) -> Tensor<1> {
    let (mut average, seen) = (Changed::new(average), primitive(seen));
    let (keep, enter) = ((1.0 - weight) as f32, weight as f32);
    each(
        average.values(),
        &flex::values(&seen),
        [&mut [], &mut []],
        12,
        #[inline(always)]
        |average, seen, _, _| {
            average.iter_mut().zip(seen).for_each(|(average, &seen)| *average = *average * keep + seen * enter);
        },
    );
    average.tensor()
}

pub(super) fn sum_of_squares<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    const LANES: usize = 64;
    let x = primitive(x);
    let x = flex::values(&x);
    let parts = parallel::parts(x.len(), 4);
    let mut sums = vec![0.0f64; parts.len()];
    parallel::each(&parts, sums.iter_mut().collect(), |part, sum: &mut f64| {
        arch().dispatch(
            #[inline(always)]
            || {
                // Many sums of few values each: fast, and exact enough to be added up in f64.
                for values in x[part].chunks(64 * LANES) {
                    let mut lanes = [0.0f32; LANES];
                    let whole = values.chunks_exact(LANES);
                    let rest = whole.remainder().iter().map(|value| f64::from(value * value)).sum::<f64>();
                    for values in whole {
                        lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane += value * value);
                    }
                    *sum += rest + lanes.iter().copied().map(f64::from).sum::<f64>();
                }
            },
        );
    });
    tensor(flex::tensor(vec![sums.iter().sum::<f64>() as f32], [1]))
}
