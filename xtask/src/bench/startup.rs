//! `infer predict` of one image, from process start to its end: what somebody waits for at a prompt. The network is `cnn`, trained for a
//! moment on the digits inside the binary.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::command::set_threads;
use super::contest::median;
use crate::workspace::{self, Scratch, build};

/// Seconds that the wait may last.
const MOST: f64 = 0.050;
const TIMES: usize = 21;
/// One gray image, as PGM's header says it.
const HEADER: &[u8] = b"P5\n28 28\n255\n";

/// The seconds of each time, their median, and the promise.
pub(crate) fn measure(threads: usize) -> Result<Value> {
    let trainer = build(&["-p", "trainer", "--bin", "trainer"], "trainer")?;
    let infer = build(&["-p", "infer", "--bin", "infer"], "infer")?;
    let scratch = Scratch::new("start")?;
    let mut train = Command::new(trainer);
    train.args("train digits --model cnn --imgsz 28 --epochs 1 --limit 200 --name start --runs".split(' '));
    workspace::output(train.arg(&scratch.0).stderr(Stdio::null()))?;
    let image = scratch.0.join("image.pgm");
    let pixels = (0..784_u32).map(|index| (index * 97 % 256) as u8);
    std::fs::write(&image, HEADER.iter().copied().chain(pixels).collect::<Vec<u8>>())?;
    eprintln!("infer predict, {TIMES} times");
    // The first one reads the files from the disk and doesn't count.
    let seconds = (0..=TIMES).map(|_| once(&infer, &scratch.0, &image, threads)).collect::<Result<Vec<_>>>()?;
    let seconds = &seconds[1..];
    let middle = median(seconds.to_vec()).context("no time")?;
    let fastest = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    Ok(json!({
        "seconds": seconds, "median_s": middle, "best_s": fastest, "must": { "seconds": MOST, "kept": middle <= MOST },
    }))
}

fn once(infer: &Path, runs: &Path, image: &Path, threads: usize) -> Result<f64> {
    let mut command = Command::new(infer);
    command.arg("predict").args([&runs.join("start"), image]).stderr(Stdio::null());
    set_threads(&mut command, threads);
    let start = Instant::now();
    let answer = workspace::output(&mut command)?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(answer.contains("image.pgm"), "infer said nothing of the image: {answer}");
    Ok(seconds)
}
