//! What a run leaves on disk while it goes on, and that going on from it gives what an uninterrupted run gives, bit for bit.
// The same run takes a hundred times as long on `ndarray`.
#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::{Augment, Dataset, OpenOptions};
use models::{CnnConfig, MlpConfig, ModelConfig, Normalisation};
use tasks::Task;
use tempfile::TempDir;
use trainer::{Checkpoint, Ended, Error, Event, Job, OptimizerConfig, Report, RunFolder, TrainConfig, train};

/// Everything that has a state: batch norm, dropout, augmentation, momentum, averaged weights.
fn config(dataset: &Dataset) -> TrainConfig {
    let mut cnn = CnnConfig::from_filters(&[4, 8]);
    cnn.head.dropout = 0.2;
    cnn.stages.iter_mut().for_each(|stage| stage.norm = Normalisation::Batch);
    TrainConfig {
        epochs: 3,
        batch: 16,
        optimizer: OptimizerConfig::named("sgd").unwrap().with_momentum(0.9),
        lr: 0.05,
        augment: Augment::parse("light", &dataset.input, &dataset.targets).unwrap(),
        ema: Some(0.9),
        checkpoint_every: None,
        ..TrainConfig::new(ModelConfig::Cnn(cnn))
    }
}

fn digits() -> Arc<Dataset> {
    let options = OpenOptions { limit: Some(300), ..OpenOptions::default() };
    Arc::new(data::open(Path::new("digits"), &options).unwrap())
}

/// One sitting in `folder`, from the newest checkpoint if there is one.
fn sit(
    folder: &RunFolder,
    config: &TrainConfig,
    stop: &dyn Fn() -> bool,
    on_event: &mut dyn FnMut(Event),
) -> Result<Report, Error> {
    let dataset = digits();
    let saved = folder.checkpoints();
    let resume = Checkpoint::any(&saved).unwrap_or(false).then(|| Checkpoint::load_newest(&saved).unwrap().0);
    let job = Job {
        resume,
        ..Job::new(
            config,
            Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss).unwrap(),
            dataset,
            device::select("auto").unwrap().device,
            folder,
        )
    };
    train(job, stop, on_event)
}

fn folder() -> (TempDir, RunFolder) {
    let scratch = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(scratch.path(), "run").unwrap();
    (scratch, folder)
}

/// What must be equal: the model files, and `results.csv` but for its clock.
fn left(folder: &RunFolder) -> (Vec<u8>, Vec<u8>, Vec<String>) {
    let text = fs::read_to_string(folder.results()).unwrap();
    let without_time = |line: &str| {
        line.split(',').enumerate().filter(|(at, _)| *at != 1).map(|(_, field)| field.to_owned() + ",").collect()
    };
    (fs::read(folder.last()).unwrap(), fs::read(folder.best()).unwrap(), text.lines().map(without_time).collect())
}

fn uninterrupted() -> (Vec<u8>, Vec<u8>, Vec<String>) {
    let (_scratch, folder) = folder();
    sit(&folder, &config(&digits()), &|| false, &mut |_| ()).unwrap();
    left(&folder)
}

#[test]
fn model_files_are_the_same_whatever_the_interval() {
    let expected = uninterrupted();
    for steps in [1, 4] {
        let (_scratch, folder) = folder();
        let config = TrainConfig { checkpoint_steps: Some(steps), ..config(&digits()) };
        sit(&folder, &config, &|| false, &mut |_| ()).unwrap();
        assert!(left(&folder) == expected, "saving every {steps} steps changed the run");
        assert_eq!(fs::read_dir(folder.checkpoints()).unwrap().count(), 2, "the newest and the one before");
    }
}

#[test]
fn a_run_that_is_stopped_again_and_again_also_while_it_validates_leaves_the_same_files() {
    let expected = uninterrupted();
    for accumulate in [1, 3] {
        let expected = match accumulate {
            1 => expected.clone(),
            _ => {
                let (_scratch, folder) = folder();
                sit(&folder, &TrainConfig { accumulate, ..config(&digits()) }, &|| false, &mut |_| ()).unwrap();
                left(&folder)
            }
        };
        let (_scratch, folder) = folder();
        let config = TrainConfig { accumulate, ..config(&digits()) };
        let mut sittings = 0_u32;
        loop {
            sittings += 1;
            // 4 questions at the first sitting, 5 at the next: each stop is at another place of the epoch.
            let left = Cell::new(3_u32 + sittings);
            let stop = || left.replace(left.get().saturating_sub(1)) <= 1;
            if sit(&folder, &config, &stop, &mut |_| ()).unwrap().ended != Ended::Interrupted {
                break;
            }
        }
        assert!(sittings > 3 && left(&folder) == expected, "{sittings} sittings left something else");
    }
}

#[test]
fn a_copy_of_the_folder_made_at_any_step_goes_on_to_the_same_files() {
    let expected = uninterrupted();
    let config = TrainConfig { checkpoint_steps: Some(1), ..config(&digits()) };
    let (scratch, folder) = folder();
    let (mut copies, mut step) = (Vec::new(), 0);
    sit(&folder, &config, &|| false, &mut |event| {
        if let Event::Step { .. } = event {
            step += 1;
            if step % 4 == 2 {
                // Meanwhile the step before is being saved: this is what a kill would leave.
                let to = scratch.path().join(format!("copy-{step}"));
                copy(folder.path(), &to);
                copies.push(to);
            }
        }
    })
    .unwrap();
    assert!(left(&folder) == expected && copies.len() > 5);
    for path in copies {
        fs::write(path.join("args.toml"), "").unwrap();
        let folder = RunFolder::open(&path).unwrap();
        sit(&folder, &config, &|| false, &mut |_| ()).unwrap();
        assert!(left(&folder) == expected, "{}", path.display());
    }
}

/// What is there; files that go while they are copied are left out.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { copy(&path, &to) } else { drop(fs::copy(&path, &to)) }
    }
}

#[test]
fn a_checkpoint_that_is_damaged_costs_steps_but_no_bit() {
    let expected = uninterrupted();
    let config = TrainConfig { checkpoint_steps: Some(4), ..config(&digits()) };
    let (_scratch, folder) = folder();
    let asked = Cell::new(0);
    sit(&folder, &config, &|| asked.replace(asked.get() + 1) == 20, &mut |_| ()).unwrap();
    let mut saved: Vec<PathBuf> =
        fs::read_dir(folder.checkpoints()).unwrap().map(|entry| entry.unwrap().path()).collect();
    saved.sort();
    fs::write(saved[1].join("optimizer.safetensors"), "torn").unwrap();
    let (checkpoint, warnings) = Checkpoint::load_newest(&folder.checkpoints()).unwrap();
    assert_eq!((checkpoint.path.as_ref(), warnings.len()), (Some(&saved[0]), 1));
    sit(&folder, &config, &|| false, &mut |_| ()).unwrap();
    assert!(left(&folder) == expected);
}

#[test]
fn a_save_that_fails_is_told_of_and_made_up_for() {
    let expected = uninterrupted();
    let config = TrainConfig { checkpoint_steps: Some(2), ..config(&digits()) };
    let (_scratch, folder) = folder();
    let (mut step, mut warnings) = (0, Vec::new());
    let in_the_way = folder.checkpoints();
    fs::write(&in_the_way, "").unwrap();
    sit(&folder, &config, &|| false, &mut |event| match event {
        Event::Step { .. } => {
            step += 1;
            // Over the first epoch's end, whose model files and row must come later.
            if step == 20 {
                fs::remove_file(&in_the_way).unwrap();
            }
        }
        Event::Note(note) => warnings.push(note),
        _ => {}
    })
    .unwrap();
    assert!(
        warnings.len() > 2 && warnings[0].contains("not saved") && warnings[0].contains("tries again"),
        "{warnings:?}"
    );
    assert!(left(&folder) == expected);
    assert!(Checkpoint::load_newest(&folder.checkpoints()).unwrap().1.is_empty());
}

#[test]
fn a_run_whose_end_cannot_be_saved_ends_with_7() {
    let config = config(&digits());
    let (_scratch, folder) = folder();
    fs::write(folder.checkpoints(), "").unwrap();
    let error = sit(&folder, &config, &|| false, &mut |_| ()).unwrap_err();
    assert!(error.exit_code() == 7 && error.to_string().contains("could not be saved"), "{error}");
}

#[test]
fn a_folder_that_is_deleted_while_training_ends_the_run_and_does_not_come_back() {
    let config = TrainConfig { checkpoint_steps: Some(2), ..config(&digits()) };
    let (_scratch, folder) = folder();
    let mut step = 0;
    let error = sit(&folder, &config, &|| false, &mut |event| {
        step += u64::from(matches!(event, Event::Step { .. }));
        // A save may be writing at the same moment.
        while step == 5 && folder.path().exists() {
            let _ = fs::remove_dir_all(folder.path());
        }
    })
    .unwrap_err();
    assert!(error.exit_code() == 7 && error.to_string().contains("is gone"), "{error}");
    assert!(!folder.path().exists() && step < 20, "{step}");
}

#[test]
fn folders_inside_of_a_run_come_back_when_they_are_deleted() {
    let expected = uninterrupted();
    let config = TrainConfig { checkpoint_steps: Some(2), ..config(&digits()) };
    let (_scratch, folder) = folder();
    let mut step = 0;
    sit(&folder, &config, &|| false, &mut |event| {
        step += u64::from(matches!(event, Event::Step { .. }));
        for inside in [folder.checkpoints(), folder.path().join("weights")] {
            if step == 5 {
                let _ = fs::remove_dir_all(&inside);
            }
        }
    })
    .unwrap();
    assert!(left(&folder) == expected);
}

#[test]
fn model_files_are_set_back_to_what_the_checkpoint_means_and_come_back_when_they_are_gone() {
    let expected = uninterrupted();
    let (_scratch, folder) = folder();
    let config = config(&digits());
    sit(&folder, &config, &|| false, &mut |_| ()).unwrap();
    // A run that has ended trains nothing more: what comes back comes from the checkpoint.
    fs::remove_dir_all(folder.path().join("weights")).unwrap();
    sit(&folder, &config, &|| false, &mut |_| ()).unwrap();
    assert!(left(&folder) == expected);
    for file in [folder.best(), folder.last()] {
        fs::write(file, "of another way").unwrap();
    }
    sit(&folder, &config, &|| false, &mut |_| ()).unwrap();
    assert!(left(&folder) == expected);

    // The newest checkpoint is damaged: the model files that lie there are of an epoch that is still to come.
    let mut saved: Vec<PathBuf> =
        fs::read_dir(folder.checkpoints()).unwrap().map(|entry| entry.unwrap().path()).collect();
    saved.sort();
    fs::write(saved[1].join("model.safetensors"), "torn").unwrap();
    let before = Checkpoint::load(&saved[0]).unwrap();
    sit(&folder, &config, &|| true, &mut |_| ()).unwrap();
    assert!(fs::read(folder.best()).unwrap() == **before.best.as_ref().unwrap());
    assert!(fs::read(folder.last()).unwrap() == **before.last.as_ref().unwrap());
    sit(&folder, &config, &|| false, &mut |_| ()).unwrap();
    assert!(left(&folder) == expected);
}

#[test]
fn a_checkpoint_of_an_earlier_build_which_holds_no_model_files_is_gone_on_from() {
    let expected = uninterrupted();
    let (_scratch, folder) = folder();
    let config = config(&digits());
    let epochs = Cell::new(0);
    let mut count = |event| epochs.set(epochs.get() + usize::from(matches!(event, Event::Epoch(_))));
    sit(&folder, &config, &|| epochs.get() == 2, &mut count).unwrap();
    let path = Checkpoint::load_newest(&folder.checkpoints()).unwrap().0.path.unwrap();
    let manifest = fs::read(path.join("manifest.json")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    for name in ["best.safetensors", "last.safetensors"] {
        manifest["sha256"].as_object_mut().unwrap().remove(name);
        let _ = fs::remove_file(path.join(name));
    }
    fs::write(path.join("manifest.json"), manifest.to_string()).unwrap();
    assert!(Checkpoint::load(&path).unwrap().best.is_none());
    sit(&folder, &config, &|| true, &mut |_| ()).unwrap();
    let (checkpoint, warnings) = Checkpoint::load_newest(&folder.checkpoints()).unwrap();
    assert!(warnings.is_empty() && checkpoint.best.is_some(), "those that lie there are taken over");
    sit(&folder, &config, &|| false, &mut |_| ()).unwrap();
    assert!(left(&folder) == expected);
}

#[test]
fn what_killed_saves_left_goes_and_what_cannot_go_is_told_of_once() {
    let expected = uninterrupted();
    let config = TrainConfig { checkpoint_steps: Some(2), ..config(&digits()) };
    let (_scratch, folder) = folder();
    let weights = folder.path().join("weights");
    let [part, other] = [".best.safetensors.4711-3.part", "mine.part"].map(|name| weights.join(name));
    fs::create_dir(folder.checkpoints()).unwrap();
    // What is no folder cannot be removed as one: as little as one that belongs to somebody else.
    let stuck = folder.checkpoints().join("step-0000000002.partial");
    [&part, &other, &stuck].into_iter().for_each(|file| fs::write(file, "").unwrap());
    let mut warnings = Vec::new();
    sit(&folder, &config, &|| false, &mut |event| {
        if let Event::Note(note) = event {
            warnings.push(note);
        }
    })
    .unwrap();
    assert!(!part.exists() && other.exists() && stuck.exists());
    assert!(warnings.len() == 1 && warnings[0].contains("step-0000000002.partial"), "{warnings:?}");
    assert!(left(&folder) == expected);
    assert_eq!(fs::read_dir(folder.checkpoints()).unwrap().count(), 3);
}

#[test]
fn a_run_that_its_time_ended_stays_ended_by_it() {
    let (_scratch, folder) = folder();
    let config = TrainConfig { epochs: 1, time: Some(std::time::Duration::from_nanos(1)), ..config(&digits()) };
    let ended = || sit(&folder, &config, &|| false, &mut |_| ()).unwrap().ended;
    assert_eq!([ended(), ended()], [Ended::Time, Ended::Time]);
}

#[test]
fn data_that_cannot_be_read_any_more_costs_no_update_and_no_bit() {
    let scratch = tempfile::tempdir().unwrap();
    let pictures = scratch.path().join("pictures");
    let dataset = |pictures: &Path| {
        // So little memory that pictures are decoded while training.
        let options = OpenOptions { memory: Some(1), ..OpenOptions::default() };
        Arc::new(data::open(pictures, &options).unwrap())
    };
    for class in ["a", "b"] {
        fs::create_dir_all(pictures.join(class)).unwrap();
        for number in 0..40u8 {
            let shade = if class == "a" { number } else { 255 - number };
            fs::write(
                pictures.join(class).join(format!("{number}.pgm")),
                [b"P5 4 4 255\n".as_slice(), &[shade; 16]].concat(),
            )
            .unwrap();
        }
    }
    let dataset = dataset(&pictures);
    let norm = MlpConfig { norm: Normalisation::Batch, ..MlpConfig::with_hidden([16]) };
    for accumulate in [1, 3] {
        let model = ModelConfig::Mlp(norm.clone());
        let config =
            TrainConfig { batch: 4, epochs: 2, workers: 0, accumulate, ema: Some(0.9), ..TrainConfig::new(model) };
        let [whole, folder] = [0, 1].map(|_| RunFolder::create(scratch.path(), "run").unwrap());
        let train = |run: &RunFolder, resume, on_event: &mut dyn FnMut(Event)| {
            let task = Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss).unwrap();
            let job =
                Job { resume, ..Job::new(&config, task, dataset.clone(), device::select("auto").unwrap().device, run) };
            train(job, &|| false, on_event)
        };
        train(&whole, None, &mut |_| ()).unwrap();
        let (mut steps, hidden) = (0, scratch.path().join("hidden"));
        let error = train(&folder, None, &mut |event| {
            steps += u64::from(matches!(event, Event::Step { .. }));
            if steps == 5 && pictures.exists() {
                fs::rename(&pictures, &hidden).unwrap();
            }
        })
        .unwrap_err();
        assert_eq!(error.exit_code(), 3, "{error}");
        fs::rename(&hidden, &pictures).unwrap();
        let checkpoint = Checkpoint::load_newest(&folder.checkpoints()).unwrap().0;
        // The fifth batch, where updates wait for three, waits for the sixth.
        let done = steps / accumulate as u64;
        assert_eq!((checkpoint.progress.step, checkpoint.progress.batch as u64), (done, done * accumulate as u64));
        assert_eq!(checkpoint.progress.sums.samples, 4 * done * accumulate as u64);
        train(&folder, Some(checkpoint), &mut |_| ()).unwrap();
        assert!(left(&folder) == left(&whole), "{accumulate} for an update");
    }
}
