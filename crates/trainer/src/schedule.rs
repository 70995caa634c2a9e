//! The learning rate at a step, as a pure function of the step where it can be one. Knows nothing of the loop that asks.
//!
//! Each kind gives what PyTorch's scheduler of the same name gives when stepped once a batch (once an epoch for `step` and `plateau`).

use serde::{Deserialize, Serialize};

/// How the learning rate goes. In a recipe: `[schedule]` with `name = "cosine"`, and `warmup_epochs` or `warmup_steps` before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScheduleConfig {
    /// What it does after the warm-up.
    #[serde(flatten)]
    pub kind: ScheduleKind,
    /// Steps of linear warm-up: step `t` of `w` has `(t + 1) / (w + 1)` of the rate.
    #[serde(default)]
    pub warmup_steps: u64,
    /// Epochs of linear warm-up, whole or not; added to `warmup_steps`.
    #[serde(default)]
    pub warmup_epochs: f64,
}

/// The course of the learning rate after the warm-up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum ScheduleKind {
    /// The same rate throughout.
    #[default]
    Constant,
    /// Half a cosine from the rate down to `min_lr` at the last step (`CosineAnnealingLR`).
    Cosine {
        /// The rate at the end.
        #[serde(default)]
        min_lr: f64,
    },
}

impl ScheduleConfig {
    /// The learning rate for step `step` of `total_steps`, counted from 0, where an epoch has `steps_per_epoch` steps.
    pub fn lr(&self, base: f64, step: u64, total_steps: u64, steps_per_epoch: u64) -> f64 {
        let warmup = self.warmup_steps + (self.warmup_epochs * steps_per_epoch as f64).round() as u64;
        if step < warmup {
            return base * (step + 1) as f64 / (warmup + 1) as f64;
        }
        let (step, total) = ((step - warmup) as f64, total_steps.saturating_sub(warmup).max(1) as f64);
        match self.kind {
            ScheduleKind::Constant => base,
            ScheduleKind::Cosine { min_lr } => {
                min_lr + (base - min_lr) * (1.0 + (std::f64::consts::PI * (step / total).min(1.0)).cos()) / 2.0
            }
        }
    }
}
