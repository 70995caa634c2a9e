//! Maximum pooling right behind a convolution, while its rows are in the cache. Where the greatest value came from is one byte for each
//! output: its place in the window, or [`CUT`] where ReLU let nothing through.

use std::{mem::MaybeUninit, ops::Range};

use pulp::{Simd, WithSimd};

use super::pool::Window;
use crate::product::arch;

/// No value of the window got through.
pub(crate) const CUT: u8 = u8::MAX;

/// A row of windows over `rows`, the lines of a map `width` pixels wide from the first that they meet on.
pub(crate) struct PoolRow<'a> {
    pub(crate) pool: Window,
    /// Which rows of the windows lie on the map.
    pub(crate) downs: Range<usize>,
    pub(crate) rows: &'a [f32],
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) relu: bool,
    pub(crate) out: &'a mut [MaybeUninit<f32>],
    /// Which value won, or empty where nobody asks.
    pub(crate) from: &'a mut [u8],
}

impl PoolRow<'_> {
    pub(crate) fn run(self) {
        arch().dispatch(self);
    }
}

impl WithSimd for PoolRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pool, downs, rows, width, channels, relu, out, from } = self;
        let zero = simd.splat_f32s(0.0);
        for (column, out) in out.chunks_exact_mut(channels).enumerate() {
            let (left, rights) = pool.meets(column, width);
            let begin = downs.start * pool.size + rights.start;
            let mut first = 0;
            while first < channels {
                let held = S::F32_LANES.min(channels - first);
                let mut best = zero;
                let mut place = simd.splat_u32s(begin as u32);
                for down in downs.clone() {
                    for right in rights.clone() {
                        let at = ((down - downs.start) * width + left + right - rights.start) * channels + first;
                        let value = load(simd, &rows[at..at + held]);
                        // The last that is not a number wins, as in Burn and PyTorch.
                        let number = simd.equal_f32s(value, value);
                        let wins = simd.or_m32s(simd.greater_than_f32s(value, best), simd.not_m32s(number));
                        let tap = down * pool.size + right;
                        if tap == begin {
                            best = value;
                        } else {
                            best = simd.select_f32s(wins, value, best);
                            place = simd.select_u32s(wins, simd.splat_u32s(tap as u32), place);
                        }
                    }
                }
                if relu {
                    let cut = simd.less_than_or_equal_f32s(best, zero);
                    best = simd.select_f32s(cut, zero, best);
                    place = simd.select_u32s(cut, simd.splat_u32s(u32::from(CUT)), place);
                }
                write(&mut out[first..first + held], simd, best);
                if !from.is_empty() {
                    let at = column * channels + first;
                    let places: &[u32] = bytemuck::cast_slice(std::slice::from_ref(&place));
                    for (byte, &place) in from[at..at + held].iter_mut().zip(places) {
                        *byte = place as u8;
                    }
                }
                first += held;
            }
        }
    }
}

/// The gradient of a row of windows, given to the values that won, in `dy`: lines `width` pixels wide from the first that they meet on,
/// which hold zeros or what other windows gave.
pub(crate) struct UnpoolRow<'a> {
    pub(crate) pool: Window,
    /// Which rows of the windows lie on the map.
    pub(crate) downs: Range<usize>,
    pub(crate) gradient: &'a [f32],
    pub(crate) from: &'a [u8],
    pub(crate) dy: &'a mut [f32],
    pub(crate) width: usize,
    pub(crate) channels: usize,
    /// Sums for each channel, or empty.
    pub(crate) bias: &'a mut [f32],
}

impl UnpoolRow<'_> {
    pub(crate) fn run(self) {
        arch().dispatch(self);
    }
}

impl WithSimd for UnpoolRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pool, downs, gradient, from, dy, width, channels, bias } = self;
        let zero = simd.splat_f32s(0.0);
        for (column, gradient) in gradient.chunks_exact(channels).enumerate() {
            let (left, rights) = pool.meets(column, width);
            let mut first = 0;
            while first < channels {
                let held = S::F32_LANES.min(channels - first);
                let mut places = simd.splat_u32s(0);
                let wide: &mut [u32] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut places));
                for (wide, &byte) in wide.iter_mut().zip(&from[column * channels + first..][..held]) {
                    *wide = u32::from(byte);
                }
                let gradient = load(simd, &gradient[first..first + held]);
                for down in downs.clone() {
                    for right in rights.clone() {
                        let at = ((down - downs.start) * width + left + right - rights.start) * channels + first;
                        let dy = &mut dy[at..at + held];
                        let here = simd.equal_u32s(places, simd.splat_u32s((down * pool.size + right) as u32));
                        let given = simd.select_f32s(here, gradient, zero);
                        // Windows side by side are the first to write; where they overlap, what is there stays.
                        let sum = if pool.stride < pool.size { simd.add_f32s(load(simd, dy), given) } else { given };
                        store(simd, dy, sum);
                    }
                }
                if !bias.is_empty() {
                    let bias = &mut bias[first..first + held];
                    let cut = simd.equal_u32s(places, simd.splat_u32s(u32::from(CUT)));
                    let sum = simd.add_f32s(load(simd, bias), simd.select_f32s(cut, zero, gradient));
                    store(simd, bias, sum);
                }
                first += held;
            }
        }
    }
}

/// As many values as there are, up to a vector.
#[inline(always)]
fn load<S: Simd>(simd: S, values: &[f32]) -> S::f32s {
    if values.len() == S::F32_LANES {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(values))
    } else {
        simd.partial_load_f32s(values)
    }
}

/// As many values as there is room for.
#[inline(always)]
fn write<S: Simd>(to: &mut [MaybeUninit<f32>], _: S, values: S::f32s) {
    let values: &[f32] = bytemuck::cast_slice(std::slice::from_ref(&values));
    if to.len() == S::F32_LANES {
        to.write_copy_of_slice(values);
    } else {
        std::iter::zip(to, values).for_each(|(to, &value)| _ = to.write(value));
    }
}

/// The counterpart of [`load`].
#[inline(always)]
fn store<S: Simd>(simd: S, to: &mut [f32], values: S::f32s) {
    if to.len() == S::F32_LANES {
        to.copy_from_slice(bytemuck::cast_slice(std::slice::from_ref(&values)));
    } else {
        simd.partial_store_f32s(to, values);
    }
}
