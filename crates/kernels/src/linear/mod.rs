//! The fully connected layer, with the ReLU that follows it in one pass, and its gradients.

#[cfg(feature = "flex")]
use burn::tensor::FloatDType;
use burn::tensor::{Tensor, activation, module};

#[cfg(feature = "flex")]
use crate::flex;

#[cfg(feature = "flex")]
mod extension;
#[cfg(feature = "flex")]
mod gradient;
#[cfg(feature = "flex")]
mod matrix;

/// `x` `[batch, inputs]` times `weight` `[inputs, outputs]` plus `bias` `[outputs]`, and values below zero cut where `relu` says so:
/// `[batch, outputs]`.
///
/// # Panics
/// Where the shapes don't fit, with Burn's message.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>, relu: bool) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if extension::takes(&x, &weight, bias.as_ref()) {
        return extension::run(x, weight, bias, relu);
    }
    #[cfg(feature = "flex")]
    if flex::is_half(&x) {
        let (dtype, wide) = (x.dtype(), FloatDType::F32);
        return linear(x.cast(wide), weight.cast(wide), bias.map(|bias| bias.cast(wide)), relu).cast(dtype);
    }
    linear_composed(x, weight, bias, relu)
}

/// The definition of [`linear`], in Burn's operations.
pub fn linear_composed(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>, relu: bool) -> Tensor<2> {
    let x = module::linear(x, weight, bias);
    if relu { activation::relu(x) } else { x }
}
