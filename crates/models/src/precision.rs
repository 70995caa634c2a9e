//! The number formats that a training pass may compute in, and what stays f32 in all of them: the weights themselves, which are cast for each
//! pass (so that their gradients come back in f32, through the cast), normalisation, activations that take exponentials, and the outputs.

use burn::tensor::{DType, FloatDType, Tensor};

use crate::named::named;

named! {
    /// What the layers of a training pass compute in. Prediction is f32 always.
    pub enum Precision("precision") {
        /// 32 bits.
        #[default]
        F32 = "f32",
        /// 16 bits with the range of f32 and 8 significant bits.
        Bf16 = "bf16",
        /// 16 bits with 11 significant bits, from 6e-8 to 65504: gradients need a scaled loss to be seen in it.
        F16 = "f16",
    }
}

impl Precision {
    /// As tensors call it.
    pub fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
            Self::F16 => FloatDType::F16,
        }
    }
}

/// Whether the tensor's numbers have 16 bits.
fn is_half<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.dtype(), DType::F16 | DType::BF16)
}

/// The same numbers in at least f32.
pub(crate) fn widened<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_half(&x) { x.cast(FloatDType::F32) } else { x }
}

/// What `f` makes of `x`, computed in at least f32 and handed on in the format of `x`.
pub(crate) fn in_f32<const D: usize>(x: Tensor<D>, f: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
    let dtype = x.dtype();
    if is_half(&x) { f(widened(x)).cast(dtype) } else { f(x) }
}
