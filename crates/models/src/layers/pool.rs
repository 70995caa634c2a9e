//! Pooling: windows, and the whole map.

use burn::tensor::Tensor;
use kernels::Window;
use serde::{Deserialize, Serialize};

use crate::{Activation, named::named};

named! {
    /// What a window becomes.
    pub enum PoolKind("pooling") {
        /// Its greatest value.
        #[default]
        Max = "max",
        /// Its mean.
        Avg = "avg",
    }
}

/// Pooling in square windows; rows and columns that fill no window are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolConfig {
    /// What a window becomes.
    pub kind: PoolKind,
    /// Rows and columns of a window.
    pub size: usize,
    /// Steps between windows; as `size` where it isn't given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// Rows and columns around the map that windows reach into, at most half of `size`: never the greatest value, zeros to a mean.
    #[serde(skip_serializing_if = "is_zero")]
    pub padding: usize,
}

fn is_zero(padding: &usize) -> bool {
    *padding == 0
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { kind: PoolKind::Max, size: 2, stride: None, padding: 0 }
    }
}

impl PoolConfig {
    /// The greatest of each window of `size` x `size`, side by side.
    pub fn max(size: usize) -> Self {
        Self { size, ..Self::default() }
    }

    pub(crate) fn step(&self) -> usize {
        self.stride.unwrap_or(self.size)
    }

    pub(crate) fn window(&self) -> Window {
        Window { size: self.size, stride: self.step(), padding: self.padding }
    }

    /// "max pool 2x2".
    pub(crate) fn words(&self) -> String {
        format!("{} pool {1}x{1}", self.kind, self.size)
    }

    /// Height and width after a map of `size`; `None` where no window fits.
    pub(crate) fn output(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let along = |side: usize| Some((side + 2 * self.padding).checked_sub(self.size)? / self.step() + 1);
        Some([along(size[0])?, along(size[1])?])
    }

    /// `[batch, channels, height, width]` to `[batch, channels, height', width']`, and the activation that follows.
    pub(crate) fn forward(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        match (self.kind, activation) {
            (PoolKind::Max, Activation::Relu) => kernels::max_pool2d(x, self.window(), true),
            (PoolKind::Max, _) => activation.forward(kernels::max_pool2d(x, self.window(), false)),
            (PoolKind::Avg, _) => activation.forward(kernels::avg_pool2d(x, self.window())),
        }
    }
}

/// Every stride-th pixel, with channels of zeros before and after: the bridge of a residual block without parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subsample {
    pub(crate) stride: usize,
    /// Channels of zeros before the first.
    pub(crate) before: usize,
    /// Channels of zeros after the last.
    pub(crate) after: usize,
}

impl Subsample {
    /// `[batch, channels, height, width]` to `[batch, before + channels + after, height', width']`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        kernels::subsample(x, self.stride, self.before, self.after)
    }
}
