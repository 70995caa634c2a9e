//! What can go wrong between a model file and a prediction. Says which exit code it deserves.

use std::path::PathBuf;

/// An error of loading a model or predicting with it. Its message is one line that a user can act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model file cannot be used.
    #[error(transparent)]
    Model(#[from] models::Error),
    /// The model file's network is fine, what it says about its outputs isn't.
    #[error("`{}` metadata `{key}`: {what}", path.display())]
    Meaning {
        /// The model file.
        path: PathBuf,
        /// `task` or `calibration`.
        key: &'static str,
        /// What is wrong there.
        what: String,
    },
    /// A golden input of the model file is no input of its model.
    #[error("the model file's metadata `golden`, input {at}: {what}")]
    Golden {
        /// Which, counted from 0.
        at: usize,
        /// Why.
        what: data::Error,
    },
    /// The model has no sets or intervals of the coverage that was asked for.
    #[error("--coverage: {what}")]
    Coverage {
        /// Why, and what to do.
        what: String,
        /// Whether the model file is at fault, rather than the caller.
        model: bool,
    },
    /// The answer cannot be explained in the way that was asked for.
    #[error("{what}: {why}")]
    Explain {
        /// What was asked for: "class", "patch" ...
        what: &'static str,
        /// Why it cannot be, and what can.
        why: String,
    },
    /// The model cannot be written in another format.
    #[error("{what}")]
    Export {
        /// Why, and what to do.
        what: String,
        /// Whether the model is at fault, rather than the caller.
        model: bool,
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
    #[error("the device failed: {0}; try another --device")]
    Device(String),
    /// The device's memory ended.
    #[error(
        "the device has too little memory for {samples} inputs at once ({what}); try a smaller --batch, or --device cpu"
    )]
    Memory {
        /// How many went through the network together.
        samples: usize,
        /// What the device's runtime said.
        what: String,
    },
}

impl Error {
    /// The exit code of a process that this error ends, by the table in `docs/formats.md`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Model(error) => error.exit_code(),
            Self::Meaning { .. }
            | Self::Golden { .. }
            | Self::Coverage { model: true, .. }
            | Self::Export { model: true, .. } => 4,
            Self::Coverage { .. } | Self::Explain { .. } | Self::Export { .. } => 2,
            Self::Data(error) => error.exit_code(),
            Self::Input { .. } => 3,
            Self::Device(_) => 1,
            Self::Memory { .. } => 7,
        }
    }
}
