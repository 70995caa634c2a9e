//! A block of sums in the processor's registers: the innermost loops of `product`, which has checked every place they read and write.

use pulp::{MemMask, Simd, WithSimd};

use crate::product::{Row, Step};

/// One block of sums that registers hold: at most M rows and N vectors of columns.
pub(crate) struct Tile<'a> {
    pub(crate) rows: &'a [Row],
    pub(crate) stretches: &'a [Step],
    pub(crate) inner: usize,
    pub(crate) apart: [usize; 2],
    pub(crate) a: *const f32,
    pub(crate) b: *const f32,
    pub(crate) c: *mut f32,
    pub(crate) bias: *const f32,
    pub(crate) add: bool,
    pub(crate) relu: bool,
    pub(crate) columns: usize,
}

impl Tile<'_> {
    #[inline(always)]
    pub(crate) fn choose<S: Simd, const LANES: bool>(self, simd: S) {
        match self.columns {
            columns if columns == 2 * S::F32_LANES => self.choose_rows::<S, 2, false, LANES>(simd),
            columns if columns > S::F32_LANES => self.choose_rows::<S, 2, true, LANES>(simd),
            columns if columns == S::F32_LANES => self.choose_rows::<S, 1, false, LANES>(simd),
            _ => self.choose_rows::<S, 1, true, LANES>(simd),
        }
    }

    #[inline(always)]
    fn choose_rows<S: Simd, const N: usize, const TAIL: bool, const LANES: bool>(self, simd: S) {
        match self.rows.len() {
            0 => {}
            1 => simd.vectorize(Sized::<'_, 1, N, TAIL, LANES>(self)),
            2 => simd.vectorize(Sized::<'_, 2, N, TAIL, LANES>(self)),
            3 | 4 => simd.vectorize(Sized::<'_, 4, N, TAIL, LANES>(self)),
            5 | 6 => simd.vectorize(Sized::<'_, 6, N, TAIL, LANES>(self)),
            7 | 8 => simd.vectorize(Sized::<'_, 8, N, TAIL, LANES>(self)),
            9 | 10 if !LANES => simd.vectorize(Sized::<'_, 10, N, TAIL, false>(self)),
            _ if !LANES => simd.vectorize(Sized::<'_, 12, N, TAIL, false>(self)),
            _ => unreachable!("taller than any tile over channels"),
        }
    }
}

/// The body for each row, or vector, of a tile, written out: a loop would be unrolled too late for the sums to stay in registers, and a
/// closure need not be inlined, which here would cost a call for each product.
macro_rules! each {
    ($i:ident < $count:ident, $body:block) => {
        each!(@ $i < $count, $body, 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    (@ $i:ident < $count:ident, $body:block, $($at:literal)*) => {
        $(if $at < $count {
            let $i: usize = $at;
            $body
        })*
    };
}

/// A tile of which the compiler knows the size. TAIL: the last vector is not full. LANES: as in [`Product`].
struct Sized<'a, const M: usize, const N: usize, const TAIL: bool, const LANES: bool>(Tile<'a>);

impl<const M: usize, const N: usize, const TAIL: bool, const LANES: bool> WithSimd for Sized<'_, M, N, TAIL, LANES> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        const { assert!(M <= 12 && N <= 2) };
        let tile = self.0;
        let vector = Vector::<S, N, TAIL> {
            simd,
            mask: simd.mask_between_m32s(0, (tile.columns - (N - 1) * S::F32_LANES) as u32),
        };
        let held = tile.rows.len().min(M);
        let zero = simd.splat_f32s(0.0);
        let mut sums = [[zero; N]; M];
        let mut a = [tile.a; M];
        // SAFETY: `Product::run` compared the slices with the greatest place of rows, steps and panels; vectors that reach beyond the
        // columns are read and written under the mask.
        unsafe {
            each!(i < M, {
                // A row that isn't there computes the last one again, and keeps it to itself.
                let row = tile.rows.get_unchecked(if i < held { i } else { held - 1 });
                a[i] = tile.a.add(row.a);
                if !tile.bias.is_null() {
                    each!(j < N, { sums[i][j] = vector.load(tile.bias, j) });
                } else if tile.add {
                    each!(j < N, { sums[i][j] = vector.load(tile.c.add(row.c), j) });
                }
            });
            for first in tile.stretches {
                let mut from = tile.b.add(first.b as usize);
                let mut row = a;
                each!(i < M, { row[i] = a[i].add(first.a as usize) });
                let mut at = 0;
                for _ in 0..tile.inner {
                    let mut b = [zero; N];
                    each!(j < N, { b[j] = vector.load(from, j) });
                    each!(i < M, {
                        if LANES {
                            let from = row[i].add(at);
                            each!(j < N, { sums[i][j] = simd.mul_add_e_f32s(vector.load(from, j), b[j], sums[i][j]) });
                        } else {
                            let a = simd.splat_f32s(*row[i].add(at));
                            each!(j < N, { sums[i][j] = simd.mul_add_e_f32s(a, b[j], sums[i][j]) });
                        }
                    });
                    at += tile.apart[0];
                    from = from.wrapping_add(tile.apart[1]);
                }
            }
            each!(i < M, {
                if i < held {
                    let c = tile.c.add(tile.rows.get_unchecked(i).c);
                    each!(j < N, {
                        let mut sum = sums[i][j];
                        if tile.relu {
                            // Not a number stays what it is.
                            sum = simd.select_f32s(simd.less_than_f32s(sum, zero), zero, sum);
                        }
                        vector.store(c, j, sum);
                    });
                }
            });
        }
    }
}

/// The vectors of a row, the last of which may be cut.
#[derive(Clone, Copy)]
struct Vector<S: Simd, const N: usize, const TAIL: bool> {
    simd: S,
    mask: MemMask<S::m32s>,
}

impl<S: Simd, const N: usize, const TAIL: bool> Vector<S, N, TAIL> {
    /// # Safety
    /// What the j-th vector holds can be read.
    #[inline(always)]
    unsafe fn load(self, row: *const f32, j: usize) -> S::f32s {
        // SAFETY: the caller's promise.
        unsafe {
            let from = row.add(j * S::F32_LANES);
            if TAIL && j == N - 1 {
                self.simd.mask_load_ptr_f32s(self.mask, from)
            } else {
                from.cast::<S::f32s>().read_unaligned()
            }
        }
    }

    /// # Safety
    /// What the j-th vector holds can be written.
    #[inline(always)]
    unsafe fn store(self, row: *mut f32, j: usize, values: S::f32s) {
        // SAFETY: the caller's promise.
        unsafe {
            let to = row.add(j * S::F32_LANES);
            if TAIL && j == N - 1 {
                self.simd.mask_store_ptr_f32s(self.mask, to, values);
            } else {
                to.cast::<S::f32s>().write_unaligned(values);
            }
        }
    }
}
