//! The one place where the heavy operations are called, so that faster ones can stand behind the same signatures without a change to
//! any architecture.

use burn::tensor::{Tensor, ops::ConvOptions};
use kernels::{After, Join};

/// `[batch, inputs]` times `[inputs, outputs]`, with the ReLU that may follow in the same pass.
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>, relu: bool) -> Tensor<2> {
    kernels::linear(x, weight, bias, relu)
}

/// Cross-correlation, as everybody calls convolution, with what follows in the same pass.
pub(crate) fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    after: After,
) -> Tensor<4> {
    kernels::conv2d(x, weight, bias, options, after)
}

/// [`conv2d`], and `x` again for a bridge over it.
pub(crate) fn conv2d_bridged(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    after: After,
) -> (Tensor<4>, Tensor<4>) {
    kernels::conv2d_bridged(x, weight, bias, options, after)
}

/// Normalisation of each channel by given statistics, with what follows in the same pass.
pub(crate) fn batch_norm<const D: usize>(
    x: Tensor<D>,
    affine: [Tensor<1>; 2],
    statistics: [Tensor<1>; 2],
    epsilon: f64,
    join: Join<D>,
) -> Tensor<D> {
    kernels::batch_norm(x, affine, statistics, epsilon, join)
}

/// Normalisation of each channel by its own statistics, which are returned: mean and biased variance, without gradient.
pub(crate) fn batch_norm_train<const D: usize>(
    x: Tensor<D>,
    affine: [Tensor<1>; 2],
    epsilon: f64,
    join: Join<D>,
) -> (Tensor<D>, [Tensor<1>; 2]) {
    kernels::batch_norm_train(x, affine, epsilon, join)
}

/// The greatest of each window, and the ReLU, if it follows.
pub(crate) fn max_pool2d(x: Tensor<4>, size: usize, stride: usize, relu: bool) -> Tensor<4> {
    kernels::max_pool2d(x, size, stride, relu)
}

/// The mean of each window.
pub(crate) fn avg_pool2d(x: Tensor<4>, size: usize, stride: usize) -> Tensor<4> {
    kernels::avg_pool2d(x, size, stride)
}

/// The mean of each map.
pub(crate) fn global_average(x: Tensor<4>) -> Tensor<2> {
    kernels::global_average(x)
}

/// Every stride-th pixel, between channels of zeros.
pub(crate) fn subsample(x: Tensor<4>, stride: usize, before: usize, after: usize) -> Tensor<4> {
    kernels::subsample(x, stride, before, after)
}

/// All values of a sample, in the order of the shape.
pub(crate) fn flatten(x: Tensor<4>) -> Tensor<2> {
    kernels::flatten(x)
}
