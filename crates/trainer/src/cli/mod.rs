//! The command line of `trainer`: one file for each subcommand. Only here does the crate print, choose a device or exit.

pub(crate) mod failure;
pub(crate) mod options;

mod bar;
mod board;
mod bounded;
mod chosen;
mod columns;
mod compare;
mod completions;
mod data_info;
mod devices;
mod doctor;
mod eval;
mod events;
mod find_lr;
mod halved;
mod initial;
mod inspect;
mod page;
mod position;
mod ranks;
mod replay;
mod report;
mod residence;
mod resume;
mod runs;
mod settings;
mod settle;
mod signals;
pub(crate) mod stream;
mod suspects;
mod train;
mod trained;
mod tui;
mod tune;
mod usage;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use options::Options;
use trainer::Ranks;

/// Trains neural networks (MLPs and CNNs) on images and tables. Without a subcommand: trains on the embedded handwritten digits.
#[derive(Parser)]
#[command(name = "trainer", version, max_term_width = 110, arg_required_else_help = false)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network on a folder of images, a table, an image list, IDX or CIFAR files
    #[command(args_override_self = true, allow_negative_numbers = true)]
    Train(Box<Train>),
    /// Try learning rates from small to large until the loss diverges, draw the curve and suggest one; exit with 6 if none can be
    #[command(args_override_self = true, allow_negative_numbers = true)]
    FindLr(Box<find_lr::Arguments>),
    #[command(allow_negative_numbers = true)]
    /// Go on with a run that was interrupted, or add epochs to one that ended; or go on with a search
    Resume(Resume),
    /// Search options: draw trials from the ranges in a recipe, train the promising ones on, and leave the best recipe
    #[command(allow_negative_numbers = true)]
    Tune(Box<tune::Arguments>),
    /// Train a run again and compare its weights epoch by epoch, to the bit; exit with 6 if they differ
    Replay(Replay),
    /// List runs and what they reached, the newest first
    Runs(Runs),
    /// Compare runs on the samples that all of them answered: metrics with intervals, McNemar's test, samples that flipped, speed
    Compare(Compare),
    /// Write the report of a run again: report.html, per_class.csv and its predictions, in its folder
    Report(ReportRun),
    #[command(allow_negative_numbers = true)]
    /// Measure a trained model on data
    Eval(Eval),
    /// Show a model file or a preset: layers, output shapes, parameters, FLOPs; how it was calibrated
    Inspect(Inspect),
    /// Look at what a path holds; list and fetch well-known data sets
    #[command(subcommand)]
    Data(Data),
    /// Examine data before training: unreadable files, duplicates, label conflicts, leaks; exit with 3 for errors, 6 for warnings
    #[command(args_override_self = true, allow_negative_numbers = true)]
    Doctor(Box<Doctor>),
    /// List the devices that this binary and machine have, check that one computes correctly, or time its first steps
    Devices(devices::Arguments),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// How results are printed.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Output {
    /// text for people, json for programs
    #[arg(long, value_enum, default_value_t = Format::Text, global = false)]
    pub(crate) format: Format,
}

/// Output formats of commands that answer a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How much is seen of a training.
#[derive(Clone, Copy, Default, clap::Args)]
pub(crate) struct Watch {
    /// Print no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Show the training on the whole terminal: curves, throughput, memory, recall of each class, the worst answers; s saves a checkpoint,
    /// q saves and stops
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) tui: bool,
}

#[derive(clap::Args)]
pub(crate) struct Train {
    /// A TOML file of options; flags and environment variables win over it
    #[arg(long, visible_alias = "config", env = "STRIATE_RECIPE", value_name = "FILE")]
    pub(crate) recipe: Option<PathBuf>,
    /// Print the effective options as a recipe, and don't train
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) watch: Watch,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(clap::Args)]
pub(crate) struct Resume {
    /// The folder of the run, or of a search
    pub(crate) run: PathBuf,
    /// Epochs in all, if other than before
    #[arg(long)]
    pub(crate) epochs: Option<usize>,
    /// Threads that prepare batches
    #[arg(long, short = 'j')]
    pub(crate) workers: Option<usize>,
    /// Device, if other than before
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// Where the data set lies, if other than before: auto, host or device
    #[arg(long, value_name = "WHERE")]
    pub(crate) data_on: Option<String>,
    /// What a step computes in, if other than before: f32, bf16 or f16
    #[arg(long, value_name = "FORMAT")]
    pub(crate) precision: Option<String>,
    /// Minutes between saves, if other than before; 0 for epoch ends only
    #[arg(long, value_name = "N")]
    pub(crate) checkpoint_minutes: Option<f64>,
    /// Optimizer steps between saves, if other than before
    #[arg(long, value_name = "N")]
    pub(crate) checkpoint_steps: Option<u64>,
    #[command(flatten)]
    pub(crate) watch: Watch,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(clap::Args)]
pub(crate) struct Replay {
    /// The folder of the run
    pub(crate) run: PathBuf,
    /// Compare the first epochs only
    #[arg(long, value_name = "N")]
    pub(crate) epochs: Option<usize>,
    /// Print no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(clap::Args)]
pub(crate) struct Runs {
    /// The folder of the runs, or one run
    #[arg(default_value = "runs", env = "STRIATE_RUNS")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(clap::Args)]
pub(crate) struct Compare {
    /// The folders of the runs; the others are compared with the first
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// Write a page for people, one HTML file
    #[arg(long, value_name = "FILE")]
    pub(crate) page: Option<PathBuf>,
    /// Exit with 6 if a later run is significantly worse than the first: classes and labels: McNemar's mid-p below 0.05 and more samples
    /// broken than fixed; numbers: the 95 % bootstrap interval of the mean error's difference lies above zero. Each run is tested by itself
    #[arg(long)]
    pub(crate) fail_on_regression: bool,
    /// Device that the speed is measured on
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(clap::Args)]
pub(crate) struct ReportRun {
    /// The folder of the run
    pub(crate) run: PathBuf,
    /// Device
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(clap::Args)]
pub(crate) struct Eval {
    /// A model file, or the folder of a run
    pub(crate) model: PathBuf,
    /// What to measure it on [default: the test split of the run's own data]
    pub(crate) data: Option<String>,
    /// train, val, test or all [default: test where there is one, else all]
    #[arg(long)]
    pub(crate) on: Option<String>,
    /// Target column or columns of a table or image list
    #[arg(long, value_delimiter = ',')]
    pub(crate) label: Vec<String>,
    /// Characters to cut off the end of every label
    #[arg(long)]
    pub(crate) label_strip: Option<String>,
    /// A split.csv to follow
    #[arg(long)]
    pub(crate) split: Option<PathBuf>,
    /// An exclude list: samples that are not measured
    #[arg(long, value_name = "FILE")]
    pub(crate) exclude: Option<PathBuf>,
    /// Seed of the split, where none is given [default: the one that the model was trained with]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Write a row for each sample: source, truth, prediction, probabilities
    #[arg(long, value_name = "FILE")]
    pub(crate) save_predictions: Option<PathBuf>,
    /// Exit with 6 unless this is reached, such as accuracy=0.98
    #[arg(long, value_name = "METRIC=VALUE")]
    pub(crate) target: Option<String>,
    /// Samples at a time
    #[arg(long, short, default_value_t = 256)]
    pub(crate) batch: usize,
    /// Threads that prepare batches
    #[arg(long, short = 'j', default_value_t = 1)]
    pub(crate) workers: usize,
    /// Device
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(clap::Args)]
pub(crate) struct Inspect {
    /// A model file, the folder of a run, or the name of a preset
    pub(crate) model: String,
    /// For a preset: size of the input, N, HEIGHTxWIDTH or CHANNELSxHEIGHTxWIDTH
    #[arg(long, default_value = "1x28x28")]
    pub(crate) imgsz: String,
    /// For a preset: number of outputs
    #[arg(long, default_value_t = 10)]
    pub(crate) outputs: usize,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Subcommand)]
enum Data {
    /// List the well-known data sets: what they are, and whether they are here
    List(Output),
    /// Download a well-known data set, verify it, and say where it lies
    Fetch {
        /// Its name, as `trainer data list` has it
        name: String,
        /// The folder to put it in [default: the clone's, else the user's data folder]
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Say what a path holds: format, task, classes, sizes, split
    Info(Box<DataInfo>),
}

#[derive(clap::Args)]
pub(crate) struct Doctor {
    /// Write an exclude list for `trainer train --exclude`: unreadable files, and the training copies of samples that also test
    #[arg(long, value_name = "FILE")]
    pub(crate) fix: Option<PathBuf>,
    /// A model file, or the folder of a run: also look for targets that it contradicts. Without DATA: those of the run's own data
    #[arg(long, value_name = "MODEL")]
    pub(crate) trained: Option<PathBuf>,
    /// Write all targets that the trained model contradicts as a list to look through, which `trainer train --exclude` takes
    #[arg(long, value_name = "FILE", requires = "trained")]
    pub(crate) suspects: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(clap::Args)]
pub(crate) struct DataInfo {
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// Runs the command line and returns the exit code.
pub(crate) fn run() -> u8 {
    let cli = Cli::try_parse().map_err(refused);
    match ranks::together(|ranks| dispatch(cli?, ranks)) {
        Ok(code) => code,
        Err(error) => {
            let code = failure::exit_code(&error);
            if code != failure::code::OK {
                stream::tell(format_args!("error: {}", one_line(&error)));
            }
            code
        }
    }
}

fn dispatch(cli: Cli, ranks: &Ranks) -> Result<u8> {
    match cli.command {
        // The environment may say something all the same.
        None => dispatch(Cli::try_parse_from(["trainer", "train"]).map_err(refused)?, ranks),
        Some(Command::Train(arguments)) => train::run(*arguments, ranks),
        Some(Command::Resume(arguments)) => resume::run(arguments, ranks),
        _ if ranks.size() > 1 => Err(ranks::refused(ranks)),
        Some(Command::FindLr(arguments)) => find_lr::run(*arguments),
        Some(Command::Tune(arguments)) => tune::run(*arguments),
        Some(Command::Replay(arguments)) => replay::run(&arguments),
        Some(Command::Runs(arguments)) => runs::run(&arguments),
        Some(Command::Compare(arguments)) => compare::run(&arguments),
        Some(Command::Report(arguments)) => page::run(&arguments),
        Some(Command::Eval(arguments)) => eval::run(&arguments),
        Some(Command::Inspect(arguments)) => inspect::run(&arguments),
        Some(Command::Data(Data::Info(arguments))) => data_info::run(*arguments),
        Some(Command::Data(Data::List(output))) => {
            crate::manifest::print_list(output.format == Format::Json).map(|()| 0)
        }
        Some(Command::Data(Data::Fetch { name, dir })) => {
            let manifest = crate::manifest::find(&name).map_err(failure::Failure::usage)?;
            crate::fetch::run(&manifest, dir.as_deref()).map(|()| 0)
        }
        Some(Command::Doctor(arguments)) => doctor::run(*arguments),
        Some(Command::Devices(arguments)) => devices::run(&arguments),
        Some(Command::Completions { shell }) => completions::run(shell),
    }
}

/// A command line that clap refuses; help and versions are printed here.
fn refused(error: clap::Error) -> anyhow::Error {
    match usage::line(&error) {
        Some(line) => failure::Failure::usage(anyhow::anyhow!(line)),
        None => error.exit(),
    }
}

/// The chain of an error on one line; causes that an outer message repeats are left out.
fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text += ": ";
            text += &cause;
        }
    }
    text.replace(char::is_control, " ")
}
