//! The `trainer` binary in a scratch folder, as tests of its reliability run, stop and kill it.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A small run with everything that has a state: dropout, augmentation, batch norm, momentum, averaged weights.
pub(crate) const SMALL: [&str; 27] = [
    "train",
    "digits",
    "--limit",
    "1200",
    "--model",
    "cnn",
    "--filters",
    "16,32",
    "--norm",
    "batch",
    "--dropout",
    "0.2",
    "--augment",
    "light",
    "--optimizer",
    "sgd",
    "--lr",
    "0.05",
    "--ema",
    "0.9",
    "--batch",
    "16",
    "--epochs",
    "4",
    "--quiet",
    "--runs",
    "runs",
];

/// The binary with `arguments` in `folder`, without the options of whoever runs the tests.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STRIATE_") || name == "FAILPOINTS") {
        command.env_remove(name);
    }
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn trainer(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Ends with `expected`, and a last line on standard error that contains `message`; never with a panic.
#[track_caller]
pub(crate) fn ends(output: Output, expected: i32, message: &str) -> String {
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(expected), "{text}");
    assert!(text.contains(message) && !text.contains("panicked"), "expected `{message}` in: {text}");
    text
}

/// The small run in `runs/NAME`, to its end.
#[track_caller]
pub(crate) fn straight(folder: &Path, name: &str, more: &[&str]) -> PathBuf {
    ends(trainer(folder, &[&SMALL[..], &["--name", name], more].concat()), 0, "");
    folder.join("runs").join(name)
}

/// The small run in `runs/NAME` in the background, with so many epochs that it doesn't end by itself.
pub(crate) fn endless(folder: &Path, name: &str, more: &[&str]) -> (Child, PathBuf) {
    let arguments = [&SMALL[..], &["--name", name, "--epochs", "100000", "--schedule", "constant"], more].concat();
    let child = command(folder, &arguments).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    (child, folder.join("runs").join(name))
}

/// Waits for `there`, a minute at most.
#[track_caller]
pub(crate) fn until(what: &str, mut there: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !there() {
        assert!(Instant::now() < deadline, "waited for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the run has saved a checkpoint.
#[track_caller]
pub(crate) fn until_saved(run: &Path) {
    let committed = |name: &str| name.starts_with("step-") && !name.ends_with("partial");
    until("a checkpoint", || {
        let entries = fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| committed(&entry.file_name().to_string_lossy()))
    });
}

pub(crate) fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// The bytes that must be equal: both model files.
pub(crate) fn weights(run: &Path) -> [Vec<u8>; 2] {
    ["last", "best"].map(|name| fs::read(run.join(format!("weights/{name}.safetensors"))).unwrap())
}

/// `results.csv` but for its clock.
pub(crate) fn rows(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("results.csv")).unwrap();
    let row = |line: &str| {
        line.split(',').enumerate().filter(|(at, _)| *at != 1).map(|(_, field)| format!("{field},")).collect()
    };
    text.lines().map(row).collect()
}
