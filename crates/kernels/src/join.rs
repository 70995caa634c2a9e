//! Where ways through a network meet: a bridge that is added, and the ReLU behind it.

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
    /// From Burn's own operations.
    pub(crate) fn composed(self, y: Tensor<D>) -> Tensor<D> {
        let y = match self.bridge {
            Some(bridge) => y + bridge,
            None => y,
        };
        if self.relu { activation::relu(y) } else { y }
    }
}
