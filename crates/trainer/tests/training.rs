//! The training loop as a library: what it promises beyond running.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::cell::{Cell, RefCell};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use burn::tensor::Device;
use data::random::{Purpose, Random};
use data::{Column, ColumnKind, Dataset, Found, InputSpec, OpenOptions, Samples, Sources, Split, TableSpec, Targets};
use models::{CnnConfig, HeadConfig, MlpConfig, ModelConfig, Normalisation, PoolConfig, StageConfig};
use tasks::Task;
use tempfile::TempDir;
use trainer::{Checkpoint, Ended, Event, Job, Report, RunFolder, ScheduleConfig, Seen, TrainConfig, train};

/// A run in a folder that goes when it is dropped.
struct Run {
    folder: RunFolder,
    report: Report,
    losses: Vec<f64>,
    _scratch: TempDir,
}

fn run(config: &TrainConfig, dataset: Dataset) -> Run {
    let scratch = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(scratch.path(), "run").unwrap();
    let mut losses = Vec::new();
    let job = job(config, dataset, &folder);
    let mut on_event = |event| {
        if let Event::Step { batch: 1, loss, .. } = event {
            losses.push(loss);
        }
    };
    let report = train(job, &|| false, &mut on_event).unwrap();
    Run { folder, report, losses, _scratch: scratch }
}

fn job<'a>(config: &'a TrainConfig, dataset: Dataset, folder: &'a RunFolder) -> Job<'a> {
    Job::new(
        config,
        Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss).unwrap(),
        Arc::new(dataset),
        device(),
        folder,
    )
}

fn mlp(hidden: usize) -> TrainConfig {
    TrainConfig { epochs: 3, ..TrainConfig::new(ModelConfig::Mlp(MlpConfig::with_hidden([hidden]))) }
}

fn digits(limit: usize) -> Dataset {
    let options = OpenOptions { limit: Some(limit), ..OpenOptions::default() };
    data::open(std::path::Path::new("digits"), &options).unwrap()
}

/// A table of two features in -1..1 and targets made of them.
fn table(
    rows: u32,
    targets: impl Fn(f32, f32) -> Vec<f32>,
    make: impl Fn(Vec<String>, Vec<f32>) -> Targets,
) -> Dataset {
    let mut random = Random::new(5, Purpose::Bench, 0, 0);
    let (mut features, mut values) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let (x, y) = (random.range(-1.0, 1.0), random.range(-1.0, 1.0));
        features.extend([x, y]);
        values.extend(targets(x, y));
    }
    let width = values.len() / rows as usize;
    let kind = ColumnKind::Numeric { fill: 0.0, mean: 0.0, std: 1.0, ranks: Vec::new(), indicator: false };
    let column = |position: usize| Column { name: format!("x{position}"), position, kind: kind.clone() };
    let cut = |from: u32, to: u32| (rows * from / 10..rows * to / 10).collect();
    Dataset {
        found: Found::default(),
        input: InputSpec::Table(TableSpec { columns: vec![column(0), column(1)], ..TableSpec::default() }),
        samples: Samples::Features(features),
        targets: make((0..width).map(|at| format!("t{at}")).collect(), values),
        sources: Sources::Arrays(vec![("rows".into(), rows as usize)]),
        split: Split { train: cut(0, 7), val: cut(7, 8), test: cut(8, 10) },
    }
}

/// The trained numbers of a model file, in the order of their names.
fn weights(run: &Run) -> Vec<f32> {
    let model = models::ModelFile::load(&run.folder.last(), &device()).unwrap().model;
    models::named_tensors(&model).into_iter().flat_map(|tensor| tensor.data.try_into_vec::<f32>().unwrap()).collect()
}

fn device() -> Device {
    device::select("auto").unwrap().device
}

#[test]
fn the_first_loss_is_that_of_guessing_and_the_last_is_far_below() {
    let config = TrainConfig { epochs: 60, batch: 32, lr: 0.01, ..mlp(64) };
    let run = run(&config, digits(60));
    let guessing = 10f64.ln();
    assert!((run.losses[0] - guessing).abs() < 0.7, "{}", run.losses[0]);
    assert!(
        *run.losses.last().unwrap() < 0.01,
        "a network that cannot learn 40 samples by heart: {:?}",
        run.losses.last()
    );
}

#[test]
fn looking_on_and_asking_for_a_checkpoint_change_no_weight() {
    let config = TrainConfig { batch: 32, ..mlp(8) };
    let expected = run(&config, digits(300));
    let scratch = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(scratch.path(), "run").unwrap();
    let (asked, seen, mut saved) = (Cell::new(0), RefCell::new(Vec::new()), Vec::new());
    let save_now = || asked.replace(asked.get() + 1) == 2;
    let watch = |found: Seen<'_>| seen.borrow_mut().push((found.epoch, found.answers.unwrap().indices));
    let job = job(&config, digits(300), &folder);
    let job = Job { watch: Some(&watch), wants_answers: true, save_now: Some(&save_now), ..job };
    let mut on_event = |event| {
        if let Event::Saved { done, done_batches } = event {
            saved.push([done, done_batches]);
        }
    };
    train(job, &|| false, &mut on_event).unwrap();
    assert_eq!(fs::read(folder.last()).unwrap(), fs::read(expected.folder.last()).unwrap());
    let epochs = 1..=config.epochs;
    assert_eq!(saved, [vec![[0, 3]], epochs.clone().map(|epoch| [epoch, 0]).collect()].concat());
    let val = digits(300).split.val.to_vec();
    assert_eq!(*seen.borrow(), epochs.map(|epoch| (epoch, val.clone())).collect::<Vec<_>>());
}

#[test]
fn two_accumulated_halves_are_one_batch() {
    let whole = TrainConfig { batch: 64, epochs: 1, schedule: ScheduleConfig::default(), ..mlp(16) };
    let halves = TrainConfig { batch: 32, accumulate: 2, ..whole.clone() };
    let (whole, halves) = (run(&whole, digits(300)), run(&halves, digits(300)));
    let worst = weights(&whole).iter().zip(weights(&halves)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 2e-4, "weights differ by {worst}");
}

#[test]
fn the_test_split_chooses_nothing() {
    let config = mlp(16);
    let honest = run(&config, digits(400));
    let mut poisoned = digits(400);
    let Targets::Classes { values, .. } = &mut poisoned.targets else { panic!("digits are classes") };
    for &index in &poisoned.split.test {
        values[index as usize] = (values[index as usize] + 1) % 10;
    }
    let poisoned = run(&config, poisoned);
    for file in [RunFolder::best, RunFolder::last] {
        assert!(fs::read(file(&honest.folder)).unwrap() == fs::read(file(&poisoned.folder)).unwrap());
    }
    assert_ne!(honest.report.test.unwrap().get("accuracy"), poisoned.report.test.unwrap().get("accuracy"));
}

#[test]
fn another_seed_gives_other_weights_and_the_same_seed_the_same() {
    let at = |seed| weights(&run(&TrainConfig { seed, epochs: 1, ..mlp(8) }, digits(200)));
    assert_eq!(at(1), at(1));
    assert_ne!(at(1), at(2));
}

#[test]
fn a_regression_learns_its_function() {
    let values = |names, values| Targets::Values { names, values };
    let dataset = table(1000, |x, y| vec![1000.0 + 50.0 * x * y, -3.0 * x], values);
    let run = run(&TrainConfig { epochs: 40, lr: 0.01, ..mlp(32) }, dataset);
    let r2 = run.report.test.unwrap().get("r2").unwrap();
    assert!(r2 > 0.97, "R2 {r2}");
}

#[test]
fn several_labels_are_learned_at_once() {
    let labels = |names, values: Vec<f32>| Targets::Labels { names, values: values.iter().map(|&v| v as u8).collect() };
    let bit = |yes: bool| f32::from(u8::from(yes));
    let dataset = table(1000, |x, y| vec![bit(x > 0.0), bit(x + y > 0.2), bit(y > x)], labels);
    let run = run(&TrainConfig { epochs: 20, lr: 0.01, ..mlp(32) }, dataset);
    let exact = run.report.test.unwrap().get("exact_match").unwrap();
    assert!(exact > 0.9, "exact match {exact}");
}

#[test]
fn a_time_limit_between_two_updates_moves_the_weights_by_what_waits() {
    let config = TrainConfig { batch: 8, accumulate: 3, time: Some(Duration::from_nanos(1)), ..mlp(8) };
    let run = run(&config, digits(200));
    assert_eq!((run.report.ended, run.report.epochs, run.report.learned), (Ended::Time, 1, 8));
    let checkpoint = Checkpoint::load_newest(&run.folder.checkpoints()).unwrap().0;
    assert_eq!((checkpoint.progress.step, checkpoint.progress.batch), (1, 0));
}

#[test]
fn a_stop_between_two_updates_waits_for_the_next() {
    let config = TrainConfig { batch: 8, accumulate: 3, epochs: 1, ..mlp(8) };
    let scratch = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(scratch.path(), "run").unwrap();
    let dataset = Arc::new(digits(200));
    let job = |resume| Job {
        resume,
        ..Job::new(
            &config,
            Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss).unwrap(),
            dataset.clone(),
            device(),
            &folder,
        )
    };
    let asked = std::cell::Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) == 1;
    assert_eq!(train(job(None), &stop, &mut |_| ()).unwrap().ended, Ended::Interrupted);
    let checkpoint = Checkpoint::load_newest(&folder.checkpoints()).unwrap().0;
    assert_eq!((checkpoint.progress.batch, checkpoint.progress.sums.samples), (6, 48));
    train(job(Some(checkpoint)), &|| false, &mut |_| ()).unwrap();
    let results = |folder: &RunFolder| {
        let text = fs::read_to_string(folder.results()).unwrap();
        text.lines().last().unwrap().split(',').skip(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(results(&folder), results(&run(&config, digits(200)).folder));
}

#[test]
fn labels_that_no_validation_sample_has_still_leave_a_best_epoch() {
    let labels =
        |names, values: Vec<f32>| Targets::Labels { names, values: values.into_iter().map(|v| v as u8).collect() };
    let mut data = table(100, |x, y| vec![f32::from(u8::from(x > 0.0)), f32::from(u8::from(y > 0.0))], labels);
    let Targets::Labels { values, .. } = &mut data.targets else { unreachable!() };
    for &index in &data.split.val {
        values[2 * index as usize..][..2].fill(0);
    }
    let run = run(&mlp(8), data);
    assert!(run.report.best_epoch > 0 && run.folder.best().is_file());
    let text = fs::read_to_string(run.folder.results()).unwrap();
    let widths: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
    assert!(text.contains("metrics/map") && widths.iter().all(|width| *width == widths[0]), "{text}");
}

#[test]
fn averaged_weights_are_what_is_validated_and_saved() {
    let plain = run(&TrainConfig { epochs: 2, ..mlp(8) }, digits(200));
    let averaged = run(&TrainConfig { epochs: 2, ema: Some(0.9), ..mlp(8) }, digits(200));
    assert_ne!(weights(&plain), weights(&averaged));
    // Averaging watches; it must not change what is learned.
    assert_eq!(plain.losses, averaged.losses);
}

#[test]
fn training_ends_for_the_reason_that_comes_first() {
    let ended = |config: TrainConfig| run(&config, digits(200)).report.ended;
    assert_eq!(ended(mlp(8)), Ended::Epochs);
    assert_eq!(ended(TrainConfig { target_loss: Some(10.0), ..mlp(8) }), Ended::TargetLoss);
    assert_eq!(ended(TrainConfig { time: Some(Duration::from_nanos(1)), ..mlp(8) }), Ended::Time);
    // With a learning rate this small nothing gets better.
    assert_eq!(ended(TrainConfig { epochs: 50, lr: 1e-30, patience: Some(2), ..mlp(8) }), Ended::Patience);
    let target = Task::for_targets(&digits(200).targets, &digits(200).split.train, &Default::default())
        .unwrap()
        .goal("accuracy=0.01")
        .unwrap();
    assert_eq!(ended(TrainConfig { target: Some(target), ..mlp(8) }), Ended::Target);
}

#[test]
fn accumulated_batches_count_by_the_weights_of_their_classes() {
    // Ten times as many of one class: micro-batches of equal size differ in weight.
    let mut dataset = digits(300);
    let Targets::Classes { values, .. } = &mut dataset.targets else { panic!("digits are classes") };
    values.iter_mut().for_each(|class| *class = u32::from(*class == 3));
    let loss = tasks::LossOptions { class_weights: tasks::ClassWeights::Auto, ..Default::default() };
    let whole = TrainConfig { batch: 64, epochs: 1, loss, optimizer: sgd(), lr: 0.1, ..mlp(16) };
    let parts = TrainConfig { batch: 16, accumulate: 4, ..whole.clone() };
    let (whole, parts) = (run(&whole, dataset.clone()), run(&parts, dataset));
    let worst = weights(&whole).iter().zip(weights(&parts)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "weights differ by {worst}");
}

fn sgd() -> trainer::OptimizerConfig {
    trainer::OptimizerConfig::named("sgd").unwrap()
}

/// Everything that has a state or draws: batch normalisation, dropout, augmentation, mixup, averaged weights.
fn everything(dataset: &Dataset, augment: &str) -> TrainConfig {
    let stage = StageConfig {
        filters: 4,
        norm: Normalisation::Batch,
        pool: Some(PoolConfig::max(2)),
        ..StageConfig::default()
    };
    let head = HeadConfig { dropout: 0.2, hidden: vec![16], ..HeadConfig::default() };
    let model = ModelConfig::Cnn(CnnConfig { stages: vec![stage], head, ..CnnConfig::default() });
    let augment = data::Augment::parse(augment, &dataset.input, &dataset.targets).unwrap();
    TrainConfig { epochs: 2, ema: Some(0.9), augment, ..TrainConfig::new(model) }
}

#[test]
fn weights_are_the_same_bits_on_rerun_and_for_any_number_of_loader_threads() {
    let dataset = digits(300);
    let config = everything(&dataset, "light,mixup:0.2");
    let bytes = |workers| {
        let run = run(&TrainConfig { workers, ..config.clone() }, dataset.clone());
        (fs::read(run.folder.last()).unwrap(), fs::read(run.folder.best()).unwrap())
    };
    let first = bytes(1);
    for workers in [1, 0, 8] {
        assert!(bytes(workers) == first, "{workers} threads");
    }
}

// Other CPU backends take many times as long for the integers of augmentation.
#[cfg(feature = "flex")]
#[test]
fn where_the_data_lies_changes_no_bit_also_where_a_run_goes_on_in_the_middle_of_an_epoch() {
    let dataset = digits(300);
    let config = TrainConfig { batch: 16, ..everything(&dataset, "light,flip,jitter,erase,mixup,cutmix") };
    // Steps of a first sitting, and where the data lies in both.
    let sittings = |steps: u32, lies: [bool; 2]| {
        let scratch = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(scratch.path(), "run").unwrap();
        let [first, then] = lies.map(|resident| TrainConfig { resident, ..config.clone() });
        let asked = Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) + 1 == steps;
        let ended = train(job(&first, dataset.clone(), &folder), &stop, &mut |_| ()).unwrap().ended;
        assert_eq!(ended == Ended::Interrupted, steps < 100);
        let resume = Some(Checkpoint::load_newest(&folder.checkpoints()).unwrap().0);
        let go_on = Job { resume, ..job(&then, dataset.clone(), &folder) };
        train(go_on, &|| false, &mut |_| ()).unwrap();
        [folder.last(), folder.best()].map(|file| fs::read(file).unwrap())
    };
    let expected = sittings(100, [false; 2]);
    for (steps, lies) in [(100, [true; 2]), (5, [true; 2]), (20, [true, false]), (5, [false, true])] {
        assert!(sittings(steps, lies) == expected, "{steps} steps, {lies:?}");
    }
}

#[test]
fn without_short_batches_all_have_one_shape_and_something_must_be_left() {
    let dataset = digits(300);
    let samples = dataset.split.train.len();
    let config = TrainConfig { batch: 64, epochs: 2, drop_last: true, ..mlp(8) };
    assert!(!samples.is_multiple_of(64), "{samples}");
    let scratch = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(scratch.path(), "run").unwrap();
    let mut sizes = Vec::new();
    let mut on_event = |event| {
        if let Event::Step { samples, .. } = event {
            sizes.push(samples);
        }
    };
    let report = train(job(&config, dataset.clone(), &folder), &|| false, &mut on_event).unwrap();
    assert_eq!(sizes, vec![64; 2 * (samples / 64)]);
    assert_eq!(report.learned, sizes.iter().sum::<usize>() as u64);

    let config = TrainConfig { batch: samples + 1, ..config };
    let error = train(job(&config, dataset, &folder), &|| false, &mut |_| ()).unwrap_err().to_string();
    assert_eq!(error, format!("--drop-last leaves nothing of {samples} samples in batches of {}", samples + 1));
}

#[test]
fn a_table_on_the_device_trains_the_same_weights() {
    let dataset = table(300, |x, y| vec![x * y], |names, values| Targets::Values { names, values });
    let weights = |resident| weights(&run(&TrainConfig { resident, ..mlp(8) }, dataset.clone()));
    assert_eq!(weights(true), weights(false));
}
