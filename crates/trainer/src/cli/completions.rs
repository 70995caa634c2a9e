//! `trainer completions SHELL`.

use anyhow::Result;
use clap::CommandFactory;

/// Prints completions for `shell`.
pub(crate) fn run(shell: clap_complete::Shell) -> Result<u8> {
    clap_complete::generate(shell, &mut super::Cli::command(), "trainer", &mut std::io::stdout());
    Ok(0)
}
