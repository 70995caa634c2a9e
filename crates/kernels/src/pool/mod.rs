//! Pooling in windows and over whole maps, and what else gives a map another shape without weights: each in one pass each way.

#[cfg(feature = "flex")]
mod extension;
#[cfg(feature = "flex")]
mod slices;

use burn::tensor::{
    Tensor, activation, module,
    ops::{AvgPoolOptions, MaxPoolOptions},
};

/// The greatest of each window of `size` x `size`, `stride` apart, without padding: `[batch, channels, height, width]` to `[batch,
/// channels, height', width']`. Of equal values the first takes the gradient; not a number wins. The ReLU may follow.
///
/// # Panics
/// Where no window fits, with Burn's message.
pub fn max_pool2d(x: Tensor<4>, size: usize, stride: usize, relu: bool) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if extension::takes(&x, size, stride) && size <= 15 {
        return extension::max(x, size, stride, relu);
    }
    let y = module::max_pool2d(x, MaxPoolOptions::new([size; 2]).with_stride([stride; 2]));
    if relu { activation::relu(y) } else { y }
}

/// The mean of each window; else as [`max_pool2d`].
///
/// # Panics
/// Where no window fits, with Burn's message.
pub fn avg_pool2d(x: Tensor<4>, size: usize, stride: usize) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if extension::takes(&x, size, stride) {
        return extension::average(x, size, stride);
    }
    module::avg_pool2d(x, AvgPoolOptions::new([size; 2]).with_stride([stride; 2]))
}

/// The mean of each channel's map: `[batch, channels, height, width]` to `[batch, channels]`.
pub fn global_average(x: Tensor<4>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if extension::takes(&x, 1, 1) {
        return extension::global(x);
    }
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels])
}

/// Every stride-th pixel, with channels of zeros `before` and `after`: `[batch, channels, height, width]` to `[batch, before + channels +
/// after, height', width']`. The bridge of a residual block without parameters (He 2016, option A).
pub fn subsample(x: Tensor<4>, stride: usize, before: usize, after: usize) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if extension::takes(&x, 1, stride) {
        return extension::subsample(x, stride, before, after);
    }
    let x = if stride > 1 { avg_pool2d(x, 1, stride) } else { x };
    let [batch, _, height, width] = x.dims();
    let device = x.device();
    let zeros = |channels| Tensor::<4>::zeros([batch, channels, height, width], (&device, x.dtype()));
    let mut parts = Vec::with_capacity(3);
    if before > 0 {
        parts.push(zeros(before));
    }
    parts.push(x.clone());
    if after > 0 {
        parts.push(zeros(after));
    }
    Tensor::cat(parts, 1)
}

/// All values of a sample in the order of the shape, as PyTorch's: `[batch, channels, height, width]` to `[batch, channels * height *
/// width]`.
pub fn flatten(x: Tensor<4>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if extension::takes(&x, 1, 1) {
        return extension::flat(x);
    }
    x.flatten(1, 3)
}
