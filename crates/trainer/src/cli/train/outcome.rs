//! What a run that has ended says of itself: `metrics.json`, and the last lines for people.

use std::path::Path;

use anyhow::Result;
use serde_json::json;
use tasks::Goal;
use trainer::{Ended, Report, RunFolder};

use super::Sitting;
use crate::cli::report;

/// Whether the run ended by its target, or has a best model that reaches it (a run that is resumed after it had ended).
pub(super) fn target_reached(target: &Goal, report: &Report) -> bool {
    report.ended == Ended::Target || report.val.as_ref().is_some_and(|val| target.reached(val))
}

impl Sitting {
    /// Writes `metrics.json`, and returns it.
    pub(super) fn write_metrics(&self, run: &RunFolder, report: &Report) -> Result<serde_json::Value> {
        let metrics = self.metrics(report);
        RunFolder::write(&run.metrics(), &serde_json::to_vec_pretty(&metrics)?).map_err(|error| run.lost(error))?;
        Ok(metrics)
    }

    /// `metrics.json`.
    fn metrics(&self, report: &Report) -> serde_json::Value {
        json!({
            "v": 1,
            "ended": report.ended,
            "epochs": report.epochs,
            "best_epoch": report.best_epoch,
            "monitor": self.task.monitor().0,
            "seconds": report.seconds,
            "changes": report.changes,
            "left_out": report.left_out,
            "rollbacks": report.rollbacks,
            "chosen_on": report.val.as_ref().map(|metrics| metrics.report()),
            "test": report.test.as_ref().map(|metrics| metrics.report()),
            "calibration": report.calibration.as_ref().zip(report.answers.as_ref()).and_then(|(calibration, answers)| {
                let coverage = trainer::coverage_of(&self.task, calibration, &self.dataset, answers)?;
                Some(trainer::coverage_json(&coverage))
            }),
        })
    }

    /// The last lines, for people.
    pub(super) fn outcome(&self, run: &RunFolder, report: &Report, page: Option<&Path>) -> String {
        let (best, epochs, seconds) = (report.best_epoch, report.epochs, report.seconds);
        let monitor = self.task.monitor().0;
        let mut lines = vec![match &report.val {
            Some(_) => format!("best     epoch {best} of {epochs} by {monitor} on validation, {seconds:.1} s"),
            None => format!("best     epoch {best} of {epochs}, {seconds:.1} s"),
        }];
        lines.extend(report.val.as_ref().map(|val| format!("chosen   on validation: {}", report::summary(val))));
        lines.push(match (&report.test, &report.val) {
            (Some(test), _) => format!("test     held out: {}", report::summary(test)),
            (None, Some(_)) => {
                "no test split: the numbers above are of the samples that the best epoch was chosen on".to_owned()
            }
            (None, None) => "no test split and no validation: nothing says how good the model is".to_owned(),
        });
        lines.push(format!("saved    {}", run.best().display()));
        lines.extend(page.map(|page| format!("report   {}", page.display())));
        let arguments = match self.options.data.as_deref() {
            // The newest run is looked for in `runs` unless another folder is named.
            Some("digits") => match self.options.runs.as_deref() {
                None => String::new(),
                Some(runs) if runs == Path::new("runs") => String::new(),
                Some(runs) => format!("--runs {}", data::quoted(runs)),
            },
            _ => format!("predict {} YOUR_FILES", data::quoted(run.path())),
        };
        lines.push(format!("try next {}", report::infer_command(&arguments)));
        lines.join("\n")
    }
}
