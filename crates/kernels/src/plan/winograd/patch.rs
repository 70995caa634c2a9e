//! From a patch of a map, 6x6 pixels, to its values at 36 pairs of points, and from the sums at these to a tile of 4x4 outputs with bias,
//! ReLU and pooling; each lane of a vector is a channel.

use pulp::{MemMask, Simd, WithSimd};

use super::transform::{input, output};
use crate::plan::pool::Kind;

/// A patch on its way in.
pub(super) struct Patch<'a> {
    /// Begins with its first pixel.
    pub(super) from: &'a [f32],
    /// From a row of pixels to the next.
    pub(super) pitch: usize,
    pub(super) channels: usize,
    /// From the values at a pair of points to those at the next.
    pub(super) apart: usize,
    /// The values at the first pair; to the end of a vector behind the channels anything may be written.
    pub(super) to: &'a mut [f32],
}

impl WithSimd for Patch<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { from, pitch, channels, apart, to } = self;
        let lanes = S::F32_LANES;
        assert!(from.len() >= 5 * pitch + 6 * channels, "a whole patch");
        assert!(to.len() >= 35 * apart + channels.next_multiple_of(lanes), "places for all points");
        let tail = simd.mask_between_m32s(0, (channels % lanes) as u32);
        for first in (0..channels).step_by(lanes) {
            let tail = (channels - first < lanes).then_some(tail);
            // SAFETY: just compared; behind the channels nothing is read.
            unsafe {
                let (from, to) = (from.as_ptr().add(first), to.as_mut_ptr().add(first));
                let zero = simd.splat_f32s(0.0);
                let mut half = [[zero; 6]; 6];
                for column in 0..6 {
                    let mut values = [zero; 6];
                    for (row, value) in values.iter_mut().enumerate() {
                        *value = load(simd, tail, from.add(row * pitch + column * channels));
                    }
                    for (half, value) in half.iter_mut().zip(input(simd, values)) {
                        half[column] = value;
                    }
                }
                for (row, half) in half.into_iter().enumerate() {
                    for (column, value) in input(simd, half).into_iter().enumerate() {
                        to.add((row * 6 + column) * apart).cast::<S::f32s>().write_unaligned(value);
                    }
                }
            }
        }
    }
}

/// A tile on its way out.
pub(super) struct Tile<'a> {
    /// The sums at the first pair of points, `bias.len()` of them at each.
    pub(super) from: &'a [f32],
    /// From a pair of points to the next.
    pub(super) apart: usize,
    /// For each channel, filled up to whole vectors.
    pub(super) bias: &'a [f32],
    /// How many there are.
    pub(super) columns: usize,
    pub(super) relu: bool,
    /// Windows of 2x2.
    pub(super) pool: Option<Kind>,
    /// Rows and columns of outputs that there are, after pooling.
    pub(super) size: [usize; 2],
    /// From an output to the one below, and to that beside it.
    pub(super) pitch: [usize; 2],
    /// Begins with the first output.
    pub(super) to: &'a mut [f32],
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = S::F32_LANES;
        let (to, len) = (self.to.as_mut_ptr(), self.to.len());
        let Self { from, apart, bias, columns, size, pitch, .. } = &self;
        let tail = simd.mask_between_m32s(0, (columns % lanes) as u32);
        assert!(bias.len().is_multiple_of(lanes) && *columns <= bias.len() && size[0] * size[1] > 0);
        assert!(from.len() >= 35 * apart + bias.len(), "sums at all points");
        let reach = (size[0] - 1) * pitch[0] + (size[1] - 1) * pitch[1] + columns;
        assert!(len >= reach, "outputs reach {reach}");
        for first in (0..*columns).step_by(lanes) {
            let tail = (columns - first < lanes).then_some(tail);
            // SAFETY: just compared; behind the columns nothing is written.
            unsafe { self.vector(simd, first, tail, to.add(first)) };
        }
    }
}

impl Tile<'_> {
    /// # Safety
    /// Sums and bias hold a vector from `first` on; what is there of the tile can be written from `to` on, under `tail`.
    #[inline(always)]
    unsafe fn vector<S: Simd>(&self, simd: S, first: usize, tail: Option<MemMask<S::m32s>>, to: *mut f32) {
        let zero = simd.splat_f32s(0.0);
        // SAFETY: the caller's promise.
        unsafe {
            let from = self.from.as_ptr().add(first);
            let bias = self.bias.as_ptr().add(first).cast::<S::f32s>().read_unaligned();
            let mut half = [[zero; 6]; 4];
            for row in 0..6 {
                let mut sums = [zero; 6];
                for (column, sum) in sums.iter_mut().enumerate() {
                    *sum = from.add((row * 6 + column) * self.apart).cast::<S::f32s>().read_unaligned();
                }
                for (half, value) in half.iter_mut().zip(output(simd, sums)) {
                    half[row] = value;
                }
            }
            for pair in 0..2 {
                let [left, right] = [output(simd, half[2 * pair]), output(simd, half[2 * pair + 1])];
                if let Some(kind) = self.pool {
                    for row in 0..2 {
                        let window = [left[2 * row], right[2 * row], left[2 * row + 1], right[2 * row + 1]];
                        let value = self.reduce(simd, kind, window, bias);
                        self.store(simd, tail, to, [row, pair], value);
                    }
                } else {
                    for row in 0..4 {
                        self.store(simd, tail, to, [row, 2 * pair], self.end(simd, left[row], bias));
                        self.store(simd, tail, to, [row, 2 * pair + 1], self.end(simd, right[row], bias));
                    }
                }
            }
        }
    }

    /// A window of 2x2 sums.
    #[inline(always)]
    fn reduce<S: Simd>(&self, simd: S, kind: Kind, sums: [S::f32s; 4], bias: S::f32s) -> S::f32s {
        let [a, b, c, d] = sums;
        if kind == Kind::Mean {
            let [a, b, c, d] = sums.map(
                #[inline(always)]
                |sum| self.end(simd, sum, bias),
            );
            let sum = simd.add_f32s(simd.add_f32s(simd.add_f32s(a, b), c), d);
            return simd.mul_f32s(sum, simd.splat_f32s(0.25));
        }
        // The greatest sum is the greatest with the bias, too.
        let greatest = simd.add_f32s(greater(simd, greater(simd, a, b), greater(simd, c, d)), bias);
        let greatest = if kind == Kind::MaxRelu || self.relu { cut(simd, greatest) } else { greatest };
        // Not a number stays what it is.
        let odd = simd.or_m32s(unordered(simd, a, b), unordered(simd, c, d));
        simd.select_f32s(odd, simd.splat_f32s(f32::NAN), greatest)
    }

    /// With bias and ReLU.
    #[inline(always)]
    fn end<S: Simd>(&self, simd: S, sum: S::f32s, bias: S::f32s) -> S::f32s {
        let value = simd.add_f32s(sum, bias);
        if self.relu { cut(simd, value) } else { value }
    }

    /// # Safety
    /// As of [`vector`](Self::vector).
    #[inline(always)]
    unsafe fn store<S: Simd>(
        &self,
        simd: S,
        tail: Option<MemMask<S::m32s>>,
        to: *mut f32,
        at: [usize; 2],
        values: S::f32s,
    ) {
        if at[0] < self.size[0] && at[1] < self.size[1] {
            // SAFETY: it is there.
            unsafe {
                let to = to.add(at[0] * self.pitch[0] + at[1] * self.pitch[1]);
                match tail {
                    Some(mask) => simd.mask_store_ptr_f32s(mask, to, values),
                    None => to.cast::<S::f32s>().write_unaligned(values),
                }
            }
        }
    }
}

/// # Safety
/// A vector can be read, or what the mask leaves of it.
#[inline(always)]
unsafe fn load<S: Simd>(simd: S, tail: Option<MemMask<S::m32s>>, from: *const f32) -> S::f32s {
    // SAFETY: the caller's promise.
    unsafe {
        match tail {
            Some(mask) => simd.mask_load_ptr_f32s(mask, from),
            None => from.cast::<S::f32s>().read_unaligned(),
        }
    }
}

/// What is below zero becomes that; not a number stays what it is.
#[inline(always)]
fn cut<S: Simd>(simd: S, value: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_f32s(value, zero), zero, value)
}

#[inline(always)]
fn greater<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
    simd.select_f32s(simd.greater_than_f32s(a, b), a, b)
}

/// Where one of two is not a number.
#[inline(always)]
fn unordered<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::m32s {
    let odd = |x| simd.not_m32s(simd.equal_f32s(x, x));
    simd.or_m32s(odd(a), odd(b))
}
