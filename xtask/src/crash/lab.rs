//! The run that everything happens to: a small CNN with everything that has a state, the trainer that dies at failpoints, and the files
//! of the same run without an accident.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::{self, build};

/// Dropout, augmentation, batch norm, momentum, averaged weights; three epochs. How often it is saved changes no bit.
const TRAIN: &str = "train digits --limit 600 --model cnn --filters 8,16 --norm batch --dropout 0.2 --augment light --optimizer sgd \
    --lr 0.05 --ema 0.9 --batch 16 --epochs 3 --quiet";

/// A trainer, and what its run must come to.
pub(super) struct Lab {
    trainer: PathBuf,
    folder: PathBuf,
    shim: Option<PathBuf>,
    expected: Outcome,
    /// How long the run takes when nothing happens.
    pub(super) time: Duration,
}

/// What must be equal: the bytes of both model files, and the rows of `results.csv` but for their time.
#[derive(PartialEq)]
struct Outcome {
    files: [Vec<u8>; 2],
    rows: Vec<String>,
}

impl Lab {
    /// Builds the trainer and trains the run that nothing happens to, in `folder`.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let built = build(&["-p", "trainer", "--bin", "trainer", "--features", "trainer/failpoints"], "trainer")?;
        // Another build must not exchange it meanwhile.
        let trainer = folder.join("trainer");
        fs::copy(&built, &trainer)?;
        let nothing = Outcome { files: [Vec::new(), Vec::new()], rows: Vec::new() };
        let mut lab = Self { trainer, folder: folder.to_owned(), shim: None, expected: nothing, time: Duration::ZERO };
        lab.shim = lab.build_shim();
        let start = Instant::now();
        workspace::output(&mut lab.train("straight", 1000))?;
        lab.time = start.elapsed();
        lab.expected = lab.outcome(&lab.run("straight"))?;
        Ok(lab)
    }

    /// The folder of a run.
    pub(super) fn run(&self, name: &str) -> PathBuf {
        self.folder.join("runs").join(name)
    }

    /// Beside the runs.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The command that begins the run `name`, which is saved after so many steps, and after each epoch.
    pub(super) fn train(&self, name: &str, steps: usize) -> Command {
        let mut command = self.command();
        command.args(TRAIN.split_whitespace()).args(["--runs", "runs", "--name", name]);
        command.arg("--checkpoint-steps").arg(steps.to_string());
        command
    }

    /// The command that goes on with the run in `folder`.
    pub(super) fn resume(&self, folder: &Path) -> Command {
        let mut command = self.command();
        command.arg("resume").arg(folder).arg("--quiet");
        command
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.trainer);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("STRIATE_")) {
                command.env_remove(name);
            }
        }
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Whether the run in `folder` came to what it must.
    ///
    /// # Errors
    /// If it didn't, with what is different.
    pub(super) fn compare(&self, folder: &Path) -> Result<()> {
        let found = self.outcome(folder)?;
        for (at, name) in ["last", "best"].iter().enumerate() {
            ensure!(
                found.files[at] == self.expected.files[at],
                "{}: other bits in {name}.safetensors than without an accident",
                folder.display()
            );
        }
        ensure!(found == self.expected, "{}: other rows in results.csv than without an accident", folder.display());
        Ok(())
    }

    fn outcome(&self, folder: &Path) -> Result<Outcome> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let text = String::from_utf8(read("results.csv")?)?;
        let row = |line: &str| {
            let fields = line.split(',').enumerate().filter(|(at, _)| *at != 1);
            fields.map(|(_, field)| field).collect::<Vec<_>>().join(",")
        };
        Ok(Outcome {
            files: [read("weights/last.safetensors")?, read("weights/best.safetensors")?],
            rows: text.lines().map(row).collect(),
        })
    }

    /// The library that traces and refuses, set up for the run in `folder`.
    ///
    /// # Errors
    /// Where it could not be built: it needs Linux and a C compiler.
    pub(super) fn shimmed(&self, mut command: Command, folder: &Path) -> Result<Command> {
        let Some(shim) = &self.shim else {
            bail!("what the system is asked can only be watched on Linux with a C compiler (`cc`)")
        };
        command.env("LD_PRELOAD", shim).env("SHIM_ROOT", folder);
        Ok(command)
    }

    fn build_shim(&self) -> Option<PathBuf> {
        let (source, shim) = (workspace::root().join("xtask/crash/shim.c"), self.folder.join("shim.so"));
        let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(source).arg("-ldl");
        let built = cfg!(target_os = "linux") && compiler.stdout(Stdio::null()).status().is_ok_and(|s| s.success());
        built.then_some(shim)
    }
}

/// What a trainer that has ended said.
pub(super) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs `command` to its end, which must be `code`, without a panic.
pub(super) fn ends(mut command: Command, codes: &[i32]) -> Result<Output> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let text = said(&output);
    ensure!(!text.contains("panicked"), "{command:?} panicked: {text}");
    match output.status.code() {
        Some(code) if codes.contains(&code) => Ok(output),
        code => bail!("{command:?} ended with {code:?}, expected {codes:?}: {text}"),
    }
}

/// The newest committed checkpoint of a run, by its name, whose order is that of time.
pub(super) fn newest(run: &Path) -> Option<String> {
    let names =
        fs::read_dir(run.join("checkpoints")).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("step-") && !name.ends_with(".partial")).max()
}

/// Whether a save was under way.
pub(super) fn unfinished(run: &Path) -> bool {
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    names(&run.join("checkpoints")).iter().any(|name| name.ends_with(".partial"))
}
