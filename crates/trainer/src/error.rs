//! What can go wrong while training, and the exit code that it deserves.

use std::path::{Path, PathBuf};

/// An error of training, evaluating, or of a run folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Data could not be read.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// A model could not be built, read or written.
    #[error(transparent)]
    Model(#[from] models::Error),
    /// The task refused its targets or options.
    #[error(transparent)]
    Task(#[from] tasks::Error),
    /// A file of the run folder could not be read or written.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io {
        /// "read", "write", "create" ...
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A checkpoint or a run folder is not whole.
    #[error("`{}`: {what}", path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// The state of the run could not be saved, whatever the reason: there is no use in training on.
    #[error("the run could not be saved: {0}")]
    Unsaved(String),
    /// The loss or a gradient became NaN or infinite.
    #[error("diverged at step {step} (epoch {epoch}, batch {batch}): {what}")]
    Diverged {
        /// Optimizer steps done before.
        step: u64,
        /// Epoch, counted from 1.
        epoch: usize,
        /// Batch in the epoch, counted from 1.
        batch: usize,
        /// What was not finite, and what to do.
        what: String,
    },
    /// An optimizer's saved state is not this model's.
    #[error(transparent)]
    State(#[from] crate::StateError),
    /// The device failed: lost, or out of memory.
    #[error("the device failed: {0}; try another --device or a smaller --batch")]
    Device(String),
    /// A training step doesn't fit into memory.
    #[error("{0}")]
    Memory(String),
    /// A setting makes no sense.
    #[error("{0}")]
    Config(String),
    /// Another of the processes that train together failed.
    #[error("rank {rank}: {what}")]
    Rank {
        /// Which one, counted from 0.
        rank: usize,
        /// The exit code that its error deserves.
        code: u8,
        /// Its error.
        what: String,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn checkpoint(path: &Path, what: impl ToString) -> Self {
        Self::Checkpoint { path: path.to_owned(), what: what.to_string() }
    }

    /// The process exit code for this error, by the table in `docs/formats.md`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Data(error) => error.exit_code(),
            Self::Model(error) => error.exit_code(),
            Self::Task(error) => error.exit_code(),
            Self::Checkpoint { .. } | Self::State(_) => 4,
            Self::Config(_) => 2,
            Self::Diverged { .. } => 5,
            Self::Unsaved(_) | Self::Memory(_) => 7,
            Self::Io { source, .. } if data::is_exhausted(source) => 7,
            // All that is read here lies in the folders of runs.
            Self::Io { doing: "read", .. } => 4,
            Self::Io { source, .. } if data::is_unwritable(source) => 7,
            Self::Device(_) | Self::Io { .. } => 1,
            Self::Rank { code, .. } => *code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_7_whatever_was_being_written() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        let path = Path::new("weights");
        let errors = [
            Error::io("write", path)(full()),
            Error::Data(data::Error::write(path, full())),
            Error::Model(models::Error::Io { verb: "write", path: path.to_owned(), source: full() }),
        ];
        assert_eq!(errors.map(|error| error.exit_code()), [7, 7, 7]);
    }

    #[test]
    fn what_may_not_be_written_is_7_and_what_may_not_be_read_is_the_runs_fault() {
        let forbidden = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let path = Path::new("weights");
        for (doing, code) in [
            ("read", 4),
            ("write", 7),
            ("create", 7),
            ("remove", 7),
            ("lock", 7),
            ("flush", 7),
            ("start a thread for", 7),
        ] {
            assert_eq!(Error::io(doing, path)(forbidden()).exit_code(), code, "{doing}");
        }
        for (verb, code) in [("read", 4), ("write", 7)] {
            let error = models::Error::Io { verb, path: path.to_owned(), source: forbidden() };
            assert_eq!(Error::Model(error).exit_code(), code, "{verb}");
        }
    }
}
