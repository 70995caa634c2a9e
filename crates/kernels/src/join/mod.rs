//! Where ways through a network meet: a bridge that is added, and the ReLU behind it.

#[cfg(feature = "flex")]
mod extension;

use burn::tensor::{Tensor, activation};

/// What follows an operation: `bridge` is added to its output, then the ReLU cuts what is below zero.
#[derive(Clone, Debug, Default)]
pub struct Join<const D: usize> {
    /// Of the output's shape.
    pub bridge: Option<Tensor<D>>,
    /// Whether the ReLU follows.
    pub relu: bool,
}

impl<const D: usize> Join<D> {
    /// What becomes of `y`, in one pass.
    pub fn apply(self, y: Tensor<D>) -> Tensor<D> {
        #[cfg(feature = "flex")]
        if extension::takes(&y, &self) {
            return extension::run(y, self);
        }
        self.composed(y)
    }

    /// The definition, in Burn's operations.
    pub(crate) fn composed(self, y: Tensor<D>) -> Tensor<D> {
        let y = match self.bridge {
            Some(bridge) => y + bridge,
            None => y,
        };
        if self.relu { activation::relu(y) } else { y }
    }
}
