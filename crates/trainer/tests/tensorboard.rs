//! `--tensorboard` as TensorBoard reads it: with the `tensorboard` package of the Python that `PEERS_PYTHON` names, and skipped without.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(feature = "flex")]

mod program;

use std::fs;
use std::path::Path;
use std::process::Command;

use program::{SMALL, ends, rows, trainer, weights};
use serde_json::Value;

/// What `peer.py` prints; `None` where there is no Python with TensorBoard.
fn peer(arguments: &[&str]) -> Option<Value> {
    let Ok(python) = std::env::var("PEERS_PYTHON") else {
        eprintln!("skipped: PEERS_PYTHON names no Python with the tensorboard package");
        return None;
    };
    let imports = Command::new(&python).args(["-c", "import tensorboard"]).output().unwrap();
    if !imports.status.success() {
        eprintln!("skipped: `{python}` has no tensorboard package");
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tensorboard/peer.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", program::stderr(&output));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn files(run: &Path) -> usize {
    fs::read_dir(run.join("tensorboard")).unwrap().count()
}

#[test]
fn the_golden_records_are_still_what_tensorboard_writes() {
    let golden: Value = serde_json::from_str(include_str!("tensorboard/records.json")).unwrap();
    assert_eq!(golden.as_object().unwrap().len(), 5);
    if let Some(made) = peer(&["records"]) {
        assert_eq!(made, golden);
    }
}

#[test]
fn a_run_has_its_curves_pictures_and_histograms_and_the_weights_of_any_other() {
    let scratch = tempfile::tempdir().unwrap();
    let train = |name: &str, more: &[&str]| {
        ends(trainer(scratch.path(), &[&SMALL[..], &["--epochs", "2", "--name", name], more].concat()), 0, "");
        scratch.path().join("runs").join(name)
    };
    let (plain, run) = (train("plain", &[]), train("board", &["--tensorboard"]));
    assert!(!plain.join("tensorboard").exists());
    assert_eq!(files(&run), 1);
    assert_eq!((weights(&plain), rows(&plain)), (weights(&run), rows(&run)));
    assert!(fs::read_to_string(run.join("args.toml")).unwrap().contains("tensorboard = true"));

    // The run is taken up again, which is a file of its own; its curves go on where they ended.
    ends(trainer(scratch.path(), &["resume", "runs/board", "--epochs", "3", "--quiet"]), 0, "");
    assert_eq!(files(&run), 2);
    let Some(found) = peer(&["read", run.join("tensorboard").to_str().unwrap()]) else { return };
    let steps = |kind: &str, tag: &str| -> Vec<u64> {
        let points = found[kind][tag].as_array().unwrap_or_else(|| panic!("{tag} in {found}"));
        points.iter().map(|point| point[0].as_u64().unwrap()).collect()
    };
    let batches = steps("scalars", "val/accuracy")[0];
    for (kind, tag) in
        [("scalars", "val/accuracy"), ("scalars", "val/loss"), ("scalars", "epoch/train_loss"), ("images", "filters")]
    {
        assert_eq!(steps(kind, tag), [batches, 2 * batches, 3 * batches], "{tag}");
    }
    assert_eq!(steps("images", "first batch"), [0]);
    let picture = &found["images"]["first batch"][0];
    // 16 images of 8x8 in four rows.
    assert_eq!((&picture[1], &picture[2], &picture[3]), (&35.into(), &35.into(), &"89504e47".into()));
    let expected: Vec<f64> = fs::read_to_string(run.join("results.csv"))
        .unwrap()
        .lines()
        .skip(1)
        .map(|row| row.split(',').nth(2).unwrap().parse().unwrap())
        .collect();
    for (point, expected) in found["scalars"]["epoch/train_loss"].as_array().unwrap().iter().zip(expected) {
        assert!((point[1].as_f64().unwrap() - expected).abs() < 1e-5, "{point} {expected}");
    }
    let histograms = found["histograms"].as_object().unwrap();
    assert!(histograms.len() >= 3, "{found}");
    for points in histograms.values() {
        assert_eq!(points.as_array().unwrap().len(), 3);
        assert!(
            points.as_array().unwrap().iter().all(|point| point[1] == point[2] && point[1].as_f64().unwrap() > 0.0)
        );
    }
}
