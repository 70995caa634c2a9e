//! Convolution in two dimensions, with the ReLU and the maximum pooling that follow it in one pass, and its gradients.

use burn::tensor::{
    Tensor, activation, module,
    ops::{ConvOptions, MaxPoolOptions},
};

#[cfg(feature = "flex")]
mod backward;
#[cfg(feature = "flex")]
mod extension;
#[cfg(feature = "flex")]
mod forward;
#[cfg(feature = "flex")]
mod geometry;
#[cfg(feature = "flex")]
mod pad;
mod pool;
#[cfg(feature = "flex")]
mod weights;
#[cfg(feature = "flex")]
pub(crate) mod window;

pub use pool::Window;

#[cfg(feature = "flex")]
use crate::flex;
#[cfg(feature = "flex")]
use burn::tensor::FloatDType;

/// What follows a convolution in the same pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct After {
    /// Whether values below zero become zero.
    pub relu: bool,
    /// Maximum pooling, which may as well come before the ReLU: both keep the order of values.
    pub pool: Option<Window>,
}

/// Cross-correlation, as everybody calls convolution: `x` `[batch, inputs, height, width]`, `weight` `[outputs, inputs / groups, rows,
/// columns]`, `bias` `[outputs]` to `[batch, outputs, height', width']`.
///
/// # Panics
/// Where the shapes don't fit, with Burn's message.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    after: After,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if extension::takes(&x, &weight, bias.as_ref(), &options, after) {
        return extension::run(x, weight, bias, options, after);
    }
    #[cfg(feature = "flex")]
    if flex::is_half(&x) {
        let (dtype, wide) = (x.dtype(), FloatDType::F32);
        let bias = bias.map(|bias| bias.cast(wide));
        return conv2d(x.cast(wide), weight.cast(wide), bias, options, after).cast(dtype);
    }
    conv2d_composed(x, weight, bias, options, after)
}

/// [`conv2d`], and `x` again for a bridge over it: the gradients that come back both ways are summed where the first one is made.
///
/// # Panics
/// As [`conv2d`]; and on the way back where a loss depends on the bridge and not on the convolution.
pub fn conv2d_bridged(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    after: After,
) -> (Tensor<4>, Tensor<4>) {
    #[cfg(feature = "flex")]
    if extension::takes(&x, &weight, bias.as_ref(), &options, after) {
        return extension::run_bridged(x, weight, bias, options, after);
    }
    (conv2d(x.clone(), weight, bias, options, after), x)
}

/// The definition, in Burn's operations.
pub fn conv2d_composed(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    after: After,
) -> Tensor<4> {
    let mut x = module::conv2d(x, weight, bias, options);
    if let Some(Window { size, stride, padding }) = after.pool {
        let options = MaxPoolOptions::new([size; 2]).with_stride([stride; 2]).with_padding([padding; 2]);
        x = module::max_pool2d(x, options);
    }
    if after.relu { activation::relu(x) } else { x }
}
