//! What the training loop tells its caller. The library says it in data; binaries draw bars, lines or JSON from it.

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Training begins or goes on.
    Started {
        /// Parameters that are trained.
        parameters: u64,
        /// Epochs in all.
        epochs: usize,
        /// Epochs done before, when resuming.
        done: usize,
        /// Batches done before of the epoch that follows.
        done_batches: usize,
        /// Batches in an epoch.
        batches: usize,
        /// Samples in the training, validation and test split.
        samples: [usize; 3],
    },
    /// A batch was learned.
    Step {
        /// Epoch, counted from 1.
        epoch: usize,
        /// Batch in the epoch, counted from 1.
        batch: usize,
        /// Samples in the batch.
        samples: usize,
        /// Mean loss of the epoch so far, as last read from the device: after the first batch, and then every 16.
        loss: f64,
        /// Accuracy of the epoch so far, where the task has one; read with the loss.
        accuracy: Option<f64>,
        /// The learning rate of this step.
        lr: f64,
    },
    /// An epoch ended and was validated.
    Epoch(EpochSummary),
    /// A checkpoint is on disk, of where training was when its save began.
    Saved {
        /// Epochs done.
        done: usize,
        /// Batches done of the epoch that follows.
        done_batches: usize,
    },
    /// Something the user should know, in a line.
    Note(String),
}

/// One row of `results.csv`.
#[derive(Clone, Debug)]
pub struct EpochSummary {
    /// Counted from 1.
    pub epoch: usize,
    /// Seconds of training since the run began, over all its sittings.
    pub seconds: f64,
    /// Mean training loss.
    pub train_loss: f64,
    /// Training accuracy, where the task has one. Measured while the weights changed, with dropout and augmentation.
    pub train_accuracy: Option<f64>,
    /// The task's metrics on the validation split, by name, always all of them; `None` where one is undefined (the precision of labels that
    /// were never predicted). Empty without a validation split.
    pub val: Vec<(String, Option<f64>)>,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Whether this epoch is the best so far.
    pub best: bool,
    /// The hash of the weights, running statistics and averaged weights after the epoch: [`weights_hash`](crate::weights_hash).
    pub weights: String,
}
