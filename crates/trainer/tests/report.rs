//! The report of a run as its user finds it: at the end of a training, written again, of half a run, and of data with hostile names.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(feature = "flex")]

mod program;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use program::{ends, trainer};
use serde_json::Value;

/// Two epochs of a small MLP on a part of the digits.
const QUICK: [&str; 12] =
    ["train", "digits", "--model", "mlp", "--hidden", "32", "--limit", "400", "--epochs", "2", "--quiet", "--name=run"];

fn quick(folder: &Path, more: &[&str]) -> PathBuf {
    ends(trainer(folder, &[&QUICK[..], more].concat()), 0, "");
    folder.join("runs/run")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rows(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn a_training_leaves_a_report_of_its_test_split_and_writing_it_again_changes_no_byte() {
    let scratch = tempfile::tempdir().unwrap();
    let output = trainer(scratch.path(), &QUICK);
    assert!(String::from_utf8_lossy(&output.stdout).contains("report   runs/run/report.html"));
    let run = scratch.path().join("runs/run");
    let metrics: Value = serde_json::from_str(&read(&run.join("metrics.json"))).unwrap();
    let predictions = rows(&run.join("predictions_test.csv"));
    assert_eq!(predictions[0][..5], ["source", "true", "predicted", "confidence", "p_0"]);
    assert_eq!(predictions.len() as u64 - 1, metrics["test"]["samples"].as_u64().unwrap());
    let right = predictions[1..].iter().filter(|row| row[1] == row[2]).count() as f64;
    let accuracy = metrics["test"]["values"]["accuracy"].as_f64().unwrap();
    assert!(
        (right / (predictions.len() - 1) as f64 - accuracy).abs() < 1e-9,
        "the predictions are those that were measured"
    );
    let classes = rows(&run.join("per_class.csv"));
    assert_eq!(classes.len(), 11);
    for (row, class) in classes[1..].iter().zip(metrics["test"]["per_class"].as_array().unwrap()) {
        let [low, recall, high] = [7, 6, 8].map(|at| row[at].parse::<f64>().unwrap());
        assert!(
            (recall - class["recall"].as_f64().unwrap()).abs() < 1e-6 && low <= recall && recall <= high,
            "{row:?}"
        );
    }
    assert!(!run.join("predictions_val.csv").exists());

    let pictures = [
        "results.png",
        "confusion_matrix.png",
        "train_batch0.png",
        "val_batch0_pred.png",
        "filters.png",
        "feature_maps.png",
        "explained.png",
        "plots/pr_curve.svg",
    ];
    let files = [&["report.html", "per_class.csv", "predictions_test.csv"][..], &pictures].concat();
    let bytes = || files.iter().map(|file| fs::read(run.join(file)).unwrap()).collect::<Vec<_>>();
    let before = bytes();
    let page = read(&run.join("report.html"));
    files.iter().for_each(|file| fs::remove_file(run.join(file)).unwrap());
    ends(trainer(scratch.path(), &["report", "runs/run"]), 0, "");
    assert!(before == bytes());
    assert!(page.contains("data:image/png;base64,") && page.contains("trainer") && page.contains("replay runs/run"));
    ends(trainer(scratch.path(), &["replay", "runs/run", "--quiet"]), 0, "");
}

#[test]
fn what_a_network_looks_at_is_shown_layer_by_layer() {
    let scratch = tempfile::tempdir().unwrap();
    let page = read(&quick(scratch.path(), &[]).join("report.html"));
    assert!(
        page.contains("32 units of 8\u{d7}8<") && page.contains("alt=\"hidden.0: linear, relu: 32 units"),
        "an MLP on images"
    );
    assert!(page.contains("2\u{d7}2 pixels are hidden (occlusion): red speaks for it"), "an MLP on images");
    let run = quick(scratch.path(), &["--model", "cnn", "--filters", "20,4", "--name", "cnn"]);
    let run = run.with_file_name("cnn");
    let page = read(&run.join("report.html"));
    let mut rest = page.split_once("<section id=features>").unwrap().1.split_once("</section>").unwrap().0;
    for words in [
        "output falls where 2\u{d7}2 pixels are hidden (occlusion)",
        "what counted for the answer",
        "20 filters of 3\u{d7}3",
        "answered",
        "conv 3x3, relu: the first 16 of 20 channels of 8\u{d7}8",
        "max pool 2x2: the first 16 of 20 channels of 4\u{d7}4",
        "<bdi>stages.1.blocks.0</bdi></code> conv 3x3",
        "10 units, from",
    ] {
        rest = rest.split_once(words).unwrap_or_else(|| panic!("{words} in {rest}")).1;
    }
    assert!(run.join("feature_maps.png").is_file() && run.join("plots/filters.svg").is_file());
    assert!(!rest.contains("<img"), "nothing follows the outputs");
}

#[test]
fn a_run_that_has_not_ended_is_reported_on_its_validation_split() {
    let scratch = tempfile::tempdir().unwrap();
    let run = quick(scratch.path(), &[]);
    for file in ["metrics.json", "report.html", "predictions_test.csv"] {
        fs::remove_file(run.join(file)).unwrap();
    }
    ends(trainer(scratch.path(), &["report", "runs/run"]), 0, "");
    let page = read(&run.join("report.html"));
    assert!(page.contains("the run has not ended") && page.contains("on which the best epoch was chosen"));
    assert!(run.join("predictions_val.csv").is_file() && !run.join("predictions_test.csv").exists());
}

#[test]
fn half_a_run_has_a_report_that_says_what_is_missing() {
    let scratch = tempfile::tempdir().unwrap();
    let run = quick(scratch.path(), &[]);
    fs::write(run.join("metrics.json"), "{").unwrap();
    fs::write(run.join("results.csv"), "epoch,train/loss,val/loss\n1,NaN,inf\n2,0.5").unwrap();
    fs::write(run.join("weights/best.safetensors"), "cut off").unwrap();
    ends(trainer(scratch.path(), &["report", "runs/run"]), 0, "");
    let page = read(&run.join("report.html"));
    assert!(page.contains("metrics.json") && page.contains("best.safetensors") && page.contains("id=curves"), "{page}");
    fs::remove_dir_all(run.join("weights")).unwrap();
    for file in ["results.csv", "metrics.json", "run.json", "split.csv"] {
        fs::remove_file(run.join(file)).unwrap();
    }
    ends(trainer(scratch.path(), &["report", "runs/run"]), 0, "");
    assert!(read(&run.join("report.html")).contains("No epoch has ended yet"));
    ends(trainer(scratch.path(), &["report", "runs"]), 4, "not the folder of a run");
}

#[test]
fn a_report_that_cannot_be_written_is_a_warning_and_costs_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let run = quick(scratch.path(), &[]);
    fs::remove_file(run.join("report.html")).unwrap();
    fs::create_dir_all(run.join("report.html/in-the-way")).unwrap();
    let weights = fs::read(run.join("weights/best.safetensors")).unwrap();
    let text = ends(
        trainer(scratch.path(), &["resume", "runs/run", "--quiet"]),
        0,
        "warning: the report could not be written",
    );
    assert!(text.contains("report runs/run"), "{text}");
    assert!(weights == fs::read(run.join("weights/best.safetensors")).unwrap());
}

#[test]
fn a_pipe_in_the_place_of_a_picture_is_refused_and_nobody_waits_for_it() {
    let scratch = tempfile::tempdir().unwrap();
    let run = quick(scratch.path(), &[]);
    fs::remove_file(run.join("results.png")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(run.join("results.png")).status().unwrap().success());
    ends(trainer(scratch.path(), &["report", "runs/run"]), 4, "expected a regular file");
}

#[test]
fn the_report_of_a_run_that_was_deleted_brings_nothing_back() {
    let scratch = tempfile::tempdir().unwrap();
    let run = trainer::RunFolder::create(scratch.path(), "run").unwrap();
    fs::remove_dir_all(run.path()).unwrap();
    assert!(trainer::write_report(&run, trainer::Known::default()).is_err());
    assert!(!run.path().exists());
}

#[test]
fn classes_with_hostile_names_are_escaped_in_the_page_and_in_the_tables() {
    let scratch = tempfile::tempdir().unwrap();
    let names = ["<b>x&'\"", "=1+1", "שלום", "花", "👩‍🚀"];
    for (class, name) in names.iter().enumerate() {
        let folder = scratch.path().join("data").join(name);
        fs::create_dir_all(&folder).unwrap();
        for at in 0..12u8 {
            let pixels: Vec<u8> =
                (0..64u8).map(|pixel: u8| pixel.wrapping_mul(class as u8 + 1).wrapping_add(at)).collect();
            fs::write(folder.join(format!("{at}.pgm")), [b"P5 8 8 255\n", &pixels[..]].concat()).unwrap();
        }
    }
    let arguments = ["train", "data", "--model", "mlp", "--hidden", "8", "--epochs", "1", "--quiet", "--name", "run"];
    ends(trainer(scratch.path(), &arguments), 0, "");
    let run = scratch.path().join("runs/run");
    let page = read(&run.join("report.html"));
    assert!(page.contains("<bdi>&lt;b&gt;x&amp;&#39;&quot;</bdi>") && !page.contains("<b>"));
    assert!(names[2..].iter().all(|name| page.contains(&format!("<bdi>{name}</bdi>"))));
    let classes: Vec<String> = rows(&run.join("per_class.csv")).into_iter().map(|row| row[2].clone()).collect();
    assert!(classes.contains(&"'=1+1".to_owned()) && classes.contains(&names[0].to_owned()), "{classes:?}");
    assert!(read(&run.join("predictions_test.csv")).contains("'=1+1/"));
}

#[test]
fn a_regression_without_validation_and_labels_have_reports_of_their_own() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut numbers, mut labels) = ("a,<kind>,y\n".to_owned(), "a,b,wet,cold\n".to_owned());
    for row in 0..120 {
        let (a, b) = (f64::from(row * 37 % 100) / 10.0, row % 3);
        writeln!(numbers, "{a},{},{}", ["x", "=y", ""][b as usize], a * 2.5 + f64::from(b)).unwrap();
        writeln!(labels, "{a},{b},{},{}", u8::from(a > 5.0), u8::from(b == 1)).unwrap();
    }
    fs::write(scratch.path().join("numbers.csv"), numbers).unwrap();
    fs::write(scratch.path().join("labels.csv"), labels).unwrap();
    let train = |data: &str, label: &str, name: &str, more: &[&str]| {
        let arguments = ["train", data, "--label", label, "--epochs", "2", "--hidden", "8", "--quiet", "--name", name];
        ends(trainer(scratch.path(), &[&arguments[..], more].concat()), 0, "");
        scratch.path().join("runs").join(name)
    };
    let run = train("numbers.csv", "y", "numbers", &["--val", "0"]);
    let page = read(&run.join("report.html"));
    for words in ["Predicted against true", "Residuals", "Error by decile", "Largest errors", "&lt;kind&gt;"] {
        assert!(page.contains(words), "{words}");
    }
    assert_eq!(rows(&run.join("predictions_test.csv"))[0], ["source", "true", "predicted"]);
    assert!(run.join("predictions.png").is_file() && !run.join("confusion_matrix.png").exists());
    assert!(!page.contains("What it looks at") && !run.join("filters.png").exists(), "a row is no picture");
    assert!(!run.join("per_class.csv").exists());

    let thresholds = [0.6, 0.49];
    let run = train("labels.csv", "wet,cold", "labels", &["--threshold", "0.6,0.49"]);
    let page = read(&run.join("report.html"));
    assert!(
        page.contains("Average precision")
            && page.contains("Expected calibration error")
            && page.contains("<bdi>wet</bdi>")
    );
    assert_eq!(rows(&run.join("predictions_test.csv"))[0], ["source", "true", "predicted", "p_wet", "p_cold"]);
    let per_class = rows(&run.join("per_class.csv"));
    assert_eq!(per_class.len(), 3);
    let answers = &rows(&run.join("predictions_test.csv"))[1..];
    for (label, name) in ["wet", "cold"].into_iter().enumerate() {
        let applies = |row: &&Vec<String>| row[3 + label].parse::<f32>().unwrap() >= thresholds[label];
        let predicted: Vec<_> = answers.iter().filter(applies).collect();
        let said = answers.iter().filter(|row| row[2].split(';').any(|said| said == name));
        assert!(said.eq(predicted.iter().copied()), "{name}: {answers:?}");
        let column = per_class[0].iter().position(|name| name == "predicted").unwrap();
        assert_eq!(per_class[label + 1][column], predicted.len().to_string(), "{per_class:?}");
        let half = answers.iter().filter(|row| row[3 + label].parse::<f32>().unwrap() >= 0.5).count();
        assert_ne!(half, predicted.len(), "a threshold that decides nothing shows nothing: {answers:?}");
    }
}
