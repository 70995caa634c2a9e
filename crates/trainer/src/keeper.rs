//! Keeps a run on disk while it goes on: says when it is time to save, hands over what is to be written, and decides what a failure
//! means. A run goes on without a save where the next one can make up for it, and ends where there is no next one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use models::PackedFile;

use crate::results::Results;
use crate::save::{Files, Outcome, Save, Writer};
use crate::{Checkpoint, EpochSummary, Error, Event, OnNan, Progress, RunFolder, Settings, TrainConfig};

/// Saves a run in the background.
pub(crate) struct Keeper<'a> {
    run: &'a RunFolder,
    settings: Settings,
    every: Option<Duration>,
    steps: Option<u64>,
    /// When the last save began, and after which step.
    began: (Instant, u64),
    results: Results,
    /// What the next save writes before its checkpoint.
    files: Files,
    writer: Writer,
    /// The newest checkpoint that is known to be whole.
    whole: Option<PathBuf>,
    /// The one at the beginning of the epoch, where the run may have to go back to it.
    beginning: Option<PathBuf>,
    goes_back: bool,
    /// The checkpoint that could not be saved, and why; the next one makes it unneeded.
    unsaved: Option<(Checkpoint, Error)>,
}

impl<'a> Keeper<'a> {
    /// For a run that is at its beginning, or goes on after `resume`: files that are ahead of that checkpoint are set back to it.
    ///
    /// # Errors
    /// If the system refuses to write, or has no thread left.
    pub(crate) fn new(
        run: &'a RunFolder,
        config: &TrainConfig,
        settings: Settings,
        resume: Option<&Checkpoint>,
    ) -> Result<Self, Error> {
        let mut results = Results::default();
        if let Some(checkpoint) = resume {
            let there = run.read_results()?;
            // Checkpoints of the first format don't hold the rows.
            let text = if checkpoint.results.is_empty() { &there } else { &checkpoint.results };
            results = Results::resume(text, checkpoint.progress.epoch);
            if there != results.text() {
                RunFolder::write(&run.results(), results.text().as_bytes())?;
            }
        }
        let goes_back = config.on_nan == OnNan::Rollback;
        let beginning = match resume.filter(|_| goes_back) {
            None => None,
            Some(checkpoint) => Checkpoint::at_beginning_of(checkpoint.progress.epoch, &run.checkpoints())?,
        };
        let beginning = beginning.and_then(|checkpoint| checkpoint.path);
        Ok(Self {
            run,
            settings,
            every: config.checkpoint_every,
            steps: config.checkpoint_steps,
            began: (Instant::now(), resume.map_or(0, |checkpoint| checkpoint.progress.step)),
            results,
            files: Files::default(),
            writer: Writer::start().map_err(Error::io("start a thread for", &run.checkpoints()))?,
            whole: resume.and_then(|checkpoint| checkpoint.path.clone()),
            beginning,
            goes_back,
            unsaved: None,
        })
    }

    /// Whether it is time to save. Passes on what went wrong in the background meanwhile.
    ///
    /// # Errors
    /// If the run's folder is gone.
    pub(crate) fn is_due(&mut self, progress: &Progress, on_event: &mut dyn FnMut(Event)) -> Result<bool, Error> {
        if let Some(outcome) = self.writer.poll() {
            self.take_in(outcome, on_event)?;
        }
        let steps = progress.step.saturating_sub(self.began.1);
        let by_steps = self.steps.is_some_and(|every| steps >= every);
        // Before the first update there is nothing new to save.
        Ok(steps > 0 && (by_steps || self.every.is_some_and(|every| self.began.0.elapsed() >= every)))
    }

    /// Takes in what an epoch leaves: it is written before the next checkpoint.
    pub(crate) fn publish(&mut self, model: PackedFile, summary: &EpochSummary) {
        let model = Arc::new(model);
        self.results.push(summary);
        self.files.results = true;
        if summary.best {
            self.files.best = Some(model.clone());
        }
        self.files.last = Some(model);
    }

    /// Begins a save, once the one before is done. One that fails is told of and made up for by the next.
    ///
    /// # Errors
    /// If the run's folder is gone.
    pub(crate) fn save(&mut self, checkpoint: Checkpoint, on_event: &mut dyn FnMut(Event)) -> Result<(), Error> {
        self.wait(on_event)?;
        self.unsaved = None;
        self.began = (Instant::now(), checkpoint.progress.step);
        let (results, settings) = (self.results.text().to_owned(), self.settings.clone());
        let checkpoint = Checkpoint { results, settings, ..checkpoint };
        let save = self.of(checkpoint);
        self.writer.begin(save);
        Ok(())
    }

    /// Waits until everything is on disk.
    ///
    /// # Errors
    /// [`Error::Unsaved`] if it cannot be, which was tried twice.
    pub(crate) fn finish(&mut self, on_event: &mut dyn FnMut(Event)) -> Result<(), Error> {
        self.wait(on_event)?;
        if let Some((checkpoint, _)) = self.unsaved.take() {
            let again = self.of(checkpoint);
            self.writer.begin(again);
            self.wait(on_event)?;
        }
        match self.unsaved.take() {
            None => Ok(()),
            Some((_, error)) => Err(Error::Unsaved(format!("{error}; {}", self.advice()))),
        }
    }

    fn of(&mut self, checkpoint: Checkpoint) -> Save {
        let files = std::mem::take(&mut self.files);
        let kept = [&self.whole, &self.beginning].into_iter().flatten().cloned().collect();
        Save { run: self.run.clone(), files, checkpoint, kept }
    }

    fn wait(&mut self, on_event: &mut dyn FnMut(Event)) -> Result<(), Error> {
        let outcome = self.writer.wait()?;
        outcome.map_or(Ok(()), |outcome| self.take_in(outcome, on_event))
    }

    fn take_in(&mut self, outcome: Outcome, on_event: &mut dyn FnMut(Event)) -> Result<(), Error> {
        let Outcome { saved, left_over, save } = outcome;
        let mut warn = |what: String| on_event(Event::Note(format!("warning: {what}")));
        // What is newer took the place of what was not written.
        self.files.last = self.files.last.take().or(save.files.last);
        self.files.best = self.files.best.take().or(save.files.best);
        self.files.results |= save.files.results;
        match saved {
            Ok(path) => {
                if self.goes_back && save.checkpoint.progress.batch == 0 {
                    self.beginning = Some(path.clone());
                }
                self.whole = Some(path);
            }
            Err(error) if !self.run.path().is_dir() => {
                let what = format!("`{}` is gone: was it deleted while training? ({error})", self.run.path().display());
                return Err(Error::Unsaved(format!("{what}; nothing is left to resume, train again")));
            }
            Err(error) => {
                warn(format!("not saved: {error}; {}; training goes on, and the next save tries again", self.advice()));
                self.unsaved = Some((save.checkpoint, error));
            }
        }
        if let Some(error) = left_over {
            warn(format!("an older checkpoint stays: {error}"));
        }
        Ok(())
    }

    /// What there is to go on from.
    fn advice(&self) -> String {
        match &self.whole {
            None => "there is no checkpoint yet".to_owned(),
            Some(path) => format!("`{}` is whole", path.display()),
        }
    }
}
