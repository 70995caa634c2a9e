//! A folder of photos to JSON lines, from process start to the end: `infer predict FOLDER --format jsonl`, and a Python script with Pillow,
//! ONNX Runtime and one worker process for each thread on the same network, exported, in turns. The networks take 224x224 and are trained
//! for a moment, so that their probabilities are of no use and their time is that of any others.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::command::{script_arguments, set_threads};
use super::contest::median;
use crate::workspace::{self, Scratch, build};

const TURNS: usize = 5;
/// Names, and what the trainer is told.
const NETWORKS: [(&str, &str); 1] = [("cnn", "--model cnn --filters 16,32,64,128 --hidden 64")];
/// How many times as fast as the script it is to be.
const LEAST: f64 = 2.0;
/// By how much two answers may differ: JPEG's decoders are two.
const CLOSE: f64 = 0.1;

/// For each network the seconds of each turn, the medians' ratio, and the promise.
pub(crate) fn measure(photos: &str, python: Option<&str>, threads: usize) -> Result<Value> {
    let trainer = build(&["-p", "trainer", "--bin", "trainer"], "trainer")?;
    let infer = build(&["-p", "infer", "--bin", "infer"], "infer")?;
    let scratch = Scratch::new("folder")?;
    let mut rows = Vec::new();
    for (name, options) in NETWORKS {
        let mut train = Command::new(&trainer);
        train.args([
            "train", photos, "--imgsz", "224", "--epochs", "1", "--limit", "64", "--batch", "16", "--name", name,
        ]);
        train.args(options.split(' ')).arg("--runs").arg(&scratch.0);
        workspace::output(train.stderr(Stdio::null()))?;
        let (run, onnx) = (scratch.0.join(name), scratch.0.join(format!("{name}.onnx")));
        let mut export = Command::new(&infer);
        workspace::output(export.arg("export").arg(&run).arg("--onnx").arg(&onnx).stderr(Stdio::null()))?;

        let mut ours = Command::new(&infer);
        ours.arg("predict").arg(&run).args([photos, "--format", "jsonl", "--quiet"]);
        let mut commands = vec![("striate", ours)];
        if let Some(python) = python {
            let mut theirs = Command::new(python);
            let (onnx, workers) = (onnx.to_string_lossy(), threads.to_string());
            theirs.args(script_arguments("folder_onnx.py", &[&onnx, photos, &workers]));
            commands.push(("Pillow, ONNX Runtime", theirs));
        }
        rows.push(contest(name, commands, threads)?);
    }
    Ok(rows.into())
}

/// Everybody `TURNS` times, in turns; the first ones read the files from the disk and don't count.
fn contest(network: &str, mut commands: Vec<(&str, Command)>, threads: usize) -> Result<Value> {
    let mut seconds = vec![Vec::new(); commands.len()];
    let mut answers = vec![Vec::new(); commands.len()];
    for turn in 0..=TURNS {
        for (at, (who, command)) in commands.iter_mut().enumerate() {
            eprintln!("photos through {network} by {who}, {turn} of {TURNS}");
            set_threads(command, threads);
            let start = Instant::now();
            let text = workspace::output(command)?;
            if turn > 0 {
                seconds[at].push(start.elapsed().as_secs_f64());
            }
            answers[at] = probabilities(&text)?;
        }
    }
    for others in &answers[1..] {
        ensure!(others.len() == answers[0].len(), "{} and {} photos were answered", answers[0].len(), others.len());
        let far = answers[0].iter().zip(others).filter(|(a, b)| (*a - *b).abs() > CLOSE).count();
        ensure!(far * 100 <= others.len(), "{far} of {} photos got another answer", others.len());
    }
    let middles: Vec<f64> = seconds.iter().map(|seconds| median(seconds.clone()).unwrap_or(f64::NAN)).collect();
    let who: Vec<Value> =
        commands.iter().zip(&seconds).map(|((who, _), seconds)| json!({"who": who, "seconds": seconds})).collect();
    let ratio = middles.get(1).map(|theirs| theirs / middles[0]);
    Ok(json!({
        "network": network, "photos": answers[0].len(), "turns": who, "medians_s": middles, "ratio": ratio,
        "must": { "ratio": LEAST, "kept": ratio.is_none_or(|ratio| ratio >= LEAST) },
    }))
}

/// That of the most probable class, of each line.
fn probabilities(lines: &str) -> Result<Vec<f64>> {
    let of = |line: &str| {
        let line: Value = serde_json::from_str(line)?;
        line["prob"].as_f64().with_context(|| format!("no probability in {line}"))
    };
    lines.lines().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_answer_is_an_error() {
        assert_eq!(probabilities("{\"prob\": 0.5}\n{\"prob\": 1}\n").unwrap(), [0.5, 1.0]);
        assert!(probabilities("{\"error\": \"no image\"}\n").is_err());
    }
}
