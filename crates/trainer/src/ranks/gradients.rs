//! Gradients added up over ranks, in one message instead of one for each parameter.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use super::Ranks;
use crate::Error;
use crate::evaluate::read;

impl Ranks {
    /// Adds up the gradients of all ranks. A rank that has none of a parameter that learns, for it had no samples, has zeros.
    ///
    /// # Errors
    /// If another rank failed.
    pub(crate) fn sum_gradients<M: Module>(&self, model: &M, grads: GradientsParams) -> Result<GradientsParams, Error> {
        if self.size() == 1 {
            return Ok(grads);
        }
        let mut pack = Pack { rows: Vec::new(), grads };
        model.visit(&mut pack);
        if pack.rows.is_empty() {
            return Ok(pack.grads);
        }
        // One row on the device, so that a GPU is waited for once.
        let mut values = read(Tensor::cat(pack.rows, 0))?;
        self.sum(&mut values)?;
        let mut unpack = Unpack { values: &values, grads: GradientsParams::new() };
        model.visit(&mut unpack);
        Ok(unpack.grads)
    }
}

/// Whether the gradient of a parameter is wanted: the same on every rank, whatever its samples reached.
fn learns<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    param.val().is_require_grad()
}

/// Takes gradients as rows of numbers, in the module's order.
struct Pack {
    rows: Vec<Tensor<1>>,
    grads: GradientsParams,
}

impl ModuleVisitor for Pack {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if learns(param) {
            let gradient = self.grads.remove::<D>(param.id).map(Tensor::without_autodiff);
            let gradient = gradient.unwrap_or_else(|| param.val().without_autodiff().zeros_like());
            self.rows.push(gradient.reshape([-1]));
        }
    }
}

/// Makes gradients of a row of numbers again.
struct Unpack<'a> {
    values: &'a [f32],
    grads: GradientsParams,
}

impl ModuleVisitor for Unpack<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !learns(param) {
            return;
        }
        let weights = param.val().without_autodiff();
        let (values, rest) = self.values.split_at(weights.dims().iter().product());
        self.values = rest;
        let data = TensorData::new(values.to_vec(), weights.dims()).convert_dtype(weights.dtype());
        self.grads.register(param.id, Tensor::<D>::from_data(data, &weights.device()));
    }
}
