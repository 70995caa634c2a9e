//! Each rule of the tables, and each way in which a table can be wrong, on tables made by hand; counts on real ones.

use std::io::Write;
use std::path::PathBuf;

use super::*;
use crate::{ColumnKind, Outputs, TaskKind};

/// A folder with `table.csv` in it.
struct Made {
    folder: tempfile::TempDir,
}

impl Made {
    fn new(text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("table.csv"), text).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("table.csv")
    }

    fn add(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn load(&self, options: OpenOptions) -> Result<Dataset, String> {
        load(&self.path(), &options).map_err(|error| {
            let message = error.to_string();
            assert!(!message.contains('\n'), "{message}");
            message
        })
    }

    fn refusal(&self, options: OpenOptions) -> String {
        self.load(options).map(|dataset| dataset.found).unwrap_err()
    }
}

fn label(name: &str) -> OpenOptions {
    OpenOptions { label: name.split(',').map(str::to_owned).collect(), ..OpenOptions::default() }
}

fn spec(dataset: &Dataset) -> &TableSpec {
    let InputSpec::Table(spec) = &dataset.input else { panic!("a table") };
    spec
}

fn names(spec: &TableSpec) -> Vec<&str> {
    spec.columns.iter().map(|column| column.name.as_str()).collect()
}

fn features(dataset: &Dataset) -> &[f32] {
    let Samples::Features(features) = &dataset.samples else { panic!("features") };
    features
}

/// Row `row` of `dataset` without the ranks.
fn row(dataset: &Dataset, row: usize) -> Vec<f32> {
    let width = dataset.input.len();
    without_ranks(spec(dataset), &features(dataset)[row * width..][..width])
}

fn without_ranks(spec: &TableSpec, mut features: &[f32]) -> Vec<f32> {
    let mut rest = Vec::new();
    for column in &spec.columns {
        let (mine, others) = features.split_at(column.features());
        let rank = matches!(&column.kind, ColumnKind::Numeric { ranks, .. } if !ranks.is_empty());
        rest.extend(mine.iter().enumerate().filter(|(at, _)| !(rank && *at == 1)).map(|(_, feature)| *feature));
        features = others;
    }
    rest
}

/// Sixty rows: `x` counts in halves, `colour` has three values, `kind` two, `size` is a number.
fn sixty(header: bool, delimiter: &str) -> String {
    let mut text = if header { ["x", "colour", "kind", "size\n"].join(delimiter) } else { String::new() };
    for row in 0..60 {
        let colour = ["red", "green", "blue"][row % 3];
        let kind = if row % 2 == 0 { "cat" } else { "dog" };
        let size = format!("{}\n", row as f32 * 1.25);
        text += &[&format!("{}", row as f32 / 2.0), colour, kind, &size].join(delimiter);
    }
    text
}

fn notes(dataset: &Dataset) -> String {
    dataset.found.notes.join("\n")
}

#[test]
fn kinds_are_told_apart_and_stated() {
    let dataset = Made::new(sixty(true, ",")).load(label("kind")).unwrap();
    assert_eq!(names(spec(&dataset)), ["x", "colour", "size"]);
    assert_eq!(dataset.input.shape(), [7, 1, 1]);
    assert_eq!(dataset.found.format, "CSV table with a header");
    assert!(
        notes(&dataset).contains("2 numeric columns: x, size\n1 categorical column: colour (3)"),
        "{}",
        notes(&dataset)
    );
    let Targets::Classes { names, values } = &dataset.targets else { panic!("classes") };
    assert_eq!(names, &["cat", "dog"]);
    assert_eq!(values[..4], [0, 1, 0, 1]);
    // x, then one of blue, green and red, then size.
    assert_eq!(row(&dataset, 1), [0.5, 0.0, 1.0, 0.0, 1.25]);
    assert_eq!(dataset.sources.name(0), "table.csv:2");
}

#[test]
fn delimiters_and_missing_headers_are_found() {
    for delimiter in [",", "\t", ";", " , ", ";  "] {
        let named = Made::new(sixty(true, delimiter)).load(label("kind")).unwrap();
        let bare = Made::new(sixty(false, delimiter)).load(label("3")).unwrap();
        assert_eq!(features(&named), features(&bare), "{delimiter:?}");
        assert_eq!(names(spec(&bare)), ["column 1", "column 2", "column 4"]);
        assert_eq!(bare.sources.name(0), "table.csv:1");
        assert_eq!(Made::new(sixty(false, delimiter)).load(label("column 3")).unwrap().targets, bare.targets);
    }
}

#[test]
fn gzip_bom_crlf_quotes_and_blank_lines_change_nothing() {
    let plain = Made::new(sixty(true, ",")).load(label("kind")).unwrap();
    let dressed = format!("\u{feff}{}\r\n\r\n", sixty(true, ",").replace('\n', "\r\n").replace("green", "\"green\""));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(dressed.as_bytes()).unwrap();
    for bytes in [dressed.into_bytes(), gzip.finish().unwrap()] {
        let dataset = Made::new(bytes).load(label("kind")).unwrap();
        assert_eq!((features(&dataset), &dataset.split), (features(&plain), &plain.split));
        assert_eq!(dataset.sources.name(59), "table.csv:61");
    }
}

#[test]
fn lines_are_those_of_the_file_over_blank_lines_and_quoted_ones() {
    let text = "a,b,y\r\n\r\n1,\"two\r\nlines \"\"and, quotes\"\"\",p\r\n\r\n\n2,x,q\r\n3,x,p\n4,x,q\n5,x,p\n6,x,q\n7,x,q\n8,x,p\n";
    let dataset = Made::new(text).load(label("y")).unwrap();
    let lines: Vec<String> = (0..3).map(|row| dataset.sources.name(row)).collect();
    assert_eq!(lines, ["table.csv:3", "table.csv:7", "table.csv:8"]);
    let raw = Raw::read(&Made::new(text).path(), None, |_| true).unwrap();
    assert_eq!(raw.cell(0, 1), "two\r\nlines \"and, quotes\"");
}

#[test]
fn a_header_of_words_over_words_is_recognised_and_a_row_of_them_is_not_one() {
    let header = |text: &str| Raw::read(&Made::new(text).path(), None, Raw::looks_like_header).unwrap().header;
    assert!(header("cap,odor,class\nx,n,p\nb,a,e\nx,n,e\n").is_some());
    assert!(header("x,n,p\nb,a,e\nx,n,e\n").is_none());
    assert!(header("39, State-gov, <=50K\n50, Private, >50K\n").is_none());
    assert!(header(",x\n0,1\n1,2\n").is_some_and(|names| names == ["column 1", "x"]));
    // A named target settles what looks like a row of numbers.
    let mut text = String::from("2019,2020,y\n");
    (0..20).for_each(|row| text += &format!("{row},{},{}\n", row * 2, ["a", "b"][row % 2]));
    assert_eq!(names(spec(&Made::new(&text).load(label("y")).unwrap())), ["2019", "2020"]);
    let forced = OpenOptions { header: Some(true), ..label("3") };
    assert_eq!(names(spec(&Made::new(&text).load(forced).unwrap())), ["2019", "2020"]);
}

#[test]
fn the_recipe_is_fitted_on_the_training_rows_alone() {
    let made = Made::new(sixty(true, ","));
    let mut split = String::from("sample,split\n");
    (0..60).for_each(|row| split += &format!("table.csv:{},{}\n", row + 2, ["train", "val", "test"][row % 3]));
    let options =
        OpenOptions { split: Some(made.add("split.csv", &split)), drop: vec!["colour".into()], ..label("kind") };
    let dataset = made.load(options).unwrap();
    let values: Vec<f32> = (0..60).step_by(3).map(|row| row as f32 / 2.0).collect();
    let mean = values.iter().sum::<f32>() / 20.0;
    let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 20.0).sqrt();
    let (means, stds) = dataset.input.normalisation();
    assert!((means[0] - mean).abs() < 1e-5 && (stds[0] - std).abs() < 1e-5, "{means:?} {stds:?}");
    assert_eq!(dataset.split.test[0], 2);
}

#[test]
fn missing_numbers_become_the_training_median_and_are_marked() {
    let mut text = String::from("a,b,y\n");
    for row in 0..40 {
        let a = ["", "?", "NA", "nan", "null", "None"]
            .get(row)
            .map_or_else(|| format!("{}.5", row % 4), ToString::to_string);
        text += &format!("{a},{},{}\n", row % 7, ["u", "v"][row % 2]);
    }
    let made = Made::new(&text);
    let split: String =
        (0..40).map(|row| format!("table.csv:{},{}\n", row + 2, if row < 30 { "train" } else { "test" })).collect();
    let options = OpenOptions { split: Some(made.add("s.csv", &format!("sample,split\n{split}"))), ..label("y") };
    let dataset = made.load(options).unwrap();
    let ColumnKind::Numeric { fill, indicator, .. } = spec(&dataset).columns[0].kind else { panic!("numeric") };
    assert_eq!((fill, indicator), (2.0, true));
    assert_eq!(row(&dataset, 0), [2.0, 1.0, 0.0]);
    assert_eq!(row(&dataset, 6), [2.5, 0.0, 6.0]);
    assert!(notes(&dataset).contains("they were missing: a (6)"), "{}", notes(&dataset));
}

#[test]
fn missing_and_unknown_categories_are_zeros() {
    let dataset = Made::new(sixty(true, ",")).load(label("kind")).unwrap();
    let encode =
        |colour| without_ranks(spec(&dataset), &spec(&dataset).encode(None, &["1", colour, "cat", "2"]).unwrap());
    assert_eq!(encode("red"), [1.0, 0.0, 0.0, 1.0, 2.0]);
    assert_eq!(encode("mauve"), [1.0, 0.0, 0.0, 0.0, 2.0]);
    assert_eq!(encode(" NA "), encode("mauve"));
}

#[test]
fn constant_empty_counting_and_free_columns_are_left_out_and_stated() {
    let mut text = String::from("PassengerId,const,empty,name,x,word,y\n");
    (0..50).for_each(|row| text += &format!("{},7,,name {row},{},same,{}\n", row + 1, row * row, ["u", "v"][row % 2]));
    let dataset = Made::new(&text).load(label("y")).unwrap();
    assert_eq!(names(spec(&dataset)), ["x"]);
    let notes = notes(&dataset);
    for part in
        ["`PassengerId` (it counts the rows)", "`const` (always 7)", "`empty` (empty)", "`name` (names or free text: "]
    {
        assert!(notes.contains(part), "{part} in {notes}");
    }
}

#[test]
fn of_many_categories_the_most_frequent_stay() {
    let mut text = String::from("city,y\n");
    (0..1200).for_each(|row| text += &format!("c{:03},{}\n", if row < 400 { row % 4 } else { row % 200 }, row % 2));
    let dataset = Made::new(&text).load(label("y")).unwrap();
    let ColumnKind::Categorical { categories } = &spec(&dataset).columns[0].kind else { panic!("categorical") };
    assert_eq!(categories.len(), 100);
    assert_eq!(categories[..4], ["c000", "c001", "c002", "c003"]);
    assert!(notes(&dataset).contains("only the 100 most frequent categories of: city"));
}

#[test]
fn ranks_stand_between_the_training_quantiles() {
    let mut text = String::from("x,flag,y\n");
    (0..129)
        .for_each(|row| text += &format!("{},{},{}\n", if row < 64 { 0 } else { (row - 64) * 100 }, row % 2, row % 2));
    let made = Made::new(&text);
    let split: String = (0..129).map(|row| format!("table.csv:{},train\n", row + 2)).collect();
    let dataset =
        made.load(OpenOptions { split: Some(made.add("s.csv", &format!("sample,split\n{split}"))), ..label("y") });
    let dataset = dataset.unwrap();
    let rank = |x: &str| spec(&dataset).encode(None, &[x, "1", "0"]).unwrap()[1];
    // 65 zeros, then a number every 100: the quantiles are 17 zeros, then 400, 800 ... 6400.
    assert_eq!((rank("-5"), rank("6400"), rank("1e30")), (0.0, 1.0, 1.0));
    assert_eq!(rank("0"), 8.0 / 32.0, "the middle of the zeros");
    assert_eq!((rank("400"), rank("600"), rank("100")), (17.0 / 32.0, 17.5 / 32.0, 16.25 / 32.0));
    // Two different numbers have no rank beside them.
    assert_eq!(dataset.input.len(), 3);
    assert_eq!(dataset.input.normalisation().0[1], 0.5);
}

#[test]
fn codes_are_categories_where_the_user_says_so() {
    let options = OpenOptions { categorical: vec!["x".into()], drop: vec!["4".into()], ..label("kind") };
    let mut text = String::from("x,colour,kind,size\n");
    (0..40).for_each(|row| text += &format!("{},red{},{},1\n", row % 3, row % 2, ["u", "v"][row % 2]));
    let dataset = Made::new(&text).load(options).unwrap();
    assert_eq!(
        spec(&dataset).columns[0].kind,
        ColumnKind::Categorical { categories: ["0", "1", "2"].map(String::from).into() }
    );
    assert!(notes(&dataset).contains("dropped as asked: size"));
}

#[test]
fn the_task_follows_from_the_target_and_can_be_named() {
    let mut text = String::from("x,codes,count,flag,real,other\n");
    for row in 0..60 {
        text += &format!("{row},{},{row},{},{}.5,{}\n", 12 - row % 3, row % 2 == 0, row, u8::from(row % 3 == 0));
    }
    let made = Made::new(&text);
    let targets = |options: OpenOptions| made.load(options).unwrap().targets;
    // In the order of the numbers, not of the text.
    let mixed = "x,codes\n".to_owned() + &(0..40).map(|row| format!("{row},{}.0\n", 8 + row % 3)).collect::<String>();
    assert_eq!(Made::new(mixed).load(label("codes")).unwrap().targets.names(), ["8", "9", "10"]);
    assert!(matches!(targets(label("codes")), Targets::Classes { .. }));
    assert!(matches!(targets(label("count")), Targets::Values { .. }));
    assert!(matches!(targets(label("real")), Targets::Values { .. }));
    assert_eq!(targets(label("flag")).names(), ["false", "true"]);
    assert!(matches!(targets(label("codes,real")), Targets::Values { names, .. } if names == ["codes", "real"]));
    assert!(matches!(targets(label("flag,other")), Targets::Labels { values, .. } if values[..4] == [1, 1, 0, 0]));
    let named = OpenOptions { task: Some(TaskKind::Regression), ..label("codes") };
    assert!(matches!(targets(named), Targets::Values { values, .. } if values[0] == 12.0));
    let stated = notes(&made.load(label("codes")).unwrap());
    assert!(stated.contains("3 different whole numbers: taken for classes (`--task regression`"), "{stated}");
}

#[test]
fn lists_of_labels_are_read_where_the_task_says_so() {
    let text = "x,tags\n".to_owned()
        + &(0..30).map(|row| format!("{row},{}\n", ["a; b", "", "b|c"][row % 3])).collect::<String>();
    let options = OpenOptions { task: Some(TaskKind::MultiLabel), ..label("tags") };
    let Targets::Labels { names, values } = Made::new(text).load(options).unwrap().targets else { panic!("labels") };
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(values[..9], [1, 1, 0, 0, 0, 0, 0, 1, 1]);
}

#[test]
fn rows_without_a_target_are_left_out_and_counted() {
    let text = "x,damage\n".to_owned()
        + &(0..40).map(|row| format!("{row},{}\n", ["none", "major", "", "?"][row % 4])).collect::<String>();
    let dataset = Made::new(text).load(label("damage")).unwrap();
    assert_eq!((dataset.len(), dataset.targets.names()), (20, ["major", "none"].map(String::from).as_slice()));
    assert!(
        notes(&dataset).contains("20 rows without a target left out (the first is table.csv:4)"),
        "{}",
        notes(&dataset)
    );
    assert_eq!(dataset.sources.name(2), "table.csv:6");
}

#[test]
fn a_test_table_tests_and_its_columns_are_found_by_name() {
    let made = Made::new(sixty(true, ","));
    let plain = OpenOptions { test: Some(made.add("bare.csv", "3,red,cat,7\n4,blue,dog,8\n")), ..label("kind") };
    let turned = "extra,size,kind,x,colour\nz,7,cat,3,red\nz,8,dog,4,blue\n";
    let turned = OpenOptions { test: Some(made.add("turned.csv", turned)), ..label("kind") };
    for (options, name) in [(plain, "bare.csv:1"), (turned, "turned.csv:2")] {
        let dataset = made.load(options).unwrap();
        assert_eq!(dataset.split.test, [60, 61]);
        assert_eq!(row(&dataset, 60), [3.0, 0.0, 0.0, 1.0, 7.0]);
        assert_eq!(dataset.sources.name(60), name);
        assert_eq!(dataset.split.train.len() + dataset.split.val.len(), 60);
    }
    let bad = OpenOptions { test: Some(made.add("bad.csv", "x,color,kind,size\n3,red,cat,7\n")), ..label("kind") };
    assert!(made.refusal(bad).ends_with("bad.csv`: has no column `colour`; did you mean `color`?"));
    let narrow = OpenOptions { test: Some(made.add("narrow.csv", "3,red,cat\n")), ..label("kind") };
    assert!(made.refusal(narrow).ends_with("narrow.csv` line 1: expected 4 fields as in `table.csv`, found 3"));
}

#[test]
fn a_class_that_only_the_test_table_has_is_named_with_its_neighbour() {
    let made = Made::new(sixty(true, ","));
    let dotted = made.add("dotted.csv", "3,red,cat.,7\n");
    let options = OpenOptions { test: Some(dotted), ..label("kind") };
    let message = made.refusal(options.clone());
    assert!(message.ends_with(
        "line 1: `cat.` is no class of `table.csv`; did you mean `cat`? `--label-strip .` cuts the end off"
    ));
    assert_eq!(made.load(OpenOptions { label_strip: Some(".".into()), ..options }).unwrap().split.test, [60]);
    let options = OpenOptions { test: Some(made.add("other.csv", "3,red,dogg,7\n")), ..label("kind") };
    assert!(made.refusal(options).ends_with("did you mean `dog`?"));
}

#[test]
fn a_target_must_be_named_and_there() {
    let made = Made::new(sixty(true, ","));
    let message = made.refusal(OpenOptions::default());
    assert!(
        message.contains("the columns x, colour, kind, size; name the one to predict, such as `--label 'size'`"),
        "{message}"
    );
    let message = Made::new(sixty(false, ",")).refusal(OpenOptions::default());
    assert!(
        message.contains("4 columns without a header; say which one to predict, counted from 1, such as `--label 4`"),
        "{message}"
    );
    assert!(made.refusal(label("kinds")).contains("has no column `kinds`; did you mean `kind`?"));
    assert!(made.refusal(label("5")).contains("has no column `5`; expected one of x, colour"));
    assert!(made.refusal(label("kind,3")).contains("`3` is named twice"));
    assert!(made.refusal(OpenOptions { drop: vec!["kind".into()], ..label("kind") }).contains("`kind` is the target"));
    assert!(load(&made.path(), &label("kinds")).unwrap_err().is_usage());
}

#[test]
fn unusable_targets_are_refused() {
    let table = |target: fn(usize) -> String| {
        Made::new("x,y\n".to_owned() + &(0..50).map(|row| format!("{row}.5,{}\n", target(row))).collect::<String>())
    };
    let refusal = |target, options| table(target).refusal(options);
    assert!(refusal(|_| "same".into(), label("y")).contains("target `y` is the same in every row"));
    assert!(refusal(|_| "4.5".into(), label("y")).contains("target `y` is the same in every row"));
    assert!(refusal(|_| "?".into(), label("y")).contains("no row with a target in `y`"));
    assert!(
        refusal(|row| format!("name {row}"), label("y")).contains("50 different values in 50 rows; names or free text")
    );
    let text = OpenOptions { task: Some(TaskKind::Regression), ..label("y") };
    assert!(refusal(|row| format!("t{}", row % 2), text).contains("line 2, column `y`: expected a number, found `t0`"));
    let one = |row| if row == 9 { "oops".into() } else { format!("{row}.25") };
    assert!(refusal(one, label("y")).contains("line 11, column `y`: expected a number as in the column's other rows"));
    let infinite = |row| if row == 9 { "-inf".into() } else { format!("{row}.25") };
    assert!(
        refusal(infinite, label("y")).contains("line 11, column `y`: expected a finite 32-bit number, found `-inf`")
    );
    assert!(refusal(|row| format!("t{}", row % 2), label("x,y")).contains("several targets are numbers together"));
}

#[test]
fn malformed_files_are_refused_with_their_line() {
    let refusal = |bytes: &[u8]| Made::new(bytes).refusal(label("y"));
    assert!(refusal(b"").contains("is empty"));
    assert!(refusal(b"\n \n\r\n").contains("is empty"));
    assert!(refusal(b"x,y\n").contains("has a header and no rows"));
    assert!(refusal(b"x,y\n1,a\n2,b,c\n").contains("line 3: expected 2 fields as in line 1, found 3"));
    assert!(refusal(b"x,y\n1,a\n\n2\n").contains("line 4: expected 2 fields as in line 1, found 1"));
    assert!(refusal(b"x,y\n1,a\n2,caf\xe9\n").contains("line 3: expected UTF-8 text, found byte 0xe9 at column 6"));
    assert!(refusal(b"x,y\n1,\"a\n2,b\n").contains("line 2: expected a closing quote, found the end of the file"));
    assert!(refusal(b"\xff\xfex\0,\0").contains("UTF-16 (save it as UTF-8)"));
    assert!(refusal(b"y,x,x\n1,2,3\n").contains("line 1: expected a name for each column, found `x` twice"));
    assert!(refusal(b"y\na\nb\na\nb\na\nb\na\nb\na\nb\n").contains("has no column to learn from"));
    assert!(load(Path::new("no such.csv"), &label("y")).unwrap_err().to_string().contains("cannot read `no such.csv`"));
}

#[test]
fn text_and_infinity_among_numbers_are_refused_with_their_line() {
    let table = |odd: &str| {
        let x = |row| if row == 7 { odd.to_owned() } else { format!("{row}.5") };
        Made::new("x,y\n".to_owned() + &(0..50).map(|row| format!("{},{}\n", x(row), row % 2)).collect::<String>())
    };
    for odd in ["oops", "1,5\",\"", "inf", "-Infinity", "1e999", "1e39"] {
        let message = table(&odd.replace(['"', ','], "_")).refusal(label("y"));
        assert!(message.contains("line 9, column `x`: expected a "), "{message}");
    }
    assert!(table("NaN").load(label("y")).is_ok());
}

#[test]
fn a_gzip_bomb_and_an_endless_row_are_refused() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"x,y\n").unwrap();
    (0..400).for_each(|_| gzip.write_all("1,a\n".repeat(10_000).as_bytes()).unwrap());
    let bomb = Made::new(gzip.finish().unwrap());
    let message = bomb.refusal(OpenOptions { memory: Some(1 << 20), ..label("y") });
    assert!(message.contains("takes more than 1 MiB of memory by line"), "{message}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    (0..33).for_each(|_| gzip.write_all(&[b'x'; 1 << 20]).unwrap());
    assert!(Made::new(gzip.finish().unwrap()).refusal(label("y")).contains("line 1: expected a row of at most 16 MiB"));
    let mut cut = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    cut.write_all(sixty(true, ",").as_bytes()).unwrap();
    let whole = cut.finish().unwrap();
    assert!(Made::new(&whole[..whole.len() / 2]).refusal(label("kind")).contains("cannot read `"));
}

fn like(dataset: &Dataset, outputs: Outputs) -> OpenOptions {
    OpenOptions { like: Some(Like { input: dataset.input.clone(), outputs }), ..OpenOptions::default() }
}

#[test]
fn a_model_reads_tables_as_it_was_trained() {
    let trained = Made::new(sixty(true, ",")).load(label("kind")).unwrap();
    // Its own order of classes, whatever a new table holds.
    let outputs = || Outputs::Classes(vec!["dog".into(), "cat".into(), "eel".into()]);
    let turned = Made::new("kind,size,colour,x\ncat,7,red,3\n").load(like(&trained, outputs())).unwrap();
    assert_eq!(turned.input, trained.input);
    assert_eq!(row(&turned, 0), [3.0, 0.0, 0.0, 1.0, 7.0]);
    assert!(matches!(&turned.targets, Targets::Classes { names, values } if names.len() == 3 && values == &[1]));
    let bare = Made::new("3,red,cat,7\n").load(like(&trained, outputs())).unwrap();
    assert_eq!(features(&bare), features(&turned));
    let renamed = OpenOptions { label: vec!["animal".into()], ..like(&trained, outputs()) };
    assert!(Made::new("animal,size,colour,x\ncat,7,red,3\n").load(renamed).is_ok());
    let refusal = |text: &str| Made::new(text).refusal(like(&trained, outputs()));
    assert!(refusal("size,colour,x\n7,red,3\n").contains("has no column `kind`, which the model predicts"));
    assert!(
        refusal("kind,size,color,x\ncat,7,red,3\n")
            .contains("expected a column `colour`, found none of that name (but `color`)")
    );
    assert!(
        refusal("kind,size,colour,x\ncatt,7,red,3\n")
            .contains("line 2: `catt` is no class of the model; did you mean `cat`?")
    );
    assert!(
        refusal("3,red,cat,7,8\n").contains("expected 4 fields as in the table trained on or, without the target, 3")
    );
}

#[test]
fn regression_models_read_whole_numbers_as_numbers() {
    let trained = Made::new(sixty(true, ",")).load(label("size")).unwrap();
    let text = "x,colour,kind,size\n1,red,cat,4\n2,red,cat,4\n";
    let dataset = Made::new(text).load(like(&trained, Outputs::Values(vec!["size".into()]))).unwrap();
    assert_eq!(dataset.targets, Targets::Values { names: vec!["size".into()], values: vec![4.0, 4.0] });
}

#[test]
fn rows_to_predict_come_one_by_one_and_a_bad_one_stops_nothing() {
    let trained = Made::new(sixty(true, ",")).load(label("kind")).unwrap();
    let predict = |text: &[u8]| -> Vec<Result<Vec<f32>, String>> {
        let rows = rows(text, Path::new("stdin"), spec(&trained)).unwrap();
        rows.map(|row| row.features.map_err(|error| error.to_string())).collect()
    };
    let good = spec(&trained).encode(None, &["3", "red", "cat", "7"]).unwrap();
    let texts: [&[u8]; 5] = [
        b"x,colour,kind,size\n3,red,cat,7\n",
        b"colour;size;x\nred;7;3\n",
        b"3\tred\tcat\t7\n",
        b"3,red,7",
        b"Size,X,id,Colour\r\n7,3,12,\"red\"\r\n",
    ];
    for text in texts {
        assert_eq!(predict(text), [Ok(good.clone())], "{}", String::from_utf8_lossy(text));
    }
    let mixed = predict(b"x,colour,size\n3,red,7\nred,3,7\n3,red\n\n3,\xff,7\n3,red,7\n");
    assert_eq!((&mixed[0], &mixed[4]), (&Ok(good.clone()), &Ok(good)));
    let said = |row: usize| mixed[row].clone().unwrap_err();
    assert_eq!(said(1), "`stdin` line 3, column `x`: expected a number, found `red`");
    assert_eq!(said(2), "`stdin` line 4: expected 3 fields, found 2");
    assert!(said(3).starts_with("`stdin` line 6: expected UTF-8 text"));
    let refused =
        |text: &str| rows(text.as_bytes(), Path::new("stdin"), spec(&trained)).map(|_| ()).unwrap_err().to_string();
    assert!(refused("x,size\n1,2\n").contains("expected a column `colour`"));
    assert!(refused("").contains("has no row in its first line"));
}

#[test]
fn rows_without_a_leading_target_shift_into_place() {
    let text: String = (0..40).map(|row| format!("{},{}.5,{}\n", ["p", "q"][row % 2], row, row * 3)).collect();
    let trained = Made::new(text).load(label("1")).unwrap();
    let first = rows("6.5,18\n".as_bytes(), Path::new("-"), spec(&trained)).unwrap().next().unwrap();
    assert_eq!((first.line, without_ranks(spec(&trained), &first.features.unwrap())), (1, vec![6.5, 18.0]));
    let headed = rows("label,a,b\np,6.5,18\n".as_bytes(), Path::new("-"), spec(&trained)).unwrap();
    assert_eq!(headed.map(|row| row.line).collect::<Vec<_>>(), [2]);
}

#[test]
fn encoding_a_row_equals_loading_its_table() {
    let text = sixty(true, ",");
    let dataset = Made::new(&text).load(label("kind")).unwrap();
    let header = ["x", "colour", "kind", "size"].map(String::from);
    for (line, loaded) in text.lines().skip(1).zip(features(&dataset).chunks(7)) {
        let row: Vec<&str> = line.split(',').collect();
        assert_eq!(spec(&dataset).encode(Some(&header), &row).unwrap(), loaded);
    }
    assert!(
        spec(&dataset).encode(Some(&header), &["1"]).unwrap_err().to_string().contains("expected 4 fields, found 1")
    );
}

#[test]
fn the_recipe_survives_json() {
    let dataset = Made::new(sixty(true, ",")).load(label("kind")).unwrap();
    let json = serde_json::to_string(&dataset.input).unwrap();
    assert_eq!(serde_json::from_str::<InputSpec>(&json).unwrap(), dataset.input);
}

#[test]
fn equal_seeds_give_equal_data_sets() {
    let made = Made::new(sixty(true, ","));
    let (a, b) = (made.load(label("kind")).unwrap(), made.load(label("kind")).unwrap());
    assert_eq!((&a.input, &a.split, features(&a)), (&b.input, &b.split, features(&b)));
    let other = made.load(OpenOptions { seed: 1, ..label("kind") }).unwrap();
    assert_ne!(a.split, other.split);
}

/// A real table, if it is there.
fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/datasets")).join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn kinds(dataset: &Dataset) -> (usize, usize, usize) {
    let numeric =
        spec(dataset).columns.iter().filter(|column| matches!(column.kind, ColumnKind::Numeric { .. })).count();
    (dataset.len(), numeric, spec(dataset).columns.len() - numeric)
}

#[test]
fn titanic_penguins_and_mpg_are_read() {
    let Some(path) = real("tabular/titanic.csv") else { return };
    let titanic = load(&path, &OpenOptions { drop: vec!["alive".into()], ..label("survived") }).unwrap();
    assert_eq!((kinds(&titanic), titanic.targets.names().len()), ((891, 5, 8), 2));
    let penguins = load(&real("tabular/penguins.csv").unwrap(), &label("species")).unwrap();
    assert_eq!((kinds(&penguins), penguins.targets.names().len()), ((344, 4, 2), 3));
    let mpg = load(&real("tabular/mpg.csv").unwrap(), &label("mpg")).unwrap();
    assert_eq!(kinds(&mpg), (398, 6, 1));
    assert!(notes(&mpg).contains("left out: `name` (names or free text"));
}

#[test]
fn housing_and_wine_are_read() {
    let Some(path) = real("tabular/housing.csv") else { return };
    let housing = load(&path, &label("median_house_value")).unwrap();
    assert_eq!(kinds(&housing), (20640, 8, 1));
    assert_eq!(housing.input.len(), 8 + 8 + 1 + 5);
    assert!(matches!(&housing.targets, Targets::Values { values, .. } if values[0] == 452_600.0));
    let wine = load(&real("tabular/winequality-red.csv").unwrap(), &label("12")).unwrap();
    assert_eq!((kinds(&wine), wine.targets.names().len()), ((1599, 11, 0), 6));
}

#[test]
fn adult_is_read_with_its_test_file() {
    let Some(path) = real("tabular/adult-train.csv") else { return };
    let options = OpenOptions { test: real("tabular/adult-test.csv"), ..label("15") };
    let message = load(&path, &options).unwrap_err().to_string();
    assert!(
        message.ends_with(
            "`<=50K.` is no class of `adult-train.csv`; did you mean `<=50K`? `--label-strip .` cuts the end off"
        ),
        "{message}"
    );
    let adult = load(&path, &OpenOptions { label_strip: Some(".".into()), ..options }).unwrap();
    assert_eq!(kinds(&adult), (32561 + 16281, 6, 8));
    assert_eq!(
        (adult.split.test.len(), adult.targets.names()),
        (16281, ["<=50K", ">50K"].map(String::from).as_slice())
    );
    assert_eq!(adult.sources.name(32561), "adult-test.csv:1");
}

#[test]
fn messages_are_tab_separated_with_quotes_in_them() {
    let Some(folder) = real("sms_spam") else { return };
    let path = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).next().unwrap();
    let raw = Raw::read(&path, None, Raw::looks_like_header).unwrap();
    assert_eq!((raw.delimiter, raw.width, raw.rows()), (b'\t', 2, 5574));
}
