//! `trainer doctor` as its users type it: what it prints, its exit codes, and a training that leaves out what it listed.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod program;

use std::fs;
use std::path::Path;

use program::{ends, trainer};
use serde_json::Value;

/// A table of 120 rows of two numbers, which the class follows loosely, and `more`.
fn table(folder: &Path, more: &str) {
    let row = |n: u64| {
        let mut mixed = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27) >> 20;
        format!(
            "{},{},{}\n",
            mixed % 977,
            mixed / 977 % 991,
            if mixed % 977 + mixed / 977 % 400 > 650 { "yes" } else { "no" }
        )
    };
    fs::write(folder.join("t.csv"), format!("a,b,class\n{}{more}", (0..120).map(row).collect::<String>())).unwrap();
}

#[test]
fn findings_decide_the_exit_code_and_are_printed_for_people_and_for_programs() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    table(folder, "");
    let sound = trainer(folder, &["doctor", "t.csv", "--label", "class"]);
    let text = String::from_utf8(sound.stdout).unwrap();
    assert!(text.contains("found    0 errors, 0 warnings, 0 notes"), "{text}");
    assert_eq!(sound.status.code(), Some(0));
    table(folder, "5,5,yes\n5,5,no\n");
    let conflict = trainer(folder, &["doctor", "t.csv", "--label", "class", "--format", "json"]);
    assert_eq!(conflict.status.code(), Some(6));
    let report: Value = serde_json::from_slice(&conflict.stdout).unwrap();
    assert_eq!((&report["v"], &report["errors"], &report["samples"]), (&1.into(), &0.into(), &122.into()));
    let finding =
        report["findings"].as_array().unwrap().iter().find(|found| found["code"] == "label-conflict").unwrap();
    assert_eq!((&finding["severity"], &finding["where"]["count"]), (&"warning".into(), &1.into()));
    assert_eq!(finding["where"]["first"][0]["size"], 2);
    let names: Vec<&str> = finding["where"]["first"][0]["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["t.csv:122", "t.csv:123"]);
    table(folder, "1,2,3,4\n");
    let ragged = trainer(folder, &["doctor", "t.csv", "--label", "class"]);
    assert_eq!(ragged.status.code(), Some(3));
    table(folder, "");
    ends(trainer(folder, &["doctor", "nothing.csv"]), 3, "there is no such file");
    ends(trainer(folder, &["doctor", "t.csv", "--val", "7", "--label", "class"]), 2, "--val");
}

#[test]
fn what_doctor_lists_training_leaves_out_and_a_resumed_run_still_does() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    for (class, low) in [("dark", 0_u8), ("light", 128)] {
        fs::create_dir_all(folder.join("pictures").join(class)).unwrap();
        for n in 0..20_u8 {
            // The simplest image format there is: 4x4 gray bytes.
            let pixels: Vec<u8> = (0..16).map(|at: u8| low + at.wrapping_mul(n * 2 + 3) % 100 + n).collect();
            let file = folder.join("pictures").join(class).join(format!("{n}.pgm"));
            fs::write(file, [b"P5 4 4 255\n", &pixels[..]].concat()).unwrap();
        }
    }
    fs::write(folder.join("pictures/dark/broken.png"), "").unwrap();
    let train = ["train", "pictures", "--model", "mlp", "--hidden", "8", "--epochs", "1", "--quiet", "--name", "run"];
    ends(trainer(folder, &train), 3, "broken.png");
    let doctor = trainer(folder, &["doctor", "pictures", "--fix", "exclude.csv"]);
    assert_eq!(doctor.status.code(), Some(3));
    let list = fs::read_to_string(folder.join("exclude.csv")).unwrap();
    assert!(list.starts_with("sample,reason\n") && list.contains("dark/broken.png,unreadable\n"), "{list}");
    assert_eq!(fs::read(folder.join("pictures/dark/broken.png")).unwrap(), b"");
    ends(trainer(folder, &[&train[..], &["--exclude", "exclude.csv"]].concat()), 0, "");
    let split = fs::read_to_string(folder.join("runs/run/split.csv")).unwrap();
    assert!(split.contains("dark/broken.png,unused\n"), "{split}");
    // The run knows by its split.csv what was left out.
    fs::remove_file(folder.join("exclude.csv")).unwrap();
    ends(trainer(folder, &["resume", "runs/run", "--epochs", "2", "--quiet"]), 0, "");
    ends(trainer(folder, &["eval", "runs/run"]), 0, "");
}

#[test]
fn a_trained_model_finds_the_pictures_that_lie_in_the_wrong_class() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    // Dark pictures and light ones; four dark ones lie among the light.
    let picture = |class: &str, name: &str, low: u8, n: u8| {
        fs::create_dir_all(folder.join("pictures").join(class)).unwrap();
        let pixels: Vec<u8> = (0..16).map(|at: u8| low + at.wrapping_mul(n * 2 + 3) % 60 + n % 20).collect();
        let file = folder.join("pictures").join(class).join(format!("{name}{n}.pgm"));
        fs::write(file, [b"P5 4 4 255\n", &pixels[..]].concat()).unwrap();
    };
    for n in 0..60 {
        picture("dark", "", 0, n);
        picture("light", "", 160, n);
    }
    (60..64).for_each(|n| picture("light", "wrong", 0, n));
    let train = [
        "train", "pictures", "--model", "mlp", "--hidden", "8", "--epochs", "30", "--lr", "0.01", "--quiet", "--name",
        "run",
    ];
    ends(trainer(folder, &train), 0, "");
    let doctor = ["doctor", "--trained", "runs/run", "--suspects", "suspects.csv", "--format", "json"];
    let found = trainer(folder, &doctor);
    assert_eq!(found.status.code(), Some(6), "{}", program::stderr(&found));
    let report: Value = serde_json::from_slice(&found.stdout).unwrap();
    let finding =
        report["findings"].as_array().unwrap().iter().find(|found| found["code"] == "probable-label-error").unwrap();
    assert_eq!((&finding["severity"], &finding["where"]["count"]), (&"warning".into(), &4.into()), "{finding}");
    let first = &finding["where"]["first"][0]["members"][0];
    assert!(first["detail"].as_str().unwrap().contains("given `light`"), "{first}");
    let list = fs::read_to_string(folder.join("suspects.csv")).unwrap();
    assert!(list.starts_with("sample,reason,split,strength\n"), "{list}");
    let mut named: Vec<&str> = list.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, ["light/wrong60.pgm", "light/wrong61.pgm", "light/wrong62.pgm", "light/wrong63.pgm"]);
    // The model file alone is told where the data are, and cuts them as they were cut for it.
    let model = ["doctor", "pictures", "--trained", "runs/run/weights/best.safetensors", "--suspects", "again.csv"];
    let text = String::from_utf8(trainer(folder, &model).stdout).unwrap();
    assert!(text.contains("probable-label-error: 4 labels of 124 samples are probably wrong"), "{text}");
    assert_eq!(fs::read_to_string(folder.join("again.csv")).unwrap(), list);
    // Training takes the list as it is.
    ends(trainer(folder, &[&train[..12], &["without", "--exclude", "suspects.csv"]].concat()), 0, "");
    let without = trainer(folder, &["doctor", "--trained", "runs/without", "--format", "json"]);
    let report: Value = serde_json::from_slice(&without.stdout).unwrap();
    assert!(report["findings"].as_array().unwrap().iter().all(|found| found["code"] != "probable-label-error"));

    ends(trainer(folder, &["doctor", "--trained", "runs/run/weights/best.safetensors"]), 2, "DATA is missing");
    ends(trainer(folder, &["doctor", "pictures", "--suspects", "list.csv"]), 2, "--trained");
    ends(trainer(folder, &["doctor", "pictures", "--trained", "runs/nothing"]), 4, "nothing");
    ends(trainer(folder, &["doctor", "digits", "--trained", "runs/run"]), 3, "the model doesn't know the class");
}
