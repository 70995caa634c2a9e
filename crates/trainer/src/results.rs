//! The rows of `results.csv`: one for each epoch, under the names that people's scripts already parse. The text is kept whole, so that the
//! file is written whole and a checkpoint can hold it, and read again by `trainer replay`. Where and when it is written is the keeper's.

use crate::{EpochSummary, Error, RunFolder};

/// The text of `results.csv`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Results(String);

impl Results {
    /// Takes up a text again: its header and the rows of its first `epochs` epochs, which are all there or were never whole.
    pub(crate) fn resume(text: &str, epochs: usize) -> Self {
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        // Without an epoch there is no header either: the next one writes it.
        let lines = if epochs == 0 { 0 } else { epochs + 1 };
        Self(whole.take(lines).collect())
    }

    /// Adds a row, after a header if it is the first.
    pub(crate) fn push(&mut self, summary: &EpochSummary) {
        let columns = columns(summary);
        let mut line = |of: fn(&(String, String)) -> &str| {
            self.0 += &columns.iter().map(of).collect::<Vec<_>>().join(",");
            self.0.push('\n');
        };
        if summary.epoch == 1 {
            line(|(name, _)| name);
        }
        line(|(_, value)| value);
    }

    /// All of it.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// The hash of the weights after each epoch of a run, in order from the first.
///
/// # Errors
/// If `results.csv` cannot be read, isn't what a run writes, or is of a version that recorded no hashes.
pub fn recorded_weights(run: &RunFolder) -> Result<Vec<String>, Error> {
    let bad = |what: String| Error::checkpoint(&run.results(), what);
    let text = run.read_results()?;
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let header = rows.headers().map_err(|error| bad(error.to_string()))?.clone();
    if header.is_empty() {
        return Err(bad("no epoch of the run has ended: it has no hashes of weights".to_owned()));
    }
    let column = |name: &str| header.iter().position(|field| field == name);
    let (Some(epoch), Some(weights)) = (column("epoch"), column("weights/sha256")) else {
        let what = "expected a column `weights/sha256`, found none: the run is of a version that didn't record it; train again";
        return Err(bad(what.to_owned()));
    };
    let mut recorded = Vec::new();
    for row in rows.records() {
        let row = row.map_err(|error| bad(error.to_string()))?;
        let expected = recorded.len() + 1;
        if row[epoch].parse() != Ok(expected) {
            return Err(bad(format!("expected epoch {expected}, found `{}`", &row[epoch])));
        }
        recorded.push(row[weights].to_owned());
    }
    Ok(recorded)
}

/// The columns of a row.
fn columns(summary: &EpochSummary) -> Vec<(String, String)> {
    let mut columns = vec![
        ("epoch".to_owned(), summary.epoch.to_string()),
        ("time".to_owned(), format!("{:.3}", summary.seconds)),
        ("train/loss".to_owned(), format!("{:.6}", summary.train_loss)),
    ];
    if let Some(accuracy) = summary.train_accuracy {
        columns.push(("train/accuracy_top1".to_owned(), format!("{accuracy:.6}")));
    }
    for (name, value) in &summary.val {
        let name = match name.as_str() {
            "loss" => "val/loss".to_owned(),
            "accuracy" => "metrics/accuracy_top1".to_owned(),
            "top5" => "metrics/accuracy_top5".to_owned(),
            other => format!("metrics/{other}"),
        };
        columns.push((name, value.map_or_else(String::new, |value| format!("{value:.6}"))));
    }
    columns.push(("lr/pg0".to_owned(), format!("{:e}", summary.lr)));
    columns.push(("weights/sha256".to_owned(), summary.weights.clone()));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_come_back_by_epoch_and_texts_that_no_run_writes_are_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let run = RunFolder::create(scratch.path(), "r").unwrap();
        let read = |text: &str| {
            std::fs::write(run.results(), text).unwrap();
            recorded_weights(&run).map_err(|error| (error.exit_code(), error.to_string()))
        };
        assert_eq!(read("epoch,weights/sha256\n1,ab\n2,cd\n").unwrap(), ["ab", "cd"]);
        for (text, what) in [
            ("", "no epoch of the run has ended"),
            ("epoch,time\n1,2\n", "of a version that didn't record it"),
            ("epoch,weights/sha256\n2,ab\n", "expected epoch 1, found `2`"),
            ("epoch,weights/sha256\n1,ab\n-1,cd\n", "expected epoch 2, found `-1`"),
            ("epoch,weights/sha256\n1\n", "found record with 1 fields"),
        ] {
            let (code, message) = read(text).unwrap_err();
            assert!(code == 4 && message.contains(what), "{code} {message}");
        }
        std::fs::remove_file(run.results()).unwrap();
        assert!(recorded_weights(&run).unwrap_err().to_string().contains("no epoch of the run has ended"));
    }

    fn summary(epoch: usize) -> EpochSummary {
        EpochSummary {
            epoch,
            seconds: 1.0,
            train_loss: 0.5,
            train_accuracy: Some(0.75),
            // What is undefined in one epoch keeps its column.
            val: vec![("loss".into(), Some(0.25)), ("map".into(), (epoch > 1).then_some(0.5))],
            lr: 0.001,
            best: true,
            weights: "c0ffee".into(),
        }
    }

    #[test]
    fn results_have_a_header_once_and_go_on_after_the_epochs_that_are_kept() {
        let mut results = Results::default();
        (1..=3).for_each(|epoch| results.push(&summary(epoch)));
        let expected = "epoch,time,train/loss,train/accuracy_top1,val/loss,metrics/map,lr/pg0,weights/sha256\n\
             1,1.000,0.500000,0.750000,0.250000,,1e-3,c0ffee\n\
             2,1.000,0.500000,0.750000,0.250000,0.500000,1e-3,c0ffee\n";
        assert_eq!(Results::resume(results.text(), 2).text(), expected);
        assert_eq!(Results::resume(results.text(), 0), Results::default());
        let mut again = Results::resume(&(expected.to_owned() + "3,1.0"), 2);
        again.push(&summary(3));
        assert_eq!(again, results);
    }
}
