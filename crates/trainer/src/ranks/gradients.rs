//! Gradients added up over ranks, in one message instead of one for each parameter.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use super::Ranks;
use crate::Error;

impl Ranks {
    /// Adds up the gradients of all ranks. A rank that has none of a parameter that learns, for it had no samples, has zeros.
    ///
    /// # Errors
    /// If another rank failed.
    pub(crate) fn sum_gradients<M: Module>(&self, model: &M, grads: GradientsParams) -> Result<GradientsParams, Error> {
        if self.size() == 1 {
            return Ok(grads);
        }
        let mut pack = Pack { values: Vec::new(), grads };
        model.visit(&mut pack);
        self.sum(&mut pack.values)?;
        let mut unpack = Unpack { values: &pack.values, grads: GradientsParams::new() };
        model.visit(&mut unpack);
        Ok(unpack.grads)
    }
}

/// Whether the gradient of a parameter is wanted: the same on every rank, whatever its samples reached.
fn learns<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    param.val().is_require_grad()
}

/// Moves gradients into one row of numbers, in the module's order.
struct Pack {
    values: Vec<f32>,
    grads: GradientsParams,
}

impl ModuleVisitor for Pack {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !learns(param) {
            return;
        }
        let end = self.values.len() + param.val().dims().iter().product::<usize>();
        let data = self.grads.remove::<D>(param.id).map(Tensor::into_data);
        match data.as_ref().map(TensorData::as_slice::<f32>) {
            Some(Ok(values)) => self.values.extend_from_slice(values),
            Some(Err(_)) => self.values.extend(data.iter().flat_map(TensorData::iter::<f32>)),
            None => {}
        }
        self.values.resize(end, 0.0);
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
