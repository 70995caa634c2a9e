//! Integrated gradients (Sundararajan 2017): the gradient of an output, averaged along the straight line from a baseline to the input, times
//! the difference of the two. What the numbers of an input add together is what the output changed by, but for the steps of the sum.

use burn::tensor::{Device, Tensor, TensorData};

use super::{check, chosen, read, tracked};
use crate::{Error, Model, Pass, footprint};

/// Numbers that the points that go through the network at once may leave in memory, four bytes each.
const MOST: u64 = 128 << 20;

/// What each number of one sample adds to an output.
#[derive(Clone, Debug, PartialEq)]
pub struct IntegratedGradients {
    /// `[channels, height, width]`, in units of the output; below zero where it speaks against it.
    pub values: Vec<f32>,
    /// The output, before softmax or any other reading.
    pub score: f32,
    /// The output for the baseline.
    pub baseline: f32,
    /// Points of the line where the gradient was taken.
    pub steps: usize,
}

impl IntegratedGradients {
    /// What completeness lacks: the sum of the values, less `score - baseline`. More steps make it smaller.
    pub fn gap(&self) -> f64 {
        let sum: f64 = self.values.iter().map(|value| f64::from(*value)).sum();
        sum - (f64::from(self.score) - f64::from(self.baseline))
    }
}

/// Integrated gradients of one `sample`, `[1, channels, height, width]` as [`Model::forward`] takes it, from `baseline`, as many numbers in the
/// same order ([`Baseline::values`](super::Baseline::values)), for `output`; by the midpoints of `steps` equal parts of the line (at least 1; 50 to 300 are usual). Costs that many forward and backward passes.
///
/// # Errors
/// [`Error::Config`] for an output that the network doesn't have, and for no steps.
///
/// # Panics
/// Where the sample or the baseline isn't of the shape of [`Model::input`], or on another device than the network.
pub fn integrated_gradients(
    model: &Model,
    sample: Tensor<4>,
    baseline: &[f32],
    output: usize,
    steps: usize,
) -> Result<IntegratedGradients, Error> {
    check(model, &[output])?;
    if steps == 0 {
        return Err(Error::config("steps", "expected 1 or more"));
    }
    let len = model.input().len();
    let sample = sample.without_autodiff();
    let device = sample.device().autodiff();
    let sample = read(sample);
    assert!(sample.len() == len && baseline.len() == len, "a sample and a baseline of {len} numbers");
    let line = Line { tracked: tracked(model), device, sample: &sample, baseline, output };
    let footprint = footprint(model.config(), model.input(), model.outputs())?;
    let each = footprint.kept.saturating_add(footprint.largest).saturating_add(len as u64).max(1);
    let at_once = usize::try_from(MOST / each).unwrap_or(steps).clamp(1, steps);
    let mut sums = vec![0.0_f64; len];
    let shares: Vec<f32> = (0..steps).map(|step| ((step as f64 + 0.5) / steps as f64) as f32).collect();
    for shares in shares.chunks(at_once) {
        for slope in line.slopes(shares).chunks_exact(len) {
            sums.iter_mut().zip(slope).for_each(|(sum, slope)| *sum += f64::from(*slope));
        }
    }
    let value = |(at, sum): (usize, &f64)| (f64::from(sample[at] - baseline[at]) * sum / steps as f64) as f32;
    let [baseline_score, score] = [0.0, 1.0].map(|share| line.score(share));
    Ok(IntegratedGradients {
        values: sums.iter().enumerate().map(value).collect(),
        score,
        baseline: baseline_score,
        steps,
    })
}

/// The way from a baseline to a sample.
struct Line<'a> {
    tracked: Model,
    /// With autodiff.
    device: Device,
    sample: &'a [f32],
    baseline: &'a [f32],
    output: usize,
}

impl Line<'_> {
    /// The points at `shares` of the way, 0 to 1: `[points, channels, height, width]`.
    fn points(&self, shares: &[f32]) -> Tensor<4> {
        let [channels, height, width] = self.tracked.input().shape();
        let point = |share: &f32| {
            let ends = self.baseline.iter().zip(self.sample);
            // Exact at both ends.
            let share = *share;
            ends.map(move |(from, to)| from * (1.0 - share) + to * share)
        };
        let values = shares.iter().flat_map(point).collect();
        let data = TensorData::new(values, [shares.len(), channels, height, width]);
        Tensor::from_data(data, &self.device)
    }

    /// The gradients there, one point after the other.
    fn slopes(&self, shares: &[f32]) -> Vec<f32> {
        let points = self.points(shares).require_grad();
        let answers = self.tracked.forward(points.clone(), Pass::Predict);
        let gradients = chosen(answers, &vec![self.output; shares.len()]).sum().backward();
        points.grad(&gradients).map_or_else(|| vec![0.0; points.dims().iter().product()], read)
    }

    fn score(&self, share: f32) -> f32 {
        let answers = self.tracked.forward(self.points(&[share]), Pass::Predict);
        read(chosen(answers, &[self.output])).first().copied().unwrap_or(f32::NAN)
    }
}
