//! Each rule of the tables, and each way in which a table can be wrong, on tables made by hand: what the tests share.

mod columns;
mod files;
mod model;
mod targets;

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
