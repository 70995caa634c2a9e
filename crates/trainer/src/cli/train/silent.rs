//! Sittings that report nothing: of a replay, of a search's trials, and of ranks that train with another one.

use std::cell::Cell;

use anyhow::Result;
use trainer::{Answers, Checkpoint, Ended, EpochSummary, Event, Job, Report, RunFolder, Settings};

use super::Sitting;
use crate::cli::events::EventLog;
use crate::cli::signals::Signals;
use crate::cli::trained::Trained;

impl Sitting {
    /// Trains into `run` until the end, or until `go_on` says no after an epoch. Reports nothing; the exit code, if a signal came.
    pub(crate) fn repeat(
        mut self,
        run: &RunFolder,
        go_on: &mut dyn FnMut(&EpochSummary) -> bool,
    ) -> Result<Option<u8>> {
        let signals = Signals::listen()?;
        let enough = Cell::new(false);
        let mut bar = self.bar.take();
        let job = self.job(run, Settings::new(), None);
        let mut on_event = |event| {
            if let Event::Epoch(summary) = &event {
                enough.set(enough.get() || !go_on(summary));
            }
            bar.draw(&event);
        };
        let outcome = trainer::train(job, &|| signals.stop() || enough.get(), &mut on_event);
        bar.finish();
        outcome?;
        Ok(signals.stop().then(|| signals.code()))
    }

    /// Trains with rank 0, which writes and says everything.
    pub(super) fn follow(self, run: &RunFolder, signals: &Signals) -> Result<u8> {
        let report = trainer::train(self.job(run, Settings::new(), None), &|| signals.stop(), &mut |_| ())?;
        Ok(if report.ended == Ended::Interrupted { signals.code() } else { 0 })
    }

    /// Trains in silence until `epochs` are done; none where `stop` said so before.
    pub(crate) fn until(
        self,
        run: &RunFolder,
        settings: Settings,
        resume: Option<Checkpoint>,
        epochs: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Report>> {
        let mut log = EventLog::open(run.path());
        let job = Job { pause: Some(epochs), ..self.job(run, settings, resume) };
        let outcome = trainer::train(job, stop, &mut |event| log.record(&event));
        let report = outcome.inspect_err(|error| log.failed(error))?;
        log.ended(&report);
        Ok(Some(report).filter(|report| report.ended == Ended::Paused))
    }

    /// Trains to the end in silence, and returns what `metrics.json` says; none where `stop` said so before.
    pub(crate) fn complete(
        self,
        run: &RunFolder,
        settings: Settings,
        resume: Option<Checkpoint>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<serde_json::Value>> {
        let mut log = EventLog::open(run.path());
        let outcome = trainer::train(self.job(run, settings, resume), stop, &mut |event| log.record(&event));
        let mut report = outcome.inspect_err(|error| log.failed(error))?;
        log.ended(&report);
        if report.ended == Ended::Interrupted {
            return Ok(None);
        }
        let metrics = self.write_metrics(run, &report)?;
        let (answers, best) = (report.answers.take(), report.best.take());
        self.write_report(run, &report, answers, best);
        Ok(Some(metrics))
    }

    /// What the best model so far does on the test split; none without one.
    pub(crate) fn measure(&self, run: &RunFolder) -> Result<Option<serde_json::Value>> {
        let best = Trained::load(&run.best(), &self.device.device)?;
        let sums = best.task.metrics_at(best.temperature());
        let measured = Answers::of(&best.file.model, sums, &self.dataset, &self.device.device, false)?;
        let tested = measured.filter(|(_, answers)| answers.split == "test");
        Ok(tested.map(|(metrics, _)| serde_json::to_value(metrics.report())).transpose()?)
    }
}
