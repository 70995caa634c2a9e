//! What the binary does when it is killed, stopped, started twice, left without a reader, or resumed with something changed.
// The same run takes a hundred times as long on `ndarray`.
#![cfg(all(unix, feature = "flex"))]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod program;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use program::{SMALL, command, endless, ends, rows, signal, straight, trainer, until, until_saved, weights};
use serde_json::Value;

fn resume(folder: &Path, run: &Path, more: &[&str]) -> std::process::Output {
    trainer(folder, &[&["resume", run.to_str().unwrap(), "--quiet"], more].concat())
}

/// Replaces `from` by `to` in a file of the run, which must be there.
fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "no `{from}` in {text}");
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_run_that_is_killed_goes_on_to_the_same_bytes() {
    let scratch = tempfile::tempdir().unwrap();
    let expected = straight(scratch.path(), "straight", &[]);
    let arguments = [&SMALL[..], &["--name", "killed", "--checkpoint-steps", "5"]].concat();
    let run = scratch.path().join("runs/killed");
    let mut child = command(scratch.path(), &arguments).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    until_saved(&run);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut kills = 1;
    // Killed again and again, each time a little later.
    loop {
        let resume = ["resume", run.to_str().unwrap(), "--quiet"];
        let mut child = command(scratch.path(), &resume).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30 * kills));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(weights(&run) == weights(&expected) && rows(&run) == rows(&expected), "after {kills} kills");
}

#[test]
fn a_run_that_is_killed_before_its_first_checkpoint_begins_again() {
    let scratch = tempfile::tempdir().unwrap();
    let run = straight(scratch.path(), "run", &[]);
    let expected = (weights(&run), rows(&run));
    for gone in ["checkpoints", "weights"] {
        fs::remove_dir_all(run.join(gone)).unwrap();
    }
    for split_is_there in [true, false] {
        for file in ["results.csv", "metrics.json"] {
            fs::remove_file(run.join(file)).unwrap();
        }
        if !split_is_there {
            fs::remove_file(run.join("split.csv")).unwrap();
        }
        ends(resume(scratch.path(), &run, &[]), 0, if split_is_there { "begins again" } else { "" });
        assert!((weights(&run), rows(&run)) == expected);
        fs::remove_dir_all(run.join("checkpoints")).unwrap();
    }
    ends(resume(scratch.path(), &run, &[]), 4, "the run has ended and its checkpoints are gone");
    assert!((weights(&run), rows(&run)) == expected);
}

#[test]
fn a_second_trainer_is_told_who_works_on_the_run_and_a_dead_one_is_no_hindrance() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut child, run) = endless(scratch.path(), "run", &[]);
    until_saved(&run);
    let said = ends(resume(scratch.path(), &run, &[]), 4, "is at work on this run");
    assert!(said.contains(&format!("process {}", child.id())), "{said}");
    child.kill().unwrap();
    child.wait().unwrap();
    ends(resume(scratch.path(), &run, &["--epochs", "1"]), 0, "ended without letting go; its lock is taken over");
    let said = ends(resume(scratch.path(), &run, &[]), 0, "");
    assert!(!said.contains("lock"), "who ends by itself lets go: {said}");
}

/// Whether these tests run under `nohup`, which every program that they start inherits, and honours.
fn is_deaf_to_hangups() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
}

#[test]
fn the_first_signal_saves_and_the_exit_code_names_it() {
    let scratch = tempfile::tempdir().unwrap();
    for (name, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        if name == "-HUP" && (!cfg!(target_os = "linux") || is_deaf_to_hangups()) {
            continue;
        }
        let (child, run) = endless(scratch.path(), &format!("run{name}"), &["--checkpoint-minutes", "0"]);
        until_saved(&run);
        signal(&child, name);
        ends(child.wait_with_output().unwrap(), code, "interrupted in epoch");
        ends(resume(scratch.path(), &run, &["--epochs", "1"]), 0, "");
    }
}

#[test]
fn who_was_told_not_to_mind_a_closed_terminal_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    let arguments = [&SMALL[..], &["--name", "run", "--epochs", "100000", "--schedule", "constant"]].concat();
    let script = format!("trap '' HUP; exec {} {}", env!("CARGO_BIN_EXE_trainer"), arguments.join(" "));
    let mut command = std::process::Command::new("sh");
    let child = command.current_dir(scratch.path()).args(["-c", &script]).stderr(Stdio::piped()).spawn().unwrap();
    let run = scratch.path().join("runs/run");
    until_saved(&run);
    signal(&child, "-HUP");
    let epochs = || fs::read_to_string(run.join("results.csv")).unwrap().lines().count();
    let before = epochs();
    until("more epochs", || epochs() > before + 2);
    signal(&child, "-TERM");
    ends(child.wait_with_output().unwrap(), 143, "interrupted");
}

#[test]
fn the_second_signal_ends_at_once_and_what_was_saved_is_whole() {
    let scratch = tempfile::tempdir().unwrap();
    let (child, run) = endless(scratch.path(), "run", &["--checkpoint-steps", "1"]);
    until_saved(&run);
    signal(&child, "-INT");
    signal(&child, "-INT");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    let said = ends(resume(scratch.path(), &run, &["--epochs", "1"]), 0, "");
    assert!(!said.contains("damaged"), "{said}");
}

#[test]
fn a_reader_that_goes_away_stops_no_training() {
    let scratch = tempfile::tempdir().unwrap();
    let arguments: Vec<&str> = SMALL.into_iter().filter(|argument| *argument != "--quiet").collect();
    let mut command = command(scratch.path(), &arguments);
    let mut child = command.args(["--name", "run"]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let run = scratch.path().join("runs/run");
    assert!(run.join("metrics.json").is_file() && rows(&run).len() == 5);
}

#[test]
fn what_decides_the_weights_cannot_be_changed_behind_the_runs_back() {
    let scratch = tempfile::tempdir().unwrap();
    let run = straight(scratch.path(), "run", &[]);
    let [args, split] = ["args.toml", "split.csv"].map(|name| run.join(name));
    let whole = [&args, &split].map(|file| fs::read_to_string(file).unwrap());
    for (file, from, to, message) in [
        (&args, "lr = 0.05", "lr = 0.5", "`lr` is 0.5, but the run was trained with 0.05"),
        (&args, "ema = 0.9\n", "", "`ema` is not set, but the run was trained with 0.9"),
        (&args, "seed = 0", "seed = 1", "`seed` is 1, but the run was trained with 0"),
        (&args, "limit = 1200", "limit = 1199", "`limit` is 1199, but"),
        (&args, "epochs = 4", "epochs = 5", "give --epochs 5 to go on with that"),
        (&split, ",train\n", ",val\n", "`split.csv` is sha256"),
    ] {
        edit(file, from, to);
        let said = ends(resume(scratch.path(), &run, &[]), 4, message);
        assert!(said.contains(file.to_str().unwrap()), "{said}");
        fs::write(&args, &whole[0]).unwrap();
        fs::write(&split, &whole[1]).unwrap();
    }
    // What changes no weight may change.
    edit(&args, "workers = 1", "workers = 3");
    edit(&args, "checkpoint_minutes = 5.0", "checkpoint_minutes = 0.1");
    let before = weights(&run);
    ends(resume(scratch.path(), &run, &["--workers", "0", "--checkpoint-steps", "7"]), 0, "");
    assert!(weights(&run) == before);
}

#[test]
fn epochs_that_are_given_anew_are_said_recorded_and_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let run = straight(scratch.path(), "run", &[]);
    let metrics = || -> Value { serde_json::from_slice(&fs::read(run.join("metrics.json")).unwrap()).unwrap() };
    assert_eq!(metrics()["changes"], serde_json::json!([]));
    let old = fs::read_to_string(run.join("args.toml")).unwrap();
    let said = ends(resume(scratch.path(), &run, &["--epochs", "5"]), 0, "changed: --epochs 5 instead of 4");
    assert!(said.contains("not bit for bit"), "{said}");
    let step = metrics()["changes"][0]["step"].as_u64().unwrap();
    assert_eq!(
        metrics()["changes"][0],
        serde_json::json!({ "step": step, "setting": "epochs", "was": "4", "now": "5" })
    );
    assert_eq!((step > 20, rows(&run).len()), (true, 6));
    // Killed between the checkpoint and args.toml: the checkpoint wins.
    let new = fs::read_to_string(run.join("args.toml")).unwrap();
    fs::write(run.join("args.toml"), old).unwrap();
    ends(resume(scratch.path(), &run, &[]), 0, "");
    assert_eq!(fs::read_to_string(run.join("args.toml")).unwrap(), new);
    // The same number again is no change.
    let said = ends(resume(scratch.path(), &run, &["--epochs", "5"]), 0, "");
    assert!(!said.contains("changed") && metrics()["changes"].as_array().unwrap().len() == 1, "{said}");
}

#[test]
fn a_goal_that_was_reached_still_ends_the_run_when_it_is_killed_before_its_last_line() {
    let scratch = tempfile::tempdir().unwrap();
    let run = straight(scratch.path(), "run", &["--target", "accuracy=0.01"]);
    fs::remove_file(run.join("metrics.json")).unwrap();
    let expected = weights(&run);
    ends(resume(scratch.path(), &run, &[]), 0, "");
    let metrics: Value = serde_json::from_slice(&fs::read(run.join("metrics.json")).unwrap()).unwrap();
    assert_eq!((metrics["ended"].as_str(), rows(&run).len()), (Some("target"), 2));
    assert!(weights(&run) == expected);
}

#[test]
fn intervals_are_checked_and_are_no_part_of_a_model_file() {
    let scratch = tempfile::tempdir().unwrap();
    for wrong in [["--checkpoint-minutes", "-1"], ["--checkpoint-minutes", "nan"], ["--checkpoint-steps", "0"]] {
        ends(trainer(scratch.path(), &[&SMALL[..], &wrong].concat()), 2, wrong[0]);
    }
    let often = straight(scratch.path(), "often", &["--checkpoint-minutes", "0.00001"]);
    let never = straight(scratch.path(), "never", &["--checkpoint-minutes", "0"]);
    assert!(weights(&often) == weights(&never));
}
