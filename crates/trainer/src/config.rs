//! The settings of a run, resolved: every field has a value. How users give them (flags, recipes) is the binary's matter.

use std::time::Duration;

use data::Augment;
use models::{ModelConfig, Precision};
use tasks::{Goal, LossOptions};

use crate::{Error, Initial, OnNan, OptimizerConfig, ScheduleConfig};

/// Threads that prepare batches: more are a slip, and a thread each.
const MOST_WORKERS: usize = 1024;

/// What to train and how. Start from [`TrainConfig::new`] and change fields.
#[derive(Clone, Debug)]
pub struct TrainConfig {
    /// The architecture.
    pub model: ModelConfig,
    /// Loss, label smoothing, class weights.
    pub loss: LossOptions,
    /// Passes over the training split, at least 1.
    pub epochs: usize,
    /// Samples in a step, at least 1.
    pub batch: usize,
    /// Batches whose gradients are averaged for one optimizer step, at least 1.
    pub accumulate: usize,
    /// The rule that updates the weights.
    pub optimizer: OptimizerConfig,
    /// Peak learning rate, above 0.
    pub lr: f64,
    /// How the learning rate moves.
    pub schedule: ScheduleConfig,
    /// Peak learning rate of the head, above 0, which moves as the others'; theirs where it isn't given.
    pub head_lr: Option<f64>,
    /// Weights to begin with, in the place of those that would be drawn.
    pub initial: Option<Initial>,
    /// Parameters that stay as they are, by patterns over their names.
    pub freeze: Vec<String>,
    /// Largest global norm of the gradients.
    pub clip_norm: Option<f64>,
    /// Largest absolute value of a gradient.
    pub clip_value: Option<f64>,
    /// What to do about a batch whose numbers aren't finite.
    pub on_nan: OnNan,
    /// What a step computes in; weights, normalisation, the loss, the optimizer, validation and all files are f32.
    pub precision: Precision,
    /// How training samples are varied.
    pub augment: Augment,
    /// Decay of the averaged weights, in 0..1.
    pub ema: Option<f64>,
    /// Stop after this many epochs without a better validation.
    pub patience: Option<usize>,
    /// Stop once the validation loss is at most this.
    pub target_loss: Option<f64>,
    /// Stop once a validation metric is reached.
    pub target: Option<Goal>,
    /// Stop after this time, over all sittings of the run.
    pub time: Option<Duration>,
    /// Save the state this long after the last save, also within an epoch.
    pub checkpoint_every: Option<Duration>,
    /// Save the state this many optimizer steps after the last save, at least 1.
    pub checkpoint_steps: Option<u64>,
    /// Decides initialisation, order, augmentation and dropout.
    pub seed: u64,
    /// Leaves out the last batch of an epoch where it is short.
    pub drop_last: bool,
    /// Threads that prepare batches; the batches don't depend on it.
    pub workers: usize,
    /// Keeps the data set on the device, for which it must be fit ([`data::Resident::bytes`]); the batches don't depend on it.
    pub resident: bool,
}

impl TrainConfig {
    /// Between two saves unless told otherwise: at most five minutes of work are lost to a power cut.
    pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(300);

    /// The defaults for `model`: 20 epochs of batches of 64, AdamW at 0.001 under a cosine.
    pub fn new(model: ModelConfig) -> Self {
        Self {
            model,
            loss: LossOptions::default(),
            epochs: 20,
            batch: 64,
            accumulate: 1,
            optimizer: OptimizerConfig::default(),
            lr: 1e-3,
            schedule: ScheduleConfig::default(),
            head_lr: None,
            initial: None,
            freeze: Vec::new(),
            clip_norm: None,
            clip_value: None,
            on_nan: OnNan::default(),
            precision: Precision::default(),
            augment: Augment::NONE,
            ema: None,
            patience: None,
            target_loss: None,
            target: None,
            time: None,
            checkpoint_every: Some(Self::CHECKPOINT_EVERY),
            checkpoint_steps: None,
            seed: 0,
            drop_last: false,
            workers: 1,
            resident: false,
        }
    }

    /// Batches in an epoch of so many samples.
    pub fn batches(&self, samples: usize) -> usize {
        let batch = self.batch.max(1);
        if self.drop_last { samples / batch } else { samples.div_ceil(batch) }
    }

    /// Refuses values that make no sense, before any work.
    ///
    /// # Errors
    /// [`Error::Config`] with the first such value, by the name of its flag.
    pub fn check(&self) -> Result<(), Error> {
        // Epochs are a coordinate of random draws, of 32 bits; more of anything else is a slip.
        let positive = |flag: &str, value: usize| match value {
            0 => Err(Error::Config(format!("{flag}: expected at least 1, found 0"))),
            value if u32::try_from(value).is_err() => {
                Err(Error::Config(format!("{flag}: expected at most {}, found {value}", u32::MAX)))
            }
            _ => Ok(()),
        };
        let within = |flag: &str, value: f64, ok: bool, expected: &str| match ok && value.is_finite() {
            true => Ok(()),
            false => Err(Error::Config(format!("{flag}: expected {expected}, found {value}"))),
        };
        positive("--epochs", self.epochs)?;
        positive("--batch", self.batch)?;
        positive("--accumulate", self.accumulate)?;
        self.patience.map_or(Ok(()), |patience| positive("--patience", patience))?;
        if self.workers > MOST_WORKERS {
            return Err(Error::Config(format!("--workers: expected at most {MOST_WORKERS}, found {}", self.workers)));
        }
        if self.time.is_some_and(|time| time.is_zero()) {
            return Err(Error::Config("--time: expected more than nothing, such as 90s, 10m or 1.5h".into()));
        }
        self.target_loss.map_or(Ok(()), |loss| within("--target-loss", loss, loss >= 0.0, "a number of at least 0"))?;
        self.schedule.check().map_err(|what| Error::Config(format!("--schedule {}: {what}", self.schedule.name())))?;
        if self.schedule.warmup_epochs > 0.0 && self.schedule.warmup_epochs >= self.epochs as f64 {
            let (warmup, epochs) = (self.schedule.warmup_epochs, self.epochs);
            let what =
                format!("--warmup: {warmup} epochs of warm-up leave nothing of {epochs}; give fewer, or more --epochs");
            return Err(Error::Config(what));
        }
        if self.checkpoint_steps == Some(0) {
            return Err(Error::Config("--checkpoint-steps: expected at least 1, found 0".into()));
        }
        within("--lr", self.lr, self.lr > 0.0, "a number above 0")?;
        self.head_lr.map_or(Ok(()), |lr| within("--head-lr", lr, lr > 0.0, "a number above 0"))?;
        for (flag, value) in [("--clip-norm", self.clip_norm), ("--clip-value", self.clip_value)] {
            value.map_or(Ok(()), |value| within(flag, value, value > 0.0, "a number above 0"))?;
        }
        self.ema.map_or(Ok(()), |ema| within("--ema", ema, (0.0..1.0).contains(&ema), "a decay in 0..1, such as 0.999"))
    }
}
