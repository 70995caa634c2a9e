//! The three methods, asked of one output of one sample: what they need of the predictor, and what they find in the user's units.

use std::ops::Range;

use data::{Batch, ImageSpec, InputSpec, Inputs, TableSpec};
use models::{Attribution, Baseline, Patches, grad_cam, integrated_gradients, occlusion};

use super::{Contribution, Evidence, Explain, Heat, How};
use crate::{Error, Predictor};

/// Patches that may be hidden one by one: each costs a forward pass.
const MOST_PATCHES: usize = 100_000;

/// One output of one sample.
pub(super) struct Case<'a> {
    pub(super) predictor: &'a Predictor,
    /// The sample by itself.
    pub(super) batch: Batch,
    pub(super) output: usize,
    pub(super) options: &'a Explain,
}

impl Case<'_> {
    pub(super) fn grad_cam(self) -> Result<(How, Evidence), Error> {
        let InputSpec::Image(image) = self.predictor.input() else {
            let why = "rows of a table have no places; use integrated-gradients or occlusion".to_owned();
            return Err(Error::Explain { what: "grad-cam", why });
        };
        let size = [image.height, image.width];
        let inputs = self.batch.into_tensors(self.predictor.device()).0;
        let mut found = grad_cam(self.predictor.model(), inputs, &[self.output])?;
        let found = found.pop().ok_or_else(|| Error::Device("nothing came back".to_owned()))?;
        let heat = Heat { height: size[0], width: size[1], signed: false, values: found.upsampled(size) };
        let how = How { layer: Some(found.layer), map: Some(found.size), ..How::default() };
        Ok((how, Evidence::Heat(heat)))
    }

    pub(super) fn integrated_gradients(self) -> Result<(How, Evidence), Error> {
        let input = self.predictor.input();
        let baseline = self.options.baseline.unwrap_or_else(|| Baseline::usual(input));
        let from = baseline.values(input)?;
        let sample = self.batch.inputs.clone().into_floats();
        let inputs = self.batch.into_tensors(self.predictor.device()).0;
        let found = integrated_gradients(self.predictor.model(), inputs, &from, self.output, self.options.steps)?;
        // The user's units are the network's, moved and scaled.
        let in_units = |value| self.predictor.task().in_units(self.output, value);
        let scale = in_units(1.0) - in_units(0.0);
        let values: Vec<f64> = found.values.iter().map(|value| f64::from(*value) * scale).collect();
        let evidence = match input {
            InputSpec::Image(image) => Evidence::Heat(Heat::of_channels(&values, image)),
            InputSpec::Table(table) => {
                let sums = table.ranges().into_iter().map(|own| (values[own].iter().sum(), None));
                Evidence::Columns(contributions(table, &sample, sums))
            }
        };
        let how = How {
            method: Attribution::IntegratedGradients,
            baseline: Some(baseline),
            baseline_score: Some(in_units(found.baseline)),
            steps: Some(found.steps),
            gap: Some(found.gap() * scale),
            ..How::default()
        };
        Ok((how, evidence))
    }

    /// `score` is that of the whole sample.
    pub(super) fn occlusion(self, score: f64) -> Result<(How, Evidence), Error> {
        let (predictor, output, input) = (self.predictor, self.output, self.predictor.input());
        let baseline = self.options.baseline.unwrap_or_else(|| Baseline::usual(input));
        let hidden = baseline.values(input)?;
        let shape = input.shape();
        let sample = self.batch.inputs.into_floats();
        let ask = |regions: &[Vec<Range<usize>>]| {
            occlusion(&sample, &hidden, regions, predictor.batch(), |rows| {
                let [channels, height, width] = shape;
                let shape = [rows.len() / sample.len().max(1), channels, height, width];
                predictor.outputs(Batch { indices: Vec::new(), shape, inputs: Inputs::Floats(rows), targets: None })
            })
        };
        let drop = |answer: &[f32]| score - predictor.task().in_units(output, answer[output]);
        let each = predictor.task().outputs();
        let (patch, evidence) = match input {
            InputSpec::Image(image) => {
                let patches = patches(self.options.patch, image)?;
                let drops: Vec<f32> = ask(&patches.regions())?.chunks(each).map(|answer| drop(answer) as f32).collect();
                let values = patches.spread(&drops);
                let heat = Heat { height: image.height, width: image.width, signed: true, values };
                (Some(patches.size), Evidence::Heat(heat))
            }
            InputSpec::Table(table) => {
                let regions: Vec<Vec<Range<usize>>> = table.ranges().into_iter().map(|own| vec![own]).collect();
                let answers = ask(&regions)?;
                let temperature = predictor.reading().temperature;
                let without = |answer| predictor.task().numbers(answer, temperature).get(output).copied();
                let found = answers.chunks(each).map(|answer| (drop(answer), without(answer)));
                (None, Evidence::Columns(contributions(table, &sample, found)))
            }
        };
        Ok((How { method: Attribution::Occlusion, baseline: Some(baseline), patch, ..How::default() }, evidence))
    }
}

/// The patches to hide of a picture.
fn patches(side: Option<usize>, image: &ImageSpec) -> Result<Patches, Error> {
    let shape = [image.channels, image.height, image.width];
    let Some(side) = side else { return Ok(Patches::usual(shape)) };
    if side == 0 || side > image.height.max(image.width) {
        let why = format!("expected 1 to {} pixels, found {side}", image.height.max(image.width));
        return Err(Error::Explain { what: "patch", why });
    }
    let along = |length: usize| length.div_ceil(side.div_ceil(2));
    if along(image.height).saturating_mul(along(image.width)) > MOST_PATCHES {
        let why = format!("one of {side} pixels lies in more than {MOST_PATCHES} places; give a larger one");
        return Err(Error::Explain { what: "patch", why });
    }
    Ok(Patches::new([side, side], shape))
}

/// What each column counts, and what the answer is without it.
fn contributions(
    table: &TableSpec,
    features: &[f32],
    found: impl Iterator<Item = (f64, Option<f64>)>,
) -> Vec<Contribution> {
    let of = |((column, value), (contribution, without))| Contribution { column, value, contribution, without };
    table.fields(features).into_iter().zip(found).map(of).collect()
}
