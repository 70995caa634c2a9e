//! All that a change must pass, cheapest first, each part timed. What a part means is cargo's business or tidy's.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{tidy, workspace};

const PARTS: [(&str, &[&str]); 4] = [
    ("format", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    ("tests", &["test", "--workspace"]),
    ("docs", &["doc", "--workspace", "--no-deps", "--document-private-items"]),
];

/// Runs every part and stops at the first that fails.
pub(crate) fn run() -> Result<()> {
    let mut times = Vec::new();
    timed(&mut times, "tidy", tidy::run)?;
    for (name, arguments) in PARTS {
        let mut command = workspace::cargo(arguments);
        command.env("RUSTDOCFLAGS", "-D warnings");
        timed(&mut times, name, || succeed(&mut command))?;
    }
    for (name, time) in times {
        eprintln!("{:>8.1} s  {name}", time.as_secs_f64());
    }
    Ok(())
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
