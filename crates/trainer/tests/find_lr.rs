//! `trainer find-lr` as its users type it: whether the rate that it suggests trains, where a loss of known curvature diverges, and what it
//! does where there is nothing to find.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(feature = "flex")]

mod program;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use program::{ends, stderr, trainer, until};
use serde_json::Value;

const DIGITS: [&str; 4] = ["find-lr", "digits", "--model", "mlp"];

#[track_caller]
fn found(folder: &Path, arguments: &[&str]) -> Value {
    let output = trainer(folder, &[arguments, &["--format", "json", "--quiet"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_suggested_rate_trains() {
    let scratch = tempfile::tempdir().unwrap();
    for optimizer in ["adamw", "sgd"] {
        let how = ["--optimizer", optimizer];
        let found = found(scratch.path(), &[&DIGITS[..], &how].concat());
        assert_eq!((&found["v"], &found["stopped"]), (&1.into(), &"diverged".into()));
        let rate = found["suggested"].to_string();
        let train =
            ["train", "digits", "--model", "mlp", "--epochs", "3", "--lr", &rate, "--format", "json", "--quiet"];
        let output = trainer(scratch.path(), &[&train[..], &how].concat());
        let trained: Value = serde_json::from_slice(&output.stdout).unwrap();
        let accuracy = trained["result"]["test"]["values"]["accuracy"].as_f64().unwrap();
        assert!(accuracy > 0.9, "{optimizer} at {rate}: {accuracy}");
    }
}

/// One number that another follows, of mean 0 and variance 1, and noise.
fn line(folder: &Path) {
    let mut text = "x,y\n".to_owned();
    for at in 0..512 {
        let x = f64::from(at) / 511.0 * 12f64.sqrt() - 3f64.sqrt();
        let noise = if at % 2 == 0 { 0.1 } else { -0.1 };
        writeln!(text, "{x},{}", 3.0 * x + noise).unwrap();
    }
    fs::write(folder.join("line.csv"), text).unwrap();
}

#[test]
fn a_loss_of_known_curvature_diverges_where_it_must() {
    let scratch = tempfile::tempdir().unwrap();
    line(scratch.path());
    fs::write(scratch.path().join("linear.toml"), "[model]\narch = 'mlp'\nhidden = []\nactivation = 'none'\n").unwrap();
    // The squared error of a line through standardised numbers has a curvature of 2 in both directions: plain gradient descent on all
    // rows at once gets there in one step at a rate of 1/2 and diverges above 1.
    let whole = ["find-lr", "line.csv", "--label", "y", "--recipe", "linear.toml", "--batch", "512", "--val", "0"];
    let how = ["--optimizer", "sgd", "--momentum", "0", "--weight-decay", "0", "--from", "1e-4", "--to", "100"];
    let found = found(scratch.path(), &[&whole[..], &how].concat());
    let rate = |name: &str| found[name].as_f64().unwrap();
    let last = found["points"].as_array().unwrap().last().unwrap()["lr"].as_f64().unwrap();
    assert!(found["stopped"] == "diverged" && (1.0..5.0).contains(&last), "{last}");
    // The average lags behind by nine steps, here a factor of three and a half.
    assert!((0.03..3.5).contains(&rate("minimum")), "{found}");
    assert!((3e-3..0.5).contains(&rate("steepest")) && (3e-3..0.5).contains(&rate("suggested")), "{found}");
}

#[test]
fn the_curve_is_a_function_of_the_seed_and_makes_no_run() {
    let scratch = tempfile::tempdir().unwrap();
    let short = [&DIGITS[..], &["--limit", "300", "--dropout", "0.2", "--steps", "30"]].concat();
    let first = found(scratch.path(), &[&short[..], &["--workers", "2"]].concat());
    assert_eq!(first, found(scratch.path(), &[&short[..], &["--workers", "2"]].concat()));
    let other = found(scratch.path(), &[&short[..], &["--seed", "1"]].concat());
    assert_ne!(first["points"], other["points"]);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn every_task_has_a_curve_with_a_page_and_a_command() {
    let scratch = tempfile::tempdir().unwrap();
    line(scratch.path());
    let mut labels = "a,b,tags\n".to_owned();
    (0..200).for_each(|at| {
        writeln!(
            labels,
            "{},{},{}",
            at % 7,
            at % 5,
            ["", "p", "q", "p;q"][usize::from(at % 7 > 3) + 2 * usize::from(at % 5 > 2)]
        )
        .unwrap()
    });
    fs::write(scratch.path().join("labels.csv"), labels).unwrap();
    for (data, label, task) in [("line.csv", "y", "regression"), ("labels.csv", "tags", "multi-label")] {
        let page = format!("{data}.html");
        let arguments = ["find-lr", data, "--label", label, "--task", task, "--accumulate", "2", "--page", &page];
        let output = trainer(scratch.path(), &arguments);
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        ends(output, 0, "");
        assert!(text.contains("suggest  --lr ") && text.contains("midway between"), "{text}");
        let command = format!("train {data} --label {label} --task {task} --accumulate 2 --lr ");
        assert!(text.contains(&command), "{text}");
        let page = fs::read_to_string(scratch.path().join(page)).unwrap();
        assert!(page.contains("default-src 'none'") && page.contains(&command) && page.contains("class='mark'"));
    }
    let picture = ["find-lr", "line.csv", "--label", "y", "--quiet", "--page", "curve.png"];
    ends(trainer(scratch.path(), &picture), 0, "");
    assert!(fs::read(scratch.path().join("curve.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn where_there_is_nothing_to_find_it_says_so() {
    let scratch = tempfile::tempdir().unwrap();
    let tried = |more: &[&str]| trainer(scratch.path(), &[&DIGITS[..], &["--limit", "300"], more].concat());
    ends(tried(&["--from", "1", "--to", "1e-3"]), 2, "--from: expected less than --to");
    ends(tried(&["--from", "0"]), 2, "--from: expected a number above 0");
    ends(tried(&["--from", "NaN"]), 2, "--from: expected a number above 0, found NaN");
    ends(tried(&["--to", "inf"]), 2, "--to: expected a number above 0, found inf");
    ends(tried(&["--steps", "0"]), 2, "--steps: expected 20 to 100000, found 0");
    ends(tried(&["--page", "no/such/page.html"]), 2, "--page: cannot write");
    ends(tried(&["--lr", "0"]), 2, "--lr: expected a number above 0");
    ends(tried(&["--to", "1e-6"]), 6, "the loss fell at none of them");
    ends(tried(&["--optimizer", "sgd", "--from", "1e4", "--to", "1e9"]), 6, "give a smaller --from");
    ends(tried(&["--optimizer", "sgd", "--from", "1e30", "--to", "1e38"]), 6, "the loss was no number any more");
    ends(trainer(scratch.path(), &["find-lr", "nothing.csv"]), 3, "there is no such file");
}

#[test]
fn one_batch_is_learned_again_and_again() {
    let scratch = tempfile::tempdir().unwrap();
    let found = found(scratch.path(), &[&DIGITS[..], &["--limit", "60", "--batch", "100000"]].concat());
    assert!(found["points"].as_array().unwrap().len() > 50 && found["suggested"].as_f64().is_some(), "{found}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_with_130() {
    let scratch = tempfile::tempdir().unwrap();
    let mut endless = program::command(scratch.path(), &["find-lr", "digits", "--steps", "100000", "--to", "1e-6"]);
    let child = endless.stdout(Stdio::null()).stderr(fs::File::create(scratch.path().join("log")).unwrap()).spawn();
    let mut child = child.unwrap();
    let log = || fs::read_to_string(scratch.path().join("log")).unwrap();
    until("the first step", || log().contains("model    "));
    program::signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130), "{}", log());
    assert!(log().contains("interrupted after "), "{}", log());
}
