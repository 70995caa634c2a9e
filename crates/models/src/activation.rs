//! Activations by name. None of them has parameters.

use burn::tensor::{Tensor, activation};

use crate::{named::named, precision::in_f32};

named! {
    /// The non-linearity after a layer, with PyTorch's default coefficients.
    pub enum Activation("activation") {
        /// max(x, 0).
        #[default]
        Relu = "relu",
        /// x, or 0.01 x below zero.
        LeakyRelu = "leaky_relu",
        /// x, or exp(x) - 1 below zero.
        Elu = "elu",
        /// Scaled ELU (Klambauer 2017).
        Selu = "selu",
        /// x times the normal distribution function, exactly and not by tanh (Hendrycks 2016).
        Gelu = "gelu",
        /// x sigmoid(x), also called swish.
        Silu = "silu",
        /// x tanh(softplus(x)).
        Mish = "mish",
        /// x min(max(x + 3, 0), 6) / 6.
        HardSwish = "hard_swish",
        /// Hyperbolic tangent.
        Tanh = "tanh",
        /// 1 / (1 + exp(-x)).
        Sigmoid = "sigmoid",
        /// x itself.
        None = "none",
    }
}

impl Activation {
    /// Applies the activation to each element; the shape stays.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Relu => activation::relu(x),
            Self::LeakyRelu => activation::leaky_relu(x, 0.01),
            Self::None => x,
            // Made of several operations, of which exponentials leave the range of f16 soon.
            _ => in_f32(x, |x| self.smooth(x)),
        }
    }

    fn smooth<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Elu => activation::elu(x, 1.0),
            Self::Selu => activation::selu(x),
            Self::Gelu => activation::gelu(x),
            Self::Silu => activation::silu(x),
            Self::Mish => activation::mish(x),
            Self::HardSwish => activation::hard_swish(x),
            Self::Tanh => activation::tanh(x),
            Self::Sigmoid => activation::sigmoid(x),
            Self::Relu | Self::LeakyRelu | Self::None => x,
        }
    }
}
