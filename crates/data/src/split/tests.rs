//! Splits: followed, cut, limited, written and read again.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::{Dataset, Filter, Fit, Found, ImageSpec, InputSpec, Like, Outputs, Samples};

fn classes(values: Vec<u32>) -> Targets {
    let k = values.iter().max().map_or(0, |max| max + 1);
    Targets::Classes { names: (0..k).map(|class| format!("class {class}")).collect(), values }
}

fn sources(n: usize) -> Sources {
    Sources::Arrays(vec![("all".into(), n)])
}

fn assign_all(targets: &Targets, options: &OpenOptions) -> Result<(Split, Vec<String>), Error> {
    assign(&[], targets, &sources(targets.len()), Path::new("set"), options)
}

fn all(split: &Split) -> Vec<u32> {
    let mut all = [split.train.clone(), split.val.clone(), split.test.clone()].concat();
    all.sort_unstable();
    all
}

fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().to_string()
}

proptest! {
    #[test]
    fn a_split_is_disjoint_complete_and_a_function_of_the_seed(
        mut values in prop::collection::vec(0u32..6, 1..300), seed in any::<u64>()
    ) {
        values.extend([0, 1]);
        let targets = classes(values.clone());
        let options = OpenOptions { seed, ..OpenOptions::default() };
        let (split, _) = assign_all(&targets, &options).unwrap();
        prop_assert_eq!(all(&split), (0..values.len() as u32).collect::<Vec<_>>());
        prop_assert_eq!(&assign_all(&targets, &options).unwrap().0, &split);
        for class in 0..6 {
            let count = |part: &[u32]| part.iter().filter(|&&index| values[index as usize] == class).count();
            let n = values.iter().filter(|&&value| value == class).count();
            prop_assert!(n == 0 || count(&split.train) > 0, "class {} of {} samples isn't trained", class, n);
            let (test, val) = (count(&split.test) as f64, count(&split.val) as f64);
            prop_assert!((test - n as f64 * 0.2).abs() <= 1.5 && (val - n as f64 * 0.08).abs() <= 1.5, "{} {} {}", n, val, test);
        }
    }

    #[test]
    fn a_limit_is_exact_a_subset_and_keeps_every_class(
        mut values in prop::collection::vec(0u32..4, 30..300), seed in any::<u64>(), limit in 6usize..400
    ) {
        values.extend([0, 1, 2, 3]);
        let targets = classes(values.clone());
        let whole = assign_all(&targets, &OpenOptions { seed, ..OpenOptions::default() }).unwrap().0;
        let options = OpenOptions { seed, limit: Some(limit), ..OpenOptions::default() };
        let (split, _) = assign_all(&targets, &options).unwrap();
        prop_assert_eq!(split.len(), limit.min(values.len()));
        for (part, of) in [(&split.train, &whole.train), (&split.val, &whole.val), (&split.test, &whole.test)] {
            prop_assert!(part.iter().all(|index| of.binary_search(index).is_ok()));
            prop_assert!(!part.is_empty() && part.is_sorted());
            let share = of.len() as f64 * limit.min(values.len()) as f64 / values.len() as f64;
            prop_assert!((part.len() as f64 - share).abs() <= 4.0, "{} of {}", part.len(), share);
        }
        for class in 0..4 {
            prop_assert!(split.train.iter().any(|&index| values[index as usize] == class));
        }
    }

    #[test]
    fn numbers_and_labels_split_whole_too(values in prop::collection::vec(-5f32..5.0, 1..100), seed in any::<u64>()) {
        let n = values.len() as u32;
        let labels = values.iter().flat_map(|&value| [u8::from(value > 0.0), u8::from(value > 3.0)]).collect();
        let both = ["a".to_string(), "b".to_string()];
        for targets in [
            Targets::Labels { names: both.to_vec(), values: labels },
            Targets::Values { names: vec!["y".into()], values: values.clone() },
            Targets::Values { names: both.to_vec(), values: values.iter().flat_map(|&y| [y, -y]).collect() },
        ] {
            let (split, _) = assign_all(&targets, &OpenOptions { seed, ..OpenOptions::default() }).unwrap();
            prop_assert_eq!(all(&split), (0..n).collect::<Vec<_>>());
            prop_assert!(!split.train.is_empty());
        }
    }
}

#[test]
fn another_seed_cuts_differently() {
    let targets = classes((0..100).map(|i| i % 4).collect());
    let split = |seed| assign_all(&targets, &OpenOptions { seed, ..OpenOptions::default() }).unwrap().0;
    assert_eq!(split(3), split(3));
    assert_ne!(split(3), split(4));
}

#[test]
fn given_parts_are_followed_and_only_what_is_missing_is_cut() {
    let targets = classes((0..200).map(|i| i % 2).collect());
    let options = OpenOptions::default();
    let run = |part: fn(u32) -> Part| {
        let given: Vec<Part> = (0..200).map(part).collect();
        assign(&given, &targets, &sources(200), Path::new("set"), &options).unwrap()
    };
    let (split, notes) = run(|i| if i < 150 { Part::Train } else { Part::Test });
    assert_eq!((split.train.len(), split.val.len(), split.test), (135, 15, (150..200).collect()));
    assert!(notes[0].contains("from the training samples by seed 0") && notes[0].contains("a tenth"), "{notes:?}");

    let (split, notes) = run(|i| if i < 150 { Part::Train } else { Part::Val });
    assert_eq!((split.train.len(), split.val.len(), split.test.len()), (150, 50, 0));
    assert!(notes[0].contains("chosen on the validation split"), "{notes:?}");

    // Samples marked for training stay there while there are unmarked ones to cut from.
    let (split, _) = run(|i| if i < 100 { Part::Train } else { Part::Unassigned });
    assert_eq!((split.train.len(), split.val.len(), split.test.len()), (172, 8, 20));
    assert!((0..100).all(|index| split.train.contains(&index)));
}

#[test]
fn unusable_splits_are_refused() {
    let options = OpenOptions::default();
    let one = Targets::Classes { names: vec!["cat".into()], values: vec![0; 9] };
    assert!(message(assign_all(&one, &options)).contains("all samples are of one class, `cat`"));
    assert!(message(assign_all(&classes(vec![]), &options)).contains("no samples"));

    let names = vec!["cat".into(), "dog".into(), "Cat.".into()];
    let targets = Targets::Classes { names, values: vec![0, 1, 0, 1, 2] };
    let given = [Part::Train, Part::Train, Part::Val, Part::Val, Part::Test];
    let error = message(assign(&given, &targets, &sources(5), Path::new("set"), &options));
    assert_eq!(error, "`set`: class `Cat.` of the test split has no training samples; did you mean `cat`?");

    let given = [Part::Test; 5];
    let error = message(assign(&given, &targets, &sources(5), Path::new("set"), &options));
    assert!(error.contains("none for training"), "{error}");
    let input = InputSpec::Table(crate::TableSpec::default());
    let like = Some(Like { input, outputs: Outputs::Classes(vec![]) });
    let (split, _) = assign(&given, &targets, &sources(5), Path::new("set"), &OpenOptions { like, ..options }).unwrap();
    assert_eq!(split.test.len(), 5);
}

#[test]
fn a_limit_below_the_classes_is_refused() {
    let targets = classes((0..100).map(|i| i % 10).collect());
    let error = assign_all(&targets, &OpenOptions { limit: Some(11), ..OpenOptions::default() }).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("give at least 12"), "{error}");
    assert_eq!(assign_all(&targets, &OpenOptions { limit: Some(12), ..OpenOptions::default() }).unwrap().0.len(), 12);
}

fn dataset(split: Split, files: Vec<PathBuf>) -> Dataset {
    let image = ImageSpec {
        channels: 1,
        height: 1,
        width: 1,
        fit: Fit::default(),
        filter: Filter::default(),
        mean: vec![0.0],
        std: vec![1.0],
    };
    Dataset {
        found: Found::default(),
        input: InputSpec::Image(image),
        samples: Samples::Pixels(vec![0; files.len()]),
        targets: classes((0..files.len() as u32).map(|i| i % 2).collect()),
        sources: Sources::Files(files),
        split,
    }
}

#[test]
fn a_written_split_is_read_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("split.csv");
    let files: Vec<PathBuf> = (0..60).map(|i| PathBuf::from(format!("a, \"b\"/{i}.png"))).collect();
    let targets = classes((0..60).map(|i| i % 2).collect());
    let options = OpenOptions { seed: 5, limit: Some(40), ..OpenOptions::default() };
    let sources = Sources::Files(files.clone());
    let (split, _) = assign(&[], &targets, &sources, Path::new("set"), &options).unwrap();
    write_csv(&file, &dataset(split.clone(), files)).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    let options = OpenOptions { split: Some(file), ..OpenOptions::default() };
    let (again, notes) = assign(&[], &targets, &sources, Path::new("set"), &options).unwrap();
    assert_eq!(again, split);
    assert!(notes[0].contains("split.csv"), "{notes:?}");
}

#[test]
fn names_with_spaces_commas_and_quotes_survive_a_split_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("split.csv");
    let names = [" first", "last ", "a, b", "say \"x\"", "two\nlines", "plain"];
    let files: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
    let targets = classes((0..6).map(|i| i % 2).collect());
    let sources = Sources::Files(files.clone());
    let split = Split { train: vec![0, 1, 2, 3], val: vec![4], test: vec![5] };
    write_csv(&file, &dataset(split.clone(), files)).unwrap();
    let options = OpenOptions { split: Some(file), ..OpenOptions::default() };
    assert_eq!(assign(&[], &targets, &sources, Path::new("set"), &options).unwrap().0, split);
}

#[test]
fn a_split_file_that_does_not_fit_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("split.csv");
    let targets = classes(vec![0, 1, 0, 1]);
    let sources = Sources::Files(["a/1.png", "b/1.png", "a/2.png", "b/2.png"].map(PathBuf::from).to_vec());
    let read = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let options = OpenOptions { split: Some(file.clone()), ..OpenOptions::default() };
        assign(&[], &targets, &sources, Path::new("set"), &options)
    };
    let head = "sample,split\na/1.png,train\nb/1.png,train\n";
    assert!(message(read(head)).contains("none for `a/2.png` (2 of 4 samples are missing)"));
    assert!(
        message(read(&format!("{head}a/2.pgn,val\nb/2.png,test\n")))
            .contains("line 4: expected a sample of the data set, such as")
    );
    assert!(
        message(read(&format!("{head}a/1.png,val\n")))
            .contains("line 4: expected every sample once, found `a/1.png` again")
    );
    assert!(
        message(read(&format!("{head}a/2.png,train\nb/2.png,tset\n")))
            .contains("line 5: expected train, val, test or unused")
    );
    assert!(message(read("file,split\n")).contains("header: expected a column `sample`"));
    assert!(message(read("")).contains("header"));
    assert!(message(read("sample,split\na\n")).contains("line 2"));
    assert!(message(read("sample,split\n\u{0}\u{1}")).contains("split.csv"));
    let split =
        read("\u{feff}split,sample\nTraining,a/1.png\ntrain,b/1.png\nvalid,a/2.png\nunused,b/2.png\n").unwrap().0;
    assert_eq!(split, Split { train: vec![0, 1], val: vec![2], test: vec![] });
}

#[test]
fn the_share_for_validation_can_be_chosen_and_be_nothing() {
    let targets = classes((0..100).map(|n| n % 2).collect());
    let sizes = |val| {
        let options = OpenOptions { val, ..OpenOptions::default() };
        let split = assign_all(&targets, &options).unwrap().0;
        [split.train.len(), split.val.len(), split.test.len()]
    };
    assert_eq!(sizes(None), [72, 8, 20]);
    assert_eq!(sizes(Some(0.25)), [60, 20, 20]);
    assert_eq!(sizes(Some(0.0)), [80, 0, 20]);
    for val in [1.0, -0.1, f64::NAN] {
        let options = OpenOptions { val: Some(val), ..OpenOptions::default() };
        assert!(message(assign_all(&targets, &options)).contains("--val"), "{val}");
    }
}
