//! Inputs of batches that are made on a device of a data set that lies there: every operation of augmentation, in gray and in colour.

use std::sync::Arc;

use burn::tensor::Device;
use data::random::{Purpose, Random};
use data::{
    Augment, Dataset, Filter, Fit, Found, ImageSpec, InputSpec, Loader, Resident, Samples, Sources, Split, Targets,
};

use super::{Case, Outcome, Part, values};

/// Amounts at which nearly every sample shows the operation.
const LISTS: [&str; 9] = [
    "none",
    "flip,vflip",
    "crop",
    "rotate:90,shift,scale",
    "jitter",
    "erase:1",
    "mixup",
    "cutmix",
    "flip,crop,rotate,scale,jitter,erase,mixup,cutmix",
];

/// Samples, of which batches of eight leave a short one, and height and width.
const SHAPE: [usize; 3] = [21, 13, 10];

pub(super) fn cases() -> Vec<Case> {
    let colours = [(1, "gray"), (3, "RGB")];
    let cases = colours.into_iter().flat_map(|(channels, colour)| LISTS.map(|list| (channels, colour, list)));
    let case = |(channels, colour, list): (usize, &str, &'static str)| {
        Case::new(Part::Batch, format!("{list}, {colour}"), move |device| inputs(channels, list, device))
    };
    cases.map(case).collect()
}

/// The inputs of two epochs.
fn inputs(channels: usize, list: &str, device: &Device) -> Result<Outcome, String> {
    let dataset = noise(channels);
    let augment = Augment::parse(list, &dataset.input, &dataset.targets).map_err(|error| error.to_string())?;
    let resident = Resident::new(&dataset, &augment, device).map_err(|error| error.to_string())?;
    let loader = Loader::new(Arc::new(dataset), (0..SHAPE[0] as u32).collect(), 8).shuffled(1).augmented(augment, 1);
    let loader = loader.resident(Some(Arc::new(resident)));
    let mut outcome = Outcome::default();
    for batch in loader.epoch(0).chain(loader.epoch(1)) {
        let (inputs, _) = batch.map_err(|error| error.to_string())?.into_tensors(device);
        outcome.outputs.push(values(inputs)?);
    }
    Ok(outcome)
}

fn noise(channels: usize) -> Dataset {
    let [samples, height, width] = SHAPE;
    let mut random = Random::new(7, Purpose::Bench, channels as u32, 3);
    let pixels = (0..samples * channels * height * width).map(|_| random.bits() as u8).collect();
    let (mean, std) = (vec![0.4; channels], vec![0.3; channels]);
    let spec = ImageSpec { channels, height, width, fit: Fit::Crop, filter: Filter::Triangle, mean, std };
    Dataset {
        found: Found::default(),
        input: InputSpec::Image(spec),
        samples: Samples::Pixels(pixels),
        targets: Targets::Classes {
            names: vec!["a".into(), "b".into()],
            values: (0..samples as u32).map(|i| i % 2).collect(),
        },
        sources: Sources::Arrays(vec![("noise".into(), samples)]),
        split: Split::default(),
    }
}
