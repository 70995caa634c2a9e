//! Gradients between the backward pass and the optimizer: their global norm, clipping, averaging over micro-batches, and the search for
//! the parameter whose gradient isn't finite. The stepping itself is [`crate::optimizer`]'s.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::Error;
use crate::evaluate::read;
use crate::optimizer::{ParameterInfo, parameters_by_path};

/// A gradient that no step can be taken by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gradient of `{parameter}` {what}")]
pub struct NotFinite {
    /// The path in the module of the first such parameter.
    pub parameter: String,
    /// "is NaN", "is infinite", or "is too large for f32".
    pub what: &'static str,
}

/// Bounds gradients: first every element by `value`, as `torch.nn.utils.clip_grad_value_`, then the Euclidean norm of all of them taken
/// together by `norm`, as `clip_grad_norm_`. The second is returned as the factor, at most 1, that
/// [`step_scaled`](crate::optimizer::Optimizer::step_scaled) is to multiply by, so that it costs no pass of its own.
///
/// # Errors
/// [`NotFinite`] where `norm` is set and the gradients have none, for one of them is NaN or infinite.
pub fn clip<M: Module>(
    model: &M,
    grads: GradientsParams,
    norm: Option<f64>,
    value: Option<f64>,
) -> Result<(GradientsParams, f64), NotFinite> {
    let grads = match value {
        Some(limit) => clamp(model, grads, limit),
        None => grads,
    };
    let Some(limit) = norm else { return Ok((grads, 1.0)) };
    let norm = self::norm(model, &grads);
    if let Some(fault) = (!norm.is_finite()).then(|| first_not_finite(model, &grads)).flatten() {
        return Err(fault);
    }
    // The 1e-6 is PyTorch's.
    Ok((grads, (limit / (norm + 1e-6)).min(1.0)))
}

/// Bounds the Euclidean norm of all gradients taken together by `limit`, as [`clip`] does, without waiting for the device: the norm, `[1]`, is for whoever
/// reads it later. Gradients that have none come out as NaN or as zeros.
pub(crate) fn clip_there<M: Module>(
    model: &M,
    mut grads: GradientsParams,
    limit: f64,
) -> (GradientsParams, Option<Tensor<1>>) {
    struct Scale<'a>(&'a mut GradientsParams, Tensor<1>);
    impl ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(grad) = self.0.remove::<D>(param.id) {
                let factor = self.1.clone().reshape([1; D]);
                self.0.register(param.id, grad.without_autodiff() * factor);
            }
        }
    }
    let squares = squares(model, &grads);
    if squares.is_empty() {
        return (grads, None);
    }
    let norm = Tensor::cat(squares, 0).sum().sqrt();
    let factor = norm.clone().add_scalar(1e-6).recip().mul_scalar(limit).clamp_max(1.0);
    model.visit(&mut Scale(&mut grads, factor));
    (grads, Some(norm))
}

/// The Euclidean norm of all gradients of `model` taken together. Waits for the device once. Infinite or NaN if an element is, or if the
/// sum of squares of one parameter leaves f32's range.
pub fn norm<M: Module>(model: &M, grads: &GradientsParams) -> f64 {
    let squares = squares(model, grads);
    if squares.is_empty() {
        return 0.0;
    }
    Tensor::cat(squares, 0).into_data().iter::<f64>().sum::<f64>().sqrt()
}

/// Whether `loss`, `[1]`, is finite, and whether the gradients are and their squares add up in f32. Waits for the device once.
pub(crate) fn are_finite<M: Module>(model: &M, grads: &GradientsParams, loss: Tensor<1>) -> Result<[bool; 2], Error> {
    let mut numbers = vec![loss];
    numbers.extend(squares(model, grads));
    let numbers = read(Tensor::cat(numbers, 0))?;
    let finite = |numbers: &[f32]| numbers.iter().all(|number| number.is_finite());
    let (loss, squares) = numbers.split_at(1);
    Ok([finite(loss), finite(squares)])
}

/// The sum of squares of each gradient of `model`, `[1]`.
fn squares<M: Module>(model: &M, grads: &GradientsParams) -> Vec<Tensor<1>> {
    struct Squares<'a>(&'a GradientsParams, Vec<Tensor<1>>);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(grad) = self.0.get::<D>(param.id) {
                self.1.push(kernels::sum_of_squares(grad.without_autodiff()));
            }
        }
    }
    let mut squares = Squares(grads, Vec::new());
    model.visit(&mut squares);
    squares.1
}

/// The parameter of `model` that backpropagation reaches first, the last in the module's order, of those whose gradient isn't finite or
/// whose norm is beyond f32. Ask it once [`norm`] or the loss isn't finite: it looks through all of them.
pub fn first_not_finite<M: Module>(model: &M, grads: &GradientsParams) -> Option<NotFinite> {
    struct Search<'a> {
        grads: &'a GradientsParams,
        paths: HashMap<ParamId, ParameterInfo>,
        found: Option<NotFinite>,
    }
    impl ModuleVisitor for Search<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(what) = self.grads.get::<D>(param.id).and_then(fault) else { return };
            let parameter = self.paths.get(&param.id).map_or_else(String::new, |info| info.name.clone());
            self.found = Some(NotFinite { parameter, what });
        }
    }
    let mut search = Search { grads, paths: parameters_by_path(model), found: None };
    model.visit(&mut search);
    search.found
}

/// What is wrong with a gradient, if something is.
fn fault<const D: usize>(grad: Tensor<D>) -> Option<&'static str> {
    match models::fault(grad.clone()) {
        Some("NaN") => Some("is NaN"),
        Some(_) => Some("is infinite"),
        None => (!grad.square().sum().into_scalar::<f32>().is_finite()).then_some("is too large for f32"),
    }
}

/// Bounds every element to `-limit..=limit`. A NaN stays one.
fn clamp<M: Module>(model: &M, mut grads: GradientsParams, limit: f64) -> GradientsParams {
    struct Bound<'a>(&'a mut GradientsParams, f64);
    impl ModuleVisitor for Bound<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(grad) = self.0.remove::<D>(param.id) {
                self.0.register(param.id, grad.clamp(-self.1, self.1));
            }
        }
    }
    model.visit(&mut Bound(&mut grads, limit));
    grads
}

/// The mean of the gradients of several micro-batches, each counted by what its loss was divided by (its samples, or the weights of their
/// classes): the same as the gradient of the mean loss over all of them at once, whatever the size of the last.
#[derive(Default)]
pub struct Accumulator {
    mean: GradientsParams,
    weight: f64,
    batches: usize,
}

impl Accumulator {
    /// Nothing taken in yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the gradients of a mean loss that counts `weight`. Without weight, no effect.
    pub fn add<M: Module>(&mut self, model: &M, grads: GradientsParams, weight: f64) {
        if weight <= 0.0 {
            return;
        }
        self.weight += weight;
        self.batches += 1;
        if self.batches == 1 {
            self.mean = grads;
        } else {
            let weight = weight / self.weight;
            model.visit(&mut Merge { mean: &mut self.mean, grads, weight });
        }
    }

    /// The micro-batches taken in.
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// What all that was taken in counts.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// The mean gradients.
    pub fn mean(self) -> GradientsParams {
        self.mean
    }
}

/// Moves a running mean of gradients towards new ones.
struct Merge<'a> {
    mean: &'a mut GradientsParams,
    grads: GradientsParams,
    weight: f64,
}

impl ModuleVisitor for Merge<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // A parameter that a micro-batch didn't reach has a gradient of zero there.
        let old = self.mean.remove::<D>(param.id).map(|mean| mean.mul_scalar(1.0 - self.weight));
        let new = self.grads.remove::<D>(param.id).map(|grad| grad.mul_scalar(self.weight));
        let mean = match (old, new) {
            (Some(old), Some(new)) => old.add(new),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return,
        };
        self.mean.register(param.id, mean);
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use data::{Filter, Fit, ImageSpec, InputSpec};
    use models::{Model, ModelConfig, Pass};

    use super::*;

    fn cpu() -> Device {
        device::select("cpu").unwrap().device.autodiff()
    }

    fn model() -> Model {
        let (mean, std) = (vec![0.0], vec![1.0]);
        let image = ImageSpec { channels: 1, height: 8, width: 8, fit: Fit::Crop, filter: Filter::Triangle, mean, std };
        ModelConfig::preset("cnn").unwrap().init(&InputSpec::Image(image), 10, 1, &cpu()).unwrap()
    }

    fn gradients(model: &Model, scale: f64) -> GradientsParams {
        let outputs = model.forward(Tensor::ones([3, 1, 8, 8], &cpu()), Pass::Train { seed: 1, step: 1, first: 0 });
        GradientsParams::from_grads(outputs.square().sum().mul_scalar(scale).backward(), model)
    }

    #[test]
    fn clipping_without_a_wait_is_clipping() {
        let model = model();
        let norm = self::norm(&model, &gradients(&model, 1.0));
        for limit in [norm / 3.0, norm * 3.0] {
            let (there, found) = clip_there(&model, gradients(&model, 1.0), limit);
            let (_, scale) = clip(&model, gradients(&model, 1.0), Some(limit), None).unwrap();
            let clipped = self::norm(&model, &there);
            assert!((clipped / (norm * scale) - 1.0).abs() < 1e-5, "{clipped} {norm} {scale}");
            let found = f64::from(read(found.unwrap()).unwrap()[0]);
            assert!((found / norm - 1.0).abs() < 1e-5, "{found} {norm}");
        }
    }

    #[test]
    fn gradients_without_a_norm_are_told_by_it() {
        let model = model();
        let (_, norm) = clip_there(&model, gradients(&model, f64::from(f32::MAX)), 1.0);
        assert!(!read(norm.unwrap()).unwrap()[0].is_finite());
    }
}
