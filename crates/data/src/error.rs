//! What can go wrong between a path and a batch. Every variant names the place and says what was expected there.

use std::path::{Path, PathBuf};

/// An error of reading, splitting or batching data. Its message is one line that a user can act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The operating system refused a file that should be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file's bytes are not what its format asks for.
    #[error("`{}` {place}: expected {expected}, found {found}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in the file: "header", "row 17", "byte 8" ...
        place: String,
        /// What the format asks for.
        expected: String,
        /// What stands there instead.
        found: String,
    },
    /// The data as a whole cannot be used as asked: one class only, an unknown column, classes that differ between splits ...
    #[error("`{}`: {what}; {hint}", path.display())]
    Unusable {
        /// The data set.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What the user can do next.
        hint: String,
    },
    /// An option's value makes no sense for any data.
    #[error("{option}: {what}")]
    Option {
        /// The option as the user writes it, such as `--augment`.
        option: String,
        /// What is wrong with its value, and what is allowed.
        what: String,
    },
    /// A fault of this library or of the machine rather than of the data: a thread that panicked or didn't start.
    #[error("internal: {what}")]
    Internal {
        /// What went wrong.
        what: String,
    },
}

impl Error {
    /// An [`Error::Io`] for `path`.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// An [`Error::Write`] for `path`.
    pub fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }

    /// An [`Error::Malformed`] for `path`.
    pub fn malformed(path: &Path, place: impl ToString, expected: impl ToString, found: impl ToString) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            place: place.to_string(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    /// An [`Error::Unusable`] for `path`.
    pub fn unusable(path: &Path, what: impl ToString, hint: impl ToString) -> Self {
        Self::Unusable { path: path.to_owned(), what: what.to_string(), hint: hint.to_string() }
    }

    /// An [`Error::Option`] for the option `name`.
    pub fn option(name: impl ToString, what: impl ToString) -> Self {
        Self::Option { option: name.to_string(), what: what.to_string() }
    }

    /// An [`Error::Internal`].
    pub fn internal(what: impl ToString) -> Self {
        Self::Internal { what: what.to_string() }
    }

    /// What the csv crate says of `path`, in our words.
    pub(crate) fn csv(path: &Path, error: &csv::Error) -> Self {
        let place = error.position().map_or_else(|| "text".into(), |position| format!("line {}", position.line()));
        match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                Self::malformed(path, place, format!("{expected_len} fields as in the first row"), len)
            }
            csv::ErrorKind::Utf8 { err, .. } => {
                Self::malformed(path, place, "UTF-8 text", format!("other bytes in field {}", err.field() + 1))
            }
            csv::ErrorKind::Io(source) => Self::malformed(path, place, "text", source),
            _ => Self::malformed(path, place, "rows of fields", error),
        }
    }

    /// Whether the user's command line is at fault rather than the data (exit code 2 instead of 3).
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Option { .. })
    }

    /// The exit code of a process that this error ends, by the table in `docs/formats.md`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Option { .. } => 2,
            Self::Io { source, .. } if is_exhausted(source) => 7,
            Self::Write { source, .. } if is_unwritable(source) => 7,
            Self::Write { .. } | Self::Internal { .. } => 1,
            Self::Io { .. } | Self::Malformed { .. } | Self::Unusable { .. } => 3,
        }
    }
}

/// Whether the system has no more memory or no more room on the disk, must not write on it, or the disk fails (EIO): exit code 7, whatever
/// was going on.
pub fn is_exhausted(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{OutOfMemory, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    // EIO has no kind of its own; its number is the same on every Unix.
    let failing = cfg!(unix) && error.raw_os_error() == Some(5);
    failing || matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem | OutOfMemory)
}

/// The same for what should be written, which may also be forbidden (EACCES, EPERM): to whoever has to save something, a file system that
/// lets nobody write and one that doesn't let this user are the same. What may not be read is an input like any other.
pub fn is_unwritable(error: &std::io::Error) -> bool {
    is_exhausted(error) || error.kind() == std::io::ErrorKind::PermissionDenied
}

/// The candidate that `name` was probably meant to be: the same but for case, surrounding space or punctuation, else the one most
/// like it, if any is.
pub fn near<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let wanted = plain(name);
    let score = |candidate: &str| {
        let candidate = plain(candidate);
        if candidate == wanted && !wanted.is_empty() { 2.0 } else { strsim::jaro_winkler(&candidate, &wanted) }
    };
    let scored = candidates.into_iter().map(|candidate| (score(candidate), candidate));
    let best = scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_written_is_7_and_what_may_not_be_read_is_the_datas_fault() {
        let path = Path::new("data.csv");
        for (number, read) in [(13, 3), (1, 3), (30, 7), (28, 7), (5, 7)] {
            let refused = || std::io::Error::from_raw_os_error(number);
            assert_eq!(Error::io(path, refused()).exit_code(), read, "{}", refused());
            assert_eq!(Error::write(path, refused()).exit_code(), 7, "{}", refused());
        }
    }
}
