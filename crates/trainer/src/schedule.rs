//! The learning rate at a step, as a pure function of the step where it can be one; only `plateau` remembers ([`Plateau`]). Knows nothing
//! of the loop that asks.
//!
//! Each kind gives what PyTorch's scheduler of that name gives when stepped once a batch (once an epoch: `step` and `plateau`).

mod config;

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

pub use config::{ScheduleConfig, ScheduleKind};

use crate::progress::{exact, exact_option};

impl ScheduleConfig {
    /// The learning rate of step `step` out of `total_steps`, counted from 0, where an epoch has `steps_per_epoch` steps and the user's
    /// learning rate is `base`. The steps of the warm-up come first and the others share out what is left; but `step` counts
    /// epochs from the very first, so that its drops fall where they were asked for.
    pub fn lr(&self, base: f64, step: u64, total_steps: u64, steps_per_epoch: u64) -> f64 {
        let warmup = self.warmup(steps_per_epoch);
        if step < warmup {
            return base * (step + 1) as f64 / (warmup + 1) as f64;
        }
        let (now, total) = ((step - warmup) as f64, total_steps.saturating_sub(warmup).max(1) as f64);
        let done = (now / total).min(1.0);
        match self.kind {
            ScheduleKind::Constant | ScheduleKind::Plateau { .. } => base,
            ScheduleKind::Linear { end } => base * (1.0 + (end - 1.0) * done),
            ScheduleKind::Step { every, gamma } => {
                let epoch = step / steps_per_epoch.max(1);
                base * gamma.powf((epoch / every.max(1)) as f64)
            }
            ScheduleKind::Cosine { min_lr } => anneal(base, min_lr, done),
            ScheduleKind::OneCycle { pct_start, div_factor, final_div_factor } => {
                let (initial, last) = (base / div_factor, base / div_factor / final_div_factor);
                let (peak, end) = (pct_start * total - 1.0, total - 1.0);
                if now < peak {
                    anneal(initial, base, now / peak)
                } else if now < end {
                    anneal(base, last, (now - peak) / (end - peak))
                } else {
                    last
                }
            }
            ScheduleKind::Polynomial { power } => base * (1.0 - done).powf(power),
        }
    }

    /// The number of warm-up steps.
    pub fn warmup(&self, steps_per_epoch: u64) -> u64 {
        self.warmup_steps + (self.warmup_epochs * steps_per_epoch as f64).round() as u64
    }
}

/// Half a cosine from `from` to `to`, of which the part `done` in 0..=1 is over.
fn anneal(from: f64, to: f64, done: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * done).cos()) / 2.0
}

/// What `plateau` remembers between epochs; all other kinds ignore it. A checkpoint keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    /// The best value so far of the watched metric.
    #[serde(with = "exact_option")]
    pub best: Option<f64>,
    /// Epochs since then, or since the last reduction.
    pub wait: u64,
    /// What the learning rate is multiplied by.
    #[serde(with = "exact")]
    pub factor: f64,
}

impl Default for Plateau {
    fn default() -> Self {
        Self { best: None, wait: 0, factor: 1.0 }
    }
}

/// A schedule at work: its configuration, the user's learning rate and the memory of `plateau`.
#[derive(Clone, Debug)]
pub struct Schedule {
    config: ScheduleConfig,
    base: f64,
    plateau: Plateau,
}

impl Schedule {
    /// A schedule that starts from `state`: `Plateau::default()` for a new run, what [`Schedule::state`] gave for a resumed one.
    pub fn new(config: &ScheduleConfig, base: f64, state: Plateau) -> Self {
        Self { config: config.clone(), base, plateau: state }
    }

    /// The learning rate of a step; see [`ScheduleConfig::lr`].
    pub fn lr(&self, step: u64, total_steps: u64, steps_per_epoch: u64) -> f64 {
        self.config.lr(self.base, step, total_steps, steps_per_epoch) * self.plateau.factor
    }

    /// Tells the schedule the watched metric at the end of an epoch; whether the learning rate is reduced by it. As
    /// `ReduceLROnPlateau` in its relative mode, but that a threshold on negative values (R2 can have them) asks for betterment too.
    pub fn epoch_ended(&mut self, value: f64, higher_is_better: bool) -> bool {
        let ScheduleKind::Plateau { factor, patience, threshold, min_lr } = self.config.kind else { return false };
        let state = &mut self.plateau;
        let better = |best: f64| {
            let gain = if higher_is_better { value - best } else { best - value };
            gain > threshold * best.abs()
        };
        // A NaN is never better, and never the first best.
        if state.best.map_or(!value.is_nan(), better) {
            (state.best, state.wait) = (Some(value), 0);
        } else {
            state.wait += 1;
        }
        if state.wait <= patience {
            return false;
        }
        state.wait = 0;
        let (old, new) = (self.base * state.factor, (self.base * state.factor * factor).max(min_lr));
        let reduce = old - new > 1e-8;
        if reduce {
            state.factor = new / self.base;
        }
        reduce
    }

    /// What a checkpoint must keep.
    pub fn state(&self) -> &Plateau {
        &self.plateau
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_finite_and_positive_at_odd_lengths() {
        for name in ScheduleConfig::NAMES {
            for (total, epoch, warmup) in [(1, 1, 0), (2, 1, 0), (3, 2, 5), (0, 0, 0), (10, 3, 2)] {
                let config = ScheduleConfig { warmup_steps: warmup, ..ScheduleConfig::named(name).unwrap() };
                for step in 0..total + 3 {
                    let lr = config.lr(0.1, step, total, epoch);
                    assert!((0.0..=0.1).contains(&lr), "{name} of {total} at {step}: {lr}");
                }
            }
        }
    }

    #[test]
    fn a_negative_metric_must_get_better_to_count() {
        let config = ScheduleConfig::named("plateau").unwrap();
        let mut schedule = Schedule::new(&config, 0.1, Plateau::default());
        schedule.epoch_ended(-2.0, true);
        schedule.epoch_ended(-2.0001, true);
        assert_eq!(schedule.state().wait, 1);
        schedule.epoch_ended(f64::NAN, true);
        assert_eq!((schedule.state().wait, schedule.state().best), (2, Some(-2.0)));
    }
}
