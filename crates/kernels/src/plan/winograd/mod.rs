//! Convolutions of 3x3 with a stride of one by Winograd's F(4x4, 3x3) (Lavin and Gray 2015, <https://arxiv.org/abs/1509.09308>): a tile of
//! 4x4 outputs needs 36 multiplications for each pair of channels where its definition has 144. Patches of 6x6 pixels become values at 36
//! pairs of points (`transform`), these are summed over the input channels as 36 products of matrices, and the sums become tiles
//! (`patch`). That goes block by block of tiles, so that what lies between stays in the second cache.
//!
//! An output depends on its own patch only, and on that the same way whatever the block: threads and batches change no bit. An infinite
//! value makes its tile not a number.

mod patch;
#[cfg(test)]
mod tests;
mod transform;

use std::ops::Range;

use patch::{Patch, Tile};
use pulp::{Simd, WithSimd};

use super::convolution::Definition;
use super::map::Map;
use super::pool::Kind;
use super::tile::Panel;
use crate::Window;
use crate::packed::Packed;
use crate::product::{Row, arch, panel_width};
use crate::scratch;

/// Outputs along a side of a tile, before pooling.
const SIDE: usize = 4;
/// Pixels along a side of a patch.
const PATCH: usize = 6;
/// Pairs of points.
const POINTS: usize = PATCH * PATCH;
/// Tiles of a block at most.
const BLOCK: usize = 28;
/// Values of a vector at most, by which matrices begin with a line of the cache and not all with the same.
const LINE: usize = 16;
/// Channels at least: fewer fill too little of a vector.
const CHANNELS: usize = 8;
/// Tiles at least, in general; and where the weights at all points are so many that they come from the third cache or from memory.
const TILES: [usize; 2] = [4, 14];
/// Weights of a pair of points from which on they do.
const MANY: usize = 1 << 14;

/// A convolution that is ready to run.
pub(super) struct Winograd {
    from: Map,
    to: Map,
    /// Where the first patch begins.
    first: usize,
    /// Rows and columns from there that patches may read.
    there: [usize; 2],
    /// For each panel of outputs and each pair of points the inputs.
    weights: Vec<f32>,
    /// Filled up to whole panels.
    bias: Vec<f32>,
    relu: bool,
    /// Of windows of 2x2.
    pool: Option<Kind>,
    /// Tiles of a block: where their values begin among those at a pair of points.
    rows: Vec<Row>,
    /// Multiply-adds.
    pub(super) work: usize,
}

impl Winograd {
    /// Whether it is possible, and faster.
    pub(super) fn pays(definition: &Definition, from: Map, to: Map) -> bool {
        let Definition { shape, pool, .. } = definition;
        let windows = Window { size: 2, stride: 2, padding: 0 };
        let side = if pool.is_some() { SIDE / 2 } else { SIDE };
        let [rows, columns] = to.size;
        let tiles = rows.div_ceil(side) * columns.div_ceil(side);
        let least = TILES[usize::from(from.channels * to.channels > MANY)];
        shape.size == [3, 3]
            && shape.stride == [1, 1]
            && shape.groups == 1
            && pool.as_ref().is_none_or(|pool| pool.windows == windows)
            && from.channels.min(to.channels) >= CHANNELS
            && tiles >= least
            // A quarter of their outputs at most lies beyond the map.
            && 4 * rows * columns >= 3 * tiles * side * side
    }

    /// Arguments and answer are those of [`Convolution::new`](super::convolution::Convolution::new).
    pub(super) fn new(definition: &Definition, from: Map, to: Map) -> Option<Self> {
        let Definition { shape, weight, bias, relu, pool } = definition;
        let convolved = shape.output(from.channels, from.size)?;
        let (inputs, outputs) = (from.channels, shape.outputs);
        if weight.len() != 9 * inputs * outputs || bias.as_ref().is_some_and(|bias| bias.len() != outputs) {
            return None;
        }
        let filters: Vec<[f32; POINTS]> = weight.chunks_exact(9).map(transform::filter).collect();
        let at = |k: usize, j: usize| filters[j * inputs + k % inputs][k / inputs];
        let mut bias = bias.clone().unwrap_or_default();
        bias.resize(outputs.next_multiple_of(panel_width()), 0.0);
        let pool = pool.as_ref().map(|pool| pool.kind);
        let side = if pool.is_some() { SIDE / 2 } else { SIDE };
        let tiles = to.size[0].div_ceil(side) * to.size[1].div_ceil(side);
        let row = |tile: usize| Row { a: tile * inputs.next_multiple_of(LINE), c: tile * panel_width() };
        Some(Self {
            from,
            to,
            first: shape.first(from)?,
            there: convolved.map(|size| size + 2),
            weights: Packed::new(POINTS * inputs, outputs, at).into_values(),
            bias,
            relu: *relu,
            pool,
            rows: (0..tiles.min(BLOCK)).map(row).collect(),
            work: tiles * POINTS * inputs * outputs,
        })
    }

    /// Outputs along a side of a tile, after pooling.
    pub(super) fn side(&self) -> usize {
        if self.pool.is_some() { SIDE / 2 } else { SIDE }
    }

    /// Computes `rows` of the output, which begin with a tile; `to` begins with the first of them.
    pub(super) fn run(&self, rows: Range<usize>, from: &[f32], to: &mut [f32]) {
        assert!(rows.start.is_multiple_of(self.side()), "rows begin with a tile");
        let points = [self.apart(self.from.channels), self.apart(panel_width())];
        let ragged = POINTS * self.from.channels;
        scratch::with(LINE + POINTS * (points[0] + points[1]) + ragged, |buffer| {
            let begin = buffer.as_ptr().align_offset(4 * LINE).min(LINE);
            let (values, rest) = buffer[begin..].split_at_mut(POINTS * points[0]);
            let (sums, ragged) = rest.split_at_mut(POINTS * points[1]);
            arch().dispatch(Run { all: self, rows, points, from: &from[self.first..], values, sums, ragged, to });
        });
    }

    /// From the values at a pair of points to those at the next.
    fn apart(&self, channels: usize) -> usize {
        self.rows.len() * channels.next_multiple_of(LINE) + LINE
    }
}

struct Run<'a> {
    all: &'a Winograd,
    rows: Range<usize>,
    /// From a pair of points to the next, in `values` and in `sums`.
    points: [usize; 2],
    from: &'a [f32],
    values: &'a mut [f32],
    sums: &'a mut [f32],
    /// A patch that reaches beyond the map.
    ragged: &'a mut [f32],
    to: &'a mut [f32],
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let all = self.all;
        let across = all.to.size[1].div_ceil(all.side());
        let tiles = self.rows.start / all.side() * across..self.rows.end.div_ceil(all.side()) * across;
        for first in tiles.clone().step_by(all.rows.len()) {
            let tiles = first..(first + all.rows.len()).min(tiles.end);
            for (tile, row) in tiles.clone().zip(&all.rows) {
                self.patch(simd, [tile / across, tile % across], row.a);
            }
            for first in (0..all.to.channels).step_by(2 * S::F32_LANES) {
                self.panel(simd, first, tiles.len());
                for (tile, row) in tiles.clone().zip(&all.rows) {
                    self.tile(simd, [tile / across, tile % across], first, row.c);
                }
            }
        }
    }
}

impl Run<'_> {
    /// The values of a patch at all points.
    #[inline(always)]
    fn patch<S: Simd>(&mut self, simd: S, tile: [usize; 2], to: usize) {
        let Map { channels, .. } = self.all.from;
        let (to, apart) = (&mut self.values[to..], self.points[0]);
        let (pitch, corner) = (self.all.from.pitch(), tile.map(|at| at * SIDE));
        let from = &self.from[corner[0] * pitch + corner[1] * channels..];
        let [rows, columns] = [0, 1].map(|axis| (self.all.there[axis] - corner[axis]).min(PATCH));
        if rows == PATCH && columns == PATCH {
            return simd.vectorize(Patch { from, pitch, channels, apart, to });
        }
        self.ragged.fill(0.0);
        for (row, to) in self.ragged.chunks_exact_mut(PATCH * channels).take(rows).enumerate() {
            to[..columns * channels].copy_from_slice(&from[row * pitch..][..columns * channels]);
        }
        simd.vectorize(Patch { from: self.ragged, pitch: PATCH * channels, channels, apart, to });
    }

    /// The products of `tiles` at all points, for the panel that begins with the output channel `first`.
    #[inline(always)]
    fn panel<S: Simd>(&mut self, simd: S, first: usize, tiles: usize) {
        let (width, inputs) = (2 * S::F32_LANES, self.all.from.channels);
        let bias = &[0.0; 2 * LINE][..self.wide::<S>(first)];
        let weights = self.all.weights[first * POINTS * inputs..].chunks_exact(width * inputs);
        let values = self.values.chunks_exact(self.points[0]);
        let sums = self.sums.chunks_exact_mut(self.points[1]);
        for ((a, b), c) in values.zip(weights).zip(sums) {
            Panel { rows: &self.all.rows[..tiles], taps: &[0], inner: inputs, a, b, bias, first: 0, relu: false }
                .run(simd, c);
        }
    }

    /// The outputs of a tile in that panel.
    #[inline(always)]
    fn tile<S: Simd>(&mut self, simd: S, tile: [usize; 2], first: usize, from: usize) {
        let (all, side) = (self.all, self.all.side());
        let corner = tile.map(|at| at * side);
        let pitch = [all.to.pitch(), all.to.channels];
        let wide = self.wide::<S>(first);
        simd.vectorize(Tile {
            from: &self.sums[from..],
            apart: self.points[1],
            bias: &all.bias[first..first + wide],
            columns: (all.to.channels - first).min(wide),
            relu: all.relu,
            pool: all.pool,
            size: [(self.rows.end - corner[0]).min(side), (all.to.size[1] - corner[1]).min(side)],
            pitch,
            to: &mut self.to[(corner[0] - self.rows.start) * pitch[0] + corner[1] * pitch[1] + first..],
        });
    }

    /// Values of the vectors that a panel needs.
    #[inline(always)]
    fn wide<S: Simd>(&self, first: usize) -> usize {
        (self.all.to.channels - first).min(2 * S::F32_LANES).next_multiple_of(S::F32_LANES)
    }
}
