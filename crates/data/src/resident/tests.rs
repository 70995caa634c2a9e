//! Batches of a data set that lies on a device are those of the host, to the bit: on Flex. `trainer devices --check` asks other devices.

use proptest::prelude::*;

use super::*;
use crate::random::{Purpose, Random};
use crate::{
    Batch, BatchTargets, Filter, Fit, Found, ImageSpec, InputSpec, Inputs, Loader, Sources, Split, TableSpec, Target,
    Targets,
};

const OPERATIONS: [&str; 8] =
    ["flip:0.5", "vflip:0.5", "crop:2", "rotate:180", "shift:0.5", "scale:0.5", "jitter:1", "erase:1"];
const LISTS: [&str; 9] = [
    "none",
    "light",
    "strong",
    "flip,vflip,crop,rotate:180,shift:0.5,scale:0.5,jitter:1,erase:1",
    "mixup:0.4",
    "cutmix",
    "jitter,mixup",
    "erase:0.5,cutmix",
    "strong,mixup,cutmix",
];

fn pictures(n: usize, [channels, height, width]: [usize; 3]) -> Dataset {
    let mut random = Random::new(1, Purpose::Bench, n as u32, 0);
    let pixels = (0..n * channels * height * width).map(|_| random.bits() as u8).collect();
    let (mean, std) = (vec![0.43; channels], vec![0.3; channels]);
    let spec = ImageSpec { channels, height, width, fit: Fit::Stretch, filter: Filter::Triangle, mean, std };
    Dataset {
        found: Found::default(),
        input: InputSpec::Image(spec),
        samples: Samples::Pixels(pixels),
        targets: Targets::Classes {
            names: ["a", "b", "c"].map(String::from).to_vec(),
            values: (0..n as u32).map(|i| i % 3).collect(),
        },
        sources: Sources::Arrays(vec![("noise".into(), n)]),
        split: Split::default(),
    }
}

fn loaders(dataset: Dataset, text: &str) -> [Loader; 2] {
    let augment = Augment::parse(text, &dataset.input, &dataset.targets).unwrap();
    let resident = Arc::new(Resident::new(&dataset, &augment, &Device::flex()).unwrap());
    let indices = (0..dataset.len() as u32).rev().collect();
    let host = Loader::new(Arc::new(dataset), indices, 8).shuffled(3).augmented(augment, 5);
    [host.clone(), host.resident(Some(resident))]
}

/// The tensors of a batch, as bits.
fn tensors(batch: Batch) -> (Vec<usize>, Vec<u32>, Vec<u32>) {
    let (inputs, target) = batch.into_tensors(&Device::flex().autodiff());
    assert!(inputs.is_autodiff());
    let bits = |data: TensorData| data.iter::<f32>().map(f32::to_bits).collect::<Vec<_>>();
    let target = match target.unwrap() {
        Target::Classes(classes) => bits(classes.float().into_data()),
        Target::Dense(values) => bits(values.into_data()),
    };
    (inputs.dims().to_vec(), bits(inputs.into_data()), target)
}

fn compare(dataset: Dataset, text: &str, epoch: usize, part: [usize; 2]) {
    let [host, device] = loaders(dataset, text).map(|loader| loader.part(part[0], part[1]));
    let epochs = [host.epoch(epoch), device.epoch(epoch)].map(|epoch| epoch.map(Result::unwrap));
    let [host, device] = epochs.map(|batches| batches.filter(|batch| !batch.is_empty()).collect::<Vec<_>>());
    assert_eq!(host.len(), device.len());
    for (host, device) in host.into_iter().zip(device) {
        assert!(matches!(&device.inputs, Inputs::Resident(_)) && host.indices == device.indices);
        assert_eq!(device.inputs.clone().into_floats(), host.inputs.clone().into_floats(), "{text}");
        assert_eq!(tensors(device), tensors(host), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_operation_alone_gives_the_batches_of_the_host(
        channels in 1..=3_usize, height in 4..20_usize, width in 4..20_usize, n in 1..20_usize, epoch in 0..1000_usize
    ) {
        for text in OPERATIONS {
            compare(pictures(n, [channels, height, width]), text, epoch, [0, 1]);
        }
    }

    #[test]
    fn presets_and_mixtures_give_the_batches_of_the_host_and_so_do_their_parts(
        channels in 1..=3_usize, height in 4..20_usize, width in 4..20_usize, n in 1..20_usize, epoch in 0..1000_usize, of in 1..4_usize
    ) {
        for text in LISTS {
            compare(pictures(n, [channels, height, width]), text, epoch, [epoch % of, of]);
        }
    }

    #[test]
    fn pictures_of_one_pixel_and_of_one_row_are_none_too_small(height in 1..4_usize, width in 1..4_usize, channels in 1..=3_usize) {
        for text in ["flip,vflip,rotate:90,shift:0.5,scale:0.5,jitter:1,erase:1,mixup,cutmix", "none"] {
            compare(pictures(9, [channels, height, width]), text, 1, [0, 1]);
        }
    }
}

#[test]
fn pictures_of_an_extreme_size_have_positions_that_32_bits_hold() {
    for shape in [[1, LONGEST, 2], [1, 2, LONGEST], [3, 1, LONGEST]] {
        compare(pictures(2, shape), "rotate:180,shift:0.5,scale:0.5,jitter:1", 0, [0, 1]);
    }
    let bytes = |shape| Resident::bytes(&pictures(1, shape), &Augment::NONE);
    assert_eq!(bytes([1, LONGEST, 2]).unwrap(), 2 * LONGEST as u64);
    assert!(bytes([1, LONGEST + 1, 2]).unwrap_err().contains("too large"));
}

#[test]
fn extreme_brightness_is_held_by_32_bits() {
    for value in [0, 1, 127, 254, 255] {
        let mut dataset = pictures(40, [3, 64, 64]);
        let Samples::Pixels(pixels) = &mut dataset.samples else { panic!() };
        pixels.fill(value);
        compare(dataset, "jitter:1", 0, [0, 1]);
    }
}

#[test]
fn samples_that_are_not_augmented_come_as_they_are_from_a_data_set_that_is() {
    let dataset = Arc::new(pictures(11, [3, 7, 5]));
    let augment = Augment::parse("strong,mixup", &dataset.input, &dataset.targets).unwrap();
    let resident = Arc::new(Resident::new(&dataset, &augment, &Device::flex()).unwrap());
    let host = Loader::new(dataset, (0..11).collect(), 4);
    for (host, device) in host.epoch(0).zip(host.clone().floats().resident(Some(resident)).epoch(0)) {
        assert_eq!(tensors(device.unwrap()), tensors(host.unwrap()));
    }
}

#[test]
fn rows_of_tables_are_those_of_the_host_and_are_not_blended_there() {
    let features = (0..60).map(|i| i as f32 / 7.0).collect();
    let column = |position: usize| crate::Column {
        name: position.to_string(),
        position,
        kind: crate::ColumnKind::Categorical { categories: vec!["a".into()] },
    };
    let table = TableSpec { columns: (0..3).map(column).collect(), ..TableSpec::default() };
    let targets = Targets::Values { names: vec!["y".into()], values: (0..20).map(|i| i as f32).collect() };
    let dataset = Dataset {
        input: InputSpec::Table(table),
        samples: Samples::Features(features),
        targets,
        ..pictures(20, [1, 4, 4])
    };
    let mixup = Augment::parse("mixup", &dataset.input, &dataset.targets).unwrap();
    assert!(Resident::bytes(&dataset, &mixup).unwrap_err().contains("mixup"));
    assert_eq!(Resident::bytes(&dataset, &Augment::NONE).unwrap(), 240);
    compare(dataset, "none", 2, [0, 1]);
}

#[test]
fn what_cannot_lie_there_is_refused_with_the_reason_and_what_lies_there_serves_one_augmentation() {
    let dataset = pictures(6, [1, 5, 5]);
    let files = Dataset { samples: Samples::Files(Vec::new()), ..dataset.clone() };
    let refused = Resident::new(&files, &Augment::NONE, &Device::flex()).unwrap_err();
    assert!(refused.is_usage() && refused.to_string().contains("decoded while training"), "{refused}");
    let light = Augment::parse("light", &dataset.input, &dataset.targets).unwrap();
    // 25 bytes are 7 numbers of 32 bits, and with their edges 8 rows and columns.
    assert_eq!(Resident::bytes(&dataset, &Augment::NONE).unwrap(), 6 * 28);
    assert_eq!(Resident::bytes(&dataset, &light).unwrap(), 6 * 64);
    let resident = Arc::new(Resident::new(&dataset, &Augment::NONE, &Device::flex()).unwrap());
    let loader = Loader::new(Arc::new(dataset), vec![0, 1], 2).augmented(light, 0).resident(Some(resident));
    assert!(loader.epoch(0).next().unwrap().is_err());
}

#[test]
fn targets_of_mixed_samples_are_probabilities_there_too() {
    let [_, device] = loaders(pictures(9, [1, 6, 6]), "mixup");
    let batch = device.epoch(0).next().unwrap().unwrap();
    assert!(matches!(batch.targets, Some(BatchTargets::Dense { width: 3, .. })));
}
