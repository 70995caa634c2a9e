//! Batch normalisation, with what follows it in one pass: a bridge that is added, and the ReLU.

#[cfg(feature = "flex")]
mod extension;
#[cfg(feature = "flex")]
mod slices;

use burn::tensor::{Tensor, module};

use crate::Join;

/// Normalises each channel of `x`, `[batch, channels]` or `[batch, channels, height, width]`, by the mean and the biased variance that it
/// has in this batch (Ioffe 2015): `(x - mean) / sqrt(variance + epsilon) * weight + bias`, then what is `after`. `affine` is weight and
/// bias, `[channels]`. Returns the output, and mean and variance, `[channels]`, without gradients.
pub fn batch_norm_train<const D: usize>(
    x: Tensor<D>,
    affine: [Tensor<1>; 2],
    epsilon: f64,
    after: Join<D>,
) -> (Tensor<D>, [Tensor<1>; 2]) {
    #[cfg(feature = "flex")]
    if extension::takes(&x, &affine, &after) {
        return extension::train(x, affine, epsilon, after);
    }
    let [weight, bias] = affine;
    let result = module::batch_norm_train(x, weight, bias, epsilon);
    (after.composed(result.output), [result.mean.detach(), result.variance.detach()])
}

/// As [`batch_norm_train`], by given `statistics`: mean and variance, `[channels]`.
pub fn batch_norm<const D: usize>(
    x: Tensor<D>,
    affine: [Tensor<1>; 2],
    statistics: [Tensor<1>; 2],
    epsilon: f64,
    after: Join<D>,
) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if extension::takes(&x, &affine, &after) && extension::takes(&x, &statistics, &Join::default()) {
        return extension::given(x, affine, statistics, epsilon, after);
    }
    let ([weight, bias], [mean, variance]) = (affine, statistics);
    after.composed(module::batch_norm(x, weight, bias, mean, variance, epsilon))
}
