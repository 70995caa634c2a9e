//! Image lists: targets of each kind, and rows that are wrong.

use ::image::{GrayImage, Luma};

use super::*;
use crate::{Targets, TaskKind, open};

/// A folder with the images `img/0.png` to `img/19.png`.
fn images() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("img")).unwrap();
    for i in 0..20 {
        GrayImage::from_pixel(4, 4, Luma([i * 10])).save(folder.path().join(format!("img/{i}.png"))).unwrap();
    }
    folder
}

/// A list with a row for each image: header and what `row` says after the path.
fn list(folder: &Path, header: &str, row: impl Fn(u32) -> String) -> PathBuf {
    let rows: String = (0..20).map(|i| format!("img/{i}.png,{}\n", row(i))).collect();
    let path = folder.join("list.csv");
    std::fs::write(&path, format!("{header}\n{rows}")).unwrap();
    path
}

fn labelled(labels: &[&str]) -> OpenOptions {
    OpenOptions { label: labels.iter().map(|label| label.to_string()).collect(), ..OpenOptions::default() }
}

fn error(path: &Path, options: &OpenOptions) -> String {
    open(path, options).unwrap_err().to_string()
}

#[test]
fn text_and_few_whole_numbers_are_classes() {
    let folder = images();
    let path = list(folder.path(), "path,kind", |i| ["cat", "dog"][i as usize % 2].into());
    let data = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!((data.found.format.as_str(), data.len(), data.input.shape()), ("image list", 20, [1, 4, 4]));
    assert_eq!(data.targets.names(), ["cat", "dog"]);
    assert_eq!(data.sources.name(3), "img/3.png");
    assert_eq!((data.split.train.len(), data.split.val.len(), data.split.test.len()), (14, 2, 4));

    let path = list(folder.path(), "path,stars", |i| [2, 10][i as usize % 2].to_string());
    let data = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(data.targets.names(), ["2", "10"]);
    assert!(data.found.notes.iter().any(|note| note.contains("`stars` as classes (2 different whole numbers)")));
    let data = open(&path, &OpenOptions { task: Some(TaskKind::Regression), ..OpenOptions::default() }).unwrap();
    assert!(matches!(data.targets, Targets::Values { .. }));
}

#[test]
fn numbers_are_regression_for_one_column_and_several() {
    let folder = images();
    let path = list(folder.path(), "file,x,y,why", |i| format!("{},{},text", f64::from(i) / 2.0, i * 100));
    let data = open(&path, &labelled(&["y", "2"])).unwrap();
    let Targets::Values { names, values } = &data.targets else { panic!("not numbers") };
    assert_eq!((names.join(","), &values[2..4]), ("y,x".into(), &[100.0, 0.5][..]));
    let data = open(&path, &labelled(&["x"])).unwrap();
    assert_eq!(data.targets.len(), 20);
    assert!(error(&path, &OpenOptions::default()).contains("is the target? there are x, y, why"));
    assert!(error(&path, &labelled(&["Y"])).contains("has no column `Y`; did you mean `y`?"));
    let message = error(&path, &labelled(&["x", "why"]));
    assert!(message.contains("line 2, column `why`: expected a finite number, found `text`"), "{message}");
}

#[test]
fn ends_of_labels_are_cut_off_as_in_tables() {
    let folder = images();
    let path = list(folder.path(), "path,kind", |i| ["cat.", "dog .!", "cat", "dog"][i as usize % 4].into());
    let data = open(&path, &OpenOptions { label_strip: Some("!.".into()), ..OpenOptions::default() }).unwrap();
    assert_eq!(data.targets.names(), ["cat", "dog"]);
}

#[test]
fn labels_come_as_lists_or_as_flags() {
    let folder = images();
    let path = list(folder.path(), "image,tags", |i| ["sea;sun", "sun", "", "sea; dog"][i as usize % 4].into());
    let data = open(&path, &OpenOptions::default()).unwrap();
    let Targets::Labels { names, values } = &data.targets else { panic!("not labels") };
    assert_eq!(names, &["dog", "sea", "sun"]);
    assert_eq!(values[..12], [0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0]);

    let path = list(folder.path(), "image,sea,sun", |i| format!("{},{}", i % 2, u32::from(i < 5)));
    let data = open(&path, &OpenOptions::default()).unwrap();
    let Targets::Labels { names, values } = &data.targets else { panic!("not labels") };
    assert_eq!((names.join(","), &values[..4]), ("sea,sun".into(), &[0, 1, 1, 1][..]));
}

#[test]
fn the_column_split_is_followed() {
    let folder = images();
    let parts = ["train", "train", "Validation", "test", "train"];
    let path = list(folder.path(), "path,kind,split", |i| {
        format!("{},{}", "ab".as_bytes()[i as usize % 2], parts[i as usize % 5])
    });
    let data = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!((data.split.train.len(), data.split.val.len(), data.split.test.len()), (12, 4, 4));
    let path =
        list(folder.path(), "path,kind,split", |i| format!("{},{}", i % 2, if i == 7 { "trian" } else { "train" }));
    let message = error(&path, &OpenOptions::default());
    assert!(
        message.contains("line 9, column `split`: expected train, val, test or nothing, found `trian`"),
        "{message}"
    );
}

#[test]
fn tabs_no_header_and_absolute_paths_are_understood() {
    let folder = images();
    let rows: String =
        (0..20).map(|i| format!("{}\t{}\n", i % 2, folder.path().join(format!("img/{i}.png")).display())).collect();
    let path = folder.path().join("list.txt");
    std::fs::write(&path, rows).unwrap();
    let data = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!((data.found.format.as_str(), data.len()), ("image list", 20));
}

#[test]
fn bad_rows_are_named_with_their_column() {
    let folder = images();
    let check = |row: &dyn Fn(u32) -> String, expected: &str| {
        let message = error(&list(folder.path(), "path,y", row), &OpenOptions::default());
        assert!(message.contains(expected), "{message}");
    };
    let number = |i: u32, bad: &str| if i == 4 { bad.to_string() } else { format!("{i}.5") };
    check(&|i| number(i, "NaN"), "line 6, column `y`: expected a finite number, found `NaN`");
    check(&|i| number(i, "inf"), "line 6, column `y`: expected a finite number, found `inf`");
    check(&|i| number(i, "1e99"), "line 6, column `y`: expected a finite number, found `1e99`");
    check(&|i| number(i, ""), "line 6, column `y`: expected a finite number, found nothing");
    let options = OpenOptions { task: Some(TaskKind::MultiLabel), ..OpenOptions::default() };
    let message = error(&list(folder.path(), "path,y", |_| String::new()), &options);
    assert!(message.contains("the column `y` is empty in every row"), "{message}");
    check(&|_| "1.5".into(), "the target `y` is 1.5 in every row");
    check(
        &|i| if i == 4 { String::new() } else { "cat".into() },
        "line 6, column `y`: expected a class, found nothing",
    );
    check(&|_| "cat".into(), "all samples are of one class, `cat`");
    check(
        &|i| if i == 4 { "a,b".into() } else { "a".into() },
        "line 6: expected 2 fields as in the first row, found 3",
    );

    let path = folder.path().join("list.csv");
    std::fs::write(&path, "path,y\nimg/0.png,a\nimg/99.png,b\n").unwrap();
    let message = error(&path, &OpenOptions::default());
    assert!(
        message.contains("line 3, column `path`: expected the path of an image file, found `img/99.png`"),
        "{message}"
    );
    std::fs::write(&path, "path,y\nimg/0.png,a\nimg/1.png,b\nimg/0.png,a\n").unwrap();
    assert!(
        error(&path, &OpenOptions::default())
            .contains("line 4, column `path`: expected every image once, found `img/0.png` again")
    );
    std::fs::write(&path, "path,y\n").unwrap();
    assert!(open(&path, &OpenOptions::default()).is_err());
    std::fs::write(&path, "path\nimg/0.png\n").unwrap();
    assert!(error(&path, &OpenOptions::default()).contains("no column beside the paths"));
}

#[test]
fn a_table_without_images_is_no_list() {
    let folder = images();
    let path = folder.path().join("table.csv");
    assert!(!is_list(&path, b"x,y\n1,2\n3,4\n"));
    assert!(!is_list(&path, b"photo,y\ngone.png,2\nlost.png,4\n"), "a column of names that lead nowhere is a feature");
    assert!(is_list(&path, b"photo,y\ngone.png,2\nimg/1.png,4\n"));
    assert!(is_list(&path, b"path,y\ngone.png,2\nlost.png,4\n"));
}
