//! `events.jsonl` of real runs: from the beginning to the end, killed and resumed, and where it cannot be written.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(all(unix, feature = "flex"))]

mod program;

use std::fs;
use std::path::Path;

use program::{SMALL, endless, ends, signal, straight, trainer, until, until_saved, weights};
use serde_json::{Value, json};

fn events(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("events.jsonl")).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn of<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == name).collect()
}

#[test]
fn a_run_writes_down_what_happens_from_its_beginning_to_its_end() {
    let scratch = tempfile::tempdir().unwrap();
    let run = straight(scratch.path(), "run", &[]);
    let events = events(&run);
    let (first, last) = (&events[0], events.last().unwrap());
    assert_eq!(
        (&first["event"], &first["v"], &first["step"], &first["epochs"]),
        (&json!("started"), &json!(1), &json!(0), &json!(4))
    );
    let batches = first["batches"].as_u64().unwrap();
    assert_eq!(
        (&last["event"], &last["ended"], &last["step"]),
        (&json!("ended"), &json!("epochs"), &json!(4 * batches))
    );
    let steps: Vec<u64> = events.iter().map(|event| event["step"].as_u64().unwrap()).collect();
    assert!(steps.is_sorted(), "{steps:?}");
    let times: Vec<&str> = events.iter().map(|event| event["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted() && times[0].len() == 24 && times[0].ends_with('Z'), "{times:?}");
    let epochs = of(&events, "epoch");
    let results = fs::read_to_string(run.join("results.csv")).unwrap();
    assert_eq!(epochs.len(), 4);
    for (epoch, row) in epochs.iter().zip(results.lines().skip(1)) {
        let cells: Vec<&str> = row.split(',').collect();
        assert_eq!((epoch["epoch"].to_string().as_str(), epoch["weights"].as_str()), (cells[0], cells.last().copied()));
        assert!(epoch["val"]["accuracy"].is_number() && epoch["seconds"].is_number());
    }
    assert!(!of(&events, "step").is_empty());
}

#[test]
fn a_killed_run_goes_on_behind_its_last_whole_line() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut child, run) = endless(scratch.path(), "run", &["--checkpoint-steps", "7"]);
    until_saved(&run);
    until("some steps", || of(&events_so_far(&run), "step").len() > 2);
    signal(&child, "-KILL");
    child.wait().unwrap();
    let path = run.join("events.jsonl");
    let before = fs::read_to_string(&path).unwrap() + "{\"v\":1,\"eve";
    fs::write(&path, &before).unwrap();
    ends(trainer(scratch.path(), &["resume", "runs/run", "--epochs", "1", "--quiet"]), 0, "");
    let events = events(&run);
    let whole = before.lines().filter(|line| line.ends_with('}')).count();
    assert_eq!(events[whole]["event"], "resumed", "nothing whole is lost, and nothing torn stays");
    // It says where it goes on: within an epoch too.
    let newest = events[whole]["step"].as_u64().unwrap();
    let batches = events[0]["batches"].as_u64().unwrap();
    // Every epoch ends with a save, and from there on every seventh step has one.
    assert!((newest % batches).is_multiple_of(7), "{newest} of {batches} in an epoch");
    assert_eq!((&events[0]["event"], of(&events, "started").len()), (&json!("started"), 1));
    assert_eq!(events.last().unwrap()["event"], "ended");
}

/// While it is being written.
fn events_so_far(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn an_interrupted_and_a_diverged_run_say_so() {
    let scratch = tempfile::tempdir().unwrap();
    let (child, run) = endless(scratch.path(), "stopped", &[]);
    until_saved(&run);
    signal(&child, "-TERM");
    ends(child.wait_with_output().unwrap(), 143, "interrupted");
    assert_eq!(events(&run).last().unwrap()["ended"], "interrupted");
    let wild = [&SMALL[..], &["--name", "wild", "--lr", "1e30"]].concat();
    ends(trainer(scratch.path(), &wild), 5, "");
    let events = events(&scratch.path().join("runs/wild"));
    let last = events.last().unwrap();
    assert_eq!(last["event"], "failed");
    assert!(last["error"].as_str().unwrap().contains("diverged at step"), "{last}");
}

#[test]
fn a_log_that_cannot_be_written_is_told_of_once_and_changes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut child, run) = endless(scratch.path(), "run", &[]);
    until_saved(&run);
    signal(&child, "-KILL");
    child.wait().unwrap();
    fs::remove_file(run.join("events.jsonl")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(run.join("events.jsonl")).status().unwrap().success());
    let text = ends(trainer(scratch.path(), &["resume", "runs/run", "--epochs", "2"]), 0, "no regular file");
    assert_eq!(text.matches("events.jsonl").count(), 1, "{text}");
    assert_eq!(weights(&run).map(|bytes| bytes.is_empty()), [false, false]);
}
