//! The same code on a GPU: what it computes, learns, saves and refuses, beside the CPU. Runs wherever a driver answers, one in software too
//! (Debian's mesa-vulkan-drivers), and says so where none does: `cargo xtask check --gpu` looks first. Batches are of 8 at most: a driver in
//! software is slow.
#![cfg(all(feature = "wgpu", feature = "flex"))]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod program;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use data::{Loader, OpenOptions};
use device::Selected;
use models::{Model, ModelConfig, ModelFile, Pass};
use program::{ends, trainer};
use serde_json::Value;
use tasks::Task;
use trainer::ema::Ema;
use trainer::optimizer::{Optimizer, OptimizerConfig};
use trainer::parity::{self, Part, parity};
use trainer::{Checkpoint, Error, Event, Job, RunFolder, Seen, TrainConfig};

/// The GPU, if there is one.
fn gpu() -> Option<Selected> {
    match device::select("wgpu") {
        Ok(selected) => Some(selected),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = trainer(folder, arguments);
    ends(output.clone(), 0, "");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn it_computes_what_the_cpu_does() {
    let Some(gpu) = gpu() else { return };
    let checks = parity(&gpu.device, &device::select("flex").unwrap().device, &mut |check| {
        let gradient = check.gradient.map_or_else(|| "-".to_owned(), |gradient| format!("{gradient:.1e}"));
        println!("{:<9} {:<45} {:.1e} {gradient}", check.part.name(), check.name, check.output);
    });
    for part in [Part::Batch, Part::Operation, Part::Layer, Part::Preset, Part::Loss, Part::Optimizer, Part::Training] {
        assert!(checks.iter().any(|check| check.part == part), "{part:?} was left out");
    }
    let wrong: Vec<_> = checks.iter().filter(|check| !check.passed()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Two devices that agree to the bit were one.
    assert!(checks.iter().any(|check| ![Part::Batch, Part::Operation].contains(&check.part) && check.output > 0.0));
}

#[test]
fn it_is_listed_with_its_driver_and_auto_takes_no_software() {
    let Some(gpu) = gpu() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let listed = json(scratch.path(), &["devices", "--format", "json"]);
    let mut rows = listed["devices"].as_array().unwrap().iter();
    let row = rows.find(|row| row["backend"] == "wgpu").unwrap();
    assert_eq!((row["usable"].as_bool(), row["hardware"].as_str()), (Some(true), Some(gpu.hardware.as_str())));
    for (key, known) in [("api", &gpu.card.api), ("driver", &gpu.card.driver)] {
        assert!(!known.is_empty() && row["card"][key] == known.as_str(), "{row}");
    }
    assert!(row["card"]["precision"].as_array().unwrap().contains(&"f32".into()), "{row}");
    if gpu.card.kind == device::Kind::Software {
        assert_eq!((row["card"]["kind"].as_str(), row["default"].as_bool()), (Some("software"), Some(false)));
        let auto = device::select("auto").unwrap();
        assert_eq!(auto.name, "flex");
        assert!(auto.note.unwrap().starts_with("no usable GPU (wgpu: none found"));
    }
}

#[test]
fn a_device_that_is_not_there_is_an_error_of_usage() {
    let scratch = tempfile::tempdir().unwrap();
    let refused = |device: &str, says: &str| {
        ends(trainer(scratch.path(), &["train", "digits", "--device", device]), 2, says);
        ends(trainer(scratch.path(), &["devices", "--check", "--device", device]), 2, says);
    };
    refused("wgpu:99", "--device wgpu:99: not usable on this machine (");
    refused("wgpu:x", "expected a number from 0 after the colon, such as wgpu:0");
    refused("cuda", "build again with `--features cuda` to add cuda");
    assert!(!scratch.path().join("runs").exists());
}

#[test]
fn without_a_driver_it_is_an_error_and_a_run_goes_on_elsewhere() {
    let scratch = tempfile::tempdir().unwrap();
    if gpu().is_none() {
        return;
    }
    let run = train(scratch.path(), "wgpu", &["--epochs", "1", "--schedule", "constant"]);
    let resume = |more: &[&str]| {
        let mut command =
            program::command(scratch.path(), &[&["resume", run.to_str().unwrap(), "--quiet"], more].concat());
        // Both names of the variable by which Vulkan's loader finds drivers, and that of OpenGL's, which wgpu asks next.
        let names = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "__EGL_VENDOR_LIBRARY_DIRS"];
        command.envs(names.map(|name| (name, "/nowhere"))).output().unwrap()
    };
    ends(resume(&["--epochs", "2"]), 2, "no GPU with a working driver was found");
    ends(resume(&["--epochs", "2", "--device", "cpu"]), 0, "");
}

/// A small network that has everything: convolutions, batch normalisation, dropout. The run is called like the device.
fn train(folder: &Path, device: &str, more: &[&str]) -> PathBuf {
    named(folder, device, device, more)
}

fn named(folder: &Path, name: &str, device: &str, more: &[&str]) -> PathBuf {
    let arguments = [
        "train",
        "digits",
        "--model",
        "cnn",
        "--filters",
        "16,32",
        "--norm",
        "batch",
        "--dropout",
        "0.2",
        "--hidden",
        "32",
        "--optimizer",
        "adamw",
        "--lr",
        "0.003",
        "--batch",
        "8",
        "--quiet",
        "--runs",
        "runs",
        "--name",
        name,
        "--device",
        device,
    ];
    ends(trainer(folder, &[&arguments[..], more].concat()), 0, "");
    folder.join("runs").join(name)
}

fn accuracy(run: &Path) -> f64 {
    let metrics: Value = serde_json::from_slice(&fs::read(run.join("metrics.json")).unwrap()).unwrap();
    metrics["test"]["values"]["accuracy"].as_f64().unwrap()
}

#[test]
fn it_learns_the_digits_as_well_and_its_files_predict_the_same_on_both() {
    if gpu().is_none() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let runs = ["wgpu", "cpu"].map(|device| train(scratch.path(), device, &["--epochs", "6"]));
    let found = runs.each_ref().map(|run| accuracy(run));
    println!("accuracy on wgpu and on the CPU: {found:?}");
    assert!(found[0] >= 0.96 && (found[0] - found[1]).abs() < 0.02, "{found:?}");
    for run in &runs {
        let [gpu, cpu] = ["wgpu", "cpu"].map(|device| probabilities(scratch.path(), run, device));
        assert_eq!(gpu.len(), cpu.len());
        assert!(gpu.len() > 3000, "a probability for each class of each sample of the test split: {}", gpu.len());
        let apart = gpu.iter().zip(&cpu).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-4 && apart > 0.0, "{apart}");
    }
}

fn probabilities(folder: &Path, run: &Path, device: &str) -> Vec<f64> {
    let table = folder.join(format!("{device}.csv"));
    let run = run.to_str().unwrap();
    let to = ["--batch", "8", "--save-predictions", table.to_str().unwrap()];
    ends(trainer(folder, &[&["eval", run, "--device", device][..], &to].concat()), 0, "");
    let mut reader = csv::Reader::from_path(table).unwrap();
    let rows = reader.records().map(Result::unwrap);
    rows.flat_map(|row| row.iter().skip(3).map(|cell| cell.parse().unwrap()).collect::<Vec<_>>()).collect()
}

#[test]
fn a_run_goes_on_where_the_other_device_left_it() {
    if gpu().is_none() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    // Without dropout's masks and rates that depend on the number of epochs, the only difference is rounding.
    let same = ["--limit", "400", "--schedule", "constant", "--optimizer", "sgd", "--lr", "0.01", "--clip-norm", "0.5"];
    let straight = weights(&train(scratch.path(), "cpu", &[&same[..], &["--epochs", "2"]].concat()));
    for (first, then) in [("wgpu", "cpu"), ("flex", "wgpu")] {
        let run = train(scratch.path(), first, &[&same[..], &["--epochs", "1"]].concat());
        let resume = ["resume", run.to_str().unwrap(), "--epochs", "2", "--device", then, "--quiet"];
        ends(trainer(scratch.path(), &resume), 0, "");
        let resumed = weights(&run);
        let apart = straight.iter().map(|(name, expected)| kernels::difference(&resumed[name], expected));
        let apart = apart.fold(0.0, f64::max);
        println!("{first}, then {then}: weights {apart:.1e} from those of the CPU alone");
        assert!(apart < 1e-2 && apart > 0.0, "{first}, then {then}: {apart}");
        let results = fs::read_to_string(run.join("results.csv")).unwrap();
        assert_eq!(results.lines().count(), 3, "{results}");
    }
}

#[test]
fn a_data_set_that_lies_on_it_and_half_precision_learn_as_well() {
    let Some(gpu) = gpu() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let run =
        |name: &str, more: &[&str]| named(scratch.path(), name, "wgpu", &[&["--augment", "light"], more].concat());
    let short = ["--limit", "400", "--epochs", "1", "--optimizer", "sgd", "--lr", "0.01", "--data-on"];
    let [there, here] = ["device", "host"].map(|on| weights(&run(on, &[&short[..], &[on]].concat())));
    for (name, expected) in &here {
        let apart = kernels::difference(&there[name], expected);
        assert!(apart < 1e-5, "`{name}` by {apart:.1e}: batches that are made on the device are those of the host");
    }
    for precision in ["f16", "bf16"].into_iter().filter(|name| gpu.card.precision.contains(name)) {
        let whole = ["--epochs", "6", "--data-on", "device", "--precision", precision];
        let accuracy = accuracy(&run(precision, &whole));
        println!("accuracy in {precision}: {accuracy}");
        assert!(accuracy >= 0.96, "{precision}: {accuracy}");
    }
}

/// A network of which a batch of 64 has outputs of 144 MiB, more than what lavapipe gives at once.
const WIDE: [&str; 12] =
    ["digits", "--imgsz", "96", "--filters", "64", "--hidden", "8", "--epochs", "1", "--device", "wgpu", "--quiet"];

#[test]
fn a_batch_that_is_too_large_is_7_and_its_half_is_taken_where_that_is_asked_for() {
    if gpu().is_none_or(|gpu| gpu.card.kind != device::Kind::Software) {
        return eprintln!("skipped: how much memory a real GPU gives at once is its own");
    }
    let scratch = tempfile::tempdir().unwrap();
    let trained = |more: &[&str]| trainer(scratch.path(), &[&["train"], &WIDE[..], more].concat());
    let wide = |more: &[&str]| trained(&[&["--limit", "90"], more].concat());
    let says = "--batch: the device has too little memory for a step of 64 samples, which takes about ";
    ends(wide(&["--batch", "64"]), 7, says);
    ends(wide(&["--batch", "64", "--halve-batch", "--name", "half"]), 0, "");
    let args = fs::read_to_string(scratch.path().join("runs/half/args.toml")).unwrap();
    assert!(args.contains("batch = 32\n") && args.contains("accumulate = 2\n"), "{args}");
    assert!(!args.contains("halve"), "what was asked is answered: {args}");
    // Where measuring is what doesn't fit, no half would.
    let says = "the device has too little memory for 256 samples at once (";
    ends(trained(&["--batch", "8", "--val", "0.2", "--halve-batch"]), 7, says);
    let eval = ["eval", "runs/half", "--on", "all", "--device", "wgpu", "--batch", "64"];
    ends(trainer(scratch.path(), &eval), 7, "the device has too little memory for 64 samples at once (");
}

#[test]
fn a_rehearsal_leaves_no_memory_taken() {
    let Some(gpu) = gpu() else { return };
    let dataset = Arc::new(data::open(Path::new("digits"), &OpenOptions::default()).unwrap());
    let config = TrainConfig {
        batch: 64,
        accumulate: 3,
        ema: Some(0.9),
        ..TrainConfig::new(ModelConfig::preset("cnn").unwrap())
    };
    let task = Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss).unwrap();
    let Some(before) = gpu.device.memory_pool_usage() else { return eprintln!("skipped: the device doesn't say") };
    trainer::rehearse(&config, &dataset, &task, &gpu.device).unwrap().unwrap();
    let after = gpu.device.memory_pool_usage().unwrap();
    println!("{before:?} before, {after:?} after");
    assert!(after.bytes_reserved <= before.bytes_reserved.max(1 << 20), "{before:?} before, {after:?} after");
}

/// The last weights by name.
fn weights(run: &Path) -> HashMap<String, Vec<f64>> {
    let file = ModelFile::load(&run.join("weights/last.safetensors"), &device::select("cpu").unwrap().device).unwrap();
    let tensors = models::named_tensors(&file.model).into_iter();
    tensors.map(|tensor| (tensor.name, tensor.data.iter::<f64>().collect())).collect()
}

#[test]
fn what_is_kept_of_a_learner_is_what_it_was() {
    let Some(gpu) = gpu() else { return };
    let device = gpu.device.autodiff();
    let dataset = data::open(Path::new("digits"), &OpenOptions { limit: Some(50), ..OpenOptions::default() }).unwrap();
    let preset = ModelConfig::preset("cnn").unwrap();
    let mut model = preset.init(&dataset.input, 10, 1, &device).unwrap();
    let (mut optimizer, mut average) =
        (Optimizer::new(&OptimizerConfig::default(), HashMap::new()), Ema::new(&model, 0.9));
    let [channels, height, width] = dataset.input.shape();
    let inputs = Tensor::<4>::ones([8, channels, height, width], &device);
    let pass = Pass::Train { seed: 1, step: 1, first: 0 };
    let everything = |model: &Model, optimizer: &Optimizer, average: &Ema| -> Vec<(String, TensorData)> {
        let weights = models::named_tensors(model).into_iter().map(|tensor| (tensor.name, tensor.data));
        weights.chain(optimizer.state()).chain(average.state()).collect()
    };
    for _ in 0..3 {
        let before = everything(&model, &optimizer, &average);
        let looked: Vec<Vec<u8>> =
            everything(&model, &optimizer, &average).iter().map(|(_, data)| data.as_bytes().to_vec()).collect();
        let loss = model.forward(inputs.clone(), pass).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(model, gradients, 0.01);
        average.update(&model);
        for ((name, data), then) in before.iter().zip(&looked) {
            assert!(data.as_bytes() == then, "`{name}` moved after it was taken");
        }
        let after = everything(&model, &optimizer, &average);
        let moved = after.iter().zip(&before).filter(|((_, now), (_, then))| now.as_bytes() != then.as_bytes());
        assert!(moved.count() > 0, "a step that moves nothing shows nothing");
    }
}

#[test]
fn too_little_memory_is_7_with_what_fits() {
    if gpu().is_none_or(|gpu| gpu.card.kind != device::Kind::Software && gpu.card.memory.is_none()) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let large = ["--imgsz", "128", "--filters", "16384,1", "--batch", "100000", "--quiet", "--device", "wgpu"];
    let output = trainer(scratch.path(), &[&["train", "digits"][..], &large].concat());
    ends(output, 7, "--batch: a step of 1294 samples takes about ");
}

#[test]
fn a_device_that_is_lost_ends_the_run_with_its_checkpoint_whole() {
    // One that nobody else in this process shares, for it is taken away.
    let mine = burn::tensor::Device::wgpu_options().graphics_api(burn::tensor::wgpu::WgpuBackend::Vulkan);
    let (device, setup) = match mine.init_with_setup() {
        Ok(mine) => mine,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let scratch = tempfile::tempdir().unwrap();
    let run = RunFolder::create(scratch.path(), "run").unwrap();
    let options = OpenOptions { limit: Some(200), ..OpenOptions::default() };
    let dataset = Arc::new(data::open(Path::new("digits"), &options).unwrap());
    let config =
        TrainConfig { epochs: 3, batch: 8, resident: true, ..TrainConfig::new(ModelConfig::preset("mlp").unwrap()) };
    let task = Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss).unwrap();
    let model = config.model.init(&dataset.input, task.outputs(), 1, &device).unwrap();
    let pull = |seen: Seen<'_>| {
        if seen.epoch == 2 {
            setup.device.destroy();
        }
    };
    let job = Job { watch: Some(&pull), ..Job::new(&config, task.clone(), dataset.clone(), device.clone(), &run) };
    let error = trainer::train(job, &|| false, &mut |_: Event| ()).unwrap_err();
    println!("{error}");
    assert!(matches!(error, Error::Device(_)) && error.exit_code() == 1, "{error:?}");
    // Whatever asks it next is told, too.
    let loader = Loader::new(dataset.clone(), vec![0, 1, 2], 3);
    let measured = trainer::evaluate(&model, &task, &loader, &device);
    assert!(matches!(measured, Err(Error::Device(_))), "{measured:?}");
    let warmed = trainer::warm(&config.model, &dataset.input, task.outputs(), 8, &device);
    assert!(matches!(warmed, Err(Error::Device(_))), "{warmed:?}");
    let rehearsed = trainer::rehearse(&config, &dataset, &task, &device);
    assert!(matches!(rehearsed, Err(Error::Device(_))), "{rehearsed:?}");
    // What failed is no wrong number, to be remembered.
    let found = parity::short(&device, &device::select("flex").unwrap().device);
    assert!(found.is_err(), "{found:?}");
    let (checkpoint, notes) = Checkpoint::load_newest(&run.checkpoints()).unwrap();
    assert_eq!((checkpoint.progress.epoch, notes.len()), (1, 0), "what the first epoch saved");
    let config = TrainConfig { resident: false, ..config };
    let cpu = device::select("cpu").unwrap().device;
    let job = Job { resume: Some(checkpoint), ..Job::new(&config, task, dataset, cpu, &run) };
    let report = trainer::train(job, &|| false, &mut |_: Event| ()).unwrap();
    assert_eq!(report.epochs, 3);
}
