//! The `trainer` binary: parses the command line, hands over to `cli`, and exits with a documented code.

mod cli;
mod fetch;
mod manifest;
mod tensorboard;

use std::process::ExitCode;

// Burn's CPU backends allocate a fresh buffer for every operation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A panic has said where it was; its exit code is that of any internal error.
    ExitCode::from(std::panic::catch_unwind(cli::run).unwrap_or(cli::failure::code::INTERNAL))
}
