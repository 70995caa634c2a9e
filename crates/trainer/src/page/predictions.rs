//! `predictions_SPLIT.csv`: the best model's answer for each sample, which `compare` reads again.

use data::{BatchTargets, Dataset, Targets};
use report::{Answer, cells};

use super::answered::{Answered, answer, joined};

/// Classes or labels up to which each has a column.
const COLUMNS: usize = 100;

impl Answered<'_> {
    /// `source`, the truth, the prediction, and for classes and labels their probabilities.
    pub(super) fn csv(&self, dataset: &Dataset) -> String {
        let names = self.task.names();
        let columns = if names.len() <= COLUMNS { names.len() } else { 0 };
        let mut head = self.task.header();
        let dense = match self.targets {
            Targets::Values { names, values } => {
                Some(BatchTargets::Dense { width: names.len(), values: values.clone() })
            }
            _ => {
                head.truncate(3 + columns);
                None
            }
        };
        if let Targets::Classes { .. } = self.targets {
            head.insert(3, "confidence".to_owned());
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        // Writing to memory doesn't fail.
        let _ = writer.write_record(head.iter().map(|cell| cells::safe(cell)));
        for (at, (index, numbers)) in self.rows().enumerate() {
            let source = cells::safe(&dataset.sources.name(index));
            let mut row = vec![source];
            match self.targets {
                Targets::Classes { values, .. } => {
                    let Answer { truth, predicted, confidence, .. } = answer(values[index] as usize, numbers);
                    row.extend([&names[truth], &names[predicted]].map(|name| cells::safe(name)));
                    row.push((confidence as f32).to_string());
                }
                Targets::Labels { values, .. } => {
                    let predicted = (0..names.len()).filter(|&label| self.beyond(label, numbers[label]) >= 0.0);
                    let list =
                        |labels: &mut dyn Iterator<Item = usize>| joined(labels.map(|label| names[label].clone()), ";");
                    let lists = [list(&mut self.true_labels(values, index)), list(&mut { predicted })];
                    row.extend(lists.map(|list| cells::safe(&list)));
                }
                Targets::Values { .. } => {
                    let width = names.len();
                    let outputs = &self.answers.outputs[at * width..][..width];
                    row.extend(self.task.row("", outputs, 1.0, dense.as_ref(), index).into_iter().skip(1));
                }
            }
            if dense.is_none() {
                row.extend(numbers.iter().take(columns).map(|&number| (number as f32).to_string()));
            }
            let _ = writer.write_record(row);
        }
        writer.into_inner().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}
