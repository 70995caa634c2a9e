//! Samples that the report shows: read as training reads them, pictures as pixels, rows of tables as their columns.

use std::sync::Arc;

use data::{ColumnKind, Dataset, InputSpec, Inputs, Loader, TableSpec};
use report::{Picture, Shown};

/// What is said of a sample.
pub(super) struct Words {
    pub(super) index: u32,
    pub(super) truth: String,
    pub(super) answer: String,
}

/// Reads the samples. Where one cannot be read any more, that is noted, and they are named only.
pub(super) fn load(words: Vec<Words>, dataset: &Arc<Dataset>, notes: &mut Vec<String>) -> Vec<Shown> {
    let indices: Vec<u32> = words.iter().map(|words| words.index).collect();
    let loader = Loader::new(dataset.clone(), indices, words.len().max(1));
    let batch = match loader.epoch(0).next().transpose() {
        Ok(batch) => batch,
        Err(error) => {
            notes.push(format!("samples are named but not shown: {error}"));
            None
        }
    };
    let one = |(at, words): (usize, Words)| {
        let mut shown = Shown {
            source: dataset.sources.name(words.index as usize),
            truth: words.truth,
            answer: words.answer,
            ..Shown::default()
        };
        let Some(batch) = &batch else { return shown };
        let [_, channels, height, width] = batch.shape;
        let len = channels * height * width;
        match (&batch.inputs, &dataset.input) {
            (Inputs::Pixels(pixels), InputSpec::Image(_)) => {
                let pixels = pixels.get(at * len..(at + 1) * len).unwrap_or_default().to_vec();
                shown.picture = Some(Picture { shape: [channels, height, width], pixels });
            }
            (Inputs::Floats(values), InputSpec::Table(table)) => {
                shown.row = row(table, values.get(at * len..(at + 1) * len).unwrap_or_default());
            }
            _ => {}
        }
        shown
    };
    words.into_iter().enumerate().map(one).collect()
}

/// The columns of a row from its features, before normalisation.
fn row(table: &TableSpec, features: &[f32]) -> Vec<(String, String)> {
    let mut rest = features;
    let mut row = Vec::new();
    for column in &table.columns {
        let Some((own, after)) = rest.split_at_checked(column.features()) else { break };
        rest = after;
        let value = match (&column.kind, own) {
            (ColumnKind::Numeric { indicator: true, .. }, [.., 1.0]) => "missing".to_owned(),
            (ColumnKind::Numeric { .. }, [value, ..]) => value.to_string(),
            (ColumnKind::Categorical { categories }, own) => {
                let known = own.iter().position(|&one| one == 1.0).and_then(|at| categories.get(at));
                known.cloned().unwrap_or_else(|| "missing or unknown".to_owned())
            }
            _ => continue,
        };
        row.push((column.name.clone(), value));
    }
    row
}
