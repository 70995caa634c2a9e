//! Pooling in windows and over whole maps, and what else gives a map another shape without weights: each in one pass each way.

#[cfg(feature = "flex")]
mod extension;
#[cfg(feature = "flex")]
mod slices;

use burn::tensor::{
    Tensor, activation, module,
    ops::{AvgPoolOptions, MaxPoolOptions},
};

use crate::conv::Window;

/// Every pixel by itself.
const PIXELS: Window = Window { size: 1, stride: 1, padding: 0 };

/// The greatest of each window: `[batch, channels, height, width]` to `[batch, channels, height', width']`. Padding never wins. Of equal
/// values the first takes the gradient; not a number wins. The ReLU may follow.
///
/// # Panics
/// Where no window fits, with Burn's message.
pub fn max_pool2d(x: Tensor<4>, pool: Window, relu: bool) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if extension::takes(&x, pool) && pool.size <= 15 {
        return extension::max(x, pool, relu);
    }
    let Window { size, stride, padding } = pool;
    let options = MaxPoolOptions::new([size; 2]).with_stride([stride; 2]).with_padding([padding; 2]);
    let y = module::max_pool2d(x, options);
    if relu { activation::relu(y) } else { y }
}

/// The mean of each window, where padding counts as zeros, as PyTorch has it by default; else as [`max_pool2d`].
///
/// # Panics
/// Where no window fits, with Burn's message.
pub fn avg_pool2d(x: Tensor<4>, pool: Window) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if extension::takes(&x, pool) {
        return extension::average(x, pool);
    }
    let Window { size, stride, padding } = pool;
    module::avg_pool2d(x, AvgPoolOptions::new([size; 2]).with_stride([stride; 2]).with_padding([padding; 2]))
}

/// The mean of each channel's map: `[batch, channels, height, width]` to `[batch, channels]`.
pub fn global_average(x: Tensor<4>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if extension::takes(&x, PIXELS) {
        return extension::global(x);
    }
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels])
}

/// Every stride-th pixel, with channels of zeros `before` and `after`: `[batch, channels, height, width]` to `[batch, before + channels +
/// after, height', width']`. The bridge of a residual block without parameters (He 2016, option A).
pub fn subsample(x: Tensor<4>, stride: usize, before: usize, after: usize) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if extension::takes(&x, Window { stride, ..PIXELS }) {
        return extension::subsample(x, stride, before, after);
    }
    let x = if stride > 1 { avg_pool2d(x, Window { stride, ..PIXELS }) } else { x };
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
    if extension::takes(&x, PIXELS) {
        return extension::flat(x);
    }
    x.flatten(1, 3)
}
