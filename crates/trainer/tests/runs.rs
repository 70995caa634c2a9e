//! `trainer runs` over folders in every state: whole, half written, of a newer program, running, with hostile names.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(all(unix, feature = "flex"))]

mod program;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use program::{command, endless, ends, signal, trainer, until_saved};
use serde_json::Value;

const QUICK: [&str; 11] =
    ["train", "digits", "--model", "mlp", "--hidden", "8", "--limit", "300", "--epochs", "2", "--quiet"];

fn listed(folder: &Path) -> Vec<Value> {
    let output = trainer(folder, &["runs", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", program::stderr(&output));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["v"], 1);
    value["runs"].as_array().unwrap().clone()
}

fn of<'a>(runs: &'a [Value], name: &str) -> &'a Value {
    runs.iter().find(|run| run["name"] == name).unwrap_or_else(|| panic!("{name} in {runs:?}"))
}

fn problems(run: &Value) -> String {
    run["problems"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

fn age(run: &Path, seconds: u64) {
    for name in ["args.toml", "results.csv", "metrics.json"] {
        if let Ok(file) = fs::File::options().write(true).open(run.join(name)) {
            file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(seconds)).unwrap();
        }
    }
}

#[test]
fn runs_are_listed_with_what_they_reached_the_newest_first() {
    let scratch = tempfile::tempdir().unwrap();
    let runs = scratch.path().join("runs");
    ends(trainer(scratch.path(), &[&QUICK[..], &["--name", "\u{732b}\u{5dc}"]].concat()), 0, "");
    copy(&runs.join("\u{732b}\u{5dc}"), &runs.join("older"));
    age(&runs.join("older"), 3600);
    fs::create_dir(runs.join("no run")).unwrap();
    fs::write(runs.join("file"), "").unwrap();
    let found = listed(scratch.path());
    let names: Vec<&str> = found.iter().map(|run| run["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["\u{732b}\u{5dc}", "older"]);
    let run = &found[0];
    let metrics: Value = serde_json::from_str(&fs::read_to_string(runs.join("older/metrics.json")).unwrap()).unwrap();
    assert_eq!(
        (&run["val"], &run["test"], &run["best_epoch"], &run["seconds"]),
        (
            &metrics["chosen_on"]["values"]["accuracy"],
            &metrics["test"]["values"]["accuracy"],
            &metrics["best_epoch"],
            &metrics["seconds"]
        )
    );
    let expected = serde_json::json!(["ended", "epochs", "classification", "digits", 2, 2, "accuracy", []]);
    let found =
        ["state", "ended", "task", "data", "epochs", "epochs_in_all", "metric", "problems"].map(|key| &run[key]);
    assert_eq!(serde_json::json!(found), expected);
    assert_eq!(run["model"], serde_json::json!({ "arch": "mlp", "preset": null }));

    let shown = command(scratch.path(), &["runs"]).env("COLUMNS", "80").output().unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.lines().take(3).all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("ended") && text.contains("* changed from the preset"), "{text}");
    let one = trainer(scratch.path(), &["runs", "runs/older", "--format", "json"]);
    assert_eq!(serde_json::from_slice::<Value>(&one.stdout).unwrap()["runs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_run_in_any_state_is_listed_with_what_is_wrong() {
    let scratch = tempfile::tempdir().unwrap();
    let runs = scratch.path().join("runs");
    ends(trainer(scratch.path(), &[&QUICK[..], &["--name", "whole"]].concat()), 0, "");
    let whole = runs.join("whole");
    let make = |name: &str, change: &dyn Fn(&Path)| {
        copy(&whole, &runs.join(name));
        change(&runs.join(name));
    };
    let append = |path: &Path, text: &str| fs::write(path, fs::read_to_string(path).unwrap() + text).unwrap();
    make("interrupted", &|run| fs::remove_file(run.join("metrics.json")).unwrap());
    make("half", &|run| {
        fs::remove_file(run.join("metrics.json")).unwrap();
        append(&run.join("results.csv"), "3,0.5");
    });
    make("nan", &|run| {
        fs::remove_file(run.join("metrics.json")).unwrap();
        let rows = fs::read_to_string(run.join("results.csv")).unwrap();
        let row = rows.lines().last().unwrap().replacen('2', "3", 1);
        let mut cells: Vec<&str> = row.split(',').collect();
        cells[2] = "NaN";
        append(&run.join("results.csv"), &format!("{}\n", cells.join(",")));
    });
    make("newer", &|run| {
        append(&run.join("metrics.json"), "");
        let text = fs::read_to_string(run.join("metrics.json")).unwrap().replacen("\"v\": 1", "\"v\": 7", 1);
        fs::write(run.join("metrics.json"), text).unwrap();
        let args = fs::read_to_string(run.join("args.toml")).unwrap();
        fs::write(run.join("args.toml"), format!("telepathy = true\n{args}")).unwrap();
    });
    make("torn", &|run| fs::write(run.join("metrics.json"), "{\"v\":").unwrap());
    make("no args", &|run| fs::remove_file(run.join("args.toml")).unwrap());
    make("pipe", &|run| {
        for name in ["args.toml", "results.csv", "lock", "metrics.json", "run.json"] {
            let _ = fs::remove_file(run.join(name));
            assert!(Command::new("mkfifo").arg(run.join(name)).status().unwrap().success());
        }
    });
    make("device", &|run| {
        fs::remove_file(run.join("results.csv")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", run.join("results.csv")).unwrap();
    });
    make("large", &|run| fs::File::create(run.join("args.toml")).unwrap().set_len(1 << 40).unwrap());
    fs::create_dir_all(runs.join("empty/weights")).unwrap();
    std::os::unix::fs::symlink("loop", runs.join("loop")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"odd\x1b[31m\xff");
    copy(&whole, &runs.join(odd));

    let found = listed(scratch.path());
    assert_eq!(found.len(), 12, "{found:?}");
    let states = |name: &str| of(&found, name)["state"].as_str().unwrap().to_owned();
    for (name, state, problem) in [
        ("whole", "ended", ""),
        ("interrupted", "interrupted", ""),
        ("half", "interrupted", "results.csv row 4: not whole"),
        ("nan", "interrupted", "results.csv epoch 3: `train/loss` is NaN"),
        ("newer", "ended", "metrics.json is of version 7"),
        ("newer", "ended", "`telepathy`"),
        ("torn", "damaged", "metrics.json is not what a run writes"),
        ("no args", "damaged", "args.toml is missing"),
        ("pipe", "damaged", "results.csv cannot be read: expected a regular file"),
        ("device", "damaged", "results.csv cannot be read: expected a regular file"),
        ("large", "damaged", "args.toml cannot be read: expected at most "),
        ("empty", "damaged", "args.toml is missing"),
        ("odd\u{1b}[31m\u{fffd}", "ended", ""),
    ] {
        let told = problems(of(&found, name));
        assert_eq!(states(name), state, "{name}: {told}");
        assert!(told.contains(problem) && (problem.is_empty() == told.is_empty()), "{name}: {told}");
    }
    assert_eq!(of(&found, "half")["epochs"], 2);
    let text = String::from_utf8(trainer(scratch.path(), &["runs"]).stdout).unwrap();
    assert!(text.contains("odd\u{fffd}[31m") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_run_that_is_trained_is_running_and_looking_at_it_takes_nothing_from_it() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut child, run) = endless(scratch.path(), "live", &[]);
    until_saved(&run);
    assert_eq!(of(&listed(scratch.path()), "live")["state"], "running");
    signal(&child, "-KILL");
    child.wait().unwrap();
    assert_eq!(of(&listed(scratch.path()), "live")["state"], "interrupted");
}

#[test]
fn a_folder_that_is_not_there_is_an_error_and_an_empty_one_is_none() {
    let scratch = tempfile::tempdir().unwrap();
    ends(trainer(scratch.path(), &["runs"]), 4, "there is no such folder");
    fs::create_dir(scratch.path().join("runs")).unwrap();
    let output = trainer(scratch.path(), &["runs"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "no runs in `runs`\n");
}
