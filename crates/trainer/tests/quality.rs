//! What is learned from real data, by the defaults and by the recipes: with margin, since seeds and machines differ. Skips what isn't
//! there: the data stands beside the project, not in it.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A path below the data sets beside the project, where there is one.
fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(ROOT).join("../shared/datasets").join(path);
    if !path.exists() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(path)
}

fn trainer(folder: &Path, data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STRIATE_")) {
        command.env_remove(name);
    }
    let output = command.current_dir(folder).arg("train").arg(data).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A metric on the test split after training on `data`.
fn reached(data: &Path, arguments: &[&str], metric: &str) -> f64 {
    let scratch = tempfile::tempdir().unwrap();
    let output = trainer(scratch.path(), data, &[&["--quiet", "--format", "json"], arguments].concat());
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    result["result"]["test"]["values"][metric].as_f64().unwrap()
}

#[test]
fn penguins_are_told_apart_by_the_defaults() {
    let Some(table) = shared("tabular/penguins.csv") else { return };
    let accuracy = reached(&table, &["--label", "species"], "accuracy");
    assert!(accuracy >= 0.95, "{accuracy}");
}

#[test]
fn survivors_of_the_titanic_are_told_by_the_defaults() {
    let Some(table) = shared("tabular/titanic.csv") else { return };
    // Six of ten died; telling men from women gives 78 %.
    let accuracy = reached(&table, &["--label", "survived", "--drop", "alive"], "accuracy");
    assert!(accuracy >= 0.78, "{accuracy}");
}

#[test]
fn house_values_are_learned_in_a_few_epochs() {
    let Some(table) = shared("tabular/housing.csv") else { return };
    let r2 = reached(&table, &["--label", "median_house_value", "--epochs", "5"], "r2");
    assert!(r2 >= 0.74, "{r2}");
}

#[test]
fn handwriting_is_learned_from_a_part_of_mnist() {
    let Some(folder) = shared("mnist") else { return };
    let arguments = ["--model", "mlp", "--hidden", "128", "--limit", "12000", "--epochs", "3"];
    let accuracy = reached(&folder, &arguments, "accuracy");
    assert!(accuracy >= 0.91, "{accuracy}");
}

#[test]
fn every_recipe_is_understood_for_its_data() {
    let data = [
        ("adult", "tabular/adult-train.csv"),
        ("att_faces", "att_faces"),
        ("flowers", "flowers"),
        ("housing", "tabular/housing.csv"),
        ("mnist", "mnist"),
        ("penguins", "tabular/penguins.csv"),
        ("titanic", "tabular/titanic.csv"),
    ];
    for (name, path) in data {
        let Some(path) = shared(path) else { continue };
        let mut recipes: Vec<PathBuf> = std::fs::read_dir(Path::new(ROOT).join("datasets").join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "toml") && !path.ends_with("dataset.toml"))
            .collect();
        recipes.sort();
        assert!(!recipes.is_empty(), "{name} has no recipe");
        for recipe in recipes {
            let recipe = std::fs::canonicalize(recipe).unwrap();
            trainer(Path::new(ROOT), &path, &["--recipe", recipe.to_str().unwrap(), "--print-config"]);
        }
    }
}
