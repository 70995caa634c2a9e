//! Gradients between the backward pass and the optimizer: their global norm, clipping, averaging over micro-batches, and the search for
//! the parameter whose gradient isn't finite. The stepping itself is [`crate::optimizer`]'s.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::optimizer::parameters_by_path;

/// How gradients are bounded. Both may be set: the value first, then the norm of what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clip {
    /// The greatest Euclidean norm of all gradients taken together (`torch.nn.utils.clip_grad_norm_`).
    pub norm: Option<f64>,
    /// The greatest magnitude of any one element (`torch.nn.utils.clip_grad_value_`).
    pub value: Option<f64>,
}

impl Clip {
    /// Bounds every element by `value`, where that is set.
    pub fn elements<M: Module>(&self, model: &M, grads: GradientsParams) -> GradientsParams {
        match self.value {
            Some(limit) => clamp(model, grads, limit),
            None => grads,
        }
    }

    /// What all gradients of the global norm `norm` are to be multiplied by: at most 1. Hand it to
    /// [`step_scaled`](crate::optimizer::Optimizer::step_scaled). The 1e-6 is PyTorch's.
    pub fn factor(&self, norm: f64) -> f64 {
        self.norm.map_or(1.0, |limit| (limit / (norm + 1e-6)).min(1.0))
    }
}

/// The Euclidean norm of all gradients of `model` taken together. Waits for the device once. Infinite or NaN if an element is, or if the
/// sum of squares of one parameter leaves f32's range.
pub fn norm<M: Module>(model: &M, grads: &GradientsParams) -> f64 {
    struct Squares<'a>(&'a GradientsParams, Vec<Tensor<1>>);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(grad) = self.0.get::<D>(param.id) {
                self.1.push(grad.square().sum().reshape([1]));
            }
        }
    }
    let mut squares = Squares(grads, Vec::new());
    model.visit(&mut squares);
    if squares.1.is_empty() {
        return 0.0;
    }
    Tensor::cat(squares.1, 0).into_data().iter::<f64>().sum::<f64>().sqrt()
}

/// The path in `model` of the first parameter whose gradient has an element that is NaN or infinite, and which of the two. Ask it once
/// [`norm`] isn't finite: it waits for the device at every parameter.
pub fn first_not_finite<M: Module>(model: &M, grads: &GradientsParams) -> Option<(String, &'static str)> {
    struct Search<'a, F>(&'a GradientsParams, F, Option<(String, &'static str)>);
    impl<F: Fn(&burn::module::ParamId) -> String> ModuleVisitor for Search<'_, F> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.2.is_some() {
                return;
            }
            let Some(grad) = self.0.get::<D>(param.id) else { return };
            // NaN first: NaN is not finite either.
            if grad.clone().is_nan().any().into_scalar::<bool>() {
                self.2 = Some(((self.1)(&param.id), "NaN"));
            } else if grad.is_inf().any().into_scalar::<bool>() {
                self.2 = Some(((self.1)(&param.id), "infinite"));
            }
        }
    }
    let paths = parameters_by_path(model);
    let mut search = Search(grads, |id: &_| paths.get(id).map_or_else(String::new, |info| info.name.clone()), None);
    model.visit(&mut search);
    search.2
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

/// The mean of the gradients of several micro-batches, each counted by its samples: the same as the gradient of the mean loss over all
/// of them at once, whatever the size of the last.
#[derive(Default)]
pub struct Accumulator {
    mean: GradientsParams,
    weight: f64,
}

impl Accumulator {
    /// Takes in the gradients of a loss that is the mean over `samples` samples (or over a total weight of that). No samples, no effect.
    pub fn add<M: Module>(&mut self, model: &M, grads: GradientsParams, samples: f64) {
        struct Merge<'a>(&'a mut GradientsParams, GradientsParams, f64);
        impl ModuleVisitor for Merge<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                // A parameter that a micro-batch didn't reach has a gradient of zero there.
                let old = self.0.remove::<D>(param.id).map(|mean| mean.mul_scalar(1.0 - self.2));
                let new = self.1.remove::<D>(param.id).map(|grad| grad.mul_scalar(self.2));
                let mean = match (old, new) {
                    (Some(old), Some(new)) => old.add(new),
                    (Some(one), None) | (None, Some(one)) => one,
                    (None, None) => return,
                };
                self.0.register(param.id, mean);
            }
        }
        if samples <= 0.0 {
            return;
        }
        self.weight += samples;
        if self.weight == samples {
            self.mean = grads;
        } else {
            model.visit(&mut Merge(&mut self.mean, grads, samples / self.weight));
        }
    }

    /// The samples taken in since the last [`Accumulator::take`].
    pub fn samples(&self) -> f64 {
        self.weight
    }

    /// The mean, and a fresh start.
    pub fn take(&mut self) -> GradientsParams {
        std::mem::take(self).mean
    }
}
