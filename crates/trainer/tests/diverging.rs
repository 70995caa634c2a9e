//! Numbers that aren't finite: where a run stops, what it says, what it leaves out, and what it never saves.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::cell::Cell;
use std::fs;
use std::sync::Arc;

use data::random::{Purpose, Random};
use data::{Column, ColumnKind, Dataset, Found, InputSpec, Samples, Sources, Split, TableSpec, Targets};
use models::{Activation, MlpConfig, ModelConfig, Normalisation};
use tasks::Task;
use tempfile::TempDir;
use trainer::optimizer::SgdConfig;
use trainer::{
    Checkpoint, Ended, Error, Event, Job, OnNan, OptimizerConfig, Report, RunFolder, ScheduleConfig, Settings,
    TrainConfig, train,
};

/// 64 rows of three features to learn, 16 to validate; row `bad` has a NaN.
fn table(bad: Option<usize>) -> Dataset {
    let mut random = Random::new(5, Purpose::Bench, 0, 0);
    let mut features: Vec<f32> = (0..80 * 3).map(|_| random.range(-1.0, 1.0)).collect();
    let values = features.chunks(3).map(|row| u32::from(row[0] + row[1] > 0.0)).collect();
    if let Some(row) = bad {
        features[row * 3 + 1] = f32::NAN;
    }
    let kind = ColumnKind::Numeric { fill: 0.0, mean: 0.0, std: 1.0, ranks: Vec::new(), indicator: false };
    let column = |position: usize| Column { name: format!("x{position}"), position, kind: kind.clone() };
    Dataset {
        found: Found::default(),
        input: InputSpec::Table(TableSpec { columns: (0..3).map(column).collect(), ..TableSpec::default() }),
        samples: Samples::Features(features),
        targets: Targets::Classes { names: vec!["no".into(), "yes".into()], values },
        sources: Sources::Rows((0..80).map(|row| ("rows.csv".into(), row + 2)).collect()),
        split: Split { train: (0..64).collect(), val: (64..80).collect(), test: Vec::new() },
    }
}

/// Batch normalisation and dropout, so that a batch that is left out could leave traces.
fn config(on_nan: OnNan) -> TrainConfig {
    let model = MlpConfig { norm: Normalisation::Batch, dropout: 0.1, ..MlpConfig::with_hidden([16, 8]) };
    TrainConfig { epochs: 2, batch: 8, on_nan, ema: Some(0.9), ..TrainConfig::new(ModelConfig::Mlp(model)) }
}

/// A run's folder, which goes when it is dropped.
struct Scratch(RunFolder, #[expect(dead_code, reason = "holds the folder")] TempDir);

fn scratch() -> Scratch {
    let folder = tempfile::tempdir().unwrap();
    Scratch(RunFolder::create(folder.path(), "run").unwrap(), folder)
}

struct Ran {
    outcome: Result<Report, Error>,
    notes: Vec<String>,
    /// The hash of the weights of each epoch.
    weights: Vec<String>,
}

/// Trains, until `stop` batches are learned.
fn run(config: &TrainConfig, dataset: &Dataset, run: &RunFolder, resume: Option<Checkpoint>, stop: usize) -> Ran {
    let job = Job {
        config,
        task: Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss).unwrap(),
        dataset: Arc::new(dataset.clone()),
        device: device::select("auto").unwrap().device,
        run,
        resume,
        provenance: serde_json::Value::Null,
        settings: Settings::new(),
        watch: None,
    };
    let (mut notes, mut weights, asked) = (Vec::new(), Vec::new(), Cell::new(0));
    let stop = || asked.replace(asked.get() + 1) + 1 == stop;
    let outcome = train(job, &stop, &mut |event| match event {
        Event::Note(note) => notes.push(note),
        Event::Epoch(summary) => weights.push(summary.weights),
        _ => {}
    });
    Ran { outcome, notes, weights }
}

fn message(ran: &Ran) -> String {
    let error = ran.outcome.as_ref().unwrap_err();
    assert_eq!(error.exit_code(), 5, "{error}");
    error.to_string()
}

/// Nothing between the layers that could bound their outputs.
fn linear() -> ModelConfig {
    ModelConfig::Mlp(MlpConfig { activation: Activation::None, ..MlpConfig::with_hidden([16, 8]) })
}

#[test]
fn a_rate_that_is_too_high_ends_the_run_and_names_the_layer() {
    for (on_nan, batch, notes) in [(OnNan::Stop, 2, 1), (OnNan::Rollback, 2, 6), (OnNan::Skip, 6, 4)] {
        let config = TrainConfig { lr: 1e30, model: linear(), ..config(on_nan) };
        let scratch = scratch();
        let ran = run(&config, &table(None), &scratch.0, None, 0);
        let (text, step) = (message(&ran), batch - 1);
        let expected =
            format!("diverged at step {step} (epoch 1, batch {batch}): the outputs of layer `hidden.1.linear` are ");
        assert!(text.starts_with(&expected) && text.contains("; try a lower --lr, or --clip-norm 1"), "{text}");
        assert_eq!(ran.notes.len(), notes, "{:?}", ran.notes);
        assert!(!scratch.0.best().exists() && !scratch.0.last().exists(), "it is saved as a model");
    }
}

/// Steps of one sample that grow its error until the rate is below about a quarter.
fn rollback() -> (TrainConfig, Dataset) {
    let mut data = table(None);
    let Samples::Features(features) = &data.samples else { unreachable!() };
    let values = features.chunks(3).map(|row| row[0] - 2.0 * row[1]).collect();
    data.targets = Targets::Values { names: vec!["y".into()], values };
    let optimizer = OptimizerConfig::Sgd(SgdConfig { momentum: 0.0, ..SgdConfig::default() });
    let (model, schedule) = (ModelConfig::Mlp(MlpConfig::with_hidden([])), ScheduleConfig::named("constant").unwrap());
    (TrainConfig { batch: 1, lr: 2.0, optimizer, model, schedule, epochs: 3, ..config(OnNan::Rollback) }, data)
}

#[test]
fn going_back_halves_the_rate_until_it_fits_and_resuming_anywhere_gives_the_same_bits() {
    let (config, data) = rollback();
    let whole = run(&config, &data, &scratch().0, None, 0);
    let report = whole.outcome.unwrap();
    assert_eq!((report.ended, whole.weights.len()), (Ended::Epochs, 3));
    assert!((2..=5).contains(&report.rollbacks), "{:?}", whole.notes);
    assert_eq!(whole.notes.len() as i32, report.rollbacks);
    assert!(whole.notes[0].contains("back to the beginning of epoch 1, with half the learning rate (1 of 5 times)"));
    // Within the runs that were left, at their ends, and after them; with saves within the epoch, and without.
    for (stop, checkpoint_steps) in
        [(3, None), (20, Some(7)), (40, Some(1)), (75, None), (130, Some(16)), (260, Some(50))]
    {
        let config = TrainConfig { checkpoint_steps, ..config.clone() };
        let scratch = scratch();
        let first = run(&config, &data, &scratch.0, None, stop);
        assert_eq!(first.outcome.unwrap().ended, Ended::Interrupted, "{stop}");
        let checkpoint = Checkpoint::load_newest(&scratch.0.checkpoints()).unwrap().0;
        let second = run(&config, &data, &scratch.0, Some(checkpoint), 0);
        assert_eq!(second.outcome.unwrap().rollbacks, report.rollbacks);
        let weights = [first.weights, second.weights].concat();
        assert_eq!(weights, whole.weights, "stopped after {stop} batches");
    }
}

#[test]
fn a_number_of_the_data_that_is_not_finite_is_named_by_its_row() {
    // A ReLU behind the first layer may hide it from the loss, but not from the weights.
    for model in [config(OnNan::Stop).model, ModelConfig::Mlp(MlpConfig::with_hidden([16]))] {
        let config = TrainConfig { model, ..config(OnNan::Stop) };
        let text = message(&run(&config, &table(Some(5)), &scratch().0, None, 0));
        assert!(text.ends_with("): number 2 of 3 of the input `rows.csv:7` is NaN; correct the data"), "{text}");
    }
}

#[test]
fn a_batch_that_is_left_out_leaves_no_trace() {
    let scratch = scratch();
    let ran = run(&config(OnNan::Skip), &table(Some(5)), &scratch.0, None, 0);
    assert_eq!(ran.outcome.unwrap().ended, Ended::Epochs);
    assert_eq!(ran.notes.len(), 2, "one batch of each epoch: {:?}", ran.notes);
    assert!(
        ran.notes[0].contains("of epoch 1 is left out") && ran.notes[0].contains("`rows.csv:7`"),
        "{:?}",
        ran.notes
    );
    let checkpoint = Checkpoint::load_newest(&scratch.0.checkpoints()).unwrap().0;
    assert_eq!((checkpoint.progress.step, checkpoint.progress.left_out.len()), (16, 2));
    let model = models::ModelFile::load(&scratch.0.last(), &device::select("auto").unwrap().device).unwrap().model;
    let tensors = models::named_tensors(&model);
    assert!(tensors.iter().all(|tensor| tensor.data.iter::<f32>().all(f32::is_finite)));
    let results = fs::read_to_string(scratch.0.results()).unwrap();
    assert!(!results.contains("NaN") && !results.contains("inf"), "{results}");
}

#[test]
fn resuming_before_or_after_a_batch_was_left_out_gives_the_same_bits() {
    for accumulate in [1, 3] {
        let (config, data) = (TrainConfig { accumulate, ..config(OnNan::Skip) }, table(Some(5)));
        let whole = run(&config, &data, &scratch().0, None, 0);
        assert_eq!((whole.outcome.unwrap().ended, whole.weights.len()), (Ended::Epochs, 2));
        for stop in 1..16 {
            let scratch = scratch();
            let first = run(&config, &data, &scratch.0, None, stop);
            if first.outcome.unwrap().ended == Ended::Epochs {
                continue;
            }
            let checkpoint = Checkpoint::load_newest(&scratch.0.checkpoints()).unwrap().0;
            let second = run(&config, &data, &scratch.0, Some(checkpoint), 0);
            let weights = [first.weights, second.weights].concat();
            assert_eq!(weights, whole.weights, "stopped after {stop} batches, {accumulate} for an update");
        }
    }
}

#[test]
fn too_many_batches_that_are_left_out_end_the_run() {
    let mut data = table(None);
    let Samples::Features(features) = &mut data.samples else { unreachable!() };
    features[..64 * 3].iter_mut().step_by(6).for_each(|value| *value = f32::INFINITY);
    let config = TrainConfig { batch: 4, ..config(OnNan::Skip) };
    let ran = run(&config, &data, &scratch().0, None, 0);
    let text = message(&ran);
    assert!(text.contains("correct the data (8 batches of this epoch were left out before)"), "{text}");
    assert_eq!(ran.notes.len(), 8);
}

#[test]
fn watching_changes_no_bit() {
    let weights = |on_nan| run(&config(on_nan), &table(None), &scratch().0, None, 0).weights;
    assert_eq!(weights(OnNan::Stop), weights(OnNan::Skip));
}
