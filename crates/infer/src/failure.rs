//! Exit codes, and how an error is printed: one line on stderr.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

/// What went wrong, and the code that says so to programs: 1 internal, 2 usage, 3 data, 4 model, 6 answers that differ, 7 out of disk.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl Failure {
    pub(crate) fn internal(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 1, error: error.into() }
    }

    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 2, error: error.into() }
    }

    pub(crate) fn data(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 3, error: error.into() }
    }

    pub(crate) fn model(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 4, error: error.into() }
    }

    pub(crate) fn differs(error: impl Into<anyhow::Error>) -> Self {
        Self { code: 6, error: error.into() }
    }

    /// The error as one line.
    pub(crate) fn line(&self) -> String {
        line(&self.error)
    }

    /// Of a file that was named to be read.
    pub(crate) fn reading(path: &Path, error: io::Error) -> Self {
        let code = if data::is_exhausted(&error) { 7 } else { 3 };
        Self { code, error: anyhow::Error::new(error).context(format!("cannot read `{}`", path.display())) }
    }

    /// Of a file that was named to be written.
    pub(crate) fn writing(path: &Path, error: io::Error) -> Self {
        let code = if data::is_unwritable(&error) { 7 } else { 2 };
        Self { code, error: anyhow::Error::new(error).context(format!("cannot write `{}`", path.display())) }
    }

    /// Prints the error as one line and returns its code.
    pub(crate) fn report(&self) -> u8 {
        if self.code != 0 {
            tell(format_args!("error: {}", self.line()));
        }
        self.code
    }

    /// Reports and ends the program, whatever other threads are waiting for.
    pub(crate) fn exit(self) -> Self {
        std::process::exit(self.report().into())
    }
}

/// Writes a line to standard error; what nobody can read is no reason to stop.
pub(crate) fn tell(line: impl Display) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// The error with its causes. Those that it quotes already are left out.
fn line(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text.replace('\n', " ")
}

/// Of what nobody could have expected: threads that don't start.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { code: 1, error }
    }
}

impl From<infer::Error> for Failure {
    fn from(error: infer::Error) -> Self {
        Self { code: error.exit_code(), error: error.into() }
    }
}

impl From<data::Error> for Failure {
    fn from(error: data::Error) -> Self {
        infer::Error::from(error).into()
    }
}

impl From<device::Error> for Failure {
    fn from(error: device::Error) -> Self {
        Self { code: if error.is_usage() { 2 } else { 1 }, error: error.into() }
    }
}

/// Of writing to standard output. A reader that has seen enough, as `head` does, is no failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::BrokenPipe => 0,
            _ if data::is_exhausted(&error) => 7,
            _ => 1,
        };
        Self { code, error: anyhow::Error::new(error).context("cannot write to standard output") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_without_repetition() {
        let inner = io::Error::other("no such\ndevice");
        let error = anyhow::Error::new(inner).context("cannot write: no such\ndevice").context("predicting");
        assert_eq!(line(&error), "predicting: cannot write: no such device");
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is_one_of_its_own() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).code, 0);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).code, 7);
    }
}
