//! Samples that the report shows: read as training reads them, pictures as pixels, rows of tables as their columns.

use std::sync::Arc;

use data::{Batch, BatchTargets, Dataset, InputSpec, Inputs, Loader};
use report::{Picture, Shown};
use tasks::Task;

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
        shown.picture = picture(batch, at);
        if let (Inputs::Floats(values), InputSpec::Table(table)) = (&batch.inputs, &dataset.input) {
            let len = batch.shape[1..].iter().product::<usize>();
            shown.row = table.fields(values.get(at * len..(at + 1) * len).unwrap_or_default());
        }
        shown
    };
    words.into_iter().enumerate().map(one).collect()
}

/// The first `most` samples of a batch with their targets.
pub(super) fn batch(batch: &Batch, task: &Task, most: usize) -> Vec<Shown> {
    let names = task.names();
    let one = |at: usize| Shown {
        truth: match &batch.targets {
            Some(BatchTargets::Classes(classes)) => names.get(classes[at] as usize).cloned().unwrap_or_default(),
            Some(BatchTargets::Dense { width, values }) => {
                let values = &values[at * width..][..*width];
                match task {
                    Task::Regression(_) => values.iter().map(f32::to_string).collect::<Vec<_>>().join(", "),
                    _ => shares(values, names),
                }
            }
            None => String::new(),
        },
        picture: picture(batch, at),
        ..Shown::default()
    };
    (0..batch.len().min(most)).map(one).collect()
}

/// The names that apply, with their shares where samples are mixed.
fn shares(values: &[f32], names: &[String]) -> String {
    let named = values.iter().zip(names).filter(|(share, _)| **share != 0.0).map(|(&share, name)| match share == 1.0 {
        true => name.clone(),
        false => format!("{name} {share:.2}"),
    });
    named.collect::<Vec<_>>().join(", ")
}

fn picture(batch: &Batch, at: usize) -> Option<Picture> {
    let Inputs::Pixels(pixels) = &batch.inputs else { return None };
    let [_, channels, height, width] = batch.shape;
    let len = channels * height * width;
    Some(Picture { shape: [channels, height, width], pixels: pixels.get(at * len..(at + 1) * len)?.to_vec() })
}
