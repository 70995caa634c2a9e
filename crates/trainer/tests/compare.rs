//! `trainer compare` over real runs: of the same split, of different splits, tasks and classes; and over predictions with known numbers.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(feature = "flex")]

mod program;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use program::{ends, trainer};
use serde_json::{Value, json};

fn train(folder: &Path, name: &str, more: &[&str]) {
    let quick = ["train", "--model", "mlp", "--epochs", "2", "--quiet", "--name", name];
    ends(trainer(folder, &[&quick[..], more].concat()), 0, "");
}

/// A run that was measured on 100 samples: what it is said to be for each, by position. `broken` are answered wrongly.
fn made(folder: &Path, name: &str, broken: impl Fn(usize) -> bool) {
    let run = folder.join("runs").join(name);
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("args.toml"), "data = 'x'\n").unwrap();
    let mut text = "source,true,predicted,confidence,p_<b>cat</b>,p_dog\n".to_owned();
    for at in 0..100 {
        let names = ["<b>cat</b>", "dog"];
        let answer = names[(at + usize::from(broken(at))) % 2];
        writeln!(text, "{at}.png,{},{answer},0.75,0.5,0.5", names[at % 2]).unwrap();
    }
    fs::write(run.join("predictions_test.csv"), text).unwrap();
}

fn values(folder: &Path, name: &str, shift: impl Fn(usize) -> f64) {
    let run = folder.join("runs").join(name);
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("args.toml"), "data = 'x'\n").unwrap();
    let mut text = "source,true_a,true_b,predicted_a,predicted_b\n".to_owned();
    for at in 0..100 {
        let (a, b) = (at as f64, 1000.0 - at as f64);
        writeln!(text, "t.csv:{at},{a},{b},{},{}", a + shift(at), b - shift(at)).unwrap();
    }
    fs::write(run.join("predictions_test.csv"), text).unwrap();
}

fn compared(folder: &Path, more: &[&str]) -> Value {
    let output = trainer(folder, &[&["compare", "--format", "json"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", program::stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn two_trainings_are_compared_on_the_test_split_and_their_metrics_are_the_runs_own() {
    let scratch = tempfile::tempdir().unwrap();
    let data = ["digits", "--limit", "600"];
    train(scratch.path(), "a", &[&data[..], &["--hidden", "64", "--lr", "0.01"]].concat());
    train(scratch.path(), "b", &[&data[..], &["--hidden", "2"]].concat());
    let found = compared(scratch.path(), &["runs/a", "runs/b"]);
    assert_eq!((&found["v"], &found["task"], &found["split"]), (&json!(1), &json!("classification"), &json!("test")));
    for (run, name) in [(0, "a"), (1, "b")] {
        let metrics = fs::read_to_string(scratch.path().join("runs").join(name).join("metrics.json")).unwrap();
        let metrics: Value = serde_json::from_str(&metrics).unwrap();
        let run = &found["runs"][run];
        for metric in ["accuracy", "macro_f1", "macro_recall"] {
            let [own, value, low, high] = [
                &metrics["test"]["values"][metric],
                &run["metrics"][metric]["value"],
                &run["metrics"][metric]["low"],
                &run["metrics"][metric]["high"],
            ]
            .map(|number| number.as_f64().unwrap());
            assert!((own - value).abs() < 1e-9 && low < value && value < high, "{metric}: {own}, {run}");
        }
        let cost = &run["cost"];
        assert!(cost["samples_per_second"].as_f64().unwrap() > 0.0 && cost["parameters"].as_u64().unwrap() > 100);
        assert_eq!(cost["training_seconds"], metrics["seconds"]);
    }
    assert_eq!(found["runs"][0]["against_first"], Value::Null);
    assert_eq!(found["runs"][1]["against_first"]["verdict"], "worse");
    let lose = ["compare", "runs/a", "runs/b", "--fail-on-regression"];
    ends(trainer(scratch.path(), &lose), 6, "significantly worse than `runs/a`: `runs/b`");
    ends(trainer(scratch.path(), &["compare", "runs/b", "runs/a", "--fail-on-regression"]), 0, "");
}

#[test]
fn flips_are_counted_tested_and_named() {
    let scratch = tempfile::tempdir().unwrap();
    made(scratch.path(), "first", |at| at < 6);
    // Fixes the first 6 and breaks 16 others: scipy.stats.binomtest(6, 22).pvalue is 0.052478790283203125, the mid-p 0.03468966484069824.
    made(scratch.path(), "second", |at| (50..66).contains(&at));
    made(scratch.path(), "same", |at| at < 6);
    let found = compared(scratch.path(), &["runs/first", "runs/second", "runs/same"]);
    let against = &found["runs"][1]["against_first"];
    assert_eq!((&against["mcnemar"]["fixed"], &against["mcnemar"]["broken"]), (&json!(6), &json!(16)));
    let close = |value: &Value, expected: f64| (value.as_f64().unwrap() - expected).abs() < 1e-12;
    assert!(close(&against["mcnemar"]["exact"], 0.052478790283203125), "{against}");
    assert!(close(&against["mcnemar"]["mid"], 0.03468966484069824), "{against}");
    assert_eq!(against["broken"].as_array().unwrap().len(), 16);
    assert_eq!(
        against["broken"][0],
        json!({ "source": "50.png", "true": "<b>cat</b>", "first": "<b>cat</b>", "this": "dog" })
    );
    assert!(close(&against["differences"]["accuracy"]["value"], -0.1) && against["verdict"] == "worse");
    let same = &found["runs"][2]["against_first"];
    assert_eq!((&same["verdict"], &same["mcnemar"]["mid"]), (&json!("no_clear_difference"), &json!(1.0)));
    assert_eq!(same["differences"]["accuracy"], json!({ "value": 0.0, "low": 0.0, "high": 0.0 }));

    ends(trainer(scratch.path(), &["compare", "runs/first", "runs/second", "--page", "page.html"]), 0, "");
    let page = fs::read_to_string(scratch.path().join("page.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("default-src 'none'") && page.ends_with("</html>\n"));
    assert!(page.contains("65.png") && page.contains("&lt;b&gt;cat") && !page.contains("<b>cat"), "{page}");
    for word in ["<script", "http:", "https:", "url("] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn numbers_are_worse_where_the_interval_of_the_error_says_so() {
    let scratch = tempfile::tempdir().unwrap();
    values(scratch.path(), "first", |at| if at % 2 == 0 { 1.0 } else { 3.0 });
    values(scratch.path(), "worse", |at| if at % 2 == 0 { 3.0 } else { 2.0 });
    values(scratch.path(), "other", |at| if at % 2 == 0 { 3.0 } else { 1.0 });
    let found = compared(scratch.path(), &["runs/first", "runs/worse", "runs/other"]);
    assert_eq!(found["task"], "regression");
    assert!((found["runs"][0]["metrics"]["mae"]["value"].as_f64().unwrap() - 2.0).abs() < 1e-9);
    let verdicts = [1, 2].map(|run| found["runs"][run]["against_first"]["verdict"].as_str().unwrap().to_owned());
    assert_eq!(verdicts, ["worse", "no_clear_difference"]);
    let error = &found["runs"][1]["against_first"]["error"];
    // Half a unit more, in standard deviations of 0..99: sqrt((100^2 - 1) / 12) = 28.8661.
    assert!((error["value"].as_f64().unwrap() - 0.5 / 28.866070).abs() < 1e-6, "{error}");
    ends(trainer(scratch.path(), &["compare", "runs/first", "runs/worse", "--fail-on-regression"]), 6, "worse");
    ends(trainer(scratch.path(), &["compare", "runs/first", "runs/other", "--fail-on-regression"]), 0, "");
}

#[test]
fn only_what_is_in_common_is_compared_and_nothing_in_common_is_an_error() {
    let scratch = tempfile::tempdir().unwrap();
    made(scratch.path(), "all", |at| at < 6);
    made(scratch.path(), "part", |at| at < 6);
    let keep = |name: &str, kept: &dyn Fn(&str) -> bool| {
        let path = scratch.path().join("runs").join(name).join("predictions_test.csv");
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("source") || kept(line));
        fs::write(&path, lines.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    };
    keep("part", &|line| line.starts_with('7'));
    let found = compared(scratch.path(), &["runs/all", "runs/part"]);
    assert_eq!(found["samples"], 11);
    assert!(found["notes"][0].as_str().unwrap().starts_with("11 samples are in common, of up to 100"), "{found}");
    keep("all", &|line| line.starts_with('8'));
    ends(trainer(scratch.path(), &["compare", "runs/all", "runs/part"]), 3, "have no sample in common");
}

#[test]
fn what_cannot_be_compared_is_refused_and_says_what_differs() {
    let scratch = tempfile::tempdir().unwrap();
    made(scratch.path(), "first", |_| false);
    values(scratch.path(), "numbers", |_| 0.0);
    let edit = |name: &str, from: &str, to: &str| {
        made(scratch.path(), name, |_| false);
        let path = scratch.path().join("runs").join(name).join("predictions_test.csv");
        fs::write(&path, fs::read_to_string(&path).unwrap().replace(from, to)).unwrap();
    };
    edit("emus", "dog", "emu");
    edit("turned", "7.png,dog,dog", "7.png,<b>cat</b>,dog");
    edit("torn", "\n9.png,dog,dog,0.75,0.5,0.5", "\n9.png,dog");
    edit("foreign", "source,", "file,");
    made(scratch.path(), "none", |_| false);
    fs::remove_file(scratch.path().join("runs/none/predictions_test.csv")).unwrap();
    for (other, code, message) in [
        ("runs/numbers", 4, "the one is classification, the other regression"),
        ("runs/emus", 4, "their classes differ: only the first knows `dog`"),
        ("runs/turned", 3, "`7.png` is `dog` in `runs/first` and `<b>cat</b>` in `runs/turned`"),
        ("runs/torn", 4, "predictions_test.csv is not what a run writes"),
        ("runs/foreign", 4, "expected the columns source, true and predicted"),
        ("runs/none", 4, "has no predictions_test.csv"),
        ("runs/nowhere", 4, "not the folder of a run"),
    ] {
        ends(trainer(scratch.path(), &["compare", "runs/first", other]), code, message);
    }
    ends(trainer(scratch.path(), &["compare", "runs/first"]), 2, "2 values");
}
