//! What ranks say to each other, and that together they train what one process trains. The ranks are threads here; `tests/mpi.rs` starts
//! processes.

use std::sync::Arc;

use data::Dataset;
use tasks::Task;

use super::threads::among;
use super::*;
use crate::{Event, Job, OnNan, Report, RunFolder, TrainConfig, train};

#[test]
fn sums_are_taken_in_the_order_of_ranks() {
    // Another order gives another number: the large ones swallow what is added between them.
    let given: [f32; 4] = [1e8, 3.0, -1e8, 5.0];
    let expected = given.iter().fold(0.0, |sum, value| sum + value);
    assert_ne!(expected, given.iter().rev().fold(0.0, |sum, value| sum + value));
    for len in [0, 1, 3, 4, 1001] {
        for sums in among(4, |ranks| {
            let mut values = vec![given[ranks.rank()]; len];
            ranks.sum(&mut values).unwrap();
            values
        }) {
            assert_eq!(sums, vec![expected; len]);
        }
    }
}

#[test]
fn everybody_hears_everybody_and_rank_0_is_heard_by_all() {
    for (rank, (all, told)) in among(3, |ranks| {
        let mine = vec![ranks.rank() as u8; 2 * ranks.rank()];
        (ranks.gather(Ok(mine.clone())).unwrap(), ranks.broadcast(Ok([b"from ".to_vec(), mine].concat())).unwrap())
    })
    .into_iter()
    .enumerate()
    {
        assert_eq!(all, [vec![], vec![1; 2], vec![2; 4]], "rank {rank}");
        assert_eq!(told, b"from ");
    }
}

#[test]
fn any_takes_one_and_all_takes_everybody() {
    for (yes, any, all) in [(0, false, false), (1, true, false), (2, true, false), (3, true, true)] {
        let said = among(3, |ranks| {
            let mine = ranks.rank() < yes;
            (ranks.any(mine).unwrap(), ranks.all(mine).unwrap())
        });
        assert_eq!(said, [(any, all); 3], "{yes} of 3");
    }
}

#[test]
fn a_failure_is_everybodys_and_says_whose_it_is() {
    let failed = among(3, |ranks| {
        let mine = match ranks.rank() {
            1 => Err(Error::Memory("no room".into())),
            _ => Ok(()),
        };
        // The failing rank is in another call than the others, which are in different ones too.
        let outcome = match ranks.rank() {
            2 => ranks.gather(Ok(vec![7])).map(drop),
            _ => ranks.agree(mine, [0.0; 3]).map(drop),
        };
        let error = outcome.unwrap_err();
        (error.exit_code(), error.to_string(), ranks.conclude(error.exit_code(), "").is_err())
    });
    assert_eq!(failed[1], (7, "no room".into(), true));
    for other in [&failed[0], &failed[2]] {
        assert_eq!(*other, (7, "rank 1: no room".into(), true));
    }
}

#[test]
fn a_rank_that_has_left_is_not_waited_for() {
    for (code, expected) in [(3, "rank 1: gone"), (0, "rank 1: ended before the others")] {
        let heard = among(2, |ranks| match ranks.rank() {
            1 => ranks.conclude(code, "gone").unwrap_err().to_string(),
            _ => {
                let error = ranks.sum(&mut [1.0]).unwrap_err().to_string();
                // Each of these would wait for ever.
                assert!(ranks.sum(&mut [1.0]).is_err() && ranks.any(true).is_err());
                ranks.conclude(1, "").unwrap();
                error
            }
        });
        assert_eq!(heard[0], expected);
    }
}

#[test]
fn the_first_word_counts() {
    let words = [None, Some("b"), Some("c")];
    let heard = among(3, |ranks| ranks.first_of(words[ranks.rank()].map(str::to_owned)).unwrap());
    assert_eq!(heard, vec![Some("b".to_owned()); 3]);
    assert_eq!(among(2, |ranks| ranks.first_of(None).unwrap()), [None, None]);
}

fn digits(limit: usize) -> Arc<Dataset> {
    let options = data::OpenOptions { limit: Some(limit), ..data::OpenOptions::default() };
    Arc::new(data::open("digits".as_ref(), &options).unwrap())
}

/// Two epochs of batches that don't divide evenly, the last of them smaller than the number of ranks.
fn config(dataset: &Dataset, model: &str) -> TrainConfig {
    let mut config = TrainConfig::new(models::ModelConfig::named(model).unwrap());
    let batch = (8..64).find(|batch| dataset.split.train.len() % batch == 1).unwrap();
    (config.epochs, config.batch, config.lr) = (2, batch, 0.01);
    // Adam divides a gradient by its own size, and rounding with it where the gradient is near zero.
    config.optimizer = crate::OptimizerConfig::named("sgd").unwrap().with_momentum(0.9);
    config
}

/// Trains with `size` ranks into `folder`, and returns the hash of the weights after each epoch, and the report of rank 0.
fn trained(
    size: usize,
    config: &TrainConfig,
    dataset: &Arc<Dataset>,
    folder: &std::path::Path,
) -> (Vec<Vec<f32>>, Report) {
    let name = format!("ranks-{size}");
    let mut reports = among(size, |ranks| {
        let task = Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss).unwrap();
        let device = device::select("cpu").unwrap().device;
        let first = ranks.is_first();
        let run = if first { RunFolder::create(folder, &name).unwrap() } else { RunFolder::elsewhere() };
        let mut epochs = Vec::new();
        let job = Job { ranks: ranks.clone(), ..Job::new(config, task, dataset.clone(), device, &run) };
        let report = train(job, &|| false, &mut |event| {
            if let Event::Epoch(summary) = event {
                epochs.push(summary.weights);
            }
        });
        ranks.conclude(0, "").unwrap();
        (epochs, report.unwrap())
    });
    let hashes: Vec<_> = reports.iter().map(|(epochs, _)| epochs.clone()).collect();
    assert!(hashes.iter().all(|hash| *hash == hashes[0] && hash.len() == config.epochs), "{hashes:?}");
    let report = reports.swap_remove(0).1;
    let weights = models::named_tensors(report.best.as_ref().unwrap()).into_iter();
    (weights.map(|tensor| tensor.data.try_to_vec::<f32>().unwrap()).collect(), report)
}

/// The largest difference between weights.
fn apart(one: &[Vec<f32>], other: &[Vec<f32>]) -> f32 {
    let pairs = one.iter().flatten().zip(other.iter().flatten());
    pairs.fold(0.0, |most, (a, b)| f32::max(most, (a - b).abs()))
}

#[test]
fn several_ranks_train_what_one_process_trains() {
    let scratch = tempfile::tempdir().unwrap();
    let dataset = digits(300);
    let plain = config(&dataset, "mlp");
    let dropout = |mut config: TrainConfig| {
        config.model = config.model.customise(&models::Custom { dropout: Some(0.3), ..Default::default() }).unwrap();
        config
    };
    let augment = |text| data::Augment::parse(text, &dataset.input, &dataset.targets).unwrap();
    let counts: Vec<f32> = (0..10).map(|class| 0.2 + class as f32).collect();
    let cases: [(&str, TrainConfig); 5] = [
        ("plain", plain.clone()),
        (
            "dropout, augmentation, accumulated",
            TrainConfig { accumulate: 3, augment: augment("light"), ..dropout(plain.clone()) },
        ),
        ("mixed samples", TrainConfig { augment: augment("mixup"), ..plain.clone() }),
        (
            "class weights, averages, clipped",
            TrainConfig {
                loss: tasks::LossOptions { class_weights: tasks::ClassWeights::Given(counts), ..Default::default() },
                ema: Some(0.9),
                clip_norm: Some(0.5),
                ..plain.clone()
            },
        ),
        ("every step looked at", TrainConfig { on_nan: OnNan::Skip, ..plain }),
    ];
    for (name, config) in cases {
        let folder = scratch.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let (alone, report) = trained(1, &config, &dataset, &folder);
        for size in [2, 3] {
            let (together, shared) = trained(size, &config, &dataset, &folder);
            let apart = apart(&alone, &together);
            assert!(apart > 0.0 && apart < 1e-5, "{name}, {size} ranks: {apart}");
            assert_eq!(shared.learned, report.learned);
            let metric = |report: &Report| report.test.as_ref().or(report.val.as_ref()).unwrap().get("loss").unwrap();
            assert!((metric(&shared) - metric(&report)).abs() < 1e-4, "{name}");
        }
    }
}

#[test]
fn ranks_scale_the_loss_of_f16_alike_and_what_one_of_them_cannot_hold_is_learned_by_none() {
    let dataset = digits(300);
    let mut config = TrainConfig { precision: models::Precision::F16, ..config(&dataset, "mlp") };
    // Many batches, the last of them for one rank alone.
    config.batch = (4..8).find(|batch| dataset.split.train.len() % batch == 1).unwrap();
    // The gradients of a share with a nine are a thousand times those of one without: many scales are too much for one rank only.
    let weights = (0..10).map(|class| if class == 9 { 1000.0 } else { 1.0 }).collect();
    config.loss.class_weights = tasks::ClassWeights::Given(weights);
    for on_nan in [OnNan::Stop, OnNan::Skip] {
        config.on_nan = on_nan;
        let task = Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss).unwrap();
        let ended = among(2, |ranks| {
            let device = device::select("cpu").unwrap().device;
            let mut learner = crate::train::beginning(&config, &dataset, &task, &device).unwrap().among(&ranks);
            if on_nan == OnNan::Skip {
                learner = learner.watching(dataset.clone());
            }
            let loader = crate::batches::training(&config, &dataset).part(ranks.rank(), ranks.size());
            learner.progress.loss_scale = Some(crate::LossScale { exponent: 30, good: 5 });
            for batch in loader.epoch(0) {
                let share = learner.share(&loader, batch).unwrap();
                learner = learner.learn(share).unwrap();
            }
            learner.read_losses().unwrap();
            let tensors = models::named_tensors(&learner.model).into_iter();
            let weights: Vec<Vec<f32>> = tensors.map(|tensor| tensor.data.try_to_vec().unwrap()).collect();
            (learner.progress.loss_scale.unwrap(), learner.progress.sums.samples, learner.notes(), weights)
        });
        let (scale, samples, notes, weights) = &ended[0];
        assert!(ended[1] == ended[0], "{ended:?}");
        assert_eq!((notes.len() as u32, *samples), (30 - scale.exponent, dataset.split.train.len() as u64));
        assert!(scale.good > 0 && notes.len() > 5, "{scale:?}");
        assert!(weights.iter().flatten().all(|weight| weight.is_finite()));
    }
}

#[test]
fn ranks_that_normalise_by_batches_keep_the_statistics_of_rank_0() {
    let scratch = tempfile::tempdir().unwrap();
    let dataset = digits(300);
    let mut config = config(&dataset, "cnn");
    config.ema = Some(0.9);
    let custom =
        models::Custom { filters: Some(vec![4, 8]), norm: Some(models::Normalisation::Batch), ..Default::default() };
    config.model = config.model.customise(&custom).unwrap();
    // That all ranks come to the same weights is asserted inside.
    let (once, _) = trained(2, &config, &dataset, scratch.path());
    let (again, _) = trained(2, &config, &dataset, scratch.path());
    assert_eq!(once, again);
}

#[test]
fn a_sample_that_one_rank_cannot_read_ends_all_and_what_was_learned_is_saved() {
    let scratch = tempfile::tempdir().unwrap();
    let dataset = digits(200);
    let config = TrainConfig { batch: 16, ..TrainConfig::new(models::ModelConfig::named("mlp").unwrap()) };
    let task = Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss).unwrap();
    let mut broken = (*dataset).clone();
    // The last sample of the last batch of the first epoch, which rank 1 is to read.
    let last = crate::batches::training(&config, &dataset).epoch(0).last().unwrap().unwrap().indices.pop().unwrap();
    let at = broken.split.train.iter().position(|&index| index == last).unwrap();
    broken.split.train = broken
        .split
        .train
        .iter()
        .copied()
        .enumerate()
        .map(|(n, index)| if n == at { u32::MAX } else { index })
        .collect();
    let broken = Arc::new(broken);
    let ended = among(2, |ranks| {
        let first = ranks.is_first();
        let run = if first { RunFolder::create(scratch.path(), "run").unwrap() } else { RunFolder::elsewhere() };
        let device = device::select("cpu").unwrap().device;
        let job = Job { ranks: ranks.clone(), ..Job::new(&config, task.clone(), broken.clone(), device, &run) };
        let error = train(job, &|| false, &mut |_| ()).unwrap_err().to_string();
        ranks.conclude(3, &error).unwrap_err();
        error
    });
    assert!(ended[1].contains("4294967295") && ended[0] == format!("rank 1: {}", ended[1]), "{ended:?}");
    let run = RunFolder::open(&scratch.path().join("run"));
    assert!(run.is_err(), "nothing wrote args.toml");
    let (saved, _) = crate::Checkpoint::load_newest(&scratch.path().join("run/checkpoints")).unwrap();
    assert_eq!(saved.progress.batch + 1, crate::batches::training(&config, &dataset).batches());
}
