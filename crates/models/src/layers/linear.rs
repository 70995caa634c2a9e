//! The fully connected layer.

use burn::{
    module::{Module, Param},
    tensor::Tensor,
};

use crate::{builder::Builder, init::Fan, trace::report};

/// y = x W + b.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    /// `[inputs, outputs]` in memory, which is what Burn multiplies by; `[outputs, inputs]` in files, as PyTorch has it.
    weight: Param<Tensor<2>>,
    bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    pub(crate) fn init(inputs: usize, outputs: usize, bias: bool, builder: &mut Builder<'_>) -> Self {
        let fan = Fan { rows: outputs, inputs, outputs };
        let weight = builder.weight([inputs, outputs], fan, |rows| transpose(&rows, outputs, inputs));
        Self { weight, bias: bias.then(|| builder.bias(fan)) }
    }

    /// `[batch, inputs]` to `[batch, outputs]` in the format of `x`, without what is below zero where `relu` says so.
    pub(crate) fn forward(&self, x: Tensor<2>, relu: bool) -> Tensor<2> {
        let dtype = x.dtype();
        let bias = self.bias.as_ref().map(|bias| bias.val().cast(dtype));
        let y = kernels::linear(x, self.weight.val().cast(dtype), bias, relu);
        report(self.weight.id, &y);
        y
    }
}

/// `[rows, columns]` to `[columns, rows]`.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut turned = Vec::with_capacity(values.len());
    for column in 0..columns {
        turned.extend((0..rows).map(|row| values[row * columns + column]));
    }
    turned
}
