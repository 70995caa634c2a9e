//! The micro-kernel under convolutions and linear layers: sums of products over values at arbitrary places, so that a convolution needs
//! no copy of its patches and a gradient no transposed copy of anything. It knows no tensors and no threads.

use std::ops::Range;

use pulp::{Arch, MemMask, Simd, WithSimd};

/// `C[i][j] = start + sum over k of A[rows[i].a + steps[k].a] * B[panel(j) + steps[k].b + j]`: where the factors lie.
///
/// The columns of B are cut into panels of [`panel_width`] columns. Packed weights have their panels one after the other, each with
/// rows of that width; a matrix in rows of `columns` is its own panels, [`panel_width`] apart.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    rows: Vec<Row>,
    /// The steps, as stretches of `inner` steps that lie `apart` from each other: the innermost loop looks nothing up.
    stretches: Vec<Step>,
    inner: usize,
    apart: Step,
    columns: usize,
    /// From a panel of B to the next.
    panel: usize,
    /// Whether the columns of A lie side by side as those of B do, and only equal columns meet: `A[rows[i].a + steps[k].a + j]`.
    lanes: bool,
    /// How far the steps reach in A and in B, and one.
    reach: [usize; 2],
}

/// Where a row begins, in A and in C.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) a: usize,
    pub(crate) c: usize,
}

/// How far the k-th factors lie from the beginning of a row of A and of a panel of B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// `columns` of B whose panels are `panel` apart; of the last one, `last` columns can be read.
    fn new(rows: Vec<Row>, steps: Vec<Step>, columns: usize, panel: usize, last: usize) -> Self {
        // What `run` compares with the slices relies on it.
        assert!(rows.is_sorted_by_key(|row| row.a) && rows.is_sorted_by_key(|row| row.c), "rows in their order");
        let most = |place: fn(&Step) -> u32| steps.iter().map(place).max().map_or(0, |most| most as usize + 1);
        let panels = columns.div_ceil(panel_width()).max(1);
        let reach = [most(|step| step.a), most(|step| step.b) + (panels - 1) * panel + last.max(1) - 1];
        let (stretches, inner, apart) = stretches(&steps);
        Self { rows, stretches, inner, apart, columns, panel, lanes: false, reach }
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

    /// Over channels: each column of A, side by side as those of B are, meets the same column of B only.
    pub(crate) fn lanes(rows: Vec<Row>, steps: Vec<Step>, columns: usize) -> Self {
        Self { lanes: true, ..Self::rows(rows, steps, columns) }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Computes `rows` of C; `relu` cuts what is below zero.
    pub(crate) fn run(&self, rows: Range<usize>, a: &[f32], b: &[f32], c: &mut [f32], start: Start<'_>, relu: bool) {
        let rows = &self.rows[rows];
        let Some(last) = rows.last().filter(|_| self.columns > 0) else { return };
        if !self.stretches.is_empty() {
            let reach = last.a + self.reach[0] + if self.lanes { self.columns - 1 } else { 0 };
            assert!(a.len() >= reach, "A holds {} values of {reach}", a.len());
            assert!(b.len() >= self.reach[1], "B holds {} values of {}", b.len(), self.reach[1]);
        }
        assert!(c.len() >= last.c + self.columns, "C holds {} values of {}", c.len(), last.c + self.columns);
        if let Start::Bias(bias) = start {
            assert_eq!(bias.len(), self.columns, "a bias for each column");
        }
        arch().dispatch(Run { product: self, rows, columns: self.columns, a, b, c: c.as_mut_ptr(), start, relu });
    }

    /// Computes `rows` of the first `columns` of C from a single panel, so that threads can share the columns of a C between them.
    ///
    /// # Safety
    /// `c` can be written at the places of all rows in these columns, and nobody else reads or writes there.
    #[expect(clippy::too_many_arguments, reason = "as `run`, and the columns")]
    pub(crate) unsafe fn run_panel(
        &self,
        rows: Range<usize>,
        columns: usize,
        a: &[f32],
        b: &[f32],
        c: *mut f32,
        bias: Option<&[f32]>,
        relu: bool,
    ) {
        assert!(columns <= panel_width() && !self.lanes && self.columns >= columns, "one panel");
        let rows = &self.rows[rows];
        let Some(last) = rows.last().filter(|_| columns > 0) else { return };
        if let Some(step) = self.stretches.iter().map(|step| step.b).max() {
            assert!(a.len() >= last.a + self.reach[0], "A holds {} values of {}", a.len(), last.a + self.reach[0]);
            let reach = step as usize + (self.inner - 1) * self.apart.b as usize + columns;
            assert!(b.len() >= reach, "B holds {} values of {reach}", b.len());
        }
        let start = match bias {
            Some(bias) => Start::Bias(&bias[..columns]),
            None => Start::Zero,
        };
        arch().dispatch(Run { product: self, rows, columns, a, b, c, start, relu });
    }
}

/// Cuts steps into stretches of equal length whose steps lie equally far apart: the first of each, their length, how far.
fn stretches(steps: &[Step]) -> (Vec<Step>, usize, Step) {
    // Steps rise within a stretch; where they don't, each is a stretch of its own.
    let apart = |pair: &[Step]| Some(Step { a: pair[1].a.checked_sub(pair[0].a)?, b: pair[1].b.checked_sub(pair[0].b)? });
    let Some(first) = steps.windows(2).next().and_then(apart) else { return (steps.to_vec(), 1, Step { a: 0, b: 0 }) };
    let inner = 1 + steps.windows(2).take_while(|pair| apart(pair) == Some(first)).count();
    let even = |stretch: &[Step]| stretch.len() == inner && stretch.windows(2).all(|pair| apart(pair) == Some(first));
    if steps.chunks(inner).all(even) {
        return (steps.iter().step_by(inner).copied().collect(), inner, first);
    }
    (steps.to_vec(), 1, Step { a: 0, b: 0 })
}

struct Run<'a> {
    product: &'a Product,
    rows: &'a [Row],
    columns: usize,
    a: &'a [f32],
    b: &'a [f32],
    c: *mut f32,
    start: Start<'a>,
    relu: bool,
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (width, product) = (2 * S::F32_LANES, self.product);
        // As many sums as registers hold beside two vectors of B and a value of A: 12 x 2 of 32, 6 x 2 of 16. A single register too few
        // halves the speed.
        let most = match (S::REGISTER_COUNT >= 32, product.lanes) {
            (true, false) => 12,
            (true, true) => 8,
            (false, _) => 4,
        };
        let height = height(self.rows.len(), most);
        for (panel, first) in (0..self.columns).step_by(width).enumerate() {
            let columns = (self.columns - first).min(width);
            for rows in self.rows.chunks(height) {
                let tile = Tile {
                    rows,
                    stretches: &product.stretches,
                    inner: product.inner,
                    apart: [product.apart.a as usize, product.apart.b as usize],
                    a: self.a.as_ptr().wrapping_add(if product.lanes { first } else { 0 }),
                    b: self.b.as_ptr().wrapping_add(panel * product.panel),
                    c: self.c.wrapping_add(first),
                    bias: match self.start {
                        Start::Bias(bias) => bias[first..].as_ptr(),
                        _ => std::ptr::null(),
                    },
                    add: matches!(self.start, Start::Add),
                    relu: self.relu,
                    columns,
                };
                if product.lanes { tile.choose::<S, true>(simd) } else { tile.choose::<S, false>(simd) }
            }
        }
    }
}

/// Rows of a tile, `most` at most: as many as there can be, or all tiles alike, whichever leaves fewer sums unused at the end.
fn height(rows: usize, most: usize) -> usize {
    // What a tile takes: sizes are even, and few sums wait for each other.
    let takes = |rows: usize| if rows == 0 { 0 } else { rows.next_multiple_of(2).max(4) };
    let all = |height: usize| rows / height * takes(height) + takes(rows % height);
    let alike = rows.div_ceil(rows.div_ceil(most).max(1)).max(1);
    if all(most) < all(alike) { most } else { alike }
}

/// One block of sums that registers hold: at most M rows and N vectors of columns.
struct Tile<'a> {
    rows: &'a [Row],
    stretches: &'a [Step],
    inner: usize,
    apart: [usize; 2],
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
    fn choose<S: Simd, const LANES: bool>(self, simd: S) {
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

    /// The values alone.
    pub(crate) fn into_values(self) -> Vec<f32> {
        self.values
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
