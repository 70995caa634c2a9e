//! `infer pack`: this program and a model as one file, and what such a file does when it is started.
//!
//! Owns the command, and the command line of a packed program, which names no model. Where the model lies in the file is known to
//! [`models::packed`].

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Command;
use infer::Predictor;
use models::packed::{self, Section};

use crate::failure::{Failure, tell};
use crate::runs;

/// Make one executable of this program and a model: it predicts, serves and tests itself on a machine that has neither. Instead of
/// `infer predict MODEL INPUTS` it is `digit-reader INPUTS`; its other commands name no model either
#[derive(Debug, clap::Args)]
pub(crate) struct Pack {
    /// A model file, or the folder of a run, whose weights/best.safetensors is taken
    model: PathBuf,
    /// The executable to write; what stands there is replaced if it is a packed program
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Write nothing but errors to standard error
    #[arg(long, short)]
    quiet: bool,
}

impl Pack {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let model = runs::model_file(&self.model)?;
        // What can't be loaded here can't be loaded there.
        Predictor::load(&model, &device::select("cpu")?.device)?;
        if !may_replace(&self.output)? {
            let what = "is there already and no packed program; delete it, or name another file with -o";
            return Err(Failure::usage(anyhow::anyhow!("`{}` {what}", self.output.display())));
        }
        let own = std::env::current_exe().context("cannot find this program's own file").map_err(Failure::internal)?;
        let (program, len, packed) = open(&own)?;
        let program = cut(program, Section { start: 0, len: packed.map_or(len, |model| model.start) }, &own)?;
        let (file, len, packed) = open(&model)?;
        let model = cut(file, packed.unwrap_or(Section { start: 0, len }), &model)?;
        let written = data::replace(&self.output, |file| {
            packed::write(program, model, file)?;
            executable(file.get_ref())
        });
        written.map_err(|error| Failure::writing(&self.output, error))?;
        if !self.quiet {
            let megabytes = std::fs::metadata(&self.output).map_or(0.0, |about| about.len() as f64 / 1e6);
            tell(format_args!("{} ({megabytes:.0} MB); try {} self-test", self.output.display(), shown(&self.output)));
        }
        Ok(())
    }
}

/// Whether nothing is lost where `path` is replaced.
fn may_replace(path: &Path) -> Result<bool, Failure> {
    let Ok(about) = std::fs::metadata(path) else { return Ok(true) };
    Ok(about.is_file() && (about.len() == 0 || open(path)?.2.is_some()))
}

/// The file `path`, its length, and where in it a model was packed.
fn open(path: &Path) -> Result<(File, u64, Option<Section>), Failure> {
    let reading = |error| Failure::reading(path, error);
    let mut file = File::open(path).map_err(reading)?;
    let len = file.metadata().map_err(reading)?.len();
    let section = packed::find(&mut file, len, path).map_err(infer::Error::from)?;
    Ok((file, len, section))
}

/// A reader of `section` of the file `path`.
fn cut(mut file: File, section: Section, path: &Path) -> Result<impl Read, Failure> {
    file.seek(SeekFrom::Start(section.start)).map_err(|error| Failure::reading(path, error))?;
    Ok(file.take(section.len))
}

#[cfg(unix)]
fn executable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn executable(_file: &File) -> io::Result<()> {
    Ok(())
}

/// As a shell wants to be told it.
fn shown(path: &Path) -> String {
    let bare = path.components().count() == 1;
    format!("{}{}", if bare { "./" } else { "" }, path.display())
}

/// This program's own file, if a model was packed behind it.
pub(crate) fn own() -> Option<PathBuf> {
    // Without /proc, as in the barest of jails, the system doesn't say which file this is, but whoever started it did.
    let own = std::env::current_exe().ok().or_else(|| std::env::args_os().next().map(PathBuf::from))?;
    let mut file = File::open(&own).ok()?;
    let len = file.metadata().ok()?.len();
    // A damaged mark is told when the model is read.
    packed::find(&mut file, len, &own).map_or(true, |section| section.is_some()).then_some(own)
}

/// The command line of a packed program: its commands name no model, and without one it predicts.
pub(crate) fn command(mut command: Command, own: &Path) -> Command {
    // Made once, and clap's names live as long as the program.
    let name: &'static str = own.file_name().unwrap_or_default().to_string_lossy().into_owned().leak();
    for sub in with_model(&command) {
        command = command.mut_subcommand(sub, |sub| {
            let mut sub = sub.mut_args(|arg| if arg.get_id() == "model" { arg.hide(true) } else { arg });
            // Usage names what is required, hidden or not.
            let usage = sub.render_usage().to_string().replace(" <MODEL>", "");
            sub.override_usage(format!("{name} {}", usage.trim_start_matches("Usage: ")))
        });
    }
    // What is shown without a command is a run's, and there are none.
    let command = command.mut_args(|arg| arg.hide(true));
    let about = "Predicts with the model inside it; INPUTS are those of its command predict, and so are the options";
    let usage = format!("{name} [OPTIONS] INPUTS...\n       {name} COMMAND");
    command.name(name).bin_name(name).about(about).override_usage(usage).arg_required_else_help(true)
}

/// The arguments that `infer` would have been given for what a packed program was given.
pub(crate) fn arguments(command: &Command, own: &Path, given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = given.collect();
    let first = arguments.get(1).map(|first| first.to_string_lossy().into_owned());
    match first.as_deref() {
        None => {}
        Some(first) if with_model(command).iter().any(|sub| sub == first) => arguments.insert(2, own.into()),
        Some("help" | "-h" | "--help" | "-V" | "--version") => {}
        Some(first) if command.find_subcommand(first).is_some() => {}
        Some(_) => {
            arguments.splice(1..1, ["predict".into(), own.into()]);
        }
    }
    arguments
}

/// Commands whose first argument is a model.
fn with_model(command: &Command) -> Vec<String> {
    let takes = |sub: &&Command| sub.get_positionals().next().is_some_and(|first| first.get_id() == "model");
    command.get_subcommands().filter(takes).map(|sub| sub.get_name().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn arguments_of(given: &[&str]) -> Vec<String> {
        let given = std::iter::once(&"reader").chain(given).map(OsString::from);
        let arguments = arguments(&crate::Cli::command(), Path::new("/bin/reader"), given);
        arguments.into_iter().skip(1).map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn a_packed_program_names_its_own_model() {
        assert_eq!(arguments_of(&["a.png", "-q"]), ["predict", "/bin/reader", "a.png", "-q"]);
        assert_eq!(arguments_of(&["--format", "json", "-"]), ["predict", "/bin/reader", "--format", "json", "-"]);
        assert_eq!(arguments_of(&["predict", "a.png"]), ["predict", "/bin/reader", "a.png"]);
        assert_eq!(arguments_of(&["self-test"]), ["self-test", "/bin/reader"]);
        assert_eq!(arguments_of(&["completions", "bash"]), ["completions", "bash"]);
        assert_eq!(arguments_of(&["--help"]), ["--help"]);
        assert!(arguments_of(&[]).is_empty());
    }
}
