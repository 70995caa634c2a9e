//! Which epoch is the best: by the task's metric on the validation split, between equals by the loss. What a checkpoint keeps of it is
//! `progress`'s.

use tasks::{Metrics, Task};

use crate::progress::Best;

/// Whether the epoch is the best so far, which it then is recorded as. Without a validation the last epoch is the best.
pub(crate) fn judge(best: &mut Option<Best>, epoch: usize, val: Option<&Metrics>, task: &Task) -> bool {
    let Some(val) = val else {
        *best = Some(Best { epoch, value: 0.0, loss: 0.0 });
        return true;
    };
    // Undefined is worse than anything (the average precision of labels that no validation sample has); then the loss decides.
    let (_, higher_is_better) = task.monitor();
    let worst = if higher_is_better { f64::NEG_INFINITY } else { f64::INFINITY };
    let value = monitored(val, task).map_or(worst, |(value, _)| value);
    let loss = val.get("loss").unwrap_or(f64::INFINITY);
    let better = best.as_ref().is_none_or(|best| best.is_beaten_by(value, loss, higher_is_better));
    if better {
        *best = Some(Best { epoch, value, loss });
    }
    better
}

/// The metric that chooses the best epoch, and whether higher is better; `None` where it is undefined.
pub(crate) fn monitored(val: &Metrics, task: &Task) -> Option<(f64, bool)> {
    let (monitor, higher_is_better) = task.monitor();
    val.get(monitor).map(|value| (value, higher_is_better))
}
