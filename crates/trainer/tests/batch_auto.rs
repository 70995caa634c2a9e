//! `--batch auto`: what it chooses, what it records, and whether a step takes no more memory than was estimated when it chose.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(feature = "flex")]

mod program;

use std::fs;
use std::path::Path;

use program::{ends, stderr, trainer};

fn config(folder: &Path, more: &[&str]) -> toml::Table {
    let output = trainer(folder, &[&["train", "digits", "--print-config"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap().parse().unwrap()
}

#[test]
fn the_batch_is_a_power_of_two_within_memory_use_and_samples() {
    let scratch = tempfile::tempdir().unwrap();
    let chosen = |more: &[&str]| {
        let config = config(scratch.path(), &[&["--batch", "auto:1GiB"], more].concat());
        config["batch"].as_integer().unwrap()
    };
    assert_eq!(chosen(&[]), 64, "a twentieth of 1,294 samples");
    assert_eq!(chosen(&["--limit", "60"]), 8, "no fewer than eight");
    assert_eq!(chosen(&["--limit", "12"]), 8, "of nine samples that train");
    let chosen = |batch: &str| config(scratch.path(), &["--model", "resnet20", "--batch", batch])["batch"].as_integer();
    assert_eq!(chosen("auto"), Some(64));
    let mut sizes = vec![];
    for mib in [80, 81, 84, 1000] {
        sizes.push(chosen(&format!("auto:{mib}MiB")).unwrap());
    }
    assert!(sizes.is_sorted() && sizes[0] < 64 && sizes[3] == 64, "{sizes:?}");
}

#[test]
fn what_is_chosen_is_said_recorded_and_gone_on_with() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(
        scratch.path().join("r.toml"),
        "data = 'digits'\nbatch = 'auto'\nmodel = 'mlp'\nepochs = 1\nlimit = 900\n",
    )
    .unwrap();
    let text = ends(trainer(scratch.path(), &["train", "--recipe", "r.toml", "--name", "a"]), 0, "");
    assert!(text.contains("batch    32: the largest power of two"), "{text}");
    let args = fs::read_to_string(scratch.path().join("runs/a/args.toml")).unwrap();
    assert!(args.contains("batch = 32\n"), "{args}");
    ends(trainer(scratch.path(), &["resume", "runs/a", "--epochs", "2"]), 0, "");
    ends(trainer(scratch.path(), &["replay", "runs/a", "--epochs", "1"]), 0, "the same, to the bit");
}

#[test]
fn a_budget_for_nothing_and_words_that_are_no_budget_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let tried = |batch: &str| trainer(scratch.path(), &["train", "digits", "--batch", batch]);
    ends(tried("auto:1MiB"), 7, "--batch auto: one sample takes about ");
    ends(tried("auto:0GiB"), 2, "auto:SIZE such as auto:2GiB");
    ends(tried("automatic"), 2, "auto:SIZE such as auto:2GiB");
    fs::write(scratch.path().join("r.toml"), "batch = '64'\n").unwrap();
    let quoted = trainer(scratch.path(), &["train", "digits", "--recipe", "r.toml"]);
    ends(quoted, 2, "recipe `r.toml` line 1, `batch = '64'`: expected a whole number of 0 or more, auto, or");
}

/// What the program wrote, and the greatest size that it had in memory, in KiB.
#[cfg(target_os = "linux")]
fn timed(folder: &Path, arguments: &[&str]) -> (String, f64) {
    let program = ["-f", "peak %M", env!("CARGO_BIN_EXE_trainer"), "train", "digits"];
    let output = std::process::Command::new("/usr/bin/time").args(program).args(arguments).current_dir(folder).output();
    let text = stderr(&output.unwrap());
    let peak = text.split_once("peak ").unwrap().1.trim().parse().unwrap();
    (text, peak)
}

#[cfg(target_os = "linux")]
#[test]
fn no_step_takes_more_than_was_estimated() {
    if !Path::new("/usr/bin/time").exists() {
        eprintln!("skipped: there is no /usr/bin/time");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let data = ["--imgsz", "32", "--limit", "700"];
    for (network, batch) in [("mlp", "256"), ("cnn", "256"), ("resnet20", "128"), ("resnet20", "8")] {
        let arguments = [&data[..], &["--model", network, "--batch", batch, "--epochs", "1"]].concat();
        // What is there before training begins.
        let (_, before) = timed(scratch.path(), &[&arguments[..], &["--print-config"]].concat());
        let (text, peak) = timed(scratch.path(), &arguments);
        let mut estimate = text.split_once("memory   about ").unwrap().1.split_whitespace();
        let (number, unit) = (estimate.next().unwrap(), estimate.next().unwrap());
        let estimate = number.parse::<f64>().unwrap() * if unit == "GiB" { 1024.0 * 1024.0 } else { 1024.0 };
        assert!(peak <= before + estimate, "{network} {batch}: {peak} KiB > {before} KiB + {estimate} KiB");
        assert!(peak >= before + estimate * 0.4, "{network} {batch}: {peak} KiB of {before} KiB + {estimate} KiB");
    }
}

#[test]
fn a_batch_that_does_not_fit_is_halved_where_that_is_asked_for_and_updates_learn_from_as_many() {
    let folder = tempfile::tempdir().unwrap();
    let Some(gib) = trainer::memory::available().map(|bytes| bytes >> 30).filter(|gib| (4..150).contains(gib)) else {
        return eprintln!("skipped: written for machines with 4 to 150 GiB that are free");
    };
    // A step of all samples takes about three times what there is; nothing of it is made.
    let limit = (4 * gib).to_string();
    let large = |more: &[&'static str]| {
        let wide = ["--limit", &limit, "--imgsz", "128", "--filters", "16384,1", "--batch", "1200", "--device", "cpu"];
        let options: Vec<String> = wide.iter().chain(more).map(|&word| word.to_owned()).collect();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        config(folder.path(), &options)
    };
    let numbers = |table: &toml::Table| ["batch", "accumulate"].map(|key| table[key].as_integer().unwrap());
    assert_eq!(numbers(&large(&[])), [1200, 1]);
    let halved = large(&["--halve-batch"]);
    let [batch, accumulate] = numbers(&halved);
    assert!(batch < 1200 && (1200..2400).contains(&(batch * accumulate)), "{halved}");
    assert_eq!(accumulate & (accumulate - 1), 0, "{accumulate}");
    assert!(!halved.contains_key("halve_batch"), "a run that goes on keeps its batch: {halved}");
    assert_eq!(numbers(&config(folder.path(), &["--halve-batch", "--device", "cpu"])), [64, 1]);
    let vast = ["train", "digits", "--imgsz", "128", "--filters", "16384,1", "--halve-batch", "--device", "cpu"];
    ends(trainer(folder.path(), &vast), 7, "not even one sample fits");
    assert!(!folder.path().join("runs").exists());
}
