//! One save, from the first byte to the last, and the thread that does it. The order is what makes it safe to be killed anywhere: model
//! files and `results.csv` first, the checkpoint last, so that whatever a checkpoint speaks of is there, and whatever came after it is
//! made again by resuming. When to save, and what to do about a failure, is the keeper's.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use crate::{Checkpoint, Error, RunFolder};
use data::failpoint::failpoint;

/// Which files have something new to be written. What a failed save leaves is written by the next one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Files {
    /// The model of the last epoch.
    pub(crate) last: bool,
    /// The model of the best epoch.
    pub(crate) best: bool,
    /// `results.csv`.
    pub(crate) results: bool,
}

/// All that one save writes.
#[derive(Debug)]
pub(crate) struct Save {
    pub(crate) run: RunFolder,
    pub(crate) files: Files,
    pub(crate) checkpoint: Checkpoint,
    /// The checkpoints that stay beside the new one.
    pub(crate) kept: Vec<PathBuf>,
}

/// What came of a save.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The checkpoint that was written, or why none was.
    pub(crate) saved: Result<PathBuf, Error>,
    /// Why something that should be gone is still there.
    pub(crate) left_over: Option<Error>,
    /// What was to be saved; its files are those that were not written.
    pub(crate) save: Save,
}

impl Save {
    /// Writes everything; files that are written are taken out.
    pub(crate) fn write(mut self) -> Outcome {
        let saved = self.files().and_then(|()| self.checkpoint.save(&self.run.checkpoints()));
        let mut left_over = None;
        if let Ok(new) = &saved {
            let kept: Vec<&Path> = self.kept.iter().chain([new]).map(PathBuf::as_path).collect();
            left_over = Checkpoint::prune(&self.run.checkpoints(), &kept).err();
            // A point like the others, for tests that end the process there; the save is done.
            let _ = failpoint("save::done");
        }
        Outcome { saved, left_over, save: self }
    }

    fn files(&mut self) -> Result<(), Error> {
        let (run, files, checkpoint) = (&self.run, &mut self.files, &self.checkpoint);
        let reach = |point, path: &Path| failpoint(point).map_err(Error::io("write", path));
        reach("save::begin", run.path())?;
        let last = ("save::last", run.last(), &checkpoint.last, &mut files.last);
        let best = ("save::best", run.best(), &checkpoint.best, &mut files.best);
        for (point, path, model, is_new) in [last, best] {
            // Somebody may have deleted what was written before.
            if let Some(bytes) = model.as_ref().filter(|_| *is_new || !path.is_file()) {
                run.write_model(&path, bytes)?;
                reach(point, &path)?;
            }
            *is_new = false;
        }
        if files.results {
            RunFolder::write(&run.results(), checkpoint.results.as_bytes())?;
            reach("save::results", &run.results())?;
            files.results = false;
        }
        Ok(())
    }
}

/// A thread that writes saves, one after the other. Dropping it waits for the one at hand.
pub(crate) struct Writer {
    saves: Option<Sender<Save>>,
    outcomes: Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
    busy: bool,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has none left.
    pub(crate) fn start() -> io::Result<Self> {
        let (saves, to_write) = channel::<Save>();
        let (written, outcomes) = channel();
        let work = move || {
            for save in to_write {
                // Nobody waits any more where the run ended by an error.
                let _ = written.send(save.write());
            }
        };
        let thread = Builder::new().name("saves".into()).spawn(work)?;
        Ok(Self { saves: Some(saves), outcomes, thread: Some(thread), busy: false })
    }

    /// Begins a save; the one before must have been waited for.
    pub(crate) fn begin(&mut self, save: Save) {
        if let Some(saves) = &self.saves {
            // A thread that has panicked takes nothing; waiting for it says so.
            let _ = saves.send(save);
        }
        self.busy = true;
    }

    /// What came of the save at hand, if it is done.
    pub(crate) fn poll(&mut self) -> Option<Outcome> {
        let outcome = self.outcomes.try_recv().ok();
        self.busy &= outcome.is_none();
        outcome
    }

    /// Waits for the save at hand, if there is one.
    ///
    /// # Errors
    /// If the thread has panicked.
    pub(crate) fn wait(&mut self) -> Result<Option<Outcome>, Error> {
        if !std::mem::take(&mut self.busy) {
            return Ok(None);
        }
        self.outcomes.recv().map(Some).map_err(|_| Error::Unsaved("the thread that saves has panicked".into()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.saves = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
