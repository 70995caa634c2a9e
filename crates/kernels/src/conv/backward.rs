//! The gradients of a convolution with what is fused behind it. Plain slices in channels-last order; no tensors.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::geometry::{Geometry, Margins};
use super::pool::Window;
use super::window::UnpoolRow;
use super::{pad, weights};
use crate::fresh::fresh;
use crate::product::{Product, Start};
use crate::relu::behind;
use crate::{parallel, scratch};

/// What stood behind the convolution, and what the forward pass left for its gradient.
pub(crate) enum Behind<'a> {
    /// Nothing.
    Nothing,
    /// ReLU, and what it gave.
    Relu(&'a [f32]),
    /// Maximum pooling, and perhaps ReLU: which value won each window, and height and width after pooling.
    Pool(Window, &'a [u8], [usize; 2]),
}

/// Which gradients are asked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) x: bool,
    pub(crate) weight: bool,
    pub(crate) bias: bool,
}

/// The gradients of input (channels-last), weights and bias; empty where not wanted.
pub(crate) struct Gradients {
    pub(crate) x: Vec<f32>,
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// Products of the weights' gradient that are summed in one go: their factors stay in the cache.
const BAND: usize = 512;

/// From the gradient of the result, channels-last, to those of what went in. `met` is a gradient of the input that comes another way:
/// what is found here is added to it.
pub(crate) fn gradients(
    geometry: &Geometry,
    (x, weight): (&[f32], &[f32]),
    behind: &Behind<'_>,
    gradient: &[f32],
    met: Option<Vec<f32>>,
    wanted: Wanted,
) -> Gradients {
    let size = geometry.input[0] * geometry.input[1] * geometry.inputs;
    let images = x.len() / size.max(1);
    let phases = if wanted.x { geometry.input_gradient() } else { Vec::new() };
    let phases: Vec<Phase> = phases
        .into_iter()
        .map(|(product, taps)| Phase { product, weights: weights::backward(weight, geometry, &taps) })
        .collect();
    let band = (BAND / geometry.output[1].max(1)).clamp(1, geometry.output[0]);
    let plan = Plan { geometry, behind, wanted, phases, weights: geometry.weight_gradient(band), band };

    let parts = parallel::parts(images, 2 * geometry.work());
    let sums = if wanted.weight { weight.len() } else { 0 };
    let biases = if wanted.bias { geometry.outputs } else { 0 };
    let mut totals: Vec<Vec<f32>> = vec![vec![0.0; sums + biases]; parts.len()];
    let (all, size) = if wanted.x { (x.len(), size) } else { (0, 0) };
    let mut run = |cuts: Vec<Dx<'_>>| {
        parallel::each(&parts, cuts.into_iter().zip(&mut totals).collect(), |part, (dx, totals)| {
            let (weight, bias) = totals.split_at_mut(sums);
            plan.part(part, x, gradient, dx, weight, bias);
        });
    };
    let dx = match met {
        Some(mut met) => {
            assert_eq!(met.len(), all, "a gradient that comes another way is one of the input");
            run(parallel::cut(&parts, &mut met, size).into_iter().map(Dx::Met).collect());
            met
        }
        // SAFETY: every pixel is in one phase of the stride, and each pass writes its channels of it.
        None => unsafe { fresh(all, |to| run(parallel::cut(&parts, to, size).into_iter().map(Dx::Fresh).collect())) },
    };
    // In the order of the parts: the same sums whenever there are as many threads.
    let mut totals = totals.into_iter();
    let mut total = totals.next().unwrap_or_default();
    for part in totals {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
    }
    let bias = total.split_off(sums);
    let weight = if wanted.weight { weights::unpack(&total, geometry) } else { total };
    Gradients { x: dx, weight, bias }
}

/// The input's gradient, or a part of it.
enum Dx<'a> {
    /// Nothing yet.
    Fresh(&'a mut [MaybeUninit<f32>]),
    /// What came another way.
    Met(&'a mut [f32]),
}

struct Phase {
    product: Product,
    weights: Vec<Vec<f32>>,
}

struct Plan<'a> {
    geometry: &'a Geometry,
    behind: &'a Behind<'a>,
    wanted: Wanted,
    phases: Vec<Phase>,
    /// The weights' gradient over `band` rows of the output.
    weights: Product,
    band: usize,
}

impl Plan<'_> {
    fn part(
        &self,
        part: Range<usize>,
        x: &[f32],
        gradient: &[f32],
        mut dx: Dx<'_>,
        weight: &mut [f32],
        bias: &mut [f32],
    ) {
        let geometry = self.geometry;
        let margins = geometry.margins();
        let size = geometry.input[0] * geometry.input[1] * geometry.inputs;
        let after = match self.behind {
            Behind::Pool(_, _, [height, width]) => height * width * geometry.outputs,
            _ => geometry.output[0] * geometry.output[1] * geometry.outputs,
        };
        scratch::with(margins.len(geometry.outputs), |dy| {
            dy.fill(0.0);
            for image in part.clone() {
                self.behind_image(image, &gradient[image * after..(image + 1) * after], margins, dy, bias);
                if self.wanted.weight {
                    let x = &x[image * size..(image + 1) * size];
                    pad::with(x, geometry.input, geometry.inputs, geometry.padded(), |x| {
                        self.weight(x, dy, margins, weight)
                    });
                }
                if self.wanted.x {
                    let at = (image - part.start) * size;
                    self.input(dy, at, &mut dx);
                }
            }
        });
    }

    /// The gradient of the convolution's own output, in its margins, and its sum for each channel.
    fn behind_image(&self, image: usize, gradient: &[f32], margins: Margins, dy: &mut [f32], bias: &mut [f32]) {
        let (channels, [height, width]) = (self.geometry.outputs, self.geometry.output);
        let line = width * channels;
        match self.behind {
            Behind::Nothing => {
                for (row, gradient) in gradient.chunks_exact(line).enumerate() {
                    let at = margins.place([row, 0], channels);
                    dy[at..at + line].copy_from_slice(gradient);
                    add(bias, gradient);
                }
            }
            Behind::Relu(output) => {
                let output = &output[image * height * line..(image + 1) * height * line];
                for (row, (gradient, output)) in gradient.chunks_exact(line).zip(output.chunks_exact(line)).enumerate()
                {
                    let at = margins.place([row, 0], channels);
                    let dy = &mut dy[at..at + line];
                    for ((dy, &gradient), &output) in dy.iter_mut().zip(gradient).zip(output) {
                        *dy = behind(output, gradient);
                    }
                    add(bias, dy);
                }
            }
            Behind::Pool(pool, from, size) => {
                for row in 0..height {
                    let at = margins.place([row, 0], channels);
                    dy[at..at + line].fill(0.0);
                }
                let row = size[1] * channels;
                let from = &from[image * gradient.len()..(image + 1) * gradient.len()];
                for (down, (gradient, from)) in gradient.chunks_exact(row).zip(from.chunks_exact(row)).enumerate() {
                    let dy = &mut dy[margins.place([down * pool.stride, 0], channels)..];
                    let (downs, width) = (0..pool.size, margins.size[1]);
                    UnpoolRow { pool: *pool, downs, gradient, from, dy, width, channels, bias }.run();
                }
            }
        }
    }

    fn weight(&self, x: &[f32], dy: &[f32], margins: Margins, sums: &mut [f32]) {
        let geometry = self.geometry;
        let (passes, columns) = (geometry.passes(), geometry.columns());
        let each = geometry.steps() * columns;
        for first in (0..geometry.output[0]).step_by(self.band) {
            let rows = (geometry.output[0] - first).min(self.band);
            let short;
            let product = match rows == self.band {
                true => &self.weights,
                false => {
                    short = geometry.weight_gradient(rows);
                    &short
                }
            };
            let x = &x[first * geometry.row_step()..];
            let dy = &dy[margins.place([first, 0], geometry.outputs)..];
            for pass in 0..passes {
                let inner = pass * geometry.inputs / passes;
                let sums = &mut sums[pass * each..(pass + 1) * each];
                product.run(0..product.len(), &x[inner..], &dy[pass * columns..], sums, Start::Add, false);
            }
        }
    }

    /// The gradient of the image that begins `at` there.
    fn input(&self, dy: &[f32], at: usize, dx: &mut Dx<'_>) {
        let (passes, columns) = (self.geometry.passes(), self.geometry.columns());
        for phase in &self.phases {
            for (pass, weights) in phase.weights.iter().enumerate() {
                let (all, at) = (0..phase.product.len(), at + pass * self.geometry.inputs / passes);
                let dy = &dy[pass * columns..];
                match dx {
                    Dx::Fresh(dx) => phase.product.fill(all, dy, weights, &mut dx[at..], None, false),
                    Dx::Met(dx) => phase.product.run(all, dy, weights, &mut dx[at..], Start::Add, false),
                }
            }
        }
    }
}

/// Adds rows of channels to their sums, if anybody wants them.
fn add(sums: &mut [f32], rows: &[f32]) {
    if sums.is_empty() {
        return;
    }
    for row in rows.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}
