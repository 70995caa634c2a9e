//! Counts on real tables; skipped where they are absent.

use super::*;

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
