//! What a network is made of, as `models` describes it: PyTorch's layers in prediction, with their weights in PyTorch's layouts.

use crate::Window;

/// One layer. Maps count as `[channels, height, width]`; a linear layer behind a map takes its values in that order.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Cross-correlation with kernels of `size` rows and columns.
    Conv {
        /// What its tensors' names begin with, as in PyTorch: "stages.0.blocks.0.conv1". No computation looks at it.
        name: String,
        /// `[outputs, inputs / groups, rows, columns]`.
        weight: Vec<f32>,
        /// `[outputs]`.
        bias: Option<Vec<f32>>,
        /// Channels after it.
        outputs: usize,
        /// Rows and columns of a kernel.
        size: [usize; 2],
        /// Steps between outputs, down and to the right.
        stride: [usize; 2],
        /// Zeros (before, after) the rows and the columns.
        padding: [(usize, usize); 2],
        /// Groups that the channels are split into.
        groups: usize,
    },
    /// A linear layer.
    Linear {
        /// What its tensors' names begin with.
        name: String,
        /// `[outputs, inputs]`.
        weight: Vec<f32>,
        /// `[outputs]`.
        bias: Option<Vec<f32>>,
        /// Numbers after it.
        outputs: usize,
    },
    /// `x * scale + shift` for each channel: batch normalisation by its running statistics.
    Affine {
        /// What its tensors' names begin with.
        name: String,
        /// `[channels]`.
        scale: Vec<f32>,
        /// `[channels]`.
        shift: Vec<f32>,
    },
    /// Normalisation of a sample by itself, in groups of its channels.
    GroupNorm {
        /// What its tensors' names begin with.
        name: String,
        /// How many groups.
        groups: usize,
        /// `[channels]`.
        weight: Vec<f32>,
        /// `[channels]`.
        bias: Vec<f32>,
        /// What is added to the variance.
        epsilon: f32,
    },
    /// A function of each value.
    Activation(Activation),
    /// The greatest of each window.
    MaxPool(Window),
    /// The mean of each window, where padding counts as zeros.
    AvgPool(Window),
    /// Every stride-th pixel, with channels of zeros before and after.
    Subsample {
        /// Steps between pixels.
        stride: usize,
        /// Channels of zeros before the first.
        before: usize,
        /// Channels of zeros after the last.
        after: usize,
    },
    /// The mean of each channel's map.
    GlobalAverage,
    /// What `body` makes of its input, plus what `bridge` makes of it: the input itself where it is empty.
    Residual {
        /// The long way: at least one layer.
        body: Vec<Layer>,
        /// The short way.
        bridge: Vec<Layer>,
    },
}

/// A function of each value, with PyTorch's default coefficients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x, or 0.01 x below zero.
    LeakyRelu,
    /// x, or exp(x) - 1 below zero.
    Elu,
    /// Scaled ELU (Klambauer 2017).
    Selu,
    /// x times the normal distribution function (Hendrycks 2016).
    Gelu,
    /// x sigmoid(x).
    Silu,
    /// x tanh(softplus(x)).
    Mish,
    /// x min(max(x + 3, 0), 6) / 6.
    HardSwish,
    /// Hyperbolic tangent.
    Tanh,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
}
