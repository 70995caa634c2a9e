//! The `infer` program: command line, terminal and exit codes around the library of the same name. Data goes to standard output,
//! everything else to standard error.

mod answer;
mod attribution;
mod draw;
mod exif;
mod failure;
mod feed;
mod gallery;
mod interchange;
mod journal;
mod output;
mod pack;
mod pipeline;
mod place;
mod predict;
mod runs;
mod samples;
mod self_test;
mod serve;
mod shard;
mod sources;
mod usage;
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use failure::Failure;

/// Burn's CPU backends allocate for every operation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Predict with a trained model; without a command, show the newest run on digits that it was never trained on
#[derive(Debug, Parser)]
#[command(name = "infer", version, args_conflicts_with_subcommands = true, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    show: samples::Show,
}

const AFTER: &str = "Exit codes: 0 all predicted, 1 internal error, 2 wrong usage, 3 an input could not be predicted,
4 no model or not a usable one, 6 a self-test that differs, 7 out of memory or disk.";

#[derive(Debug, Subcommand)]
enum Command {
    #[command(allow_negative_numbers = true)]
    Predict(predict::Predict),
    Explain(attribution::ExplainInputs),
    Filters(gallery::DrawFilters),
    Features(gallery::DrawFeatures),
    SelfTest(self_test::SelfTest),
    Serve(Box<serve::Serve>),
    Pack(pack::Pack),
    Export(interchange::Export),
    /// Print the completions of a shell: infer completions bash > /etc/bash_completion.d/infer
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => match usage::line(&error) {
            Some(line) => return ExitCode::from(Failure::usage(anyhow::anyhow!(line)).report()),
            None => error.exit(),
        },
    };
    let run = || match cli.command {
        None => cli.show.run(),
        Some(Command::Predict(predict)) => predict.run(),
        Some(Command::Explain(explain)) => explain.run(),
        Some(Command::Filters(filters)) => filters.run(),
        Some(Command::Features(features)) => features.run(),
        Some(Command::SelfTest(test)) => test.run(),
        Some(Command::Serve(serve)) => serve.run(),
        Some(Command::Pack(pack)) => pack.run(),
        Some(Command::Export(export)) => export.run(),
        Some(Command::Completions { shell }) => completions(shell),
    };
    // A panic has said where it was; its exit code is that of any internal error.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => ExitCode::from(failure.report()),
        Err(_) => ExitCode::FAILURE,
    }
}

/// The command line; that of a program with a model packed behind it names none.
fn parse() -> Result<Cli, clap::Error> {
    let (mut command, given) = (Cli::command(), std::env::args_os());
    let mut matches = match pack::own() {
        None => command.clone().try_get_matches_from(given)?,
        Some(own) => {
            let given = pack::arguments(&command, &own, given);
            command = pack::command(command, &own);
            command.clone().try_get_matches_from(given)?
        }
    };
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "infer", &mut script);
    Ok(io::stdout().write_all(&script)?)
}
