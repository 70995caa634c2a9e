//! The order of batches, and what happens when an epoch doesn't come to its end.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::{BatchTargets, Filter, Fit, Found, ImageSpec, Sources, Split};

/// `n` pictures of noise in memory.
fn pictures(n: usize, channels: usize) -> Dataset {
    let (height, width) = (9, 7);
    let mut random = Random::new(1, Purpose::Bench, 0, 0);
    let pixels = (0..n * channels * height * width).map(|_| random.bits() as u8).collect();
    let (mean, std) = (vec![0.5; channels], vec![0.3; channels]);
    Dataset {
        found: Found::default(),
        input: InputSpec::Image(ImageSpec {
            channels,
            height,
            width,
            fit: Fit::Stretch,
            filter: Filter::Triangle,
            mean,
            std,
        }),
        samples: Samples::Pixels(pixels),
        targets: Targets::Classes {
            names: ["a", "b", "c"].map(String::from).to_vec(),
            values: (0..n as u32).map(|i| i % 3).collect(),
        },
        sources: Sources::Arrays(vec![("noise".into(), n)]),
        split: Split::default(),
    }
}

/// The same pictures as PNG files in `folder`.
fn files(dataset: &Dataset, folder: &Path) -> Dataset {
    let ([channels, height, width], Samples::Pixels(pixels)) = (dataset.input.shape(), &dataset.samples) else {
        panic!()
    };
    let kind = if channels == 1 { ::image::ColorType::L8 } else { ::image::ColorType::Rgb8 };
    let paths: Vec<PathBuf> = (0..dataset.len()).map(|i| folder.join(format!("{i}.png"))).collect();
    for (path, planes) in paths.iter().zip(pixels.chunks_exact(channels * height * width)) {
        let plane = height * width;
        let interleaved: Vec<u8> =
            (0..plane).flat_map(|i| (0..channels).map(move |channel| planes[channel * plane + i])).collect();
        ::image::save_buffer(path, &interleaved, width as u32, height as u32, kind).unwrap();
    }
    Dataset { samples: Samples::Files(paths), ..dataset.clone() }
}

fn augmented(dataset: Dataset, text: &str, seed: u64) -> Loader {
    let indices: Vec<u32> = (0..dataset.len() as u32).collect();
    let augment = Augment::parse(text, &dataset.input, &dataset.targets).unwrap();
    Loader::new(Arc::new(dataset), indices, 8).shuffled(seed).augmented(augment, seed)
}

fn batches(epoch: Epoch) -> Vec<Batch> {
    epoch.map(Result::unwrap).collect()
}

#[test]
fn batches_are_the_same_for_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    for channels in [1, 3] {
        let memory = pictures(50, channels);
        for dataset in [files(&memory, folder.path()), memory] {
            for text in ["none", "strong", "strong,mixup,cutmix"] {
                let loader = augmented(dataset.clone(), text, 5);
                let expected = batches(loader.epoch(3));
                assert_eq!(expected.iter().map(Batch::len).sum::<usize>(), 50);
                for workers in [1, 2, 8, 100] {
                    assert_eq!(
                        batches(loader.clone().workers(workers).epoch(3)),
                        expected,
                        "{text}, {workers} workers"
                    );
                }
            }
        }
    }
}

#[test]
fn decoding_while_training_gives_the_batches_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    for channels in [1, 3] {
        let memory = pictures(20, channels);
        let streamed = files(&memory, folder.path());
        let epoch = |dataset| batches(augmented(dataset, "light", 2).workers(2).epoch(0));
        assert_eq!(epoch(streamed), epoch(memory));
    }
}

#[test]
fn seeds_and_epochs_change_order_and_draws() {
    let epoch = |seed, epoch| batches(augmented(pictures(30, 1), "light,mixup", seed).epoch(epoch));
    assert_eq!(epoch(1, 0), epoch(1, 0));
    for (seed, number) in [(2, 0), (1, 1)] {
        let (found, other) = (epoch(1, 0), epoch(seed, number));
        assert_ne!(found[0].indices, other[0].indices);
        assert_ne!(found[0].inputs, other[0].inputs);
    }
    // Without shuffling, the draws alone differ.
    let dataset = pictures(8, 1);
    let augment = Augment::parse("light", &dataset.input, &dataset.targets).unwrap();
    let loader = Loader::new(Arc::new(dataset), (0..8).collect(), 8).augmented(augment, 0);
    let (first, second) = (batches(loader.epoch(0)), batches(loader.epoch(1)));
    assert_eq!(first[0].indices, second[0].indices);
    assert_ne!(first[0].inputs, second[0].inputs);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn skipped_batches_leave_the_others_as_they_were(n in 0..60_usize, skip in 0..10_usize, workers in 0..4_usize) {
        let loader = augmented(pictures(n, 1), "light,mixup", 4).workers(workers);
        let expected: Vec<Batch> = batches(loader.epoch(1)).into_iter().skip(skip).collect();
        prop_assert_eq!(batches(loader.epoch(1).skip_batches(skip)), expected);
        prop_assert_eq!(loader.epoch(1).count(), loader.batches());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_parts_of_a_batch_taken_together_are_the_batch(
        n in 0..60_usize, of in 1..12_usize, mixed in any::<bool>(), workers in 0..3_usize
    ) {
        let loader = augmented(pictures(n, 1), if mixed { "light,mixup,cutmix" } else { "light" }, 4).workers(workers);
        let parts: Vec<Vec<Batch>> = (0..of).map(|part| batches(loader.clone().part(part, of).epoch(1))).collect();
        for (number, whole) in batches(loader.epoch(1)).into_iter().enumerate() {
            prop_assert_eq!(loader.len_of(number), whole.len());
            let mut next = 0;
            for (part, made) in parts.iter().enumerate() {
                let rows = loader.clone().part(part, of).part_of(number);
                prop_assert_eq!(rows.start, next);
                // No part has two samples more than another.
                prop_assert!(rows.len() == whole.len() / of || rows.len() == whole.len().div_ceil(of));
                next = rows.end;
                prop_assert_eq!(&made[number], &whole.clone().cut(rows));
            }
            prop_assert_eq!(next, whole.len());
        }
    }
}

#[test]
fn the_truth_of_a_part_is_that_of_the_whole_batch() {
    let loader = Loader::new(Arc::new(pictures(19, 1)), (0..19).rev().collect(), 8);
    for (number, whole) in batches(loader.epoch(0)).into_iter().enumerate() {
        let truth = loader.clone().part(1, 2).truth(number);
        assert_eq!((truth.0, Some(truth.1)), (whole.indices, whole.targets));
    }
}

#[test]
fn a_file_that_cannot_be_decoded_is_named_in_its_place_and_ends_the_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = files(&pictures(40, 1), folder.path());
    std::fs::write(folder.path().join("17.png"), b"no picture").unwrap();
    for workers in [0, 1, 2, 8] {
        let loader = Loader::new(Arc::new(dataset.clone()), (0..40).collect(), 8).workers(workers);
        let mut found: Vec<Result<Batch, Error>> = loader.epoch(0).collect();
        assert_eq!(found.len(), 3, "two whole batches, then the one with sample 17");
        let error = found.pop().unwrap().unwrap_err();
        assert!(error.to_string().contains("17.png") && !error.is_usage(), "{error}");
        assert!(found.iter().all(Result::is_ok));
    }
}

#[test]
fn leaving_an_epoch_early_ends_its_threads() {
    let dataset = Arc::new(pictures(400, 1));
    for taken in 0..4 {
        let loader = Loader::new(dataset.clone(), (0..400).collect(), 2).workers(4);
        let mut epoch = loader.epoch(0);
        for _ in 0..taken {
            epoch.next().unwrap().unwrap();
        }
        drop((epoch, loader));
        assert_eq!(Arc::strong_count(&dataset), 1, "no thread holds the data any more");
    }
}

#[test]
fn wrong_indices_and_foreign_augmentation_are_errors() {
    let error = |loader: Loader| loader.epoch(0).find_map(Result::err).unwrap().to_string();
    for workers in [0, 2] {
        let loader = Loader::new(Arc::new(pictures(4, 1)), vec![0, 4], 8).workers(workers);
        assert!(error(loader).contains("sample 4 of a data set of 4"));
        let classes = pictures(4, 1);
        let augment = Augment::parse("cutmix", &classes.input, &classes.targets).unwrap();
        let numbers = Targets::Values { names: vec!["age".into()], values: vec![0.0; 4] };
        let numbers = Arc::new(Dataset { targets: numbers, ..classes });
        assert!(error(Loader::new(numbers, vec![0], 1).augmented(augment, 0).workers(workers)).contains("cutmix"));
    }
}

#[test]
fn labels_stay_classes_unless_samples_are_mixed() {
    let targets = |text| batches(augmented(pictures(9, 1), text, 0).epoch(0)).remove(1).targets.unwrap();
    assert!(matches!(targets("strong"), BatchTargets::Classes(_)));
    // The last batch has one sample, which has nothing to mix with and yet comes as probabilities.
    let BatchTargets::Dense { width: 3, values } = targets("mixup") else { panic!() };
    assert_eq!(values.iter().filter(|&&value| value == 1.0).count(), 1);
}

#[test]
fn floats_are_the_numbers_that_tensors_would_be_made_of() {
    for text in ["none", "mixup"] {
        let loader = augmented(pictures(20, 1), text, 3);
        let bytes = batches(loader.clone().epoch(0));
        for workers in [0, 2] {
            let floats = batches(loader.clone().floats().workers(workers).epoch(0));
            for (bytes, floats) in bytes.iter().zip(floats) {
                assert!(matches!(floats.inputs, Inputs::Floats(_)));
                assert_eq!(floats.inputs.into_floats(), bytes.inputs.clone().into_floats());
                assert_eq!(floats.targets, bytes.targets);
            }
        }
    }
}

#[test]
fn whole_batches_are_those_of_the_epoch_but_for_a_short_last_one() {
    for n in [0, 7, 8, 9, 40, 43] {
        let all = augmented(pictures(n, 1), "light,mixup", 3);
        let whole = all.clone().whole(true);
        let expected: Vec<Batch> = batches(all.epoch(2)).into_iter().filter(|batch| batch.len() == 8).collect();
        assert_eq!((whole.batches(), whole.samples()), (expected.len(), expected.len() * 8));
        assert_eq!(batches(whole.epoch(2)), expected);
    }
}
