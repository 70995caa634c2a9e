//! `infer` without a command, from outside.

mod scratch;

use std::fs;
use std::time::{Duration, SystemTime};

use scratch::{Scratch, classes, pictures, rows, values};

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

#[test]
fn without_a_run_it_says_to_train_first_and_how() {
    let done = Scratch::new().infer(&[]);
    assert_eq!((done.code, done.out.as_str()), (4, ""));
    assert!(done.err.contains("train one first: trainer"), "{}", done.err);
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
}

#[test]
fn digits_are_drawn_in_plain_characters_beside_their_probabilities() {
    let scratch = Scratch::new();
    scratch.model("runs/first/weights/best.safetensors", pictures(), &classes(&DIGITS));
    let done = scratch.infer(&["--count", "3"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(!done.out.contains('\x1b'), "escapes in a pipe: {}", done.out);
    assert_eq!(done.out.matches("it says").count(), 3, "{}", done.out);
    assert!(done.out.contains('%') && done.out.contains("@@"), "{}", done.out);
    assert!(done.err.contains("infer predict"), "{}", done.err);
}

#[test]
fn samples_are_from_the_held_out_split_of_the_run() {
    let scratch = Scratch::new();
    scratch.model("runs/first/weights/best.safetensors", pictures(), &classes(&DIGITS));
    let done = scratch.infer(&["--count", "9", "--format", "jsonl"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let digits = data::digits::load(&data::OpenOptions::default()).unwrap();
    let held_out: Vec<String> = digits.split.test.iter().map(|&index| digits.sources.name(index as usize)).collect();
    let shown = done.sources();
    assert_eq!(shown.len(), 9);
    assert!(shown.iter().all(|source| held_out.contains(source)), "{shown:?}");
}

#[test]
fn a_split_that_the_run_kept_decides_what_is_held_out() {
    let scratch = Scratch::new();
    scratch.model("runs/first/weights/best.safetensors", pictures(), &classes(&DIGITS));
    let digits = data::digits::load(&data::OpenOptions { seed: 5, ..data::OpenOptions::default() }).unwrap();
    data::split::write_csv(&scratch.path().join("runs/first/split.csv"), &digits).unwrap();
    let held_out: Vec<String> = digits.split.test.iter().map(|&index| digits.sources.name(index as usize)).collect();
    let shown = scratch.infer(&["--count", "40", "--format", "jsonl"]).sources();
    assert_eq!(shown.len(), 40);
    assert!(shown.iter().all(|source| held_out.contains(source)), "{shown:?}");
}

#[test]
fn the_newest_run_is_taken() {
    let scratch = Scratch::new();
    for (name, age) in [("a", 20), ("b", 5), ("c", 90)] {
        let path = scratch.model(&format!("runs/{name}/weights/best.safetensors"), pictures(), &classes(&DIGITS));
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    assert!(scratch.infer(&[]).err.replace('\\', "/").contains("runs/b/weights"));
}

#[test]
fn a_run_of_other_data_is_explained() {
    let scratch = Scratch::new();
    scratch.model("runs/houses/weights/best.safetensors", rows(), &values(&["price"]));
    scratch.write("runs/houses/split.csv", "sample,split\nhouses.csv:2,train\nhouses.csv:3,test\n");
    let done = scratch.infer(&[]);
    assert_eq!((done.code, done.out.as_str()), (0, ""), "{}", done.err);
    assert!(done.err.contains("price") && done.err.contains("infer predict runs"), "{}", done.err);
}

#[test]
fn a_broken_run_is_a_models_fault() {
    let scratch = Scratch::new();
    scratch.write("runs/first/weights/best.safetensors", "");
    assert_eq!(scratch.infer(&[]).code, 4);
}
