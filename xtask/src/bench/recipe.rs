//! MNIST from process start to the end of a fixed one-epoch recipe, reading and decoding the data included: `trainer` by
//! `datasets/mnist/fast.toml`, and the same in PyTorch, in turns.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::Options;
use super::command::{is_cpu, script_arguments, set_threads};
use super::contest::median;
use crate::workspace::{self, Scratch, build};

const TURNS: usize = 3;
const RECIPE: &str = "datasets/mnist/fast.toml";

/// Seconds, and the test accuracy where it was said.
type Outcome = (f64, Option<f64>);

/// Who, and what each turn gave.
type Turns<'a> = (&'a str, Vec<Outcome>);

/// Runs each `TURNS` times on the files in `folder` and gives the seconds and the test accuracies. The script is for a CPU.
pub(super) fn measure(folder: &str, options: &Options) -> Result<Value> {
    let (threads, device) = (options.threads, options.device());
    let python = options.peers.as_deref().filter(|_| is_cpu(device));
    let selection = ["-p", "trainer", "--bin", "trainer"].into_iter().chain(options.features());
    let trainer = build(&selection.collect::<Vec<_>>(), "trainer")?;
    let runs = Scratch::new("mnist")?;
    let mut found: Vec<Turns<'_>> = vec![("striate", Vec::new())];
    found.extend(python.map(|_| (super::cases::TORCH, Vec::new())));
    for turn in 0..TURNS {
        for (who, results) in &mut found {
            eprintln!("MNIST by {who}, {} of {TURNS}", turn + 1);
            let mut command = if *who == "striate" {
                let mut command = Command::new(&trainer);
                command.args(["train", folder, "--recipe"]).arg(workspace::root().join(RECIPE));
                command
                    .args(["--device", device, "--format", "json", "--seed", &turn.to_string(), "--runs"])
                    .arg(&runs.0);
                command
            } else {
                let mut command = Command::new(python.unwrap_or_default());
                command.args(script_arguments("mnist_recipe.py", &[folder, &threads.to_string(), &turn.to_string()]));
                command
            };
            set_threads(&mut command, threads);
            let start = Instant::now();
            let text = workspace::output(command.stderr(Stdio::null()))?;
            results.push((start.elapsed().as_secs_f64(), accuracy(&text)));
        }
    }
    Ok(summary(&found))
}

/// The test accuracy in the last line of JSON that has one.
fn accuracy(text: &str) -> Option<f64> {
    let mut lines = text.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = |line: &Value| line["result"]["test"]["values"]["accuracy"].as_f64();
    lines.find_map(|line| ours(&line).or(line["test_accuracy"].as_f64()))
}

fn summary(found: &[Turns<'_>]) -> Value {
    let runs = found.iter().flat_map(|(who, results)| {
        let row = move |(turn, (seconds, accuracy)): (usize, &Outcome)| {
            json!({"who": who, "turn": turn, "seconds": seconds, "accuracy": accuracy})
        };
        results.iter().enumerate().map(row)
    });
    let ratio = match found {
        [(_, ours), (_, theirs)] => json!(middle(theirs) / middle(ours)),
        _ => Value::Null,
    };
    json!({ "runs": runs.collect::<Vec<_>>(), "ratio": ratio })
}

fn middle(results: &[Outcome]) -> f64 {
    median(results.iter().map(|(seconds, _)| *seconds).collect()).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accuracy_is_that_of_the_test_split() {
        let ours = "{\"event\": 1}\n{\"v\": 1, \"result\": {\"chosen_on\": {\"values\": {\"accuracy\": 0.5}}, \"test\": {\"values\": {\"accuracy\": 0.99}}}}\n";
        assert_eq!(accuracy(ours), Some(0.99));
        assert_eq!(accuracy("{\"test_accuracy\": 0.98}\n"), Some(0.98));
        assert_eq!(accuracy("nothing\n"), None);
    }

    #[test]
    fn the_ratio_is_of_medians() {
        let found = [
            ("striate", vec![(1.0, None), (2.0, None), (9.0, None)]),
            ("PyTorch", vec![(5.0, None), (6.0, None), (4.0, None)]),
        ];
        assert_eq!(summary(&found)["ratio"], 2.5);
        assert_eq!(summary(&found[..1])["ratio"], Value::Null);
    }
}
