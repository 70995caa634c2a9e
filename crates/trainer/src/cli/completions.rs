//! `trainer completions SHELL`.

use anyhow::Result;
use clap::CommandFactory;

use super::stream;

/// Prints completions for `shell`.
pub(crate) fn run(shell: clap_complete::Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::Cli::command(), "trainer", &mut script);
    stream::print_bytes(&script).map(|()| 0)
}
