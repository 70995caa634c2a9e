//! What can go wrong between a configuration and a network. Every variant names the place and says what would do.

use std::path::{Path, PathBuf};

/// An error of describing, building or loading a network. Its message is one line that a user can act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A word that is no name of its kind.
    #[error("unknown {what} `{given}`; {hint}")]
    Name {
        /// What was to be named: "activation", "initialiser" ...
        what: &'static str,
        /// The word that was given.
        given: String,
        /// The nearest name, or all of them.
        hint: String,
    },
    /// A configuration that makes no network, on its own or for this input.
    #[error("{place}: {what}")]
    Config {
        /// Where in the network: "stage 3", "hidden layer 1", "input" ...
        place: String,
        /// What is wrong there, and what would do.
        what: String,
    },
    /// Weights that aren't those of the network.
    #[error("tensor `{name}`: expected {expected}, found {found}")]
    Tensor {
        /// The parameter's name.
        name: String,
        /// What the network asks for.
        expected: String,
        /// What was given instead.
        found: String,
    },
    /// A model file is not what it should be.
    #[error("`{}` {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with what was expected and found.
        what: String,
    },
    /// The operating system refused.
    #[error("cannot {verb} `{}`: {source}", path.display())]
    Io {
        /// "read" or "write".
        verb: &'static str,
        /// The model file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// An [`Error::Config`] at `place`.
    pub fn config(place: impl ToString, what: impl ToString) -> Self {
        Self::Config { place: place.to_string(), what: what.to_string() }
    }

    /// An [`Error::Tensor`] for the parameter `name`.
    pub fn tensor(name: impl ToString, expected: impl ToString, found: impl ToString) -> Self {
        Self::Tensor { name: name.to_string(), expected: expected.to_string(), found: found.to_string() }
    }

    /// An [`Error::File`] for `path`.
    pub(crate) fn file(path: &Path, what: impl ToString) -> Self {
        Self::File { path: path.to_owned(), what: what.to_string() }
    }

    /// An [`Error::Io`] of reading `path`.
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Io { verb: "read", path: path.to_owned(), source }
    }

    /// An [`Error::Io`] of writing `path`.
    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Io { verb: "write", path: path.to_owned(), source }
    }

    /// Whether the user's configuration is at fault (exit code 2) rather than a model file (exit code 4).
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Name { .. } | Self::Config { .. })
    }

    /// The exit code of a process that this error ends, by the table in `docs/formats.md`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Name { .. } | Self::Config { .. } => 2,
            Self::Io { source, .. } if data::is_exhausted(source) => 7,
            Self::Io { verb: "write", source, .. } if data::is_unwritable(source) => 7,
            Self::Io { verb: "write", .. } => 1,
            Self::Io { .. } | Self::Tensor { .. } | Self::File { .. } => 4,
        }
    }
}
