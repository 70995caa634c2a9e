//! Real tables, opened as a user opens them: counts of rows and columns. Skipped where the tables are absent; the rules themselves
//! are tested beside the code.

use std::path::{Path, PathBuf};

use data::{ColumnKind, Dataset, InputSpec, OpenOptions, TableSpec, Targets, open};

fn label(name: &str) -> OpenOptions {
    OpenOptions { label: vec![name.to_owned()], ..OpenOptions::default() }
}

fn spec(dataset: &Dataset) -> &TableSpec {
    let InputSpec::Table(spec) = &dataset.input else { panic!("a table") };
    spec
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
    let titanic = open(&path, &OpenOptions { drop: vec!["alive".into()], ..label("survived") }).unwrap();
    assert_eq!((kinds(&titanic), titanic.targets.names().len()), ((891, 5, 8), 2));
    let penguins = open(&real("tabular/penguins.csv").unwrap(), &label("species")).unwrap();
    assert_eq!((kinds(&penguins), penguins.targets.names().len()), ((344, 4, 2), 3));
    let mpg = open(&real("tabular/mpg.csv").unwrap(), &label("mpg")).unwrap();
    assert_eq!(kinds(&mpg), (398, 6, 1));
    assert!(mpg.found.notes.join("\n").contains("left out: `name` (names or free text"));
}

#[test]
fn housing_and_wine_are_read() {
    let Some(path) = real("tabular/housing.csv") else { return };
    let housing = open(&path, &label("median_house_value")).unwrap();
    assert_eq!(kinds(&housing), (20640, 8, 1));
    assert_eq!(housing.input.len(), 8 + 8 + 1 + 5);
    assert!(matches!(&housing.targets, Targets::Values { values, .. } if values[0] == 452_600.0));
    let wine = open(&real("tabular/winequality-red.csv").unwrap(), &label("12")).unwrap();
    assert_eq!((kinds(&wine), wine.targets.names().len()), ((1599, 11, 0), 6));
}

#[test]
fn adult_is_read_with_its_test_file() {
    let Some(path) = real("tabular/adult-train.csv") else { return };
    let options = OpenOptions { test: real("tabular/adult-test.csv"), ..label("15") };
    let message = open(&path, &options).unwrap_err().to_string();
    assert!(
        message.ends_with(
            "`<=50K.` is no class of `adult-train.csv`; did you mean `<=50K`? `--label-strip .` cuts the end off"
        ),
        "{message}"
    );
    let adult = open(&path, &OpenOptions { label_strip: Some(".".into()), ..options }).unwrap();
    assert_eq!(kinds(&adult), (32561 + 16281, 6, 8));
    assert_eq!(
        (adult.split.test.len(), adult.targets.names()),
        (16281, ["<=50K", ">50K"].map(String::from).as_slice())
    );
    assert_eq!(adult.sources.name(32561), "adult-test.csv:1");
}

#[test]
fn messages_are_read_and_refused_as_free_text() {
    let Some(folder) = real("sms_spam") else { return };
    let path = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).next().unwrap();
    let message = open(&path, &label("Label")).unwrap_err().to_string();
    assert!(message.contains("has no column to learn from; `SMS` (names or free text: "), "{message}");
}
