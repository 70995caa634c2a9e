//! All that a change must pass, cheapest first, each part timed. What a part means is cargo's business or tidy's.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{gpu, tidy, workspace};

const PARTS: [(&str, &[&str]); 4] = [
    ("format", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    ("tests", &["test", "--workspace"]),
    ("docs", &["doc", "--workspace", "--no-deps", "--document-private-items"]),
];

/// What runs on a GPU, or on a driver in software.
pub(crate) fn gpu() -> Result<()> {
    gpu::driver()?;
    let mut times = Vec::new();
    timed(&mut times, "build with wgpu", gpu::build)?;
    timed(&mut times, "devices, parity, training, prediction", || succeed(&mut gpu::tests()))?;
    timed(&mut times, "the other features of GPUs compile", || succeed(&mut gpu::others()))?;
    tell(times);
    Ok(())
}

/// Runs every part and stops at the first that fails.
pub(crate) fn run() -> Result<()> {
    let mut times = Vec::new();
    timed(&mut times, "tidy", tidy::run)?;
    for (name, arguments) in PARTS {
        let mut command = workspace::cargo(arguments);
        command.env("RUSTDOCFLAGS", "-D warnings");
        timed(&mut times, name, || succeed(&mut command))?;
    }
    tell(times);
    Ok(())
}

fn tell(times: Vec<(&'static str, Duration)>) {
    for (name, time) in times {
        eprintln!("{:>8.1} s  {name}", time.as_secs_f64());
    }
}

fn timed(
    times: &mut Vec<(&'static str, Duration)>,
    name: &'static str,
    part: impl FnOnce() -> Result<()>,
) -> Result<()> {
    eprintln!("== {name}");
    let start = Instant::now();
    part()?;
    times.push((name, start.elapsed()));
    Ok(())
}

fn succeed(command: &mut Command) -> Result<()> {
    match command.status()?.success() {
        true => Ok(()),
        false => bail!("{command:?} failed"),
    }
}
