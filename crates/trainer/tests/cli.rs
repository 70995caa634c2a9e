//! The `trainer` binary as its users type it: files it leaves, numbers it prints, exit codes.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A run in a scratch folder: two epochs of a small MLP on a part of the digits, quick but real.
const QUICK: [&str; 11] =
    ["train", "digits", "--model", "mlp", "--hidden", "32", "--limit", "400", "--epochs", "2", "--quiet"];

fn trainer(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STRIATE_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn succeeds(output: Output) -> Output {
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    output
}

#[track_caller]
fn fails(output: Output, expected: i32, message: &str) {
    let text = stderr(&output);
    assert_eq!(code(&output), expected, "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: ") && last.contains(message), "expected `{message}` in: {text}");
    assert!(!text.contains("panicked"), "{text}");
}

fn quick(folder: &Path, more: &[&str]) -> PathBuf {
    succeeds(trainer(folder, &[&QUICK[..], more].concat()));
    newest(folder)
}

fn newest(folder: &Path) -> PathBuf {
    let mut runs: Vec<PathBuf> =
        fs::read_dir(folder.join("runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    runs.sort_by_key(|path| fs::metadata(path).unwrap().created().unwrap());
    runs.pop().unwrap()
}

#[test]
fn a_run_leaves_the_files_that_it_promises() {
    let scratch = tempfile::tempdir().unwrap();
    let output = succeeds(trainer(scratch.path(), &QUICK));
    let text = stdout(&output);
    assert!(text.contains("test     held out") && text.contains("try next"), "{text}");
    let run = scratch.path().join("runs/digits-mlp");
    for file in [
        "args.toml",
        "split.csv",
        "results.csv",
        "metrics.json",
        "weights/best.safetensors",
        "weights/last.safetensors",
    ] {
        assert!(run.join(file).is_file(), "{file}");
    }
    assert_eq!(fs::read_to_string(run.join("results.csv")).unwrap().lines().count(), 3);
    quick(scratch.path(), &[]);
    assert!(scratch.path().join("runs/digits-mlp-2").is_dir(), "a second run has a folder of its own");
}

#[test]
fn the_saved_options_train_the_same_weights_again() {
    let scratch = tempfile::tempdir().unwrap();
    let first = quick(scratch.path(), &["--seed", "3", "--dropout", "0.2", "--augment", "light", "--workers", "2"]);
    let args = first.join("args.toml");
    succeeds(trainer(
        scratch.path(),
        &["train", "--recipe", args.to_str().unwrap(), "--name", "again", "--workers", "0", "--quiet"],
    ));
    let weights = |run: &Path| fs::read(run.join("weights/last.safetensors")).unwrap();
    assert!(weights(&first) == weights(&scratch.path().join("runs/again")), "the weights differ");
}

// Other CPU backends take many times as long for the integers of augmentation.
#[cfg(feature = "flex")]
#[test]
fn where_the_data_lies_is_said_and_changes_nothing_that_is_left() {
    let scratch = tempfile::tempdir().unwrap();
    let flags = ["--augment", "light,mixup", "--drop-last", "--device", "cpu"];
    let first = quick(scratch.path(), &flags);
    let loud: Vec<&str> = QUICK.into_iter().filter(|flag| *flag != "--quiet").collect();
    let there = trainer(scratch.path(), &[&loud[..], &flags, &["--data-on", "device"]].concat());
    let text = stderr(&succeeds(there));
    assert!(text.contains("inputs   on ") && text.contains("KiB: batches are made there"), "{text}");
    let there = newest(scratch.path());
    for file in ["weights/last.safetensors", "weights/best.safetensors"] {
        assert!(fs::read(first.join(file)).unwrap() == fs::read(there.join(file)).unwrap(), "{file}");
    }
    // A run goes on with its data elsewhere, and without anything to record.
    let resume = ["resume", there.to_str().unwrap(), "--epochs", "3", "--quiet", "--data-on"];
    succeeds(trainer(scratch.path(), &[&resume[..], &["host"]].concat()));
    let metrics: Value = serde_json::from_slice(&fs::read(there.join("metrics.json")).unwrap()).unwrap();
    assert_eq!(metrics["changes"].as_array().unwrap().len(), 1, "{metrics}");

    let refused = |more: &[&str], why: &str| fails(trainer(scratch.path(), &[&QUICK[..], more].concat()), 2, why);
    refused(&["--data-on", "nowhere"], "--data-on: expected auto, host or device, found `nowhere`");
    let table = scratch.path().join("t.csv");
    fs::write(&table, (0..60).map(|row| format!("{},{}\n", row * 7 % 11, row % 3)).collect::<String>()).unwrap();
    let train = ["train", table.to_str().unwrap(), "--label", "2", "--augment", "mixup", "--data-on", "device"];
    fails(trainer(scratch.path(), &train), 2, "--data-on device: devices don't blend features of tables");
}

#[test]
fn eval_measures_what_training_reported() {
    let scratch = tempfile::tempdir().unwrap();
    let run = quick(scratch.path(), &[]);
    let metrics: Value = serde_json::from_slice(&fs::read(run.join("metrics.json")).unwrap()).unwrap();
    let predictions = scratch.path().join("p.csv");
    let arguments =
        ["eval", run.to_str().unwrap(), "--format", "json", "--save-predictions", predictions.to_str().unwrap()];
    let output = succeeds(trainer(scratch.path(), &arguments));
    let result: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(result["metrics"], metrics["test"]);
    let rows = fs::read_to_string(predictions).unwrap().lines().count();
    assert_eq!(rows as u64, result["samples"].as_u64().unwrap() + 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_an_output_is_said_and_no_panic() {
    let scratch = tempfile::tempdir().unwrap();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    let output = command.args(["inspect", "mlp"]).stdout(full()).output().unwrap();
    fails(output, 7, "cannot write to standard output");
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    let status = command
        .args(&QUICK[..10])
        .current_dir(scratch.path())
        .stderr(full())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0), "a log that can't be written stops no training");
    let run = newest(scratch.path());
    fails(
        trainer(scratch.path(), &["eval", run.to_str().unwrap(), "--save-predictions", "/dev/full"]),
        7,
        "cannot write `/dev/full`",
    );
    assert!(!fs::metadata("/dev/full").unwrap().is_file(), "a device is not replaced");
    let folder = scratch.path().to_str().unwrap();
    fails(trainer(scratch.path(), &["eval", run.to_str().unwrap(), "--save-predictions", folder]), 2, folder);
}

#[test]
fn data_on_the_command_line_wins_over_the_environment() {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.current_dir(scratch.path()).env("STRIATE_DATA", "/no/such/place");
    let output = succeeds(command.args(["train", "digits", "--print-config", "--format", "json"]).output().unwrap());
    let options: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(options["data"], "digits");
}

#[test]
fn resuming_with_more_epochs_goes_on_where_the_run_ended() {
    let scratch = tempfile::tempdir().unwrap();
    let run = quick(scratch.path(), &["--schedule", "constant"]);
    succeeds(trainer(scratch.path(), &["resume", run.to_str().unwrap(), "--epochs", "3", "--quiet"]));
    assert_eq!(fs::read_to_string(run.join("results.csv")).unwrap().lines().count(), 4);
    let straight = quick(scratch.path(), &["--schedule", "constant", "--epochs", "3", "--name", "straight"]);
    let tensors = |run: &Path| {
        let bytes = fs::read(run.join("weights/last.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors: Vec<(String, Vec<u8>)> =
            file.iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect();
        tensors.sort();
        tensors
    };
    assert!(tensors(&run) == tensors(&straight), "two epochs and one more are not three");
    // What was given anew is kept, and the model files say the same of their making.
    let epochs = |run: &Path| {
        let args: toml::Table = fs::read_to_string(run.join("args.toml")).unwrap().parse().unwrap();
        (args["epochs"].as_integer(), args["limit"].as_integer())
    };
    assert_eq!((epochs(&run), epochs(&straight)), ((Some(3), Some(400)), (Some(3), Some(400))));
    let bytes = |run: &Path| fs::read(run.join("weights/last.safetensors")).unwrap();
    assert!(bytes(&run) == bytes(&straight), "the model files differ");
}

#[test]
fn a_run_that_has_reached_its_target_keeps_it_when_it_is_resumed() {
    let scratch = tempfile::tempdir().unwrap();
    let run = quick(scratch.path(), &["--target", "accuracy=0.2"]);
    succeeds(trainer(scratch.path(), &["resume", run.to_str().unwrap(), "--quiet"]));
}

#[test]
fn a_wrong_command_line_exits_with_2_and_says_why() {
    let scratch = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| trainer(scratch.path(), arguments);
    assert_eq!(code(&run(&["trian"])), 2);
    assert_eq!(code(&run(&["train", "--epocs", "3"])), 2);
    fails(run(&["train", "--model", "cnm"]), 2, "did you mean `cnn`?");
    fails(run(&["train", "--epochs", "0"]), 2, "--epochs: expected at least 1");
    fails(run(&["train", "--epochs", "5000000000"]), 2, "--epochs: expected at most");
    fails(run(&["train", "--seed", "18446744073709551615"]), 2, "at most 9223372036854775807");
    fails(run(&["train", "--lr", "0"]), 2, "--lr");
    fails(run(&["train", "--lr", "-1"]), 2, "--lr: expected a number above 0, found -1");
    fails(run(&["train", "--target", "acuracy=0.9"]), 2, "did you mean `accuracy`?");
    fails(run(&["train", "--optimizer", "adamx"]), 2, "adamx");
    fails(run(&["train", "--time", "soon"]), 2, "--time");
    let recipe = scratch.path().join("r.toml");
    fs::write(&recipe, "epoch = 3").unwrap();
    fails(run(&["train", "--recipe", recipe.to_str().unwrap()]), 2, "did you mean `epochs`?");
    assert!(!scratch.path().join("runs").exists(), "a refused run leaves no folder");
}

#[test]
fn data_that_is_not_there_exits_with_3() {
    let scratch = tempfile::tempdir().unwrap();
    fails(trainer(scratch.path(), &["train", "nowhere"]), 3, "nowhere");
}

#[test]
fn a_file_that_is_no_model_exits_with_4() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("m.safetensors");
    fs::write(&file, b"nonsense").unwrap();
    fails(trainer(scratch.path(), &["eval", file.to_str().unwrap(), "digits"]), 4, "m.safetensors");
    fails(trainer(scratch.path(), &["inspect", file.to_str().unwrap()]), 4, "m.safetensors");
}

#[test]
fn a_diverging_run_exits_with_5_and_keeps_no_best() {
    let scratch = tempfile::tempdir().unwrap();
    let arguments = [&QUICK[..], &["--optimizer", "sgd", "--lr", "1e30"]].concat();
    fails(trainer(scratch.path(), &arguments), 5, "diverged at step");
}

#[test]
fn a_missed_target_exits_with_6_and_a_reached_one_ends_early() {
    let scratch = tempfile::tempdir().unwrap();
    fails(trainer(scratch.path(), &[&QUICK[..], &["--target", "accuracy=1.0"]].concat()), 6, "accuracy");
    let run = quick(scratch.path(), &["--epochs", "50", "--target", "accuracy=0.5"]);
    assert!(fs::read_to_string(run.join("results.csv")).unwrap().lines().count() < 40);
}

#[test]
fn flags_win_over_environment_over_recipe() {
    let scratch = tempfile::tempdir().unwrap();
    let recipe = scratch.path().join("r.toml");
    fs::write(&recipe, "epochs = 3\nbatch = 16\nlr = 0.5\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_trainer"))
        .current_dir(scratch.path())
        .env("STRIATE_EPOCHS", "4")
        .env("STRIATE_BATCH", "32")
        .env("STRIATE_DATA", "nowhere")
        .args([
            "train",
            "--optimizer",
            "sgd",
            "--nesterov",
            "digits",
            "--recipe",
            recipe.to_str().unwrap(),
            "--batch",
            "64",
            "--print-config",
        ])
        .output()
        .unwrap();
    let table: toml::Table = stdout(&succeeds(output)).parse().unwrap();
    assert_eq!(table["epochs"].as_integer(), Some(4));
    assert_eq!(table["batch"].as_integer(), Some(64));
    assert_eq!(table["lr"].as_float(), Some(0.5));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_exits_with_130_and_resumes_to_the_same_weights() {
    let scratch = tempfile::tempdir().unwrap();
    let arguments = [
        "train",
        "digits",
        "--model",
        "mlp",
        "--hidden",
        "64",
        "--epochs",
        "6",
        "--batch",
        "8",
        "--dropout",
        "0.1",
        "--quiet",
    ];
    let straight = {
        succeeds(trainer(scratch.path(), &[&arguments[..], &["--name", "straight"]].concat()));
        scratch.path().join("runs/straight")
    };
    let child = Command::new(env!("CARGO_BIN_EXE_trainer"))
        .current_dir(scratch.path())
        .args(arguments)
        .args(["--name", "stopped"])
        .spawn()
        .unwrap();
    let run = scratch.path().join("runs/stopped");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !run.join("results.csv").exists() && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130);
    succeeds(trainer(scratch.path(), &["resume", run.to_str().unwrap(), "--quiet"]));
    let weights = |run: &Path| fs::read(run.join("weights/last.safetensors")).unwrap();
    assert!(weights(&run) == weights(&straight), "resuming gave other weights");
}

#[test]
fn query_commands_have_a_form_for_programs() {
    let scratch = tempfile::tempdir().unwrap();
    for arguments in [
        &["devices", "--format", "json"][..],
        &["data", "info", "digits", "--format", "json"],
        &["inspect", "resnet20", "--imgsz", "3x32x32", "--format", "json"],
    ] {
        let output = succeeds(trainer(scratch.path(), arguments));
        let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(value["v"], 1, "{arguments:?}");
    }
}

#[test]
fn a_network_is_listed_with_two_operations_for_each_product() {
    let scratch = tempfile::tempdir().unwrap();
    let inspect = |more: &[&str]| stdout(&succeeds(trainer(scratch.path(), &[&["inspect", "lenet5"], more].concat())));
    let value: Value = serde_json::from_str(&inspect(&["--imgsz", "28", "--format", "json"])).unwrap();
    // LeCun's layers: 5x5 kernels on 28x28 and 10x10 places, then 400-120-84-10.
    let products = [28 * 28 * 6 * 25, 0, 10 * 10 * 16 * 6 * 25, 0, 0, 400 * 120, 120 * 84, 84 * 10];
    let layers = value["layers"].as_array().unwrap();
    let found: Vec<_> = layers.iter().map(|layer| [&layer["multiply_adds"], &layer["flops"]]).collect();
    assert_eq!(found, products.map(|count| [count, 2 * count].map(Value::from)).each_ref().map(|[a, b]| [a, b]));
    let all = products.iter().sum::<u64>();
    assert_eq!(value["total"], serde_json::json!({ "parameters": 61_706, "multiply_adds": all, "flops": 2 * all }));
    let text = inspect(&["--imgsz", "28"]);
    assert!(text.contains("FLOPs") && text.contains("833,040"), "{text}");
}

#[test]
fn a_recipe_sets_every_constant_of_optimizer_and_schedule() {
    let scratch = tempfile::tempdir().unwrap();
    let recipe = scratch.path().join("r.toml");
    let run = |text: &str| {
        fs::write(&recipe, text).unwrap();
        trainer(scratch.path(), &[&QUICK[..], &["--recipe", recipe.to_str().unwrap()]].concat())
    };
    let optimizer = "[optimizer]\nname = \"adam\"\nbeta2 = 0.95\n";
    succeeds(run(&format!("{optimizer}[schedule]\nname = \"one_cycle\"\npct_start = 0.1\n")));
    let saved: toml::Table = fs::read_to_string(newest(scratch.path()).join("args.toml")).unwrap().parse().unwrap();
    assert_eq!(saved["optimizer"]["beta2"].as_float(), Some(0.95));
    fails(run("[optimizer]\nname = \"adam\"\nbeta3 = 0.95\n"), 2, "beta3");
    fails(run("[schedule]\nname = \"cosine\"\npct_start = 0.1\n"), 2, "schedule");
}

// Networks of fifty layers in Burn's own operations take `ndarray` the better part of an hour.
#[cfg(feature = "flex")]
#[test]
fn this_machines_devices_compute_what_they_should() {
    let scratch = tempfile::tempdir().unwrap();
    let output = succeeds(trainer(scratch.path(), &["devices", "--check", "--format", "json"]));
    let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(value["passed"], true, "{value}");
    let checks = value["checks"].as_array().unwrap();
    for part in ["operation", "layer", "preset", "loss", "optimizer", "training"] {
        let mine: Vec<_> = checks.iter().filter(|check| check["part"] == part).collect();
        let limit = value["limits"][part]["output"].as_f64().unwrap();
        assert!(
            mine.len() >= 5 && mine.iter().all(|check| check["output"].as_f64().unwrap() <= limit),
            "{part}: {value}"
        );
    }
    fails(trainer(scratch.path(), &["devices", "--check", "--device", "gpuu"]), 2, "gpuu");
}
