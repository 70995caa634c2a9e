//! The runs that everything happens to, which between them have everything that is a state; the trainer that dies at failpoints; and
//! the files of the same runs without an accident.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::Chance;
use crate::workspace::{self, build};

/// A run by its name and its options; how often it is saved changes no bit.
struct Case {
    name: &'static str,
    train: &'static str,
    goes_back: bool,
}

const CASES: [Case; 3] = [
    // Dropout, augmentation, batch norm, momentum, averaged weights.
    Case {
        name: "cnn",
        train: "train digits --limit 600 --model cnn --filters 8,16 --norm batch --dropout 0.2 --augment light --optimizer sgd \
            --lr 0.05 --ema 0.9 --batch 16 --epochs 3",
        goes_back: false,
    },
    // Updates of two batches, and of one at the end of an epoch; two moments.
    Case {
        name: "accumulated",
        train: "train digits --limit 600 --model mlp --hidden 32 --norm batch --dropout 0.2 --optimizer adamw --lr 0.01 --batch 16 \
            --accumulate 2 --epochs 3",
        goes_back: false,
    },
    // A learning rate that is too high: it goes back twice in the first epoch, once in the second.
    Case {
        name: "rollback",
        train: "train table.csv --label y --model mlp --hidden 16 --optimizer sgd --lr 1.5 --warmup 1 --ema 0.9 --batch 16 --epochs 3 \
            --on-nan rollback",
        goes_back: true,
    },
];

/// A trainer, and what its run must come to.
pub(super) struct Lab {
    case: &'static Case,
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
    /// Builds the trainer and trains the runs that nothing happens to, each in a folder of its own below `folder`.
    pub(super) fn all(folder: &Path) -> Result<Vec<Self>> {
        let built = build(&["-p", "trainer", "--bin", "trainer", "--features", "trainer/failpoints"], "trainer")?;
        // Another build must not exchange it meanwhile.
        let trainer = folder.join("trainer");
        fs::copy(&built, &trainer)?;
        let shim = build_shim(folder);
        CASES.iter().map(|case| Self::new(case, &trainer, shim.as_deref(), &folder.join(case.name))).collect()
    }

    fn new(case: &'static Case, trainer: &Path, shim: Option<&Path>, folder: &Path) -> Result<Self> {
        fs::create_dir(folder)?;
        fs::write(folder.join("table.csv"), table())?;
        let nothing = Outcome { files: [Vec::new(), Vec::new()], rows: Vec::new() };
        let (trainer, folder, shim) = (trainer.to_owned(), folder.to_owned(), shim.map(Path::to_owned));
        let mut lab = Self { case, trainer, folder, shim, expected: nothing, time: Duration::ZERO };
        let start = Instant::now();
        workspace::output(&mut lab.train("straight", 1000))?;
        lab.time = start.elapsed();
        let run = lab.run("straight");
        let metrics: serde_json::Value = serde_json::from_slice(&fs::read(run.join("metrics.json"))?)?;
        let went_back = metrics["rollbacks"].as_i64().unwrap_or(0) > 0;
        ensure!(went_back == case.goes_back, "{}: rollbacks are {}", case.name, metrics["rollbacks"]);
        lab.expected = lab.outcome(&run)?;
        Ok(lab)
    }

    /// What its run is called.
    pub(super) fn name(&self) -> &'static str {
        self.case.name
    }

    /// Whether an older checkpoint may take the place of newer ones: the run goes back where its numbers are not finite.
    pub(super) fn goes_back(&self) -> bool {
        self.case.goes_back
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
        command.args(self.case.train.split_whitespace()).args(["--quiet", "--runs", "runs", "--name", name]);
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
}

fn build_shim(folder: &Path) -> Option<PathBuf> {
    let (source, shim) = (workspace::root().join("xtask/crash/shim.c"), folder.join("shim.so"));
    let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(source).arg("-ldl");
    let built = cfg!(target_os = "linux") && compiler.stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    built.then_some(shim)
}

/// 600 rows of three numbers and what is to be learned of them.
fn table() -> String {
    let mut chance = Chance::new(1);
    let mut number = || chance.below(20_001) as f64 / 10_000.0 - 1.0;
    let rows = (0..600).map(|_| {
        let (a, b, c) = (number(), number(), number());
        format!("{a:.4},{b:.4},{c:.4},{:.4}\n", 3.0 * a - 2.0 * b + a * c)
    });
    std::iter::once("a,b,c,y\n".to_owned()).chain(rows).collect()
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
    committed(names.collect::<Vec<_>>().iter().map(String::as_str))
}

/// The newest of the names in a folder of checkpoints.
pub(super) fn committed<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    names.filter(|name| name.starts_with("step-") && !name.ends_with(".partial")).max().map(str::to_owned)
}

/// Whether a save was under way.
pub(super) fn unfinished(run: &Path) -> bool {
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    names(&run.join("checkpoints")).iter().any(|name| name.ends_with(".partial"))
}
