//! The epochs of a run as `results.csv` has them, also where it is half written or holds what isn't finite. The columns are
//! `crates/trainer/src/results.rs`'.

/// Rows that are told of one by one.
const TOLD: usize = 3;

/// What the rows of `results.csv` say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct History {
    pub(crate) epochs: u64,
    pub(crate) seconds: Option<f64>,
    pub(crate) task: Option<String>,
    /// What chooses the best epoch.
    pub(crate) metric: Option<String>,
    pub(crate) best_epoch: Option<u64>,
    pub(crate) val: Option<f64>,
    pub(crate) problems: Vec<String>,
}

/// The column that chooses, the metric that it holds, whether higher is better, and the task that it tells.
const MONITORS: [(&str, &str, bool, &str); 3] = [
    ("metrics/accuracy_top1", "accuracy", true, "classification"),
    ("metrics/map", "map", true, "multi-label"),
    ("val/loss", "loss", false, "regression"),
];

impl History {
    /// Reads the text of `results.csv`.
    ///
    /// # Errors
    /// If it isn't what a run writes, in words that go on after its name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut history = Self::default();
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let head = reader.headers().map_err(|error| format!("is no CSV: {error}"))?.clone();
        let column = |name: &str| head.iter().position(|found| found == name);
        if head.is_empty() {
            return Ok(history);
        }
        let (Some(epoch), Some(time)) = (column("epoch"), column("time")) else {
            return Err("is not what a run writes: its header lacks `epoch` or `time`".to_owned());
        };
        let monitor = MONITORS.iter().find_map(|monitor| Some((column(monitor.0)?, monitor)));
        // Without validation the training's own columns tell.
        let without = column("train/accuracy_top1").map(|_| "classification");
        history.task = monitor.map(|(_, monitor)| monitor.3).or(without).map(str::to_owned);
        history.metric = monitor.map(|(_, monitor)| monitor.1.to_owned());
        let loss = column("val/loss");
        let (mut best, mut odd) = (None, Vec::new());
        for (at, row) in reader.records().enumerate() {
            let row = row.map_err(|error| format!("is no CSV: {error}"))?;
            let number = |column: usize| row.get(column).and_then(|cell| cell.parse::<f64>().ok());
            let Some(epoch) =
                row.get(epoch).and_then(|cell| cell.parse::<u64>().ok()).filter(|_| row.len() == head.len())
            else {
                history.problems.push(format!("results.csv row {}: not whole, and passed over", at + 2));
                continue;
            };
            history.epochs = history.epochs.max(epoch);
            history.seconds = number(time).filter(|seconds| seconds.is_finite()).or(history.seconds);
            odd.extend(
                head.iter()
                    .zip(&row)
                    .find(|(_, cell)| cell.parse::<f64>().is_ok_and(|cell| !cell.is_finite()))
                    .map(|(name, cell)| format!("results.csv epoch {epoch}: `{name}` is {cell}")),
            );
            let Some((value, higher)) = monitor.and_then(|(at, monitor)| Some((number(at)?, monitor.2))) else {
                continue;
            };
            let loss = loss.and_then(number).unwrap_or(f64::INFINITY);
            let rank = (if higher { -value } else { value }, loss);
            if value.is_finite() && best.is_none_or(|(before, _, _)| rank < before) {
                best = Some((rank, epoch, value));
            }
        }
        (history.best_epoch, history.val) = best.map(|(_, epoch, value)| (epoch, value)).unzip();
        let more = odd.len().saturating_sub(TOLD);
        history.problems.extend(odd.into_iter().take(TOLD));
        if more > 0 {
            history.problems.push(format!("results.csv: numbers that aren't finite in {more} more epochs"));
        }
        Ok(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "epoch,time,train/loss,val/loss,metrics/accuracy_top1,lr/pg0,weights/sha256\n";

    #[test]
    fn the_best_epoch_is_that_of_the_metric_and_then_of_the_loss() {
        let rows = "1,1.5,0.9,0.8,0.7,1e-3,aa\n2,3.0,0.5,0.4,0.9,1e-3,bb\n3,4.5,0.4,0.3,0.9,1e-3,cc\n4,6.0,0.4,0.2,0.8,1e-3,dd\n";
        let history = History::parse(&format!("{HEAD}{rows}")).unwrap();
        assert_eq!((history.epochs, history.best_epoch, history.val), (4, Some(3), Some(0.9)));
        assert_eq!((history.seconds, history.task.as_deref()), (Some(6.0), Some("classification")));
        assert!(history.problems.is_empty());
    }

    #[test]
    fn half_a_row_and_nan_are_told_of_and_choose_nothing() {
        let rows = "1,1.5,0.9,0.8,0.7,1e-3,aa\n2,3.0,NaN,NaN,0.99,1e-3,bb\n3,4.5,0.4,inf,NaN,1e-3,cc\n4,6.";
        let history = History::parse(&format!("{HEAD}{rows}")).unwrap();
        assert_eq!((history.epochs, history.best_epoch), (3, Some(2)));
        let expected = [
            "results.csv row 5: not whole, and passed over",
            "results.csv epoch 2: `train/loss` is NaN",
            "results.csv epoch 3: `val/loss` is inf",
        ];
        assert_eq!(history.problems, expected);
        assert_eq!(History::parse("").unwrap(), History::default());
        assert!(History::parse("a,b\n1,2\n").unwrap_err().contains("lacks `epoch`"));
    }
}
