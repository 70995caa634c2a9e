//! Each kind of finding in data made for it, none in sound data, and exclude lists.

use std::fs;
use std::path::Path;

use super::*;
use crate::split;

/// A scene that no other seed comes near: soft blobs, as photos have.
fn scene(seed: u64, side: u32) -> ::image::GrayImage {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut draw = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    let blobs: Vec<[f32; 4]> = (0..12).map(|_| [draw(), draw(), 0.08 + 0.2 * draw(), draw() - 0.5]).collect();
    ::image::GrayImage::from_fn(side, side, |x, y| {
        let (x, y) = (x as f32 / side as f32, y as f32 / side as f32);
        let blob = |[bx, by, r, height]: &[f32; 4]| height * (-((x - bx).powi(2) + (y - by).powi(2)) / (r * r)).exp();
        ::image::Luma([(128.0 + 120.0 * blobs.iter().map(blob).sum::<f32>()).clamp(0.0, 255.0) as u8])
    })
}

fn save(root: &Path, name: &str, image: impl Into<::image::DynamicImage>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.into().save(path).unwrap();
}

/// Two classes in two splits, eight and four different images in each.
fn folder() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (at, class) in ["cat", "dog"].into_iter().enumerate() {
        for n in 0..8 {
            save(root.path(), &format!("train/{class}/{n}.png"), scene(100 * at as u64 + n, 40));
        }
        for n in 0..4 {
            save(root.path(), &format!("test/{class}/{n}.png"), scene(1000 + 100 * at as u64 + n, 40));
        }
    }
    root
}

fn examined(path: &Path) -> Report {
    examine(path, &OpenOptions::default()).unwrap()
}

fn by(label: &str) -> OpenOptions {
    OpenOptions { label: vec![label.into()], ..OpenOptions::default() }
}

#[track_caller]
fn found<'a>(report: &'a Report, code: &str) -> &'a Finding {
    let codes: Vec<&str> = report.findings.iter().map(|finding| finding.code).collect();
    report.findings.iter().find(|finding| finding.code == code).unwrap_or_else(|| panic!("no {code} in {codes:?}"))
}

fn names(finding: &Finding) -> Vec<Vec<&str>> {
    let groups = finding.places.first.iter();
    groups.map(|group| group.members.iter().map(|place| place.name.as_str()).collect()).collect()
}

#[test]
fn nothing_is_found_in_sound_images() {
    let root = folder();
    let report = examined(root.path());
    assert_eq!(report.findings, []);
    assert_eq!((report.samples, report.split), (24, [14, 2, 8]));
    assert_eq!(report.exclude, []);
}

#[test]
fn the_embedded_digits_have_no_errors() {
    assert_eq!(examined("digits".as_ref()).of(Severity::Error), 0);
}

#[test]
fn every_unreadable_file_is_named_and_the_exclude_list_makes_the_rest_usable() {
    let root = folder();
    fs::write(root.path().join("train/cat/empty.png"), "").unwrap();
    fs::write(root.path().join("test/dog/text.png"), "no image").unwrap();
    let whole = fs::read(root.path().join("train/dog/1.png")).unwrap();
    fs::write(root.path().join("train/dog/cut.png"), &whole[..whole.len() / 2]).unwrap();
    assert!(open(root.path(), &OpenOptions::default()).is_err());
    let report = examined(root.path());
    let unreadable = found(&report, "unreadable");
    assert_eq!(unreadable.severity, Severity::Error);
    assert_eq!(names(unreadable), [["train/cat/empty.png"], ["train/dog/cut.png"], ["test/dog/text.png"]]);
    assert!(unreadable.places.first.iter().any(|group| group.members[0].detail.as_ref().unwrap().contains("0 bytes")));
    let list = root.path().join("exclude.csv");
    split::write_exclude(&list, &report.exclude).unwrap();
    let options = OpenOptions { exclude: Some(list), ..OpenOptions::default() };
    let dataset = open(root.path(), &options).unwrap();
    assert_eq!((dataset.len(), dataset.split.len()), (27, 24));
    assert_eq!(examine(root.path(), &options).unwrap().of(Severity::Error), 0);
}

#[test]
fn of_copies_in_several_splits_the_training_copy_is_to_go() {
    let root = folder();
    fs::copy(root.path().join("test/cat/0.png"), root.path().join("train/cat/again.png")).unwrap();
    let report = examined(root.path());
    let across = found(&report, "duplicate-across-splits");
    assert_eq!(
        (across.severity, names(across)),
        (Severity::Warning, vec![vec!["test/cat/0.png", "train/cat/again.png"]])
    );
    assert_eq!(report.exclude.len(), 1);
    assert_eq!(report.exclude[0], ("train/cat/again.png".into(), "same as test/cat/0.png (test)".into()));
    assert!(report.findings.iter().all(|finding| !finding.code.starts_with("near")));
}

#[test]
fn copies_within_a_split_are_a_note_and_equal_images_of_two_classes_a_conflict() {
    let root = folder();
    fs::copy(root.path().join("test/cat/0.png"), root.path().join("test/cat/again.png")).unwrap();
    fs::copy(root.path().join("test/dog/1.png"), root.path().join("test/cat/dog.png")).unwrap();
    let report = examined(root.path());
    let within = found(&report, "duplicate-within-split");
    assert_eq!((within.severity, within.places.count), (Severity::Note, 2));
    let conflict = found(&report, "label-conflict");
    assert_eq!(names(conflict), [["test/cat/dog.png", "test/dog/1.png"]]);
    let targets: Vec<_> = conflict.places.first[0].members.iter().map(|place| place.detail.as_deref()).collect();
    assert_eq!(targets, [Some("cat"), Some("dog")]);
    assert_eq!(report.exclude, []);
}

#[test]
fn resized_brightened_and_compressed_copies_are_near_duplicates() {
    let root = folder();
    let larger = ::image::imageops::resize(&scene(1000, 40), 60, 60, ::image::imageops::FilterType::Triangle);
    save(root.path(), "train/cat/larger.jpg", ::image::imageops::brighten(&larger, 6));
    save(root.path(), "test/dog/compressed.jpg", scene(1101, 40));
    let report = examined(root.path());
    let across = found(&report, "near-duplicate-across-splits");
    assert_eq!(
        (across.severity, names(across)),
        (Severity::Warning, vec![vec!["train/cat/larger.jpg", "test/cat/0.png"]])
    );
    assert_eq!(names(found(&report, "near-duplicate-within-split")), [["test/dog/1.png", "test/dog/compressed.jpg"]]);
    assert_eq!(report.exclude, []);
}

#[test]
fn odd_sizes_modes_extensions_and_blank_images_are_told() {
    let root = folder();
    save(root.path(), "test/cat/wide.png", ::image::imageops::crop_imm(&scene(71, 40), 0, 0, 40, 8).to_image());
    save(root.path(), "test/cat/huge.png", scene(72, 400));
    save(root.path(), "test/dog/red.png", ::image::RgbImage::from_pixel(40, 40, ::image::Rgb([200, 0, 0])));
    fs::rename(root.path().join("test/dog/2.png"), root.path().join("test/dog/2.jpg")).unwrap();
    let report = examined(root.path());
    assert_eq!(names(found(&report, "odd-size")), [["test/cat/huge.png"], ["test/cat/wide.png"]]);
    assert_eq!(names(found(&report, "odd-mode")), [["test/dog/red.png"]]);
    assert_eq!(names(found(&report, "blank")), [["test/dog/red.png"]]);
    let disguised = found(&report, "wrong-extension");
    assert_eq!(names(disguised), [["test/dog/2.jpg"]]);
    assert_eq!(disguised.places.first[0].members[0].detail.as_deref(), Some("named jpg, holds png"));
}

#[test]
fn a_noisy_and_a_dark_image_among_photos_are_told() {
    let root = folder();
    let mut state = 1_u32;
    let noise = ::image::GrayImage::from_fn(40, 40, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ::image::Luma([100 + (state >> 24) as u8 / 5])
    });
    save(root.path(), "train/cat/noise.png", noise);
    let dark = ::image::GrayImage::from_fn(40, 40, |x, _| ::image::Luma([x as u8 / 8]));
    save(root.path(), "train/dog/dark.png", dark);
    let report = examined(root.path());
    let odd = found(&report, "odd-look");
    assert_eq!(odd.severity, Severity::Note);
    assert_eq!(names(odd), [["train/dog/dark.png"], ["train/cat/noise.png"]]);
    let detail = odd.places.first[0].members[0].detail.as_deref().unwrap();
    assert!(detail.starts_with("brightness = 2 (quartiles 1"), "{detail}");
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
}

#[test]
fn images_of_one_class_are_an_error_as_training_refuses_them() {
    let root = tempfile::tempdir().unwrap();
    (0..20).for_each(|n| save(root.path(), &format!("cat/{n}.png"), scene(n, 40)));
    let report = examined(root.path());
    assert_eq!(found(&report, "one-class").severity, Severity::Error, "{:?}", report.findings);
}

#[test]
fn a_column_leaks_in_whatever_order_the_rows_stand_and_however_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.csv");
    let rows = (0..300).map(|n| {
        let class = ["n", "p"][n % 2];
        format!("{},{},{class}\n", n * 7919 % 101, ["no", "yes"][n % 2])
    });
    fs::write(&file, format!("a,leak,y\n{}", rows.collect::<String>())).unwrap();
    let report = examine(&file, &by("y")).unwrap();
    assert_eq!(names(found(&report, "leaking-column")), [["leak"]]);
    for (n, seed) in [(300, 1), (300, 2), (1000, 3), (2000, 4), (5000, 5)] {
        let mut random = crate::random::Random::new(seed, crate::random::Purpose::Bench, 0, 0);
        let rows = (0..n).map(|_| {
            let (y, a) = (random.uniform(), random.uniform());
            format!("{a},{},{y}\n", 2.0 * y + 1.0)
        });
        fs::write(&file, format!("a,leak,y\n{}", rows.collect::<String>())).unwrap();
        let report = examine(&file, &by("y")).unwrap();
        assert_eq!(names(found(&report, "leaking-column")), [["leak"]], "{n} rows by seed {seed}");
    }
}

#[test]
fn a_class_folder_that_a_split_lacks_is_an_error_beside_the_other_findings() {
    let root = folder();
    fs::remove_dir_all(root.path().join("test/dog")).unwrap();
    fs::copy(root.path().join("test/cat/0.png"), root.path().join("train/cat/again.png")).unwrap();
    let report = examined(root.path());
    let missing = found(&report, "class-missing");
    assert_eq!((missing.severity, names(missing)), (Severity::Error, vec![vec!["dog"]]));
    assert_eq!(missing.places.first[0].members[0].split, Some("test"));
    assert_eq!(report.findings[0].code, "class-missing");
    found(&report, "duplicate-across-splits");
}

#[test]
fn files_that_an_image_list_names_in_vain_are_unreadable() {
    let root = folder();
    let rows = "path,label\ntrain/cat/0.png,cat\ntrain/cat/1.png,cat\ntrain/cat/2.png,cat\ntrain/dog/0.png,dog\ntrain/dog/1.png,dog\ngone.png,dog\n";
    let list = root.path().join("list.csv");
    fs::write(&list, rows).unwrap();
    let report = examined(&list);
    assert_eq!(names(found(&report, "unreadable")), [["gone.png"]]);
    assert!(open(&list, &OpenOptions::default()).unwrap_err().to_string().contains("`gone.png`, which isn't there"));
    let exclude = root.path().join("exclude.csv");
    split::write_exclude(&exclude, &report.exclude).unwrap();
    let options = OpenOptions { exclude: Some(exclude), ..OpenOptions::default() };
    assert_eq!(open(&list, &options).unwrap().split.len(), 5);
}

/// 200 rows in which nothing is amiss: two numbers and a word, of which the class follows loosely.
fn rows() -> Vec<[String; 4]> {
    let row = |n: u64| {
        let mut mixed = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27) >> 20;
        let (a, b) = (mixed % 977, mixed / 977 % 991);
        let word = ["red", "green", "blue"][(mixed % 3) as usize];
        let class = if a + b % 400 > 650 { "yes" } else { "no" };
        [a.to_string(), format!("{}.5", b), word.into(), class.into()]
    };
    (0..200).map(row).collect()
}

fn table(
    root: &Path,
    name: &str,
    header: &str,
    rows: impl IntoIterator<Item = impl AsRef<[String]>>,
) -> std::path::PathBuf {
    let path = root.join(name);
    let lines: Vec<String> = rows.into_iter().map(|row| row.as_ref().join(",")).collect();
    fs::write(&path, format!("{header}\n{}\n", lines.join("\n"))).unwrap();
    path
}

#[test]
fn nothing_is_found_in_a_sound_table() {
    let root = tempfile::tempdir().unwrap();
    let report = examine(&table(root.path(), "t.csv", "a,b,word,class", rows()), &by("class")).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.samples, report.format.as_str()), (200, "CSV table with a header"));
}

#[test]
fn constant_columns_gaps_and_outliers_are_told_by_their_columns() {
    let root = tempfile::tempdir().unwrap();
    let mut rows: Vec<Vec<String>> = rows().into_iter().map(|row| [vec!["7".into()], row.to_vec()].concat()).collect();
    rows.iter_mut().step_by(10).for_each(|row| row[3].clear());
    rows[17][1] = "99999".into();
    let report = examine(&table(root.path(), "t.csv", "c,a,b,word,class", &rows), &by("class")).unwrap();
    assert_eq!(names(found(&report, "constant-column")), [["c"]]);
    let missing = found(&report, "missing-values");
    assert_eq!((missing.severity, names(missing)), (Severity::Note, vec![vec!["word"]]));
    assert_eq!(missing.places.first[0].members[0].detail.as_deref(), Some("20 of 200 rows (10.0 %)"));
    let outliers = found(&report, "outliers");
    assert_eq!(names(outliers), [["t.csv:19"]]);
    assert!(outliers.places.first[0].members[0].detail.as_ref().unwrap().starts_with("a = 99999 (quartiles "));
    rows.iter_mut().for_each(|row| row[3].clear());
    rows[5][3] = "red".into();
    let report = examine(&table(root.path(), "t.csv", "c,a,b,word,class", &rows), &by("class")).unwrap();
    assert_eq!(found(&report, "missing-values").severity, Severity::Warning);
}

#[test]
fn a_column_that_alone_predicts_the_class_or_the_number_leaks() {
    let root = tempfile::tempdir().unwrap();
    let rows: Vec<Vec<String>> = rows()
        .into_iter()
        .map(|row| {
            let paid = if row[3] == "yes" { "paid" } else { "open" };
            let cents = row[0].parse::<f64>().unwrap() * 100.0 + 3.0;
            [row.to_vec(), vec![paid.into(), cents.to_string()]].concat()
        })
        .collect();
    let path = table(root.path(), "t.csv", "a,b,word,class,state,cents", &rows);
    assert_eq!(names(found(&examine(&path, &by("class")).unwrap(), "leaking-column")), [["state"]]);
    let report = examine(&path, &by("a")).unwrap();
    let leaking = found(&report, "leaking-column");
    assert_eq!((leaking.severity, names(leaking)), (Severity::Warning, vec![vec!["cents"]]));
    let dropped = OpenOptions { drop: vec!["cents".into()], ..by("a") };
    assert!(examine(&path, &dropped).unwrap().findings.iter().all(|finding| finding.code != "leaking-column"));
}

#[test]
fn rows_are_found_again_in_the_test_table_and_with_another_class() {
    let root = tempfile::tempdir().unwrap();
    let rows = rows();
    let mut train = rows[..160].to_vec();
    let mut test = rows[160..].to_vec();
    test.push(train[3].clone());
    test.push(test[0].clone());
    train.push(train[8].clone());
    train[160][3] = if train[8][3] == "yes" { "no".into() } else { "yes".into() };
    let header = "a,b,word,class";
    let path = table(root.path(), "train.csv", header, train);
    let options = OpenOptions { test: Some(table(root.path(), "test.csv", header, test)), ..by("class") };
    let report = examine(&path, &options).unwrap();
    let across = found(&report, "duplicate-across-splits");
    assert!(names(across).contains(&vec!["test.csv:42", "train.csv:5"]), "{across:?}");
    assert!(report.exclude.contains(&("train.csv:5".into(), "same as test.csv:42 (test)".into())));
    assert_eq!(
        names(found(&report, "duplicate-within-split")),
        [["train.csv:10", "train.csv:162"], ["test.csv:2", "test.csv:43"]]
    );
    assert_eq!(names(found(&report, "label-conflict")), [["train.csv:10", "train.csv:162"]]);
}

#[test]
fn rare_classes_and_classes_that_only_train_are_warnings() {
    let root = tempfile::tempdir().unwrap();
    let mut rows = rows();
    rows.iter_mut().for_each(|row| row[3] = "usual".into());
    rows.iter_mut().step_by(20).for_each(|row| row[3] = "rare".into());
    rows[1][3] = "once".into();
    let report = examine(&table(root.path(), "t.csv", "a,b,word,class", rows), &by("class")).unwrap();
    let rare = found(&report, "class-imbalance");
    assert_eq!((rare.severity, names(rare)), (Severity::Warning, vec![vec!["once"], vec!["rare"]]));
    let missing = found(&report, "class-missing");
    assert_eq!((missing.severity, names(missing)), (Severity::Warning, vec![vec!["once"], vec!["once"]]));
}

#[test]
fn a_table_that_training_refuses_is_a_finding_with_the_reason() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("t.csv");
    fs::write(&path, "a,class\n1,yes\n2,no,3\n").unwrap();
    let report = examine(&path, &by("class")).unwrap();
    assert!(found(&report, "unusable").what.contains("line 3: expected 2 fields"), "{report:?}");
    assert_eq!(found(&report, "unusable").severity, Severity::Error);
    // What is wrong with the command line is no finding.
    assert!(examine(&path, &by("clas")).is_ok() && examine(&root.path().join("none"), &by("class")).is_err());
}

#[test]
fn leaving_samples_out_moves_no_other_sample_and_strangers_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let list = root.path().join("exclude.csv");
    let all = open("digits".as_ref(), &OpenOptions::default()).unwrap();
    let out = [all.split.train[5], all.split.test[7]];
    let named: Vec<(String, String)> =
        out.iter().map(|&index| (all.sources.name(index as usize), "a, reason".into())).collect();
    split::write_exclude(&list, &named).unwrap();
    let options = OpenOptions { exclude: Some(list.clone()), ..OpenOptions::default() };
    let less = open("digits".as_ref(), &options).unwrap();
    let without = |indices: &[u32]| indices.iter().copied().filter(|index| !out.contains(index)).collect::<Vec<_>>();
    assert_eq!(
        [&less.split.train, &less.split.val, &less.split.test],
        [&without(&all.split.train), &without(&all.split.val), &without(&all.split.test)]
    );
    assert!(less.found.notes.iter().any(|note| note.contains("leaves out 2 samples")));
    for (text, message) in [("sample\nnobody\n", "line 2: expected a sample"), ("path\nx\n", "a column `sample`")] {
        fs::write(&list, text).unwrap();
        let told = open("digits".as_ref(), &options).unwrap_err().to_string();
        assert!(told.contains(message), "{told}");
    }
}
