//! The linear layer: a product for several rows, and for a single one a pass over the weights that is as wide as the memory.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::map::Map;
use super::tile::Tiles;
use crate::packed::Packed;
use crate::product::{Row, arch, panel_width};

/// A linear layer that is ready to run.
pub(super) struct Linear {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    relu: bool,
    weights: Vec<f32>,
    bias: Vec<f32>,
    /// For as many rows as there are at most.
    tiles: Tiles,
}

impl Linear {
    /// `weight` is `[outputs, inputs]`, its inputs in the order `[channels, height, width]` of the map in front of it, of which rows
    /// have the values channels-last. `rows` of them at most.
    pub(super) fn new(
        weight: &[f32],
        bias: Option<&[f32]>,
        outputs: usize,
        from: Map,
        relu: bool,
        rows: usize,
    ) -> Option<Self> {
        let inputs = from.values();
        let bias = bias.map_or_else(|| vec![0.0; outputs], <[f32]>::to_vec);
        if weight.len() != inputs * outputs || bias.len() != outputs {
            return None;
        }
        let pixels = from.size[0] * from.size[1];
        let at = |k: usize, j: usize| weight[j * inputs + k % from.channels * pixels + k / from.channels];
        let table = (0..rows).map(|row| Row { a: row * inputs, c: row * outputs }).collect();
        Some(Self {
            weights: Packed::new(inputs, outputs, at).into_values(),
            tiles: Tiles::new(table, vec![0], inputs, outputs),
            bias,
            inputs,
            outputs,
            relu,
        })
    }

    /// `rows` rows, side by side.
    pub(super) fn run(&self, rows: usize, from: &[f32], to: &mut [f32]) {
        if rows == 1 {
            return self.columns(0..self.panels(), from, to);
        }
        self.tiles.run(rows, from, &self.weights, &self.bias, to, self.relu);
    }

    /// How many panels its columns are cut into.
    pub(super) fn panels(&self) -> usize {
        self.outputs.div_ceil(panel_width())
    }

    /// The columns of some panels.
    pub(super) fn range(&self, panels: Range<usize>) -> Range<usize> {
        let width = panel_width();
        (panels.start * width).min(self.outputs)..(panels.end * width).min(self.outputs)
    }

    /// The columns of some panels for one row; `to` begins with the first of them.
    pub(super) fn columns(&self, panels: Range<usize>, from: &[f32], to: &mut [f32]) {
        let size = self.inputs * panel_width();
        let weights = &self.weights[panels.start * size..panels.end * size];
        let bias = &self.bias[self.range(panels)];
        arch().dispatch(OneRow { from: &from[..self.inputs], weights, bias, to, relu: self.relu });
    }
}

struct OneRow<'a> {
    from: &'a [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    to: &'a mut [f32],
    relu: bool,
}

impl WithSimd for OneRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = 2 * S::F32_LANES;
        let Self { from, relu, .. } = self;
        let size = from.len() * width;
        let (mut weights, mut bias, mut to) = (self.weights, self.bias, self.to);
        while !bias.is_empty() {
            // Eight sums at once: as many as multiply-adds are under way, in streams that the memory keeps up with.
            let panels = match bias.len().div_ceil(width) {
                4.. => 4,
                2 | 3 => 2,
                _ => 1,
            };
            let columns = (panels * width).min(bias.len());
            let (bias_here, to_here) = (&bias[..columns], &mut to[..columns]);
            let streams = Streams { from, weights: &weights[..panels * size], bias: bias_here, to: to_here, relu };
            match panels {
                4 => simd.vectorize(Wide::<4>(streams)),
                2 => simd.vectorize(Wide::<2>(streams)),
                _ => simd.vectorize(Wide::<1>(streams)),
            }
            (weights, bias, to) = (&weights[panels * size..], &bias[columns..], &mut to[columns..]);
        }
    }
}

struct Streams<'a> {
    from: &'a [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    to: &'a mut [f32],
    relu: bool,
}

/// P panels side by side. Every sum begins with its bias and goes on in the order of the inputs, as in a product of several rows: a
/// sample's answer has the same bits in every batch.
struct Wide<'a, const P: usize>(Streams<'a>);

impl<const P: usize> WithSimd for Wide<'_, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Streams { from, weights, bias, to, relu } = self.0;
        let (lanes, zero) = (S::F32_LANES, simd.splat_f32s(0.0));
        let size = from.len() * 2 * lanes;
        assert!(weights.len() == P * size && bias.len() == to.len(), "P panels");
        let mut sums = [[zero; 2]; P];
        for (vector, bias) in bias.chunks(lanes).enumerate() {
            sums[vector / 2][vector % 2] = simd.partial_load_f32s(bias);
        }
        let mut place = weights.as_ptr();
        for value in from {
            let value = simd.splat_f32s(*value);
            for (panel, sums) in sums.iter_mut().enumerate() {
                for (j, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: P panels of `size` values each, two vectors for each value of `from`.
                    let weight = unsafe { place.add(panel * size + j * lanes).cast::<S::f32s>().read_unaligned() };
                    *sum = simd.mul_add_e_f32s(value, weight, *sum);
                }
            }
            place = place.wrapping_add(2 * lanes);
        }
        for (vector, to) in to.chunks_mut(lanes).enumerate() {
            let sum = sums[vector / 2][vector % 2];
            // Not a number stays what it is.
            let sum = if relu { simd.select_f32s(simd.less_than_f32s(sum, zero), zero, sum) } else { sum };
            simd.partial_store_f32s(to, sum);
        }
    }
}
