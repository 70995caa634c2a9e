//! The learning-rate range test: a network learns for some steps, each at a greater rate than the one before, until its loss diverges. The
//! curve tells which rates it learns at (Smith, "Cyclical Learning Rates for Training Neural Networks", 2015). What is read from the curve
//! is `curve`'s. Writes nothing, and sees no sample that doesn't train.

mod curve;

use std::sync::Arc;

use burn::tensor::Device;
use data::Dataset;
use serde::Serialize;
use tasks::Task;

pub use curve::{Curve, Point, Suggestion};

use crate::batches::{check_batches, resident, training};
use crate::learner::{Learner, Share};
use crate::lost::{attended, if_memory};
use crate::train::beginning;
use crate::{Error, Event, TrainConfig};

/// Learning rates, in the order in which they are tried: evenly spaced on a logarithmic scale, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The first rate, above 0.
    pub from: f64,
    /// The last rate, above the first.
    pub to: f64,
    /// Updates of the weights, [`Range::STEPS`].
    pub steps: usize,
}

impl Range {
    /// How many steps make a curve: fewer show nothing.
    pub const STEPS: std::ops::RangeInclusive<usize> = 20..=100_000;

    /// Refuses what is no range.
    ///
    /// # Errors
    /// [`Error::Config`], by the name of the flag.
    pub fn check(&self) -> Result<(), Error> {
        let Self { from, to, steps } = *self;
        for (flag, rate) in [("--from", from), ("--to", to)] {
            if !rate.is_finite() || rate <= 0.0 {
                return Err(Error::Config(format!("{flag}: expected a number above 0, found {rate}")));
            }
        }
        if from >= to {
            return Err(Error::Config(format!("--from: expected less than --to, found {from:e} and {to:e}")));
        }
        if !Self::STEPS.contains(&steps) {
            let (least, most) = (Self::STEPS.start(), Self::STEPS.end());
            return Err(Error::Config(format!("--steps: expected {least} to {most}, found {steps}")));
        }
        Ok(())
    }

    /// The rate of a step, counted from 0.
    pub fn at(&self, step: usize) -> f64 {
        let done = step as f64 / self.steps.saturating_sub(1).max(1) as f64;
        (self.from.ln() + (self.to.ln() - self.from.ln()) * done).exp().clamp(self.from, self.to)
    }
}

/// Why the test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// All rates were tried.
    Range,
    /// The smoothed loss was above four times its least.
    Diverged,
    /// A loss, a gradient or a weight was NaN or infinite.
    NotFinite,
    /// The caller asked to stop.
    Interrupted,
}

/// What to try the rates on.
pub struct RangeTest<'a> {
    /// The settings; `lr` and `schedule` are not looked at.
    pub config: &'a TrainConfig,
    /// The samples and their split.
    pub dataset: Arc<Dataset>,
    /// What turns outputs into a loss.
    pub task: Task,
    /// Where to compute.
    pub device: Device,
    /// The rates.
    pub range: Range,
}

impl RangeTest<'_> {
    /// Tries the rates until the loss diverges or `stop` says so, which is asked after every step. The batches are those of a training by the
    /// same settings, epoch after epoch; the curve is a function of the settings and the data.
    ///
    /// # Errors
    /// See [`Error`]; a loss that isn't finite ends the curve and is none.
    pub fn run(&self, stop: &dyn Fn() -> bool, on_event: &mut dyn FnMut(Event)) -> Result<(Curve, Stopped), Error> {
        self.range.check()?;
        self.config.check()?;
        let outcome = attended(&self.device, || self.rates(stop, on_event));
        outcome.map_err(|error| if_memory(error, self.config, &self.dataset, self.task.outputs(), 1))
    }

    fn rates(&self, stop: &dyn Fn() -> bool, on_event: &mut dyn FnMut(Event)) -> Result<(Curve, Stopped), Error> {
        let Self { config, dataset, task, device, range } = self;
        let loader = training(config, dataset).resident(resident(config, dataset, device)?);
        check_batches(config, &loader, dataset.split.train.len())?;
        let mut learner = beginning(config, dataset, task, device)?;
        let split = &dataset.split;
        on_event(Event::Started {
            parameters: models::summary(&config.model, &dataset.input, task.outputs())?
                .iter()
                .map(|layer| layer.parameters)
                .sum(),
            epochs: 1,
            done: 0,
            done_batches: 0,
            batches: range.steps,
            samples: [split.train.len(), split.val.len(), split.test.len()],
        });
        let mut curve = Curve::default();
        loop {
            for batch in loader.epoch(learner.progress.epoch) {
                let (share, lr) = (learner.share(&loader, batch)?, range.at(curve.points.len()));
                let samples = share.samples;
                let loss;
                (learner, loss) = match step(learner, share, lr) {
                    Ok(stepped) => stepped,
                    Err(Error::Diverged { .. }) => return Ok((curve, Stopped::NotFinite)),
                    Err(error) => return Err(error),
                };
                if let Some(loss) = loss {
                    curve.push(lr, loss);
                    on_event(Event::Step { epoch: 1, batch: curve.points.len(), samples, loss, accuracy: None, lr });
                }
                match curve.points.len() {
                    _ if stop() => return Ok((curve, Stopped::Interrupted)),
                    _ if loss.is_some() && curve.has_diverged() => return Ok((curve, Stopped::Diverged)),
                    steps if steps == range.steps => return Ok((curve, Stopped::Range)),
                    _ => {}
                }
            }
            (learner.progress.epoch, learner.progress.batch) = (learner.progress.epoch + 1, 0);
        }
    }
}

/// Learns from a batch at this rate. Where it led to an update: the mean loss of the batches of the update, before it. Waits for the device.
fn step(mut learner: Learner<'_>, share: Share, lr: f64) -> Result<(Learner<'_>, Option<f64>), Error> {
    learner.given_lr = Some(lr);
    let mut learner = learner.learn(share)?;
    learner.read_losses()?;
    let sums = learner.is_settled().then(|| std::mem::take(&mut learner.progress.sums));
    // What f16 could not hold has none.
    let loss = sums.filter(|sums| sums.samples > 0).map(|sums| sums.mean_loss());
    Ok((learner, loss))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_evenly_spaced_by_their_logarithms_and_both_ends_are_tried() {
        let range = Range { from: 1e-7, to: 10.0, steps: 81 };
        assert_eq!((range.at(0), range.at(80)), (1e-7, 10.0));
        for decade in 0..=8 {
            let expected = 1e-7 * 10f64.powi(decade);
            assert!((range.at(10 * decade as usize) / expected - 1.0).abs() < 1e-9, "{decade}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused_by_its_flag() {
        let range = |from, to, steps| Range { from, to, steps }.check().unwrap_err().to_string();
        assert_eq!(range(1.0, 1e-3, 100), "--from: expected less than --to, found 1e0 and 1e-3");
        assert_eq!(range(1.0, 1.0, 100), "--from: expected less than --to, found 1e0 and 1e0");
        assert_eq!(range(0.0, 1.0, 100), "--from: expected a number above 0, found 0");
        assert_eq!(range(f64::NAN, 1.0, 100), "--from: expected a number above 0, found NaN");
        assert_eq!(range(1.0, f64::INFINITY, 100), "--to: expected a number above 0, found inf");
        assert_eq!(range(1e-3, 1.0, 0), "--steps: expected 20 to 100000, found 0");
        Range { from: f64::MIN_POSITIVE, to: f64::MAX, steps: 20 }.check().unwrap();
    }
}
