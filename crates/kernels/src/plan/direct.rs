//! A convolution as the sums that define it, with bias, ReLU and pooling while its rows are in the first cache.

use std::ops::Range;

use super::convolution::{Definition, Shape};
use super::map::Map;
use super::pool::Pool;
use super::tile::Tiles;
use crate::Window;
use crate::packed::Packed;
use crate::product::{Product, Row, Start, Step};
use crate::scratch;

/// Output pixels that are computed before they are pooled: few enough to stay in the first cache.
const BAND: usize = 112;

/// A convolution that is ready to run.
pub(super) struct Direct {
    to: Map,
    /// Where the first value that it reads lies, and how far that is from the same for the next row of outputs.
    first: usize,
    step: usize,
    /// Passes over the map: groups, but for depthwise convolutions, which do all at once.
    passes: Vec<Pass>,
    sums: Sums,
    /// Values that are kept before they are pooled.
    held: usize,
    /// Height and width before pooling.
    convolved: [usize; 2],
    relu: bool,
    pool: Option<Pool>,
    /// Rows of the output in one band.
    band: usize,
    /// Multiply-adds.
    pub(super) work: usize,
}

enum Sums {
    Dense(Tiles),
    Depthwise(Product),
}

struct Pass {
    weights: Vec<f32>,
    bias: Vec<f32>,
    /// Channels before these, in the input and in the output.
    before: [usize; 2],
}

impl Direct {
    /// Arguments and answer are those of [`Convolution::new`](super::convolution::Convolution::new).
    pub(super) fn new(definition: &Definition, from: Map, to: Map) -> Option<Self> {
        let Definition { shape, weight, bias, relu, pool } = definition;
        let convolved = shape.output(from.channels, from.size)?;
        let inner = from.channels / shape.groups;
        let depthwise = shape.groups > 1 && inner == 1 && shape.outputs == from.channels;
        let steps = inner * shape.size[0] * shape.size[1];
        let bias = bias.clone().unwrap_or_else(|| vec![0.0; shape.outputs]);
        if weight.len() != steps * shape.outputs || bias.len() != shape.outputs {
            return None;
        }
        let lines = |band: usize| pool.map_or(band, |pool| (band - 1) * pool.windows.stride + pool.windows.size);
        let band = (1..=to.size[0]).rev().find(|&band| lines(band) * convolved[1] <= BAND).unwrap_or(1);
        Some(Self {
            sums: sums(shape, from, to, lines(band).min(convolved[0]), convolved[1], pool.is_some(), depthwise),
            held: lines(band) * convolved[1] * to.channels,
            passes: passes(shape, weight, &bias, inner, depthwise),
            to,
            first: shape.first(from)?,
            step: shape.stride[0] * from.pitch(),
            convolved,
            relu: *relu,
            pool: *pool,
            band,
            work: convolved[0] * convolved[1] * shape.outputs * steps,
        })
    }

    /// Computes `rows` of the output; `to` begins with the first of them.
    pub(super) fn run(&self, rows: Range<usize>, from: &[f32], to: &mut [f32]) {
        let from = &from[self.first..];
        let Some(pool) = self.pool else {
            for first in rows.clone().step_by(self.band) {
                let lines = (rows.end - first).min(self.band);
                self.lines(first, lines, from, &mut to[(first - rows.start) * self.to.pitch()..], self.relu);
            }
            return;
        };
        let pitch = self.convolved[1] * self.to.channels;
        scratch::with(self.held, |held| {
            for first in rows.clone().step_by(self.band) {
                let windows = (rows.end - first).min(self.band);
                let Window { size, stride, .. } = pool.windows;
                self.lines(first * stride, (windows - 1) * stride + size, from, held, self.relu);
                for row in 0..windows {
                    let to = &mut to[(first - rows.start + row) * self.to.pitch()..][..self.to.line()];
                    pool.row(&held[row * stride * pitch..], pitch, self.convolved[1], self.to.channels, to);
                }
            }
        });
    }

    /// `lines` rows before pooling from `first` on.
    fn lines(&self, first: usize, lines: usize, from: &[f32], to: &mut [f32], relu: bool) {
        let from = &from[first * self.step..];
        for pass in &self.passes {
            let (from, to) = (&from[pass.before[0]..], &mut to[pass.before[1]..]);
            let count = lines * self.convolved[1];
            match &self.sums {
                Sums::Dense(tiles) => tiles.run(count, from, &pass.weights, &pass.bias, to, relu),
                Sums::Depthwise(product) => {
                    product.run(0..count, from, &pass.weights, to, Start::Bias(&pass.bias), relu);
                }
            }
        }
    }
}

/// The sums for some rows of outputs: A is the input from the first value that they read on, B the weights of a pass, C the rows of
/// outputs, which lie side by side where they are pooled afterwards.
fn sums(shape: &Shape, from: Map, to: Map, lines: usize, width: usize, pooled: bool, depthwise: bool) -> Sums {
    let pitch = if pooled { width * to.channels } else { to.pitch() };
    let mut rows = Vec::with_capacity(lines * width);
    for line in 0..lines {
        for column in 0..width {
            let a = line * shape.stride[0] * from.pitch() + column * shape.stride[1] * from.channels;
            rows.push(Row { a, c: line * pitch + column * to.channels });
        }
    }
    let [height, across] = shape.size;
    let taps = |across: usize| {
        let place = move |row: usize| (0..across).map(move |column| row * from.pitch() + column * from.channels);
        (0..height).flat_map(place)
    };
    if depthwise {
        let step = |(tap, a)| Step { a: a as u32, b: (tap * to.channels) as u32 };
        return Sums::Depthwise(Product::lanes(rows, taps(across).enumerate().map(step).collect(), to.channels));
    }
    let columns = to.channels / shape.groups;
    if shape.groups == 1 {
        // The pixels under a row of the kernel are neighbours.
        return Sums::Dense(Tiles::new(rows, taps(1).collect(), across * from.channels, columns));
    }
    Sums::Dense(Tiles::new(rows, taps(across).collect(), from.channels / shape.groups, columns))
}

/// The weights of each pass in the order of the steps.
fn passes(shape: &Shape, weight: &[f32], bias: &[f32], inner: usize, depthwise: bool) -> Vec<Pass> {
    let taps = shape.size[0] * shape.size[1];
    if depthwise {
        let weights = (0..taps).flat_map(|tap| weight.iter().skip(tap).step_by(taps).copied()).collect();
        return vec![Pass { weights, bias: bias.to_vec(), before: [0, 0] }];
    }
    let columns = shape.outputs / shape.groups;
    let pass = |group: usize| {
        let weight = &weight[group * columns * inner * taps..];
        let at = |k: usize, j: usize| weight[(j * inner + k % inner) * taps + k / inner];
        Pass {
            weights: Packed::new(inner * taps, columns, at).into_values(),
            bias: bias[group * columns..][..columns].to_vec(),
            before: [group * inner, group * columns],
        }
    };
    (0..shape.groups).map(pass).collect()
}
