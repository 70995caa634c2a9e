//! The two streams of the program: data goes to standard output, everything else to standard error. Unlike `println!`, neither panics
//! where nobody reads any more, as behind `head`, or the disk is full.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};

use super::failure::{Failure, code};

/// Writes a line to standard output.
pub(crate) fn print(line: impl Display) -> Result<()> {
    write(&mut io::stdout().lock(), format!("{line}\n").as_bytes())
}

/// Writes bytes to standard output as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<()> {
    write(&mut io::stdout().lock(), bytes)
}

/// Writes a line to standard error. What nobody can read is no reason to stop a training.
pub(crate) fn tell(line: impl Display) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// A reader that has seen enough ends the process, but is no failure.
fn write(out: &mut impl Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::with(code::OK, error),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Failure::with(code::RESOURCES, error),
            _ => error.into(),
        })
        .context("cannot write to standard output")
}

#[cfg(test)]
mod tests {
    use super::super::failure::exit_code;
    use super::*;

    struct Refusing(ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is_one_of_its_own() {
        let refused = |kind| exit_code(&write(&mut Refusing(kind), b"x").unwrap_err());
        assert_eq!(
            [ErrorKind::BrokenPipe, ErrorKind::StorageFull, ErrorKind::Other].map(refused),
            [code::OK, code::RESOURCES, code::INTERNAL]
        );
    }
}
