//! Exit codes: the one place that turns an error into a number. The table is in `docs/formats.md`.

use std::fmt;

/// An error with the exit code that it ends the process with.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    error: anyhow::Error,
}

/// Exit codes, as documented.
pub(crate) mod code {
    pub(crate) const OK: u8 = 0;
    pub(crate) const INTERNAL: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const DATA: u8 = 3;
    pub(crate) const MODEL: u8 = 4;
    pub(crate) const DIVERGED: u8 = 5;
    pub(crate) const TARGET_MISSED: u8 = 6;
    pub(crate) const RESOURCES: u8 = 7;
    pub(crate) const HUNG_UP: u8 = 129;
    pub(crate) const INTERRUPTED: u8 = 130;
    pub(crate) const TERMINATED: u8 = 143;
}

impl Failure {
    /// `error`, ending the process with `code`.
    pub(crate) fn with(code: u8, error: impl Into<anyhow::Error>) -> anyhow::Error {
        Self { code, error: error.into() }.into()
    }

    /// An error of the command line or a recipe: exit 2.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> anyhow::Error {
        Self::with(code::USAGE, error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl std::error::Error for Failure {}

/// The exit code of `error`: its own where one was given, else by the library it comes from.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.code;
        }
        if let Some(error) = cause.downcast_ref::<trainer::Error>() {
            return error.exit_code();
        }
        if let Some(error) = cause.downcast_ref::<data::Error>() {
            return error.exit_code();
        }
        if let Some(error) = cause.downcast_ref::<models::Error>() {
            return error.exit_code();
        }
        if let Some(error) = cause.downcast_ref::<tasks::Error>() {
            return error.exit_code();
        }
        if let Some(error) = cause.downcast_ref::<crate::fetch::Error>() {
            return error.exit_code();
        }
        if let Some(error) = cause.downcast_ref::<device::Error>() {
            return if error.is_usage() { code::USAGE } else { code::INTERNAL };
        }
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            return if data::is_exhausted(error) { code::RESOURCES } else { code::INTERNAL };
        }
    }
    code::INTERNAL
}
