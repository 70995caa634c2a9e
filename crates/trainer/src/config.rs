//! The settings of a run, resolved: every field has a value. How users give them (flags, recipes) is the binary's matter.

use std::time::Duration;

use data::Augment;
use models::ModelConfig;
use tasks::{Goal, LossOptions};

use crate::{Error, OnNan, OptimizerConfig, ScheduleConfig};

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
    /// Largest global norm of the gradients.
    pub clip_norm: Option<f64>,
    /// Largest absolute value of a gradient.
    pub clip_value: Option<f64>,
    /// What to do about a batch whose numbers aren't finite.
    pub on_nan: OnNan,
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
    /// Threads that prepare batches; the batches don't depend on it.
    pub workers: usize,
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
            clip_norm: None,
            clip_value: None,
            on_nan: OnNan::default(),
            augment: Augment::NONE,
            ema: None,
            patience: None,
            target_loss: None,
            target: None,
            time: None,
            checkpoint_every: Some(Self::CHECKPOINT_EVERY),
            checkpoint_steps: None,
            seed: 0,
            workers: 1,
        }
    }

    /// Refuses values that make no sense, before any work.
    ///
    /// # Errors
    /// [`Error::Config`] with the first such value, by the name of its flag.
    pub fn check(&self) -> Result<(), Error> {
        let positive = |flag: &str, value: usize| match value {
            0 => Err(Error::Config(format!("{flag}: expected at least 1, found 0"))),
            _ => Ok(()),
        };
        let within = |flag: &str, value: f64, ok: bool, expected: &str| match ok && value.is_finite() {
            true => Ok(()),
            false => Err(Error::Config(format!("{flag}: expected {expected}, found {value}"))),
        };
        positive("--epochs", self.epochs)?;
        if u32::try_from(self.epochs).is_err() {
            // Epochs are a coordinate of random draws, of 32 bits.
            return Err(Error::Config(format!("--epochs: expected at most {}, found {}", u32::MAX, self.epochs)));
        }
        positive("--batch", self.batch)?;
        positive("--accumulate", self.accumulate)?;
        if self.checkpoint_steps == Some(0) {
            return Err(Error::Config("--checkpoint-steps: expected at least 1, found 0".into()));
        }
        within("--lr", self.lr, self.lr > 0.0, "a number above 0")?;
        for (flag, value) in [("--clip-norm", self.clip_norm), ("--clip-value", self.clip_value)] {
            value.map_or(Ok(()), |value| within(flag, value, value > 0.0, "a number above 0"))?;
        }
        self.ema.map_or(Ok(()), |ema| within("--ema", ema, (0.0..1.0).contains(&ema), "a decay in 0..1, such as 0.999"))
    }
}
