//! The micro-kernel under convolutions and linear layers: sums of products over values at arbitrary places, so that a convolution needs
//! no copy of its patches and a gradient no transposed copy of anything. It knows no tensors and no threads.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

/// `C[i][j] = start + sum over k of A[rows[i].a + steps[k].a] * B[panel(j) + steps[k].b + j]`: where the factors lie.
///
/// The columns of B are cut into panels of [`panel_width`] columns. Packed weights have their panels one after the other, each with
/// rows of that width; a matrix in rows of `columns` is its own panels, [`panel_width`] apart.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    rows: Vec<Row>,
    steps: Vec<Step>,
    columns: usize,
    /// From a panel of B to the next.
    panel: usize,
    /// What slices must hold: the greatest place that is read or written, and one.
    reach: [usize; 3],
}

/// Where a row begins, in A and in C.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) a: usize,
    pub(crate) c: usize,
}

/// How far the k-th factors lie from the beginning of a row of A and of a panel of B.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) a: u32,
    pub(crate) b: u32,
}

/// What the sums begin with.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    Zero,
    /// A value for each column.
    Bias(&'a [f32]),
    /// What C holds.
    Add,
}

/// Columns of a panel: two vectors of the processor that this runs on.
pub(crate) fn panel_width() -> usize {
    struct Width;
    impl WithSimd for Width {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            2 * S::F32_LANES
        }
    }
    arch().dispatch(Width)
}

/// The instructions of this processor, asked once.
pub(crate) fn arch() -> Arch {
    static ARCH: std::sync::OnceLock<Arch> = std::sync::OnceLock::new();
    *ARCH.get_or_init(Arch::new)
}

impl Product {
    /// `columns` of B whose panels are `panel` apart and hold `held` columns each but for the last.
    fn new(rows: Vec<Row>, steps: Vec<Step>, columns: usize, panel: usize, last: usize) -> Self {
        let most = |places: &mut dyn Iterator<Item = usize>| places.max().unwrap_or(0);
        let (row_a, row_c) = (most(&mut rows.iter().map(|row| row.a)), most(&mut rows.iter().map(|row| row.c)));
        let step_a = most(&mut steps.iter().map(|step| step.a as usize));
        let step_b = most(&mut steps.iter().map(|step| step.b as usize));
        let panels = columns.div_ceil(panel_width());
        let empty = rows.is_empty() || columns == 0;
        let read = !empty && !steps.is_empty();
        let reach = [
            if read { row_a + step_a + 1 } else { 0 },
            if read { (panels - 1) * panel + step_b + last } else { 0 },
            if empty { 0 } else { row_c + columns },
        ];
        Self { rows, steps, columns, panel, reach }
    }

    /// Over weights that [`Packed`] holds: the k-th step meets their k-th row.
    pub(crate) fn packed(rows: Vec<Row>, steps: impl Iterator<Item = u32>, columns: usize) -> Self {
        let width = panel_width();
        let steps: Vec<Step> = steps.zip(0u32..).map(|(a, k)| Step { a, b: k * width as u32 }).collect();
        let panel = steps.len() * width;
        Self::new(rows, steps, columns, panel, width)
    }

    /// Over a matrix whose rows hold `columns` side by side, wherever the steps say that they begin.
    pub(crate) fn rows(rows: Vec<Row>, steps: Vec<Step>, columns: usize) -> Self {
        let width = panel_width();
        let last = columns - (columns.div_ceil(width).max(1) - 1) * width;
        Self::new(rows, steps, columns, width, last)
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Computes `rows` of C; `relu` cuts what is below zero.
    pub(crate) fn run(&self, rows: Range<usize>, a: &[f32], b: &[f32], c: &mut [f32], start: Start<'_>, relu: bool) {
        assert!(a.len() >= self.reach[0], "A holds {} values of {}", a.len(), self.reach[0]);
        assert!(b.len() >= self.reach[1], "B holds {} values of {}", b.len(), self.reach[1]);
        assert!(c.len() >= self.reach[2], "C holds {} values of {}", c.len(), self.reach[2]);
        if let Start::Bias(bias) = start {
            assert_eq!(bias.len(), self.columns, "a bias for each column");
        }
        arch().dispatch(Run { product: self, rows: &self.rows[rows], a, b, c, start, relu });
    }
}

struct Run<'a> {
    product: &'a Product,
    rows: &'a [Row],
    a: &'a [f32],
    b: &'a [f32],
    c: &'a mut [f32],
    start: Start<'a>,
    relu: bool,
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (width, product) = (2 * S::F32_LANES, self.product);
        // As many sums as registers hold beside two vectors of B and a value of A: 12 x 2 of 32, 6 x 2 of 16.
        let most = if S::REGISTER_COUNT >= 32 { 12 } else { 6 };
        let tiles = self.rows.len().div_ceil(most);
        let height = self.rows.len().div_ceil(tiles.max(1)).max(1);
        for (panel, first) in (0..product.columns).step_by(width).enumerate() {
            let columns = (product.columns - first).min(width);
            for rows in self.rows.chunks(height) {
                let tile = Tile {
                    rows,
                    steps: &product.steps,
                    a: self.a.as_ptr(),
                    // SAFETY: `run` has compared the lengths with the greatest places; panels and columns lie below them.
                    b: unsafe { self.b.as_ptr().add(panel * product.panel) },
                    c: unsafe { self.c.as_mut_ptr().add(first) },
                    bias: match self.start {
                        Start::Bias(bias) => bias[first..].as_ptr(),
                        _ => std::ptr::null(),
                    },
                    add: matches!(self.start, Start::Add),
                    relu: self.relu,
                    columns,
                };
                tile.choose(simd);
            }
        }
    }
}

/// One block of sums that registers hold: at most M rows and N vectors of columns.
struct Tile<'a> {
    rows: &'a [Row],
    steps: &'a [Step],
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    bias: *const f32,
    add: bool,
    relu: bool,
    columns: usize,
}

impl Tile<'_> {
    #[inline(always)]
    fn choose<S: Simd>(self, simd: S) {
        match self.columns {
            columns if columns == 2 * S::F32_LANES => self.choose_rows::<S, 2, false>(simd),
            columns if columns > S::F32_LANES => self.choose_rows::<S, 2, true>(simd),
            columns if columns == S::F32_LANES => self.choose_rows::<S, 1, false>(simd),
            _ => self.choose_rows::<S, 1, true>(simd),
        }
    }

    #[inline(always)]
    fn choose_rows<S: Simd, const N: usize, const TAIL: bool>(self, simd: S) {
        match self.rows.len() {
            0 => {}
            1 => simd.vectorize(Sized::<'_, 1, N, TAIL>(self)),
            2 => simd.vectorize(Sized::<'_, 2, N, TAIL>(self)),
            3 | 4 => simd.vectorize(Sized::<'_, 4, N, TAIL>(self)),
            5 | 6 => simd.vectorize(Sized::<'_, 6, N, TAIL>(self)),
            7 | 8 => simd.vectorize(Sized::<'_, 8, N, TAIL>(self)),
            9 | 10 => simd.vectorize(Sized::<'_, 10, N, TAIL>(self)),
            _ => simd.vectorize(Sized::<'_, 12, N, TAIL>(self)),
        }
    }
}

/// The body for each row and vector of a tile, written out: a loop would be unrolled too late for the sums to stay in registers.
macro_rules! each {
    ($i:ident < $m:ident, $body:block) => {
        each!(@ $i < $m, $body, 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    (@ $i:ident < $m:ident, $body:block, $($at:literal)*) => {
        $(if $at < $m {
            const { assert!($m <= 12) };
            let $i: usize = $at;
            $body
        })*
    };
}

/// A tile of which the compiler knows the size. TAIL: the last vector is not full.
struct Sized<'a, const M: usize, const N: usize, const TAIL: bool>(Tile<'a>);

impl<const M: usize, const N: usize, const TAIL: bool> WithSimd for Sized<'_, M, N, TAIL> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let tile = self.0;
        let lanes = S::F32_LANES;
        let held = tile.rows.len().min(M);
        let mask = simd.mask_between_m32s(0, (tile.columns - (N - 1) * lanes) as u32);
        let zero = simd.splat_f32s(0.0);
        let mut sums = [[zero; N]; M];
        // SAFETY: `Product::run` compared the slices with the greatest place of rows, steps and panels; vectors that reach beyond the
        // columns are read and written under the mask.
        unsafe {
            let load = |from: *const f32, j: usize| match TAIL && j == N - 1 {
                true => simd.mask_load_ptr_f32s(mask, from.add(j * lanes)),
                false => from.add(j * lanes).cast::<S::f32s>().read_unaligned(),
            };
            let last = held - 1;
            let mut a = [tile.a; M];
            each!(i < M, {
                // A row that isn't there computes the last one again, and keeps it to itself.
                let row = tile.rows.get_unchecked(if i < last { i } else { last });
                a[i] = tile.a.add(row.a);
                if !tile.bias.is_null() {
                    sums[i] = std::array::from_fn(|j| load(tile.bias, j));
                } else if tile.add {
                    sums[i] = std::array::from_fn(|j| load(tile.c.add(row.c), j));
                }
            });
            for step in tile.steps {
                let from = tile.b.add(step.b as usize);
                let b: [S::f32s; N] = std::array::from_fn(|j| load(from, j));
                each!(i < M, {
                    let a = simd.splat_f32s(*a[i].add(step.a as usize));
                    sums[i] = std::array::from_fn(|j| simd.mul_add_e_f32s(a, b[j], sums[i][j]));
                });
            }
            each!(i < M, {
                if i < held {
                    let c = tile.c.add(tile.rows.get_unchecked(i).c);
                    for (j, &sum) in sums[i].iter().enumerate() {
                        // Not a number stays what it is.
                        let sum =
                            if tile.relu { simd.select_f32s(simd.less_than_f32s(sum, zero), zero, sum) } else { sum };
                        let to = c.add(j * lanes);
                        match TAIL && j == N - 1 {
                            true => simd.mask_store_ptr_f32s(mask, to, sum),
                            false => to.cast::<S::f32s>().write_unaligned(sum),
                        }
                    }
                }
            });
        }
    }
}

/// Weights in panels: for each panel the rows k, each of [`panel_width`] columns, the last panel filled up with zeros.
pub(crate) struct Packed {
    values: Vec<f32>,
}

impl Packed {
    /// Packs `[steps, columns]`, of which `at(k, j)` gives the values.
    pub(crate) fn new(steps: usize, columns: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let width = panel_width();
        let panels = columns.div_ceil(width);
        let mut values = vec![0.0; panels * steps * width];
        for (panel, values) in values.chunks_exact_mut((steps * width).max(1)).enumerate() {
            let first = panel * width;
            let held = (columns - first).min(width);
            for (k, row) in values.chunks_exact_mut(width).enumerate() {
                for (j, value) in row[..held].iter_mut().enumerate() {
                    *value = at(k, first + j);
                }
            }
        }
        Self { values }
    }

    /// The values, as [`Product::packed`] expects them.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu() -> f64 {
        let s = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        s.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
    }

    #[test]
    fn speed() {
        let (m, k, n) = (196usize, 288usize, 64usize);
        let a: Vec<f32> = (0..m * k).map(|i| (i % 7) as f32).collect();
        let b = Packed::new(k, n, |i, j| ((i * 3 + j) % 5) as f32);
        let mut c = vec![0.0; m * n];
        let rows = (0..m).map(|i| Row { a: i * k, c: i * n }).collect();
        let p = Product::packed(rows, 0..k as u32, n);
        p.run(0..m, &a, b.values(), &mut c, Start::Zero, false);
        for i in [0, 5, 195] {
            for j in [0, 17, 63] {
                let e: f32 = (0..k).map(|x| a[i * k + x] * ((x * 3 + j) % 5) as f32).sum();
                assert_eq!(c[i * n + j], e);
            }
        }
        let mut best = f64::MAX;
        for _ in 0..20 {
            let t = cpu();
            for _ in 0..1000 {
                p.run(0..m, &a, b.values(), &mut c, Start::Zero, false);
            }
            best = best.min(cpu() - t);
        }
        println!("width {} GF/s {}", panel_width(), 2.0 * (m * n * k * 1000) as f64 / best / 1e9);
    }
}
