//! The real image sets, opened as a user opens them. Each test is skipped where its set isn't there.

use std::path::PathBuf;

use data::{Dataset, OpenOptions, Samples, open};

fn real(set: &str, options: &OpenOptions) -> Option<Dataset> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/datasets")).join(set);
    if !path.exists() {
        eprintln!("skipped: {} isn't there", path.display());
        return None;
    }
    Some(open(&path, options).unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn mnist_is_read_whole() {
    let Some(mnist) = real("mnist", &OpenOptions::default()) else { return };
    assert_eq!((mnist.len(), mnist.split.test.len()), (70_000, 10_000));
    assert_eq!(mnist.split.train.len() + mnist.split.val.len(), 60_000);
    assert_eq!(mnist.targets.names(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    // The published numbers are those of all 60,000 images; nine tenths of them differ a little.
    let (mean, std) = mnist.input.normalisation();
    assert!((mean[0] - 0.1307).abs() < 5e-4 && (std[0] - 0.3081).abs() < 5e-4, "{mean:?} {std:?}");
    let Samples::Pixels(pixels) = &mnist.samples else { panic!("not in memory") };
    let values = || pixels[..60_000 * 784].iter().map(|&value| f64::from(value) / 255.0);
    let mean = values().sum::<f64>() / (60_000.0 * 784.0);
    let std = (values().map(|x| x * x).sum::<f64>() / (60_000.0 * 784.0) - mean * mean).sqrt();
    assert!((mean - 0.13066).abs() < 1e-5 && (std - 0.30811).abs() < 1e-5, "{mean} {std}");
}

#[test]
fn the_faces_are_40_people_of_10_photos() {
    let Some(data) = real("att_faces", &OpenOptions::default()) else { return };
    assert_eq!((data.len(), data.targets.names().len(), data.input.shape()), (400, 40, [1, 112, 92]));
    assert_eq!(data.targets.names()[..3], ["s1", "s10", "s11"]);
    assert_eq!(data.split.test.len(), 80);
    assert!(data.found.notes.iter().any(|note| note.contains("README")), "{:?}", data.found.notes);
}

#[test]
fn the_flowers_are_read_in_part() {
    let options = OpenOptions { limit: Some(200), image_size: Some([32, 32]), ..OpenOptions::default() };
    let Some(data) = real("flowers", &options) else { return };
    assert_eq!((data.len(), data.split.len(), data.input.shape()), (4317, 200, [3, 32, 32]));
    assert_eq!(data.targets.names(), ["daisy", "dandelion", "rose", "sunflower", "tulip"]);
    let (mean, std) = data.input.normalisation();
    assert!(mean.iter().chain(&std).all(|value| (0.15..0.6).contains(value)), "{mean:?} {std:?}");
}
