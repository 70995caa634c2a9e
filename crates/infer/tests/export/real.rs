//! Models with inputs from the world: the digits in the binary, and flowers and tables where they are.
#![allow(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::path::{Path, PathBuf};

use data::{Filter, Fit, ImageSpec, InputSpec, OpenOptions, Samples, image};
use models::{MlpConfig, ModelConfig};

use crate::case::{Case, Inputs};
use crate::formula::{model, picture};
use crate::scratch::{classes, labels, values};

pub(crate) fn digits() -> Vec<Case> {
    let Samples::Pixels(pixels) = data::digits::load(&OpenOptions::default()).unwrap().samples else {
        panic!("digits are pixels")
    };
    let ten: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
    let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
    let tasks = [
        ("classes", classes(&ten)),
        ("labels", labels(&["odd", "round", "large"])),
        ("values", values(&["ink", "lean"])),
    ];
    let mut cases = Vec::new();
    for name in ModelConfig::PRESETS {
        for (task, targets) in &tasks {
            let input = InputSpec::Image(picture(1, 8, 8));
            let file = model(&ModelConfig::preset(name).unwrap(), input, targets, (*task != "values").then_some(1.5));
            let inputs = Inputs::Pixels(pixels[..1000 * 64].to_vec());
            cases.push(Case { name: format!("digits-{name}-{task}"), file, resize: false, inputs });
        }
    }
    cases
}

fn datasets(name: &str) -> Option<PathBuf> {
    let place = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/datasets")).join(name);
    if !place.exists() {
        eprintln!("skipped: {} is not there", place.display());
    }
    place.exists().then_some(place)
}

/// The first pictures of each folder in `folder`, as `spec` has them.
fn pictures(folder: &Path, each: usize, spec: &ImageSpec) -> Vec<u8> {
    let listed = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut entries: Vec<PathBuf> = entries.collect();
        entries.sort();
        entries
    };
    let files = listed(folder).into_iter().filter(|place| place.is_dir()).flat_map(|kind| {
        listed(&kind).into_iter().filter(|path| image::has_image_name(path)).take(each).collect::<Vec<_>>()
    });
    files.flat_map(|file| image::decode_file(&file, spec).unwrap()).collect()
}

/// Photographs of flowers and faces in their own size, which the exported network resizes by every way and filter.
pub(crate) fn photographs() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, [channels, height, width], each) in [("flowers", [3, 128, 128], 10), ("att_faces", [1, 112, 92], 1)] {
        let Some(folder) = datasets(name) else { continue };
        let whole = ImageSpec { fit: Fit::Stretch, ..picture(channels, height, width) };
        let pixels = pictures(&folder, each, &whole);
        assert!(pixels.len() >= 40 * channels * height * width, "{name}");
        for fit in [Fit::Crop, Fit::Stretch, Fit::Pad] {
            for filter in [Filter::Nearest, Filter::Triangle, Filter::CatmullRom, Filter::Lanczos3] {
                let spec = ImageSpec { fit, filter, ..picture(channels, 32, 28) };
                let mut case =
                    Case::of(format!("{name}-{fit:?}-{filter:?}"), &ModelConfig::preset("cnn").unwrap(), spec);
                case.inputs = Inputs::Pictures([channels, height, width], pixels.clone());
                case.resize = true;
                cases.push(case);
            }
        }
    }
    cases
}

pub(crate) fn flowers() -> Vec<Case> {
    let Some(folder) = datasets("flowers") else { return Vec::new() };
    let spec = ImageSpec { fit: Fit::Crop, ..picture(3, 32, 28) };
    let pixels = pictures(&folder, 200, &spec);
    assert_eq!(pixels.len(), 1000 * 3 * 32 * 28);
    let of = |name: &&str| {
        let mut case = Case::of(format!("flowers-{name}"), &ModelConfig::preset(name).unwrap(), spec.clone());
        case.inputs = Inputs::Pixels(pixels.clone());
        case
    };
    ModelConfig::PRESETS.iter().map(of).collect()
}

pub(crate) fn rows() -> Vec<Case> {
    let of = |(name, label): (&str, &str)| {
        let file = datasets("tabular")?.join(name);
        let options = OpenOptions { label: vec![label.to_owned()], ..OpenOptions::default() };
        let dataset = data::open(&file, &options).unwrap();
        let config = ModelConfig::Mlp(MlpConfig::with_hidden([32]));
        let records = csv::Reader::from_path(&file).unwrap().into_records();
        let rows: Vec<Vec<String>> =
            records.take(1000).map(|row| row.unwrap().iter().map(|field| field.trim().to_owned()).collect()).collect();
        assert!(rows.len() > 800, "{name}");
        let file = model(&config, dataset.input, &dataset.targets, None);
        Some(Case { name: name.replace(".csv", ""), file, resize: false, inputs: Inputs::Rows(rows) })
    };
    [("housing.csv", "median_house_value"), ("titanic.csv", "survived")].into_iter().filter_map(of).collect()
}
