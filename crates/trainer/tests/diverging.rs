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
    Checkpoint, Ended, Error, Event, Job, OnNan, OptimizerConfig, Report, RunFolder, ScheduleConfig, TrainConfig, train,
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
    run_with(config, dataset, run, resume, stop, &mut |_| ())
}

/// The same; `on_note` hears every note when it is made.
fn run_with(
    config: &TrainConfig,
    dataset: &Dataset,
    run: &RunFolder,
    resume: Option<Checkpoint>,
    stop: usize,
    on_note: &mut dyn FnMut(&str),
) -> Ran {
    let job = Job {
        resume,
        ..Job::new(
            config,
            Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss).unwrap(),
            Arc::new(dataset.clone()),
            device::select("auto").unwrap().device,
            run,
        )
    };
    let (mut notes, mut weights, asked) = (Vec::new(), Vec::new(), Cell::new(0));
    let stop = || asked.replace(asked.get() + 1) + 1 == stop;
    let outcome = train(job, &stop, &mut |event| match event {
        Event::Note(note) => {
            on_note(&note);
            notes.push(note);
        }
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

#[test]
fn what_was_learned_before_numbers_went_wrong_is_on_disk_when_the_run_ends() {
    let (config, data) = (TrainConfig { batch: 4, ..config(OnNan::Stop) }, table(Some(5)));
    let Err(Error::Diverged { step, .. }) = run(&config, &data, &scratch().0, None, 0).outcome else { unreachable!() };
    assert!(step > 2, "{step}: choose another row");
    // The only save before it fails, and could be made up for.
    let (config, scratch) = (TrainConfig { checkpoint_steps: Some(step - 1), ..config }, scratch());
    let in_the_way = scratch.0.checkpoints();
    fs::write(&in_the_way, "").unwrap();
    let ran = run_with(&config, &data, &scratch.0, None, 0, &mut |note| {
        if note.contains("not saved") {
            fs::remove_file(&in_the_way).unwrap();
        }
    });
    assert!(message(&ran).contains("`rows.csv:7` is NaN") && ran.notes[0].contains("not saved"), "{:?}", ran.notes);
    let (saved, warnings) = Checkpoint::load_newest(&scratch.0.checkpoints()).unwrap();
    assert_eq!((saved.progress.step, warnings.len()), (step - 1, 0));
}

#[test]
fn going_back_on_a_disk_that_refuses_is_told_of_and_leads_to_the_same_bits() {
    let (config, data) = rollback();
    let whole = run(&config, &data, &scratch().0, None, 0);
    let rollbacks = whole.outcome.unwrap().rollbacks;
    // Refused each time, and made up for by the saves after it; or never until the last way; or what should go stays.
    for refused in [1, rollbacks, 0] {
        let (config, scratch) = (TrainConfig { checkpoint_steps: Some(7), ..config.clone() }, scratch());
        let folder = scratch.0.checkpoints();
        if refused == 0 {
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("stuck.partial"), "").unwrap();
        }
        let mut times = 0;
        let ran = run_with(&config, &data, &scratch.0, None, 0, &mut |note| {
            if note.contains("back to the beginning") && refused > 0 {
                times += 1;
                let _ = fs::remove_dir_all(&folder);
                let _ = fs::write(&folder, "");
            } else if note.contains("not saved") && times % refused == 0 {
                let _ = fs::remove_file(&folder);
            }
        });
        let report = ran.outcome.unwrap();
        assert_eq!((report.ended, report.rollbacks), (Ended::Epochs, rollbacks), "{:?}", ran.notes);
        assert!(ran.weights == whole.weights, "refused {refused}: {:?}", ran.notes);
        let what = if refused == 0 { "stays: cannot remove" } else { "not saved" };
        assert!(ran.notes.iter().any(|note| note.starts_with("warning: ") && note.contains(what)), "{:?}", ran.notes);
        assert!(Checkpoint::load_newest(&folder).unwrap().1.is_empty());
    }
}

#[test]
fn an_optimizer_whose_memory_overflows_has_diverged_though_every_loss_is_finite() {
    let mut data = table(None);
    let Samples::Features(features) = &mut data.samples else { unreachable!() };
    // Whichever of the two is taken for the other: its gradient is within f32, the square of it is not, and Adam would never move these
    // weights again.
    let Targets::Classes { values, .. } = &data.targets else { unreachable!() };
    let other = values.iter().position(|value| *value != values[0]).unwrap();
    (features[0], features[other * 3]) = (1e25, 1e25);
    for on_nan in [OnNan::Stop, OnNan::Rollback, OnNan::Skip] {
        let model = ModelConfig::Mlp(MlpConfig::with_hidden([]));
        let (config, scratch) = (TrainConfig { model, ..config(on_nan) }, scratch());
        let ran = run(&config, &data, &scratch.0, None, 0);
        if on_nan == OnNan::Skip {
            assert!(!ran.outcome.unwrap().left_out.is_empty());
        } else {
            assert!(
                message(&ran).contains("`output.weight`") || message(&ran).contains("exp_avg_sq"),
                "{}",
                message(&ran)
            );
        }
        for (name, tensor) in
            Checkpoint::load_newest(&scratch.0.checkpoints()).into_iter().flat_map(|it| it.0.optimizer)
        {
            assert!(name.ends_with("step") || tensor.iter::<f32>().all(f32::is_finite), "{on_nan:?}: {name}");
        }
    }
}
