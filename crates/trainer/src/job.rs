//! Everything a run needs: what the caller of [`train`](crate::train) chooses.

use std::sync::Arc;

use burn::tensor::Device;
use data::{Dataset, Loader};
use models::Model;
use serde_json::Value;
use tasks::{Calibration, Task};

use crate::batches::training;
use crate::learner::Learner;
use crate::train::beginning;
use crate::{Answers, Checkpoint, Error, Progress, Ranks, RunFolder, Settings, TrainConfig};

/// What an epoch leads to.
pub struct Seen<'a> {
    /// The model that was validated and is saved.
    pub model: &'a Model,
    /// Counted from 1.
    pub epoch: usize,
    /// What it answered on the validation split, where that is wanted and there is one.
    pub answers: Option<Answers>,
    /// How sure it may be of them.
    pub calibration: Option<&'a Calibration>,
}

/// Is shown what each epoch leads to.
pub type Watch<'a> = &'a dyn Fn(Seen<'_>);

/// Everything a run needs.
pub struct Job<'a> {
    /// The settings.
    pub config: &'a TrainConfig,
    /// The samples and their split.
    pub dataset: Arc<Dataset>,
    /// What turns outputs into a loss.
    pub task: Task,
    /// Where to compute.
    pub device: Device,
    /// Where results go.
    pub run: &'a RunFolder,
    /// Where to go on; `None` starts anew.
    pub resume: Option<Checkpoint>,
    /// What the model file says about its making: configuration, data. No clock, host or path.
    pub provenance: Value,
    /// What the run is trained by, for its checkpoints: resuming compares it.
    pub settings: Settings,
    /// Looks on, if anybody does.
    pub watch: Option<Watch<'a>>,
    /// Whether it looks at answers, which are kept for it only.
    pub wants_answers: bool,
    /// Whether somebody wants a checkpoint now, beside those that the settings ask for: asked after every step that one can be made of. A
    /// yes stands for one checkpoint.
    pub save_now: Option<&'a dyn Fn() -> bool>,
    /// Leave after this many epochs, saved and validated, or where the run is over before; nothing is measured on the test split. The
    /// schedule is that of all epochs, and whoever resumes goes on as if there had been no pause.
    pub pause: Option<usize>,
    /// Who trains with this process. Only rank 0 touches `run`, and hands over the checkpoint to go on from.
    pub ranks: Ranks,
}

impl<'a> Job<'a> {
    /// A new run with these settings, which nobody looks on.
    pub fn new(config: &'a TrainConfig, task: Task, dataset: Arc<Dataset>, device: Device, run: &'a RunFolder) -> Self {
        Self {
            config,
            dataset,
            task,
            device,
            run,
            resume: None,
            provenance: Value::Null,
            settings: Settings::new(),
            watch: None,
            wants_answers: false,
            save_now: None,
            pause: None,
            ranks: Ranks::alone(),
        }
    }
}

impl Job<'_> {
    pub(crate) fn is_paused(&self, progress: &Progress) -> bool {
        self.pause.is_some_and(|epochs| progress.epoch >= epochs)
    }

    pub(crate) fn is_save_wanted(&self) -> bool {
        self.save_now.is_some_and(|is_wanted| is_wanted())
    }

    /// At the first weights.
    pub(crate) fn beginning(&self) -> Result<Learner<'_>, Error> {
        Ok(beginning(self.config, &self.dataset, &self.task, &self.device)?.among(&self.ranks))
    }

    /// This rank's part of the batches that train.
    pub(crate) fn training(&self) -> Loader {
        training(self.config, &self.dataset).part(self.ranks.rank(), self.ranks.size())
    }
}
