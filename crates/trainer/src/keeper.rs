//! Keeps a run on disk while it goes on: says when it is time to save, hands over what is to be written, and decides what a failure
//! means. A run goes on without a save where the next one can make up for it, and ends where there is no next one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::ModelBytes;
use crate::results::Results;
use crate::run_folder::read_model;
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
    /// The model files as they are to be, which every checkpoint holds too.
    best: Option<ModelBytes>,
    last: Option<ModelBytes>,
    /// Which of these the next save writes before its checkpoint.
    files: Files,
    writer: Writer,
    /// The newest checkpoint that is known to be whole.
    whole: Option<PathBuf>,
    /// The one at the beginning of the epoch, where the run may have to go back to it.
    beginning: Option<PathBuf>,
    goes_back: bool,
    /// The checkpoint that could not be saved, and why; the next one makes it unneeded.
    unsaved: Option<(Checkpoint, Error)>,
    /// That of the beginning of the epoch, where it could not be saved and the run may have to go back to it.
    unsaved_beginning: Option<Checkpoint>,
    /// What was last said about something that cannot be removed: once is enough.
    left_over: Option<String>,
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
        run.sweep();
        let (mut results, mut best, mut last) = (Results::default(), None, None);
        if let Some(checkpoint) = resume {
            // Checkpoints of earlier builds don't hold the model files: those that lie there are all there is.
            best = checkpoint
                .best
                .clone()
                .or_else(|| read_model(&run.best()).filter(|_| checkpoint.progress.best.is_some()));
            last =
                checkpoint.last.clone().or_else(|| read_model(&run.last()).filter(|_| checkpoint.progress.epoch > 0));
            for (path, model) in [(run.last(), &last), (run.best(), &best)] {
                model.as_ref().map_or(Ok(()), |bytes| run.restore_model(&path, bytes))?;
            }
            let there = run.read_results()?;
            // Checkpoints of the first format don't hold the rows.
            let text = if checkpoint.results.is_empty() { &there } else { &checkpoint.results };
            results = Results::resume(text, checkpoint.progress.epoch);
            if there != results.text() {
                RunFolder::write(&run.results(), results.text().as_bytes())?;
            }
        }
        let goes_back = config.on_nan == OnNan::Rollback;
        // A folder that cannot be read now holds none, and loses none.
        let on_disk =
            |checkpoint: &Checkpoint| Checkpoint::at_beginning_of(checkpoint.progress.epoch, &run.checkpoints());
        let found = resume.filter(|_| goes_back).and_then(|checkpoint| on_disk(checkpoint).ok().flatten());
        let beginning = found.and_then(|checkpoint| checkpoint.path);
        let begins = resume.filter(|checkpoint| goes_back && beginning.is_none() && checkpoint.progress.batch == 0);
        let unsaved_beginning = begins.cloned();
        Ok(Self {
            run,
            settings,
            every: config.checkpoint_every,
            steps: config.checkpoint_steps,
            began: (Instant::now(), resume.map_or(0, |checkpoint| checkpoint.progress.step)),
            results,
            best,
            last,
            files: Files::default(),
            writer: Writer::start().map_err(Error::io("start a thread for", &run.checkpoints()))?,
            whole: resume.and_then(|checkpoint| checkpoint.path.clone()),
            beginning,
            goes_back,
            unsaved: None,
            unsaved_beginning,
            left_over: None,
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

    /// Takes in what an epoch leaves, its model file and its row: both are written before the next checkpoint.
    pub(crate) fn publish(&mut self, model: Vec<u8>, summary: &EpochSummary) {
        let model = Arc::new(model);
        self.results.push(summary);
        if summary.best {
            self.best = Some(model.clone());
        }
        self.last = Some(model);
        self.files = Files { last: true, best: self.files.best || summary.best, results: true };
    }

    /// Begins a save, once the one before is done. One that fails is told of and made up for by the next.
    ///
    /// # Errors
    /// If the run's folder is gone.
    pub(crate) fn save(&mut self, checkpoint: Checkpoint, on_event: &mut dyn FnMut(Event)) -> Result<(), Error> {
        self.wait(on_event)?;
        let begins = |checkpoint: &Checkpoint| self.goes_back && checkpoint.progress.batch == 0;
        if let Some((unsaved, _)) = self.unsaved.take().filter(|(unsaved, _)| begins(unsaved)) {
            self.unsaved_beginning = Some(unsaved);
        }
        self.began = (Instant::now(), checkpoint.progress.step);
        let (results, settings) = (self.results.text().to_owned(), self.settings.clone());
        let (best, last) = (self.best.clone(), self.last.clone());
        let save = self.of(Checkpoint { results, settings, best, last, ..checkpoint });
        self.writer.begin(save);
        Ok(())
    }

    /// Waits until everything is on disk.
    ///
    /// # Errors
    /// [`Error::Unsaved`] if it cannot be, which was tried twice.
    pub(crate) fn finish(&mut self, on_event: &mut dyn FnMut(Event)) -> Result<(), Error> {
        if let Some((_, error)) = self.unsaved(on_event)? {
            return Err(Error::Unsaved(format!("{error}; {}", self.advice())));
        }
        // What is measured next is the best model's file.
        for (path, model) in [(self.run.last(), &self.last), (self.run.best(), &self.best)] {
            let gone = model.as_ref().filter(|_| !path.is_file());
            gone.map_or(Ok(()), |bytes| self.run.write_model(&path, bytes)).map_err(|error| self.run.lost(error))?;
        }
        Ok(())
    }

    /// The same for a run that goes no further from where it is: what cannot be saved has been told of. Returns the state at the beginning of
    /// the epoch where no checkpoint holds it.
    ///
    /// # Errors
    /// If the run's folder is gone.
    pub(crate) fn abandon(mut self, on_event: &mut dyn FnMut(Event)) -> Result<Option<Checkpoint>, Error> {
        let newest = self.unsaved(on_event)?.map(|(checkpoint, _)| checkpoint);
        Ok(newest.filter(|checkpoint| checkpoint.progress.batch == 0).or(self.unsaved_beginning))
    }

    /// Waits for the save at hand, and tries again what failed: what still isn't saved, and why.
    fn unsaved(&mut self, on_event: &mut dyn FnMut(Event)) -> Result<Option<(Checkpoint, Error)>, Error> {
        self.wait(on_event)?;
        if let Some((checkpoint, _)) = self.unsaved.take() {
            let again = self.of(checkpoint);
            self.writer.begin(again);
            self.wait(on_event)?;
        }
        Ok(self.unsaved.take())
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
        // What is newer takes the place of what was not written.
        self.files.last |= save.files.last;
        self.files.best |= save.files.best;
        self.files.results |= save.files.results;
        match saved {
            Ok(path) => {
                let Progress { epoch: done, batch: done_batches, .. } = save.checkpoint.progress;
                on_event(Event::Saved { done, done_batches });
                if self.goes_back && save.checkpoint.progress.batch == 0 {
                    (self.beginning, self.unsaved_beginning) = (Some(path.clone()), None);
                }
                self.whole = Some(path);
            }
            Err(error) if !self.run.path().is_dir() => return Err(self.run.lost(error)),
            Err(error) => {
                let advice = self.advice();
                on_event(warning(format!(
                    "not saved: {error}; {advice}; training goes on, and the next save tries again"
                )));
                self.unsaved = Some((save.checkpoint, error));
            }
        }
        if let Some(error) =
            left_over.map(|error| error.to_string()).filter(|error| self.left_over.as_ref() != Some(error))
        {
            on_event(warning(format!("an older checkpoint, or a part of one, stays: {error}")));
            self.left_over = Some(error);
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

fn warning(what: String) -> Event {
    Event::Note(format!("warning: {what}"))
}
