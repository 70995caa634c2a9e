//! What validation says about how sure a model may be, from the run that fits it to the programs that tell of it.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(feature = "flex")]

mod program;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use models::ModelFile;
use program::{ends, trainer};
use serde_json::Value;

/// Rows whose class is told by `a` three times of four, and a number that is told roughly.
fn write_tables(folder: &Path) {
    let (mut kinds, mut numbers) = ("a,kind\n".to_owned(), "a,y\n".to_owned());
    for row in 0..900_u32 {
        // Neither rises with the row, nor do they repeat together.
        let (a, chance) = (row * 7919 % 900, row * row * 31 % 97 % 12);
        let kind = if chance < 9 { a / 300 } else { chance - 9 };
        writeln!(kinds, "{a},{}", ["x", "y", "z"][kind as usize]).unwrap();
        writeln!(numbers, "{a},{}", a + 10 * chance).unwrap();
    }
    fs::write(folder.join("kinds.csv"), kinds).unwrap();
    fs::write(folder.join("numbers.csv"), numbers).unwrap();
}

fn train(folder: &Path, data: &str, label: &str, more: &[&str]) -> Value {
    let command = ["train", data, "--label", label, "--hidden", "16", "--epochs", "6", "--quiet", "--name", "run"];
    ends(trainer(folder, &[&command[..], more].concat()), 0, "");
    serde_json::from_slice(&fs::read(folder.join("runs/run/metrics.json")).unwrap()).unwrap()
}

fn eval(folder: &Path, more: &[&str]) -> Value {
    json(folder, &[&["eval", "runs/run"], more].concat())
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = trainer(folder, &[arguments, &["--format", "json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the shares of a coverage say: `asked`, `covered`.
fn shares(of: &Value) -> Vec<[f64; 2]> {
    let rows = of["coverage"].as_array().unwrap();
    rows.iter().map(|row| ["asked", "covered"].map(|key| row[key].as_f64().unwrap())).collect()
}

#[test]
fn a_run_of_classes_fits_a_temperature_and_measures_its_sets() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    write_tables(folder);
    let metrics = train(folder, "kinds.csv", "kind", &[]);
    let found = &metrics["calibration"];
    let header = ModelFile::header(&folder.join("runs/run/weights/best.safetensors")).unwrap();
    let stored = header.calibration.unwrap();
    assert_eq!(found["temperature"], stored["temperature"]);
    assert_eq!(found["fitted_on"], stored["samples"]);
    assert_eq!((&found["on"], &found["note"]), (&"test".into(), &Value::Null), "{found}");
    assert_eq!(stored["scores"][0].as_array().unwrap().len() as u64, found["fitted_on"].as_u64().unwrap());
    let loss = metrics["test"]["values"]["loss"].as_f64().unwrap();
    assert!((found["loss"]["before"].as_f64().unwrap() - loss).abs() < 1e-9, "{found}");
    for [asked, covered] in shares(found) {
        assert!((covered - asked).abs() < 0.12, "{found}");
    }
    assert_eq!(eval(folder, &["--save-predictions", "p.csv"])["calibration"], *found);
    let page = fs::read_to_string(folder.join("runs/run/report.html")).unwrap();
    assert!(page.contains("<section id=coverage>") && page.contains("Held the truth"), "{page}");

    // The same probabilities in both tables of predictions, which are not those of temperature 1.
    let columns = |path: &str, skip: usize| -> Vec<String> {
        let mut rows = csv::Reader::from_path(folder.join(path)).unwrap();
        rows.records().flat_map(|row| row.unwrap().iter().skip(skip).map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    let ours = columns("p.csv", 3);
    assert_eq!(ours, columns("runs/run/predictions_test.csv", 4));
    assert_ne!(stored["temperature"], 1.0);
    let loss = |row: &[String]| {
        let truth = ["x", "y", "z"].iter().position(|name| *name == row[0]).unwrap();
        -row[2 + truth].parse::<f64>().unwrap().ln()
    };
    let losses: Vec<f64> = columns("p.csv", 1).chunks(5).map(loss).collect();
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    assert!((mean - found["loss"]["after"].as_f64().unwrap()).abs() < 1e-5, "{mean}: {found}");
    let text = String::from_utf8(trainer(folder, &["eval", "runs/run", "--on", "val"]).stdout).unwrap();
    assert!(text.contains("coverage 90 % asked for") && text.contains("calibration error"), "{text}");

    let inspected = json(folder, &["inspect", "runs/run"])["calibration"].clone();
    assert_eq!([&inspected["temperature"], &inspected["fitted_on"]], [&found["temperature"], &found["fitted_on"]]);
    // Sets of 90 % of validation's samples: the least probability in them is that of the sample of that rank.
    let scores: Vec<f64> =
        stored["scores"][0].as_array().unwrap().iter().map(|score| score.as_f64().unwrap()).collect();
    let rank = ((scores.len() as f64 + 1.0) * 0.9).ceil() as usize;
    assert_eq!(inspected["coverage"][0]["least_probability"].as_f64().unwrap(), (-scores[rank - 1]).exp());
    let text = String::from_utf8(trainer(folder, &["inspect", "runs/run"]).stdout).unwrap();
    assert!(text.contains(&format!("temperature {}", found["temperature"])), "{text}");
    assert!(text.contains("coverage 95 %: sets hold the classes from a probability of "), "{text}");
}

#[test]
fn a_run_of_numbers_measures_its_intervals() {
    let scratch = tempfile::tempdir().unwrap();
    write_tables(scratch.path());
    let found = train(scratch.path(), "numbers.csv", "y", &["--epochs", "10"])["calibration"].clone();
    assert!(found["temperature"].is_null() && found["loss"].is_null(), "{found}");
    for ([asked, covered], row) in shares(&found).into_iter().zip(found["coverage"].as_array().unwrap()) {
        assert!((covered - asked).abs() < 0.12 || row["width"].is_null(), "{found}");
        assert_eq!(row["target"], "y");
    }
    assert_eq!(eval(scratch.path(), &[])["calibration"], found);
    let inspected = json(scratch.path(), &["inspect", "runs/run"])["calibration"].clone();
    assert!(inspected["temperature"].is_null(), "{inspected}");
    let [row, width] = [&inspected["coverage"][0], &found["coverage"][0]["width"]];
    assert_eq!((row["half_width"].as_f64().unwrap() * 2.0, &row["target"]), (width.as_f64().unwrap(), &"y".into()));
    let text = String::from_utf8(trainer(scratch.path(), &["inspect", "runs/run"]).stdout).unwrap();
    assert!(text.contains("coverage 90 %: y within ") && !text.contains("temperature"), "{text}");
}

#[test]
fn without_validation_nothing_is_calibrated() {
    let scratch = tempfile::tempdir().unwrap();
    write_tables(scratch.path());
    let metrics = train(scratch.path(), "kinds.csv", "kind", &["--val", "0", "--epochs", "1"]);
    assert!(metrics["calibration"].is_null() && !metrics["test"].is_null());
    let best = scratch.path().join("runs/run/weights/best.safetensors");
    assert_eq!(ModelFile::header(&best).unwrap().calibration, None);
    assert!(eval(scratch.path(), &[])["calibration"].is_null());
    assert!(json(scratch.path(), &["inspect", "runs/run"])["calibration"].is_null());
    let page = fs::read_to_string(scratch.path().join("runs/run/report.html")).unwrap();
    assert!(!page.contains("id=coverage"));
}
