//! What can go wrong between targets and a task, or between outputs and metrics. Every message is one line that a user can act on.

/// An error of making, reading or measuring a task.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The targets of the training split cannot be learned from.
    #[error("{what}; {hint}")]
    Targets {
        /// What is wrong with them.
        what: String,
        /// What the user can do next.
        hint: String,
    },
    /// An option's value makes no sense, or none for this task.
    #[error("{option}: {what}")]
    Option {
        /// The option as the user writes it, such as `--label-smoothing`.
        option: &'static str,
        /// What is wrong with its value, and what is allowed.
        what: String,
    },
    /// The task section of a model file contradicts itself.
    #[error("the model's task section: {0}")]
    Stored(String),
    /// Outputs and targets that don't belong together.
    #[error("cannot measure a batch: {what}: expected {expected}, found {found}")]
    Batch {
        /// What differs.
        what: &'static str,
        /// What the task asks for.
        expected: String,
        /// What was given.
        found: String,
    },
}

impl Error {
    pub(crate) fn targets(what: impl ToString, hint: impl ToString) -> Self {
        Self::Targets { what: what.to_string(), hint: hint.to_string() }
    }

    pub(crate) fn option(option: &'static str, what: impl ToString) -> Self {
        Self::Option { option, what: what.to_string() }
    }

    pub(crate) fn batch(what: &'static str, expected: impl ToString, found: impl ToString) -> Self {
        Self::Batch { what, expected: expected.to_string(), found: found.to_string() }
    }

    /// Whether the user's command line is at fault rather than the data (exit code 2 instead of 3).
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Option { .. })
    }

    /// The exit code of a process that this error ends, by the table in `docs/formats.md`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Option { .. } => 2,
            Self::Targets { .. } | Self::Batch { .. } => 3,
            Self::Stored(_) => 4,
        }
    }
}
