//! `trainer tune` as its users type it: what it leaves, that a kill changes nothing, that failures end nothing, and recipes that make no sense.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(feature = "flex")]

mod program;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use program::{ends, signal, stderr, trainer, until, weights};
use serde_json::Value;

const SMALL: &str = "data = 'digits'\nmodel = 'mlp'\nhidden = [16]\nlimit = 500\nepochs = 4\nlr = 0.003\n";
const RANGES: &str =
    "[tune]\nlr = { log = [1e-4, 1e-1] }\nbatch = { choice = [16, 32] }\nhidden = { choice = [[8], [32, 16]] }\n";

fn recipe(folder: &Path, text: &str) {
    fs::write(folder.join("r.toml"), text).unwrap();
}

#[track_caller]
fn tuned(folder: &Path, more: &[&str]) -> (Value, String) {
    let output = trainer(folder, &[&["tune", "r.toml", "--format", "json"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    (serde_json::from_slice(&output.stdout).unwrap(), stderr(&output))
}

fn record(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("tune.json")).unwrap()).unwrap()
}

/// The record without its clocks.
fn timeless(folder: &Path) -> Value {
    let mut record = record(folder);
    record["seconds"] = Value::Null;
    record["trials"].as_array_mut().unwrap().iter_mut().for_each(|trial| trial["seconds"] = Value::Null);
    record
}

#[test]
fn the_best_trial_by_validation_is_measured_and_its_recipe_trains_the_same_weights() {
    let scratch = tempfile::tempdir().unwrap();
    recipe(scratch.path(), &format!("{SMALL}{RANGES}"));
    let (found, told) = tuned(scratch.path(), &["--trials", "4", "--eta", "2"]);
    assert!(told.contains("plan     trials: 4 to epoch 1, 2 to epoch 2, 1 to epoch 4; 8 epochs in all"), "{told}");
    let trials = found["trials"].as_array().unwrap();
    let reached = |trial: &Value| trial["reached"].as_array().unwrap().last().unwrap().clone();
    let epochs: Vec<u64> = trials.iter().map(|trial| reached(trial)["epochs"].as_u64().unwrap()).collect();
    assert_eq!((epochs.iter().max(), epochs.iter().filter(|epochs| **epochs > 1).count()), (Some(&4), 2));
    let values: Vec<f64> = trials.iter().map(|trial| reached(trial)["value"].as_f64().unwrap()).collect();
    assert!(values.is_sorted_by(|a, b| a >= b) && found["metric"] == "accuracy", "{values:?}");
    let first = trials.iter().find(|trial| trial["trial"] == 1).unwrap();
    assert_eq!(first["values"], serde_json::json!({}), "the recipe itself");

    let folder = scratch.path().join("runs/tune-digits-mlp");
    let name = |trial: &Value| format!("trial-{:03}", trial["trial"].as_u64().unwrap());
    for (at, trial) in trials.iter().enumerate() {
        let run = folder.join(name(trial));
        assert!(run.join("weights/best.safetensors").is_file() && run.join("split.csv").is_file());
        assert_eq!(run.join("metrics.json").is_file(), at == 0, "only the best meets the test split");
    }
    assert_eq!(found["best"], trials[0]["trial"]);
    let metrics: Value =
        serde_json::from_slice(&fs::read(folder.join(name(&trials[0])).join("metrics.json")).unwrap()).unwrap();
    assert_eq!(found["test"], metrics["test"]);
    assert!(found["test"]["values"]["accuracy"].as_f64().unwrap() > 0.3);

    ends(trainer(scratch.path(), &["train", "--recipe", "runs/tune-digits-mlp/best.toml", "--name", "again"]), 0, "");
    assert!(weights(&scratch.path().join("runs/again")) == weights(&folder.join(name(&trials[0]))), "other weights");
    let page = fs::read_to_string(folder.join("tune.html")).unwrap();
    assert!(
        page.contains("default-src 'none'") && page.contains("train --recipe") && page.matches("<circle").count() >= 8
    );
    let listed = trainer(scratch.path(), &["runs", "runs/tune-digits-mlp", "--format", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["runs"].as_array().unwrap().len(), 4);
    let listed = trainer(scratch.path(), &["runs", "--format", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1, "a search is no run");
    // A search that has ended says again what it came to.
    let again = trainer(scratch.path(), &["resume", "runs/tune-digits-mlp", "--format", "json"]);
    assert_eq!(serde_json::from_slice::<Value>(&again.stdout).unwrap(), found);
    ends(
        trainer(scratch.path(), &["resume", "runs/tune-digits-mlp", "--epochs", "9"]),
        2,
        "--epochs: a search goes on as it was begun",
    );
}

/// The search in the background, until a trial beyond the first has saved something.
fn begun(folder: &Path, arguments: &[&str], trial: &str) -> Child {
    let child = program::command(folder, arguments).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let saved = folder.join("runs/killed").join(trial).join("results.csv");
    until("a trial", || saved.is_file());
    child
}

#[cfg(unix)]
#[test]
fn a_search_that_is_killed_and_interrupted_comes_to_the_same_table() {
    let scratch = tempfile::tempdir().unwrap();
    let text = "data = 'digits'\nmodel = 'cnn'\nfilters = [8, 16]\ndropout = 0.2\nepochs = 6\nschedule = 'cosine'\n";
    recipe(
        scratch.path(),
        &format!("{text}[tune]\nlr = {{ log = [1e-4, 1e-1] }}\noptimizer = {{ choice = ['sgd', 'adamw'] }}\n"),
    );
    let how = ["--trials", "6"];
    tuned(scratch.path(), &[&how[..], &["--name", "straight"]].concat());

    let mut child = begun(scratch.path(), &["tune", "r.toml", "--trials", "6", "--name", "killed"], "trial-002");
    child.kill().unwrap();
    child.wait().unwrap();
    let resume = ["resume", "runs/killed"];
    let child = begun(scratch.path(), &resume, "trial-004");
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert!(record(&scratch.path().join("runs/killed"))["ended"].is_null(), "it was interrupted in the middle");
    ends(output, 130, "interrupted; go on with: ");
    ends(trainer(scratch.path(), &resume), 0, "");
    let [straight, killed] = ["runs/straight", "runs/killed"].map(|name| scratch.path().join(name));
    assert_eq!(timeless(&straight), timeless(&killed));
    assert_eq!(record(&straight)["ended"], "rungs");
    let best = format!("trial-{:03}", record(&straight)["best"].as_u64().unwrap());
    assert!(weights(&straight.join(&best)) == weights(&killed.join(&best)), "other weights");
}

#[test]
fn trials_that_fail_are_recorded_and_end_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let ranges = "[tune]\nlr = { choice = [0.01, 1e30] }\nhidden = { choice = [[16], [1000000, 1000000]] }\noptimizer = { choice = ['sgd'] }\n";
    recipe(scratch.path(), &format!("{SMALL}{ranges}"));
    let (found, _) = tuned(scratch.path(), &["--trials", "8", "--eta", "1", "--epochs", "1"]);
    let reasons: Vec<&str> =
        found["trials"].as_array().unwrap().iter().filter_map(|trial| trial["failed"].as_str()).collect();
    assert!(
        reasons.iter().any(|why| why.contains("diverged"))
            && reasons.iter().any(|why| why.contains("thousand million")),
        "{reasons:?}"
    );
    assert!(found["best"].as_u64().is_some() && found["trials"][0]["failed"].is_null());

    recipe(
        scratch.path(),
        &format!("{SMALL}optimizer = 'sgd'\n[tune]\nlr = {{ choice = [1e30] }}\n").replace("lr = 0.003", "lr = 1e30"),
    );
    let none = trainer(scratch.path(), &["tune", "r.toml", "--trials", "2"]);
    ends(none, 6, "no trial was trained; the first one: diverged");
}

#[test]
fn when_the_time_is_over_the_best_so_far_is_taken() {
    let scratch = tempfile::tempdir().unwrap();
    recipe(scratch.path(), &format!("{SMALL}{RANGES}"));
    let (found, _) = tuned(scratch.path(), &["--trials", "10000", "--time", "1s"]);
    assert_eq!(found["ended"], "time");
    let trials = found["trials"].as_array().unwrap().len();
    assert!((1..10_000).contains(&trials) && found["test"]["values"]["accuracy"].as_f64().is_some(), "{trials}");
    assert!(scratch.path().join("runs/tune-digits-mlp/best.toml").is_file());
}

#[test]
fn recipes_and_commands_that_make_no_sense_are_refused_before_anything_is_made() {
    let scratch = tempfile::tempdir().unwrap();
    let with = |ranges: &str, more: &[&str]| {
        recipe(scratch.path(), &format!("{SMALL}{ranges}"));
        trainer(scratch.path(), &[&["tune", "r.toml"], more].concat())
    };
    for (ranges, message) in [
        ("", "expected ranges, such as lr = { log = [1e-4, 1e-1] }, found no [tune]"),
        ("[tune]\n", "expected at least one range"),
        ("[tune]\nlrr = { log = [1, 2] }\n", "unknown option `lrr`; did you mean `lr`?"),
        ("[tune]\nlr = { log = [1e-1, 1e-4] }\n", "lr: expected the smaller end first, found [0.1, 0.0001]"),
        ("[tune]\nlr = { log = [0, 1] }\n", "lr: log: expected numbers above 0"),
        ("[tune]\nlr = { uniform = [nan, 1.0] }\n", "lr: expected two numbers, found [NaN, 1]"),
        ("[tune]\nlr = { lug = [1, 2] }\n", "lr: expected { log = [a, b] }"),
        ("[tune]\nlr = { log = [1] }\n", "lr: expected { log = [a, b] }"),
        ("[tune]\nlr = { log = ['a', 'b'] }\n", "lr: expected { log = [a, b] }"),
        ("[tune]\nlr = 0.1\n", "lr: expected { log = [a, b] }"),
        ("[tune]\nlr = { choice = [] }\n", "lr: choice: expected at least one value"),
        ("[tune]\nbatch = { log = [1, 100] }\n", "[tune] batch: 1.0: expected a whole number of 0 or more, auto"),
        ("[tune]\noptimizer = { choice = [7] }\n", "[tune] optimizer: 7: "),
        ("[tune]\nepochs = { int = [1, 5] }\n", "`epochs` must be the same for all trials"),
        ("[tune]\nseed = { int = [1, 5] }\n", "`seed` must be the same for all trials"),
        ("tune = 3\n", "expected a map, found integer `3`"),
        ("val = 0.0\n[tune]\nlr = { log = [1e-4, 1e-1] }\n", "trials are chosen by validation"),
    ] {
        ends(with(ranges, &[]), 2, message);
    }
    ends(with(RANGES, &["--trials", "0"]), 2, "--trials: expected 1 to 10000, found 0");
    ends(with(RANGES, &["--eta", "0"]), 2, "--eta: expected 1 to 10000, found 0");
    ends(with(RANGES, &["--time", "0s"]), 2, "--time: expected more than nothing");
    ends(with(RANGES, &["--time", "soon"]), 2, "--time: expected such as");
    ends(with(RANGES, &["--epochs", "0"]), 2, "--epochs: expected at least 1");
    ends(with(RANGES, &["--name", "../x"]), 2, "--name: expected a folder name");
    ends(trainer(scratch.path(), &["tune", "nothing.toml"]), 2, "cannot read the recipe");
    for command in ["train", "find-lr"] {
        ends(
            trainer(scratch.path(), &[command, "--recipe", "r.toml"]),
            2,
            "[tune] has ranges, which are for `trainer tune`",
        );
    }
    assert!(!scratch.path().join("runs").exists());
    fs::create_dir_all(scratch.path().join("runs/broken")).unwrap();
    fs::write(scratch.path().join("runs/broken/tune.json"), "{\"v\": 7}").unwrap();
    ends(trainer(scratch.path(), &["resume", "runs/broken"]), 4, "versions up to 1, found 7");
    fs::write(scratch.path().join("runs/broken/tune.json"), "{}").unwrap();
    ends(trainer(scratch.path(), &["resume", "runs/broken"]), 4, "not what a search writes");
}
