//! The convolution of a batch, with bias, ReLU and maximum pooling where they follow. Plain slices in channels-last order; no tensors.

use std::mem::MaybeUninit;

use super::geometry::Geometry;
use super::pool::Window;
use super::window::PoolRow;
use super::{pad, weights};
use crate::fresh::fresh;
use crate::product::{Product, Start};
use crate::{parallel, scratch};

/// Output pixels that are computed before they are pooled: few enough to stay in the first cache.
const BAND: usize = 112;

/// A convolution that is ready to run.
pub(crate) struct Forward {
    geometry: Geometry,
    relu: bool,
    pool: Option<Window>,
    product: Product,
    /// Rows of the output, or of windows, in one band.
    band: usize,
    weights: Vec<Vec<f32>>,
    bias: Option<Vec<f32>>,
    /// Height and width after pooling.
    pub(crate) output: [usize; 2],
}

impl Forward {
    /// `None` where no window of the pool fits.
    pub(crate) fn new(
        geometry: Geometry,
        weight: &[f32],
        bias: Option<&[f32]>,
        relu: bool,
        pool: Option<Window>,
    ) -> Option<Self> {
        let output = match pool {
            Some(pool) => pool.output(geometry.output)?,
            None => geometry.output,
        };
        let [height, width] = geometry.output;
        let rows = |band: usize| pool.map_or(band, |pool| (band - 1) * pool.stride + pool.size);
        let band = (1..=output[0]).rev().find(|&band| rows(band) * width <= BAND).unwrap_or(1);
        Some(Self {
            product: geometry.forward(rows(band).min(height)),
            weights: weights::forward(weight, &geometry),
            bias: bias.map(<[f32]>::to_vec),
            geometry,
            relu,
            pool,
            band,
            output,
        })
    }

    /// Values of the output for one image.
    pub(crate) fn len(&self) -> usize {
        self.output[0] * self.output[1] * self.geometry.outputs
    }

    /// Convolves `images` of a batch. `from` has a byte for each output where the gradient will ask which value won its window, or is empty.
    pub(crate) fn run(&self, images: usize, x: &[f32], from: &mut [u8]) -> Vec<f32> {
        // SAFETY: every row of every image is written, be it a sum or what won a window of them.
        unsafe { fresh(images * self.len(), |out| self.batch(images, x, out, from)) }
    }

    fn batch(&self, images: usize, x: &[f32], out: &mut [MaybeUninit<f32>], from: &mut [u8]) {
        let geometry = &self.geometry;
        let size = geometry.input[0] * geometry.input[1] * geometry.inputs;
        let parts = parallel::parts(images, geometry.work());
        let marked = if from.is_empty() { 0 } else { self.len() };
        let states = parallel::cut(&parts, out, self.len()).into_iter().zip(parallel::cut(&parts, from, marked));
        parallel::each(&parts, states.collect(), |part, (out, from)| {
            for (image, out) in part.clone().zip(out.chunks_exact_mut(self.len().max(1))) {
                let from = &mut from[(image - part.start) * marked..][..marked];
                let x = &x[image * size..(image + 1) * size];
                pad::with(x, geometry.input, geometry.inputs, geometry.padded(), |x| self.image(x, out, from));
            }
        });
    }

    /// One image, padded.
    fn image(&self, x: &[f32], out: &mut [MaybeUninit<f32>], from: &mut [u8]) {
        let Self { geometry, band, .. } = self;
        let (width, channels) = (geometry.output[1], geometry.outputs);
        let line = width * channels;
        let Some(pool) = self.pool else {
            for first in (0..geometry.output[0]).step_by(*band) {
                let rows = (geometry.output[0] - first).min(*band);
                let out = &mut out[first * line..];
                for Pass { column, x, weights, bias } in self.passes(first, x) {
                    self.product.fill(0..rows * width, x, weights, &mut out[column..], bias, self.relu);
                }
            }
            return;
        };
        let pooled = self.output[1] * channels;
        scratch::with(self.product.len() * channels, |lines| {
            for first in (0..self.output[0]).step_by(*band) {
                let windows = (self.output[0] - first).min(*band);
                let rows = (windows - 1) * pool.stride + pool.size;
                for Pass { column, x, weights, bias } in self.passes(first * pool.stride, x) {
                    let start = bias.map_or(Start::Zero, Start::Bias);
                    self.product.run(0..rows * width, x, weights, &mut lines[column..], start, false);
                }
                for row in 0..windows {
                    let at = (first + row) * pooled;
                    let from = if from.is_empty() { &mut [][..] } else { &mut from[at..at + pooled] };
                    let lines = &lines[row * pool.stride * line..];
                    let out = &mut out[at..at + pooled];
                    PoolRow { pool, downs: 0..pool.size, rows: lines, width, channels, relu: self.relu, out, from }
                        .run();
                }
            }
        });
    }

    /// What the sums of each pass begin with and run over, from the row `first` of the output on.
    fn passes<'a>(&'a self, first: usize, x: &'a [f32]) -> impl Iterator<Item = Pass<'a>> {
        let geometry = &self.geometry;
        let columns = geometry.columns();
        self.weights.iter().enumerate().map(move |(pass, weights)| {
            let column = pass * columns;
            let x = &x[first * geometry.row_step() + pass * geometry.inputs / geometry.passes()..];
            Pass { column, x, weights, bias: self.bias.as_ref().map(|bias| &bias[column..][..columns]) }
        })
    }
}

/// Channels that are summed together: a group, or all of them.
struct Pass<'a> {
    /// The first of the output's channels.
    column: usize,
    x: &'a [f32],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
}
