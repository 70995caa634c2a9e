//! Training in 16 bits: that it learns as f32 does, what an overflow leads to, and that going on from a checkpoint gives the same bits.
// Other CPU backends have no 16 bits.
#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod program;
mod stateful;

use std::cell::Cell;
use std::fs;
use std::sync::Arc;

use data::{Augment, Dataset, Samples};
use models::{MlpConfig, ModelConfig, Precision};
use tasks::Task;
use tempfile::TempDir;
use trainer::{
    Checkpoint, Ended, Error, Event, Job, LossScale, OnNan, OptimizerConfig, Report, RunFolder, TrainConfig, train,
};

use program::{ends, stderr, trainer};
use stateful::digits;

/// Everything that has a state, in f16; by AdamW, which takes steps that leave the scale alone.
fn config(dataset: &Dataset) -> TrainConfig {
    let optimizer = OptimizerConfig::default();
    TrainConfig {
        epochs: 2,
        precision: Precision::F16,
        lr: optimizer.default_lr(),
        optimizer,
        ..stateful::config(dataset)
    }
}

fn folder() -> (TempDir, RunFolder) {
    let scratch = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(scratch.path(), "run").unwrap();
    (scratch, folder)
}

/// Trains from `resume`, until `stop` steps are done; returns the notes too.
fn sit(
    run: &RunFolder,
    config: &TrainConfig,
    dataset: &Dataset,
    resume: Option<Checkpoint>,
    stop: usize,
) -> (Result<Report, Error>, Vec<String>) {
    let task = Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss).unwrap();
    let device = device::select("flex").unwrap().device;
    let job = Job { resume, ..Job::new(config, task, Arc::new(dataset.clone()), device, run) };
    let (mut notes, asked) = (Vec::new(), Cell::new(0));
    let stop = || asked.replace(asked.get() + 1) + 1 == stop;
    let report = train(job, &stop, &mut |event| {
        if let Event::Note(note) = event {
            notes.push(note);
        }
    });
    (report, notes)
}

fn newest(run: &RunFolder) -> Checkpoint {
    Checkpoint::load_newest(&run.checkpoints()).unwrap().0
}

/// The state after one step, with another scale of the loss.
fn after_one_step(config: &TrainConfig, exponent: u32) -> Checkpoint {
    let (_scratch, run) = folder();
    sit(&run, config, &digits(), None, 1).0.unwrap();
    let mut checkpoint = newest(&run);
    assert_eq!(checkpoint.progress.step, 1);
    checkpoint.progress.loss_scale = Some(LossScale { exponent, good: 7 });
    checkpoint
}

#[test]
fn going_on_from_a_checkpoint_gives_the_same_bits_and_the_same_scale() {
    let dataset = digits();
    for accumulate in [1, 3] {
        let config = TrainConfig { accumulate, ..config(&dataset) };
        let (_one, whole) = folder();
        sit(&whole, &config, &dataset, None, 0).0.unwrap();
        let (_two, parts) = folder();
        let mut resume = None;
        for sitting in 1.. {
            // Each sitting is a step longer than the one before, so that stops are at other places of the epoch.
            let ended = sit(&parts, &config, &dataset, resume, 2 + sitting).0.unwrap().ended;
            resume = Some(newest(&parts));
            if ended != Ended::Interrupted {
                break;
            }
        }
        let [expected, found] = [&whole, &parts].map(newest);
        assert!(expected.progress.loss_scale.is_some_and(|scale| scale.good > 0), "{:?}", expected.progress.loss_scale);
        assert_eq!(found.progress.loss_scale, expected.progress.loss_scale);
        for file in [RunFolder::last, RunFolder::best] {
            assert!(fs::read(file(&parts)).unwrap() == fs::read(file(&whole)).unwrap(), "the weights differ");
        }
        assert!(found.model == expected.model && found.optimizer == expected.optimizer && found.ema == expected.ema);
    }
}

#[test]
fn a_batch_that_overflows_halves_the_scale_and_leaves_no_other_trace() {
    let (config, dataset) = (config(&digits()), digits());
    // No gradient of the digits is below 2^-60 by so much.
    let before = after_one_step(&config, 60);
    let (_scratch, run) = folder();
    let (report, notes) = sit(&run, &config, &dataset, Some(before.clone()), 2);
    assert_eq!(report.unwrap().ended, Ended::Interrupted);
    let after = newest(&run);
    assert_eq!(after.progress.loss_scale, Some(LossScale { exponent: 58, good: 0 }));
    assert!(after.model == before.model && after.optimizer == before.optimizer && after.ema == before.ema);
    let progress = &after.progress;
    assert_eq!((progress.step, progress.batch, progress.left_out.len()), (3, 3, 0), "schedules go by steps");
    assert_eq!(progress.sums.samples, 48, "its loss is one of the epoch's all the same");
    assert_eq!(
        notes[0],
        "batch 2 of epoch 1 is more than f16 holds, and is not learned (step 1): the loss is scaled by 576460752303423500 from here on"
    );
}

#[test]
fn scales_fall_until_batches_are_learned_again() {
    let (config, dataset) = (config(&digits()), digits());
    let (_scratch, run) = folder();
    let (report, notes) = sit(&run, &config, &dataset, Some(after_one_step(&config, 30)), 0);
    let (report, scale) = (report.unwrap(), newest(&run).progress.loss_scale.unwrap());
    assert_eq!(report.ended, Ended::Epochs);
    assert!((12..30).contains(&scale.exponent) && scale.good > 0, "{scale:?}");
    let overflows = notes.iter().filter(|note| note.contains("more than f16 holds")).count();
    assert_eq!(overflows as u32, 30 - scale.exponent);
    assert!(report.left_out.is_empty());
}

#[test]
fn a_scale_below_one_is_a_divergence_as_in_f32() {
    let dataset = digits();
    for (on_nan, words) in
        [(OnNan::Stop, "the outputs of layer `"), (OnNan::Skip, "batches of this epoch were left out before")]
    {
        let model = ModelConfig::Mlp(MlpConfig::with_hidden([16, 8]));
        let config = TrainConfig { lr: 1e30, batch: 4, on_nan, model, ..config(&dataset) };
        let (_scratch, run) = folder();
        let (report, notes) = sit(&run, &config, &dataset, None, 0);
        let error = report.unwrap_err();
        assert_eq!(error.exit_code(), 5, "{error}");
        let text = error.to_string();
        assert!(text.contains(words) && text.contains("--precision bf16"), "{text}");
        assert_eq!(notes.iter().filter(|note| note.contains("more than f16 holds")).count(), 16, "{notes:?}");
    }
}

#[test]
fn data_that_are_not_finite_are_no_overflow() {
    let mut dataset = digits();
    let input = data::InputSpec::Table(data::TableSpec {
        columns: (0..2)
            .map(|position| data::Column {
                name: format!("x{position}"),
                position,
                kind: data::ColumnKind::Numeric { fill: 0.0, mean: 0.0, std: 1.0, ranks: Vec::new(), indicator: false },
            })
            .collect(),
        ..data::TableSpec::default()
    });
    let mut features = vec![0.5; 2 * dataset.len()];
    features[2 * dataset.split.train[0] as usize] = f32::NAN;
    (dataset.input, dataset.samples) = (input, Samples::Features(features));
    let model = ModelConfig::Mlp(MlpConfig::with_hidden([4]));
    let config = TrainConfig { model, augment: Augment::NONE, ..config(&digits()) };
    let (_scratch, run) = folder();
    let (report, notes) = sit(&run, &config, &dataset, None, 0);
    let text = report.unwrap_err().to_string();
    assert!(text.contains("is NaN; correct the data"), "{text}");
    assert!(!notes.iter().any(|note| note.contains("f16")), "{notes:?}");
}

#[test]
fn a_step_of_16_bits_is_estimated_at_more_memory_on_the_cpu_and_only_its_samples_are() {
    let dataset = digits();
    let estimate = |precision| {
        let config = TrainConfig { precision, ..config(&dataset) };
        trainer::memory::Estimate::of(&config, &dataset, 10, 0).unwrap()
    };
    let [f32, f16] = [Precision::F32, Precision::F16].map(estimate);
    assert!(f16.each > f32.each && f16.each < 3 * f32.each / 2, "{} {}", f32.each, f16.each);
    assert_eq!((f16.fixed, f16.measuring), (f32.fixed, f32.measuring));
}

/// The accuracy on the held-out fifth of the digits.
fn accuracy(precision: &str) -> f64 {
    let scratch = tempfile::tempdir().unwrap();
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/digits/cnn.toml");
    let small = ["--filters", "16,32", "--epochs", "6", "--quiet", "--format", "json", "--precision", precision];
    let output = trainer(scratch.path(), &[&["train", "--recipe", recipe], &small[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    result["result"]["test"]["values"]["accuracy"].as_f64().unwrap()
}

#[test]
fn digits_are_learned_in_every_precision() {
    let exact = accuracy("f32");
    for precision in ["bf16", "f16"] {
        let found = accuracy(precision);
        // Of 359 digits; one seed differs from the next by as much.
        assert!(found >= 0.96 && (found - exact).abs() <= 0.02, "{found} in {precision}, {exact} in f32");
    }
}

#[test]
fn resuming_keeps_the_precision_unless_another_is_given_which_is_recorded() {
    let scratch = tempfile::tempdir().unwrap();
    let arguments =
        ["train", "digits", "--limit", "300", "--model", "mlp", "--hidden", "8", "--epochs", "1", "--quiet"];
    ends(trainer(scratch.path(), &[&arguments[..], &["--name", "r", "--precision", "f16"]].concat()), 0, "");
    let args = scratch.path().join("runs/r/args.toml");
    let text = fs::read_to_string(&args).unwrap();
    assert!(text.contains("precision = \"f16\""), "{text}");

    fs::write(&args, text.replace("\"f16\"", "\"bf16\"")).unwrap();
    let edited = "`precision` is bf16, but the run was trained with f16; give --precision bf16 to go on with that";
    ends(trainer(scratch.path(), &["resume", "runs/r", "--epochs", "2", "--quiet"]), 4, edited);
    fs::write(&args, text).unwrap();

    let unknown = "--precision: unknown precision `f8`; did you mean `f16`? There are f32, bf16, f16";
    ends(trainer(scratch.path(), &["resume", "runs/r", "--precision", "f8"]), 2, unknown);
    let said =
        "changed: --precision f32 instead of f16; from step 4 on the run is not bit for bit what it would have been";
    ends(trainer(scratch.path(), &["resume", "runs/r", "--epochs", "2", "--precision", "f32", "--quiet"]), 0, said);
    let metrics: serde_json::Value =
        serde_json::from_slice(&fs::read(scratch.path().join("runs/r/metrics.json")).unwrap()).unwrap();
    assert!(metrics["changes"].as_array().unwrap().iter().any(|change| change["setting"] == "precision"), "{metrics}");
    ends(
        trainer(scratch.path(), &["replay", "runs/r", "--quiet"]),
        0,
        "the weights of 1 epochs are the same, to the bit",
    );
}
