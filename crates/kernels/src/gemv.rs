//! A single row times a matrix: what a prediction of one sample asks of a fully connected layer. A tile of the micro-kernel would have
//! too few sums there to keep the processor busy; here eight vectors of columns go on at a time.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::parallel;
use crate::product::arch;

/// Vectors of columns at a time.
const WIDE: usize = 8;
/// Columns that are shared out together: a multiple of what any processor takes at a time.
const SHARED: usize = 128;

/// `out = x W + bias`, for `weight` `[inputs, outputs]` in rows, and without what is below zero where `relu` says so.
pub(crate) fn gemv(x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32], relu: bool) {
    let columns = out.len();
    assert_eq!(weight.len(), x.len() * columns, "a row of weights for each input");
    assert_eq!(bias.len(), columns, "a bias for each column");
    let blocks = columns.div_ceil(SHARED);
    let parts: Vec<Range<usize>> = parallel::parts(blocks, x.len() * SHARED)
        .into_iter()
        .map(|part| part.start * SHARED..columns.min(part.end * SHARED))
        .collect();
    let states = parallel::cut(&parts, out, 1);
    parallel::each(&parts, states, |part, out| {
        arch().dispatch(Part { x, weight, columns, first: part.start, bias: &bias[part], out, relu });
    });
}

/// Some of the columns.
struct Part<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    columns: usize,
    first: usize,
    bias: &'a [f32],
    out: &'a mut [f32],
    relu: bool,
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut at = 0;
        while self.out.len() - at >= WIDE * S::F32_LANES {
            self.block::<S, WIDE>(simd, at);
            at += WIDE * S::F32_LANES;
        }
        while self.out.len() - at >= S::F32_LANES {
            self.block::<S, 1>(simd, at);
            at += S::F32_LANES;
        }
        if at < self.out.len() {
            self.rest(simd, at);
        }
    }
}

impl Part<'_> {
    /// N whole vectors of columns.
    #[inline(always)]
    fn block<S: Simd, const N: usize>(&mut self, simd: S, at: usize) {
        let mut sums = vectors::<S, N>(&self.bias[at..]);
        for (&x, row) in self.x.iter().zip(self.weight.chunks_exact(self.columns)) {
            let (x, row) = (simd.splat_f32s(x), vectors::<S, N>(&row[self.first + at..]));
            for n in 0..N {
                sums[n] = simd.mul_add_e_f32s(x, row[n], sums[n]);
            }
        }
        let (out, _) = S::as_mut_simd_f32s(&mut self.out[at..at + N * S::F32_LANES]);
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = if self.relu { cut(simd, sum) } else { sum };
        }
    }

    /// The columns that fill no vector.
    #[inline(always)]
    fn rest<S: Simd>(&mut self, simd: S, at: usize) {
        let mut sum = simd.partial_load_f32s(&self.bias[at..]);
        for (&x, row) in self.x.iter().zip(self.weight.chunks_exact(self.columns)) {
            let row = simd.partial_load_f32s(&row[self.first + at..self.first + self.out.len()]);
            sum = simd.mul_add_e_f32s(simd.splat_f32s(x), row, sum);
        }
        let sum = if self.relu { cut(simd, sum) } else { sum };
        simd.partial_store_f32s(&mut self.out[at..], sum);
    }
}

/// The first N vectors of some values.
#[inline(always)]
fn vectors<S: Simd, const N: usize>(values: &[f32]) -> [S::f32s; N] {
    let (vectors, _) = S::as_simd_f32s(&values[..N * S::F32_LANES]);
    let Some(vectors) = vectors.first_chunk::<N>() else { unreachable!("as many values as N vectors hold") };
    *vectors
}

/// ReLU, by which not a number stays what it is.
#[inline(always)]
fn cut<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_f32s(x, zero), zero, x)
}
