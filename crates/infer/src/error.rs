//! What can go wrong between a model file and a prediction. Says whose fault it is, so that a program can choose its exit code.

use std::path::PathBuf;

/// An error of loading a model or predicting with it. Its message is one line that a user can act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model file cannot be used.
    #[error(transparent)]
    Model(#[from] models::Error),
    /// The model file's network is fine, what it says about its outputs isn't.
    #[error("`{}` metadata `task`: {what}", path.display())]
    Task {
        /// The model file.
        path: PathBuf,
        /// What is wrong there.
        what: String,
    },
    /// An input cannot be read.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// An input is of a kind that the model doesn't take.
    #[error("this model takes {expected}, found {found}")]
    Input {
        /// What the model takes.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The device failed to answer.
    #[error("cannot read the outputs from the device: {0}")]
    Device(String),
}

impl Error {
    /// Whether the model is at fault (exit code 4).
    pub fn is_model(&self) -> bool {
        matches!(self, Self::Model(_) | Self::Task { .. })
    }

    /// Whether an input is at fault (exit code 3).
    pub fn is_data(&self) -> bool {
        matches!(self, Self::Data(_) | Self::Input { .. })
    }
}
