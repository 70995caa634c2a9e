//! Saved tensors on their way back into a run: what may be wrong with them, and the checks. The files themselves are the checkpoint's.

use burn::tensor::{Element, TensorData};

/// Why a saved state of the optimizer or of the averaged weights doesn't fit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A tensor that nothing in this run has a place for.
    #[error("training state `{name}`: expected only {expected}; was it saved with another optimizer or model?")]
    Unknown {
        /// The tensor's name.
        name: String,
        /// What there is a place for.
        expected: String,
    },
    /// A tensor that isn't there.
    #[error("training state `{name}`: expected, but not found; was it saved with another optimizer or model?")]
    Missing {
        /// The tensor's name.
        name: String,
    },
    /// A tensor of another shape or type.
    #[error("training state `{name}`: expected {expected}, found {found}")]
    Shape {
        /// The tensor's name.
        name: String,
        /// Type and shape as the run needs them.
        expected: String,
        /// As found.
        found: String,
    },
}

/// The values of the saved tensor `name`, which must be of type `E` and of `shape`.
pub(crate) fn values<'a, E: Element>(name: &str, data: &'a TensorData, shape: &[usize]) -> Result<&'a [E], StateError> {
    let found: &[usize] = data.shape();
    match data.as_slice::<E>() {
        Ok(values) if found == shape => Ok(values),
        _ => Err(StateError::Shape {
            name: name.to_owned(),
            expected: format!("{:?} {shape:?}", E::dtype()),
            found: format!("{:?} {found:?}", data.dtype()),
        }),
    }
}
