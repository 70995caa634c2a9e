//! The sums under convolutions and linear layers in prediction, in tiles that registers hold. Values that one output sums over come in
//! runs of neighbours: the channels of a pixel, or all inputs of a linear layer; so the innermost loop walks along a run and looks
//! nothing up.

use pulp::{Simd, WithSimd};

use crate::product::{Row, arch};

/// `C[row][j] = bias[j] + sum over taps and k below inner of A[row + tap + k] * B[tap, k][j]`, with B in panels as
/// [`Packed`](crate::product::Packed) has them.
pub(super) struct Tiles {
    /// Where each output's values begin, and where it lies: in rising order.
    rows: Vec<Row>,
    /// Where runs begin, from where a row's values begin.
    taps: Vec<usize>,
    /// Values of a run.
    inner: usize,
    columns: usize,
}

impl Tiles {
    pub(super) fn new(rows: Vec<Row>, taps: Vec<usize>, inner: usize, columns: usize) -> Self {
        // What `Panel::run` compares with the slices relies on it.
        assert!(rows.is_sorted_by_key(|row| row.a) && rows.is_sorted_by_key(|row| row.c), "rows in their order");
        Self { rows, taps, inner, columns }
    }

    /// Computes the first `count` rows of C; `relu` cuts what is below zero.
    pub(super) fn run(&self, count: usize, a: &[f32], b: &[f32], bias: &[f32], c: &mut [f32], relu: bool) {
        assert_eq!(bias.len(), self.columns, "a bias for each column");
        arch().dispatch(Run { tiles: self, rows: &self.rows[..count], a, b, bias, c, relu });
    }
}

struct Run<'a> {
    tiles: &'a Tiles,
    rows: &'a [Row],
    a: &'a [f32],
    b: &'a [f32],
    bias: &'a [f32],
    c: &'a mut [f32],
    relu: bool,
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Tiles { taps, inner, columns, .. } = self.tiles;
        let width = 2 * S::F32_LANES;
        let steps = taps.len() * inner * width;
        for (panel, first) in (0..*columns).step_by(width).enumerate() {
            let bias = &self.bias[first..(first + width).min(*columns)];
            let (b, relu) = (&self.b[panel * steps..], self.relu);
            Panel { rows: self.rows, taps, inner: *inner, a: self.a, b, bias, first, relu }.run(simd, self.c);
        }
    }
}

/// The sums of a panel: at most two vectors of columns.
pub(super) struct Panel<'a> {
    /// In rising order.
    pub(super) rows: &'a [Row],
    pub(super) taps: &'a [usize],
    pub(super) inner: usize,
    pub(super) a: &'a [f32],
    /// Begins with the panel.
    pub(super) b: &'a [f32],
    /// A value for each of its columns.
    pub(super) bias: &'a [f32],
    /// Its first column in C.
    pub(super) first: usize,
    pub(super) relu: bool,
}

impl Panel<'_> {
    #[inline(always)]
    pub(super) fn run<S: Simd>(self, simd: S, c: &mut [f32]) {
        let Self { rows, taps, inner, a, b, bias, first, relu } = self;
        let Some(last) = rows.last() else { return };
        let (lanes, width) = (S::F32_LANES, 2 * S::F32_LANES);
        if let Some(tap) = taps.iter().max().filter(|_| inner > 0) {
            assert!(a.len() >= last.a + tap + inner, "A reaches {}", last.a + tap + inner);
        }
        assert!(b.len() >= taps.len() * inner * width, "B holds {} values", b.len());
        assert!(c.len() >= last.c + first + bias.len() && bias.len() <= width, "C and the panel have all columns");
        // As many sums as registers hold beside two vectors of B and a value of A: 14 x 2 of 32, 6 x 2 of 16.
        let most = if S::REGISTER_COUNT >= 32 { 14 } else { 6 };
        let height = height(rows.len().div_ceil(rows.len().div_ceil(most)));
        let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
        for rows in rows.chunks(height) {
            let tile = Tile { rows, taps, inner, a, b, c, bias, first, relu };
            if bias.len() > lanes { tile.choose::<S, 2>(simd) } else { tile.choose::<S, 1>(simd) }
        }
    }
}

/// The rows of the smallest tile that there is for so many.
#[inline(always)]
fn height(rows: usize) -> usize {
    match rows {
        0..=2 => rows.max(1),
        3 | 4 => 4,
        5 | 6 => 6,
        7 | 8 => rows,
        9 | 10 => 10,
        11 | 12 => 12,
        _ => 14,
    }
}

struct Tile<'a> {
    rows: &'a [Row],
    taps: &'a [usize],
    inner: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    bias: &'a [f32],
    /// The first column.
    first: usize,
    relu: bool,
}

impl Tile<'_> {
    #[inline(always)]
    fn choose<S: Simd, const N: usize>(self, simd: S) {
        match height(self.rows.len()) {
            1 => simd.vectorize(Sized::<1, N>(self)),
            2 => simd.vectorize(Sized::<2, N>(self)),
            4 => simd.vectorize(Sized::<4, N>(self)),
            6 => simd.vectorize(Sized::<6, N>(self)),
            7 => simd.vectorize(Sized::<7, N>(self)),
            8 => simd.vectorize(Sized::<8, N>(self)),
            10 => simd.vectorize(Sized::<10, N>(self)),
            12 => simd.vectorize(Sized::<12, N>(self)),
            _ => simd.vectorize(Sized::<14, N>(self)),
        }
    }
}

/// The body for each row of a tile, written out: a loop would be unrolled too late for the sums to stay in registers.
macro_rules! each {
    ($i:ident < $m:ident, $body:block) => {
        each!(@ $i < $m, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    (@ $i:ident < $m:ident, $body:block, $($at:literal)*) => {
        $(if $at < $m {
            const { assert!($m <= 14) };
            let $i: usize = $at;
            $body
        })*
    };
}

/// A tile of M rows and N vectors of columns, of which the last need not be full.
struct Sized<'a, const M: usize, const N: usize>(Tile<'a>);

impl<const M: usize, const N: usize> WithSimd for Sized<'_, M, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let tile = self.0;
        let (lanes, zero) = (S::F32_LANES, simd.splat_f32s(0.0));
        let last = tile.rows.len() - 1;
        let mut start = [zero; N];
        for (j, start) in start.iter_mut().enumerate() {
            let bias = &tile.bias[j * lanes..];
            *start = if bias.len() >= lanes {
                // SAFETY: just compared. It spares the jump into a table with which a part of a vector is loaded.
                unsafe { bias.as_ptr().cast::<S::f32s>().read_unaligned() }
            } else {
                simd.partial_load_f32s(bias)
            };
        }
        let mut sums = [start; M];
        // SAFETY: `Panel::run` compared the slices with the greatest place of rows and taps. Panels of B are two vectors wide.
        unsafe {
            // A row that isn't there computes the last one again, and keeps it to itself.
            let mut rows = [tile.a; M];
            each!(i < M, {
                rows[i] = tile.a.add(tile.rows.get_unchecked(if i < last { i } else { last }).a);
            });
            let mut b = tile.b;
            for &tap in tile.taps {
                let mut a = rows;
                each!(i < M, {
                    a[i] = rows[i].add(tap);
                });
                for k in 0..tile.inner {
                    let vectors: [S::f32s; N] =
                        std::array::from_fn(|j| b.add(j * lanes).cast::<S::f32s>().read_unaligned());
                    each!(i < M, {
                        let value = simd.splat_f32s(*a[i].add(k));
                        sums[i] = std::array::from_fn(|j| simd.mul_add_e_f32s(value, vectors[j], sums[i][j]));
                    });
                    b = b.add(2 * lanes);
                }
            }
            each!(i < M, {
                if i <= last {
                    let to = tile.c.add(tile.rows.get_unchecked(i).c + tile.first);
                    for (j, &sum) in sums[i].iter().enumerate() {
                        // Not a number stays what it is.
                        let cut = simd.select_f32s(simd.less_than_f32s(sum, zero), zero, sum);
                        let sum = if tile.relu { cut } else { sum };
                        let held = tile.bias.len() - j * lanes;
                        if held >= lanes {
                            to.add(j * lanes).cast::<S::f32s>().write_unaligned(sum);
                        } else {
                            simd.partial_store_f32s(std::slice::from_raw_parts_mut(to.add(j * lanes), held), sum);
                        }
                    }
                }
            });
        }
    }
}
