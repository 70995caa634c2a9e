//! What a run is made from, as the binary records it; replaying a run; what is refused or stopped before it could spoil one.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use program::{command, ends, stderr, trainer};
use serde_json::Value;

/// Two epochs of a small network on a part of the digits.
const QUICK: [&str; 11] =
    ["train", "digits", "--model", "mlp", "--hidden", "32", "--limit", "400", "--epochs", "2", "--quiet"];

fn quick(folder: &Path, more: &[&str]) -> PathBuf {
    ends_well(trainer(folder, &[&QUICK[..], more].concat()));
    only(folder)
}

/// The only run there is.
fn only(folder: &Path) -> PathBuf {
    fs::read_dir(folder.join("runs")).unwrap().next().unwrap().unwrap().path()
}

#[track_caller]
fn ends_well(output: Output) -> Output {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_a_run_was_made_from_is_recorded_and_changed_data_end_a_resume() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("table.csv");
    let rows: String = (0..200).map(|n| format!("{},{},{}\n", n % 7, n % 11, n % 2)).collect();
    fs::write(&data, format!("a,b,y\n{rows}")).unwrap();
    let table = ["train", "table.csv", "--label", "y", "--task", "classification", "--epochs", "2", "--quiet"];
    ends_well(trainer(scratch.path(), &table));
    let run = only(scratch.path());
    let made_from: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!((&made_from["seed"], &made_from["crates"]["burn"]), (&Value::from(0), &Value::from("0.22.1")));
    assert_eq!(
        (&made_from["data"]["hashed"], &made_from["data"]["train"]["samples"]),
        (&"features".into(), &144.into())
    );
    assert_eq!(made_from["binary_sha256"].as_str().unwrap().len(), 64);
    let before = fs::read(run.join("args.toml")).unwrap();
    fs::write(&data, format!("a,b,y\n{}", rows.replacen("\n3,", "\n4,", 1))).unwrap();
    let resume = ["resume", run.to_str().unwrap(), "--epochs", "3"];
    ends(trainer(scratch.path(), &resume), 3, "samples or labels of the ");
    fs::write(&data, format!("a,b,y\n{rows}0,0,0\n")).unwrap();
    ends(trainer(scratch.path(), &resume), 3, "(1 of 201 samples are missing)");
    assert!(fs::read(run.join("args.toml")).unwrap() == before, "nothing is changed before the data are known");
    fs::write(&data, format!("a,b,y\n{rows}")).unwrap();
    ends_well(trainer(scratch.path(), &resume));
}

#[test]
fn a_replay_finds_the_same_weights_and_the_first_epoch_that_differs() {
    let scratch = tempfile::tempdir().unwrap();
    let run = quick(scratch.path(), &["--dropout", "0.2", "--augment", "light", "--ema", "0.9", "--workers", "2"]);
    let folder = run.to_str().unwrap();
    let files = || {
        let files = ["args.toml", "results.csv", "run.json", "metrics.json", "weights/last.safetensors"];
        files.map(|file| fs::read(run.join(file)).unwrap())
    };
    let before = files();
    let temporary = scratch.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = command(scratch.path(), &["replay", folder, "--format", "json"]);
    let output = ends_well(command.env("TMPDIR", &temporary).output().unwrap());
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "what it wrote is removed");
    let result: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&result["same"], result["epochs"].as_array().unwrap().len()), (&true.into(), 2));
    assert!(files() == before, "a replay touches nothing of the run");
    let results = fs::read_to_string(run.join("results.csv")).unwrap();
    let hash = result["epochs"][1]["recorded"].as_str().unwrap();
    fs::write(run.join("results.csv"), results.replace(hash, &hash.replace(['0', '1', '2', '3'], "f"))).unwrap();
    ends(trainer(scratch.path(), &["replay", folder, "--quiet"]), 6, "from epoch 2 on: expected ");
    let output = ends_well(trainer(scratch.path(), &["replay", folder, "--epochs", "1"]));
    assert!(stdout(&output).starts_with("epoch    1  ") && stdout(&output).lines().count() == 1);

    let args = fs::read_to_string(run.join("args.toml")).unwrap();
    fs::write(run.join("args.toml"), args.replace("ema = 0.9", "ema = 0.8")).unwrap();
    let message = "`ema` is 0.8, but the run was trained with 0.9; put the old value back";
    ends(trainer(scratch.path(), &["replay", folder, "--quiet"]), 4, message);
}

#[test]
fn a_replay_of_a_run_with_epochs_added_compares_those_before() {
    let scratch = tempfile::tempdir().unwrap();
    let run = quick(scratch.path(), &["--schedule", "cosine"]);
    let folder = run.to_str().unwrap();
    ends_well(trainer(scratch.path(), &["resume", folder, "--epochs", "4", "--quiet"]));
    let output = ends_well(trainer(scratch.path(), &["replay", folder, "--quiet"]));
    assert_eq!(stdout(&output).lines().count(), 2, "{}", stdout(&output));
    let text = stderr(&output);
    assert!(text.contains("from step 10 on the run is not bit-exact (epochs 4 instead of 2)"), "{text}");
}

#[test]
fn a_replay_knows_of_added_epochs_when_the_checkpoints_are_gone() {
    let scratch = tempfile::tempdir().unwrap();
    let run = quick(scratch.path(), &["--schedule", "cosine"]);
    let folder = run.to_str().unwrap();
    ends_well(trainer(scratch.path(), &["resume", folder, "--epochs", "4", "--quiet"]));
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    let output = ends_well(trainer(scratch.path(), &["replay", folder, "--quiet"]));
    assert_eq!(stdout(&output).lines().count(), 2, "{}", stdout(&output));
    assert!(stderr(&output).contains("(epochs 4 instead of 2)"), "{}", stderr(&output));

    let args = fs::read_to_string(run.join("args.toml")).unwrap();
    fs::write(run.join("args.toml"), args.replace("lr = 0.001", "lr = 0.002")).unwrap();
    let message = "`lr` is 0.002, but the run was trained with 0.001; put the old value back";
    ends(trainer(scratch.path(), &["replay", folder, "--quiet"]), 4, message);
    fs::write(run.join("args.toml"), args).unwrap();
    let metrics = fs::read_to_string(run.join("metrics.json")).unwrap();
    fs::write(run.join("metrics.json"), metrics.replace("\"was\"", "\"before\"")).unwrap();
    ends(trainer(scratch.path(), &["replay", folder, "--quiet"]), 4, "metrics.json`: `changes`: not what a run writes");
    fs::remove_file(run.join("metrics.json")).unwrap();
    let message = "`epochs` is 4, but the run was trained with 2; put the old value back";
    ends(trainer(scratch.path(), &["replay", folder, "--quiet"]), 4, message);
}

#[test]
fn a_run_whose_device_is_gone_goes_on_and_is_measured_elsewhere() {
    let scratch = tempfile::tempdir().unwrap();
    let run = quick(scratch.path(), &["--device", "cpu"]);
    let folder = run.to_str().unwrap();
    let args = fs::read_to_string(run.join("args.toml")).unwrap();
    // No machine has so many.
    fs::write(run.join("args.toml"), args.replace("device = \"cpu\"", "device = \"wgpu:999\"")).unwrap();
    ends(trainer(scratch.path(), &["resume", folder, "--epochs", "3", "--quiet"]), 2, "--device wgpu:999: ");
    ends_well(trainer(scratch.path(), &["eval", folder, "--device", "cpu"]));
    ends_well(trainer(scratch.path(), &["resume", folder, "--epochs", "3", "--device", "cpu", "--quiet"]));
    let args = fs::read_to_string(run.join("args.toml")).unwrap();
    assert!(args.contains("device = \"cpu\"") && args.contains("epochs = 3"), "{args}");
}

/// A run as it is before its first checkpoint.
fn unsaved(scratch: &Path, more: &[&str]) -> PathBuf {
    let run = quick(scratch, more);
    for file in ["metrics.json", "results.csv"] {
        fs::remove_file(run.join(file)).unwrap();
    }
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    run
}

#[test]
fn a_run_that_begins_again_is_trained_by_what_it_began_with() {
    let scratch = tempfile::tempdir().unwrap();
    let run = unsaved(scratch.path(), &[]);
    let resume = ["resume", run.to_str().unwrap(), "--quiet"];
    let (args, split) = ["args.toml", "split.csv"].map(|file| fs::read_to_string(run.join(file)).unwrap()).into();
    let made_from: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!((&made_from["v"], &made_from["settings"]["lr"]), (&2.into(), &"0.001".into()));
    let edited = args.replace("lr = 0.001", "lr = 0.002");
    fs::write(run.join("args.toml"), &edited).unwrap();
    let message = "args.toml`: `lr` is 0.002, but the run was trained with 0.001; put the old value back";
    ends(trainer(scratch.path(), &resume), 4, message);
    fs::write(run.join("args.toml"), args.replace("epochs = 2", "epochs = 3")).unwrap();
    ends(trainer(scratch.path(), &resume), 4, "give --epochs 3 to go on with that");
    // What lies where, and how many threads read it, is free.
    fs::write(run.join("args.toml"), args.replace("workers = 1", "workers = 2")).unwrap();
    fs::write(run.join("split.csv"), split.replacen("train", "val", 1)).unwrap();
    ends(trainer(scratch.path(), &resume), 4, "split.csv`: `split.csv` is sha256 ");
    fs::write(run.join("split.csv"), split).unwrap();
    let text = stderr(&ends_well(trainer(scratch.path(), &[&resume[..], &["--epochs", "3"]].concat())));
    assert!(text.contains("changed: --epochs 3 instead of 2\n"), "{text}");
    ends_well(trainer(scratch.path(), &["replay", run.to_str().unwrap(), "--quiet"]));
    let made_from: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(made_from["settings"]["epochs"], "3", "run.json is of the run that has begun again");
}

#[test]
fn the_first_version_of_run_json_knows_edited_options_by_their_hash() {
    let scratch = tempfile::tempdir().unwrap();
    let run = unsaved(scratch.path(), &[]);
    let resume = ["resume", run.to_str().unwrap(), "--quiet"];
    let mut made_from: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    made_from["v"] = 1.into();
    made_from.as_object_mut().unwrap().remove("settings");
    fs::write(run.join("run.json"), made_from.to_string()).unwrap();
    let args = fs::read_to_string(run.join("args.toml")).unwrap();
    fs::write(run.join("args.toml"), args.replace("lr = 0.001", "lr = 0.002")).unwrap();
    let message =
        format!("but the run began with {}; put the old file back", made_from["config_sha256"].as_str().unwrap());
    ends(trainer(scratch.path(), &resume), 4, &message);
    fs::write(run.join("args.toml"), args).unwrap();
    ends_well(trainer(scratch.path(), &resume));
}

// Only the kernels are known to cut their sums by the number of threads.
#[cfg(feature = "flex")]
#[test]
fn a_replay_computes_with_as_many_threads_as_the_run_and_says_where_it_must_not() {
    let scratch = tempfile::tempdir().unwrap();
    let with_threads = |threads: &str, arguments: &[&str]| {
        let mut command = command(scratch.path(), arguments);
        command.env("RAYON_NUM_THREADS", threads).output().unwrap()
    };
    let cnn = ["train", "digits", "--model", "cnn", "--filters", "8,16", "--limit", "300", "--epochs", "1", "--quiet"];
    ends_well(with_threads("3", &cnn));
    let run = only(scratch.path());
    let folder = run.to_str().unwrap();
    let made_from: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(made_from["machine"]["threads"], 3);
    ends_well(trainer(scratch.path(), &["replay", folder, "--quiet"]));
    ends(with_threads("1", &["replay", folder, "--quiet"]), 6, "what is other here: compute threads: 3 then, 1 now");
}

#[cfg(target_os = "linux")]
#[test]
fn a_batch_that_no_memory_holds_is_refused_before_a_folder_is_made() {
    let scratch = tempfile::tempdir().unwrap();
    let output = trainer(
        scratch.path(),
        &[
            "train",
            "digits",
            "--imgsz",
            "128",
            "--filters",
            "16384,1",
            "--norm",
            "batch",
            "--batch",
            "100000",
            "--quiet",
        ],
    );
    ends(output, 7, "--batch: a step of 1294 samples takes about ");
    assert!(!scratch.path().join("runs").exists());
}

#[test]
fn a_run_that_diverges_exits_with_5_and_names_the_layer() {
    let scratch = tempfile::tempdir().unwrap();
    let diverge = ["--lr", "1e30", "--activation", "none", "--hidden", "16,8"];
    ends(trainer(scratch.path(), &[&QUICK[..], &diverge].concat()), 5, "the outputs of layer `hidden.1.linear` are ");
    ends(trainer(scratch.path(), &[&QUICK[..], &["--on-nan", "skp"]].concat()), 2, "did you mean `skip`?");
}

#[test]
fn an_epoch_that_the_clock_cut_short_is_not_compared() {
    let scratch = tempfile::tempdir().unwrap();
    let run = quick(scratch.path(), &["--time", "0.000001s"]);
    ends(
        trainer(scratch.path(), &["replay", run.to_str().unwrap()]),
        4,
        "expected at least one whole epoch, found none",
    );
}
