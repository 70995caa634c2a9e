//! Class folders: what they may be called, and what is refused.

use ::image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage};

use super::*;
use crate::{ImageSpec, Like, Outputs, Samples, open};

/// Writes images of `value` of 4 rows and 6 columns: gray ones.
fn gray(root: &Path, file: &str, value: u8) {
    write(root, file, GrayImage::from_pixel(6, 4, Luma([value])).into());
}

fn write(root: &Path, file: &str, image: DynamicImage) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

fn flat() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..10 {
        gray(folder.path(), &format!("cat/{i}.png"), 10 * i);
        gray(folder.path(), &format!("dog/{i}.PGM"), 100 + 10 * i);
    }
    folder
}

fn read(root: &Path) -> Result<Dataset, Error> {
    open(root, &OpenOptions::default())
}

fn error(root: &Path) -> String {
    read(root).unwrap_err().to_string()
}

fn pixels(dataset: &Dataset) -> &[u8] {
    let Samples::Pixels(pixels) = &dataset.samples else { panic!("not in memory") };
    pixels
}

#[test]
fn class_folders_are_read_and_cut() {
    let folder = flat();
    std::fs::write(folder.path().join("README"), "about").unwrap();
    std::fs::write(folder.path().join("cat/.hidden.png"), "no").unwrap();
    std::fs::write(folder.path().join("cat/Thumbs.db"), "no").unwrap();
    let data = read(folder.path()).unwrap();
    assert_eq!((data.found.format.as_str(), data.len(), data.input.shape()), ("image folder", 20, [1, 4, 6]));
    assert_eq!(data.targets.names(), ["cat", "dog"]);
    assert_eq!((data.split.train.len(), data.split.val.len(), data.split.test.len()), (14, 2, 4));
    assert_eq!(data.sources.name(11), "dog/1.PGM");
    assert_eq!((pixels(&data)[24], pixels(&data)[11 * 24]), (10, 110));
    let notes = data.found.notes.join("\n");
    assert!(notes.contains("by seed 0, stratified by class: a fifth for testing"), "{notes}");
    assert!(notes.contains("1 hidden, 2 that are no images in a class folder (such as `README`)"), "{notes}");
    // Mean and deviation are those of the training samples only.
    let values: Vec<f64> =
        data.split.train.iter().map(|&i| f64::from(pixels(&data)[i as usize * 24]) / 255.0).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let std = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
    let (ours, deviation) = data.input.normalisation();
    assert!((f64::from(ours[0]) - mean).abs() < 1e-6 && (f64::from(deviation[0]) - std).abs() < 1e-6);
}

#[test]
fn split_folders_are_followed_by_any_of_their_names() {
    for (train, val, test) in
        [("train", "val", "test"), ("Training", "validation", "testing"), ("TRAIN", "eval", "Test")]
    {
        let folder = tempfile::tempdir().unwrap();
        for (part, n) in [(train, 6), (val, 2), (test, 3)] {
            for i in 0..n {
                gray(folder.path(), &format!("{part}/a/{i}.png"), i);
                gray(folder.path(), &format!("{part}/b/deep/{i}.png"), i);
            }
        }
        let data = read(folder.path()).unwrap();
        assert_eq!((data.split.train.len(), data.split.val.len(), data.split.test.len()), (12, 4, 6));
        assert_eq!(data.sources.name(6), format!("{train}/b/deep/0.png"));
        assert!(data.found.notes[0].contains(&format!("`{train}`")), "{:?}", data.found.notes);
    }
}

#[test]
fn training_and_validation_folders_alone_leave_no_test_split() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "val"] {
        (0..5).for_each(|i| gray(folder.path(), &format!("{part}/a/{i}.png"), i));
        (0..5).for_each(|i| gray(folder.path(), &format!("{part}/b/{i}.png"), i));
    }
    let data = read(folder.path()).unwrap();
    assert_eq!((data.split.train.len(), data.split.val.len(), data.split.test.len()), (10, 10, 0));
    assert!(data.found.notes.iter().any(|note| note.contains("chosen on")), "{:?}", data.found.notes);
}

#[test]
fn classes_that_differ_between_splits_are_named_with_a_near_match() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["train/cat/0.png", "train/dog/0.png", "test/Cat/0.png", "test/dog/0.png"] {
        gray(folder.path(), file, 1);
    }
    let message = error(folder.path());
    assert!(message.contains("class `cat` is in") && message.contains("did you mean it by `Cat`?"), "{message}");
    std::fs::remove_dir_all(folder.path().join("test/Cat")).unwrap();
    assert!(error(folder.path()).contains("every split needs the same class folders"));
}

#[test]
fn folders_without_usable_classes_are_refused() {
    let folder = flat();
    std::fs::create_dir(folder.path().join("emu")).unwrap();
    let message = error(folder.path());
    assert!(message.contains("emu`: the class folder holds no images"), "{message}");

    let folder = tempfile::tempdir().unwrap();
    (0..5).for_each(|i| gray(folder.path(), &format!("cat/{i}.png"), i));
    assert!(error(folder.path()).contains("all samples are of one class, `cat`"));

    let folder = tempfile::tempdir().unwrap();
    gray(folder.path(), "train/1.png", 0);
    assert!(error(folder.path()).contains("no class folders in it"));
    std::fs::remove_dir_all(folder.path().join("train")).unwrap();
    assert!(error(folder.path()).contains("found nothing"));
    gray(folder.path(), "1.png", 0);
    assert!(error(folder.path()).contains("1 images without class folders"));
}

#[test]
fn an_unreadable_image_is_named() {
    let folder = flat();
    std::fs::write(folder.path().join("dog/5.PGM"), "no image").unwrap();
    let message = error(folder.path());
    assert!(message.contains("dog/5.PGM` first bytes: expected an image"), "{message}");
    std::fs::write(folder.path().join("dog/5.PGM"), "P5 6 4 255\n123").unwrap();
    let message = error(folder.path());
    assert!(message.contains("dog/5.PGM` pixels: expected a whole image"), "{message}");
    std::fs::write(folder.path().join("dog/5.PGM"), "P5 60000 60000 255\n123").unwrap();
    assert!(error(folder.path()).contains("at most 100 megapixels"));
}

#[test]
fn sizes_and_channels_that_differ_are_stated() {
    let folder = flat();
    write(folder.path(), "cat/big.png", RgbImage::from_pixel(600, 400, Rgb([200, 0, 0])).into());
    let data = read(folder.path()).unwrap();
    assert_eq!(data.input.shape(), [3, 4, 4]);
    let notes = data.found.notes.join("\n");
    assert!(notes.contains("20 of 21 images are gray"), "{notes}");
    assert!(notes.contains("images of 4x6 to 400x600 (rows x columns) become 4x4"), "{notes}");
    let options = OpenOptions { image_size: Some([8, 10]), channels: Some(1), ..OpenOptions::default() };
    assert_eq!(open(folder.path(), &options).unwrap().input.shape(), [1, 8, 10]);
}

#[test]
fn what_does_not_fit_in_memory_stays_in_files() {
    let folder = flat();
    let options = OpenOptions { memory: Some(100), ..OpenOptions::default() };
    let data = open(folder.path(), &options).unwrap();
    let Samples::Files(files) = &data.samples else { panic!("in memory") };
    assert_eq!((files.len(), files[0].is_file()), (20, true));
    let whole = read(folder.path()).unwrap();
    // Few enough that all are measured.
    assert_eq!((data.input, data.split), (whole.input, whole.split));
}

#[test]
fn a_model_s_recipe_and_classes_rule() {
    let folder = flat();
    let spec = ImageSpec {
        channels: 3,
        height: 2,
        width: 2,
        fit: crate::Fit::Stretch,
        filter: crate::Filter::Nearest,
        mean: vec![0.1, 0.2, 0.3],
        std: vec![1.0, 2.0, 3.0],
    };
    let like = |names: &[&str]| OpenOptions {
        like: Some(Like {
            input: InputSpec::Image(spec.clone()),
            outputs: Outputs::Classes(names.iter().map(|name| name.to_string()).collect()),
        }),
        ..OpenOptions::default()
    };
    let data = open(folder.path(), &like(&["emu", "dog", "cat"])).unwrap();
    assert_eq!(data.input, InputSpec::Image(spec.clone()));
    let Targets::Classes { names, values } = &data.targets else { panic!("not classes") };
    assert_eq!((names.len(), values[0], values[19]), (3, 2, 1));
    let message = open(folder.path(), &like(&["Dog", "cat"])).unwrap_err().to_string();
    assert!(message.contains("doesn't know the class `dog`; did you mean `Dog`?"), "{message}");
}
