//! The micro-kernel under convolutions and linear layers: sums of products over values at arbitrary places, so that a convolution needs
//! no copy of its patches and a gradient no transposed copy of anything. It knows no tensors and no threads.

use std::mem::MaybeUninit;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::tile::Tile;

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

/// The best instructions of this processor, asked once; or fewer, where the environment's `STRIATE_SIMD` says `avx2` or `scalar`: so that
/// one machine can test what others run.
pub(crate) fn arch() -> Arch {
    static ARCH: std::sync::OnceLock<Arch> = std::sync::OnceLock::new();
    *ARCH.get_or_init(|| match std::env::var("STRIATE_SIMD").as_deref() {
        Ok("scalar") => Arch::Scalar,
        #[cfg(target_arch = "x86_64")]
        Ok("avx2") => pulp::x86::V3::try_new().map_or_else(Arch::new, Arch::V3),
        _ => Arch::new(),
    })
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
        self.check(rows.clone(), a, b, c.len(), start);
        // SAFETY: just checked; C holds values, so it can be added to.
        unsafe { self.compute(rows, a, b, c.as_mut_ptr(), start, relu) }
    }

    /// Computes `rows` of a C that holds nothing yet. The sums begin with `bias` or with zero.
    pub(crate) fn fill(
        &self,
        rows: Range<usize>,
        a: &[f32],
        b: &[f32],
        c: &mut [MaybeUninit<f32>],
        bias: Option<&[f32]>,
        relu: bool,
    ) {
        let start = bias.map_or(Start::Zero, Start::Bias);
        self.check(rows.clone(), a, b, c.len(), start);
        // SAFETY: just checked; nothing is read from C.
        unsafe { self.compute(rows, a, b, c.as_mut_ptr().cast(), start, relu) }
    }

    /// Whether the slices hold all that will be read and written.
    fn check(&self, rows: Range<usize>, a: &[f32], b: &[f32], c: usize, start: Start<'_>) {
        let Some(last) = self.rows[rows].last().filter(|_| self.columns > 0) else { return };
        if !self.stretches.is_empty() {
            let reach = last.a + self.reach[0] + if self.lanes { self.columns - 1 } else { 0 };
            assert!(a.len() >= reach, "A holds {} values of {reach}", a.len());
            assert!(b.len() >= self.reach[1], "B holds {} values of {}", b.len(), self.reach[1]);
        }
        assert!(c >= last.c + self.columns, "C holds {c} values of {}", last.c + self.columns);
        if let Start::Bias(bias) = start {
            assert_eq!(bias.len(), self.columns, "a bias for each column");
        }
    }

    /// # Safety
    /// [`Product::check`] has passed; where `start` adds to it, C holds values.
    unsafe fn compute(&self, rows: Range<usize>, a: &[f32], b: &[f32], c: *mut f32, start: Start<'_>, relu: bool) {
        let rows = &self.rows[rows];
        if self.columns > 0 && !rows.is_empty() {
            arch().dispatch(Run { product: self, rows, columns: self.columns, a, b, c, start, relu });
        }
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
    let apart =
        |pair: &[Step]| Some(Step { a: pair[1].a.checked_sub(pair[0].a)?, b: pair[1].b.checked_sub(pair[0].b)? });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::Packed;

    /// Whole numbers, whose sums are exact in any order.
    fn whole(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7 + i / 5) % 11) as f32 - 5.0).collect()
    }

    #[test]
    fn sums_are_those_of_a_matrix_product_at_every_size_of_tile() {
        for (m, k, n) in [(1, 1, 1), (2, 3, 5), (5, 1, 16), (9, 7, 31), (13, 2, 32), (25, 4, 33), (40, 9, 70)] {
            let (a, weights) = (whole(m * k), whole(k * n));
            let packed = Packed::new(k, n, |i, j| weights[i * n + j]);
            let rows = || (0..m).map(|i| Row { a: i * k, c: i * n }).collect();
            let steps = |apart: usize| (0..k as u32).map(|a| Step { a, b: a * apart as u32 }).collect();
            let bias = whole(n);
            let expected: Vec<f32> = (0..m * n)
                .map(|at| bias[at % n] + (0..k).map(|x| a[at / n * k + x] * weights[x * n + at % n]).sum::<f32>())
                .collect();
            for (product, b) in [
                (Product::packed(rows(), 0..k as u32, n), packed.values()),
                (Product::rows(rows(), steps(n), n), &weights[..]),
            ] {
                let mut c = vec![f32::NAN; m * n];
                product.run(0..m, &a, b, &mut c, Start::Bias(&bias), false);
                assert_eq!(c, expected, "{m} {k} {n}");
                product.run(0..m, &a, b, &mut c, Start::Zero, true);
                product.run(0..m, &a, b, &mut c, Start::Add, false);
                let cut = |(value, bias): (&f32, &f32)| (value - bias).max(0.0) + (value - bias);
                let twice: Vec<f32> = expected.iter().zip(bias.iter().cycle()).map(cut).collect();
                assert_eq!(c, twice, "{m} {k} {n}");
            }
        }
    }

    #[test]
    fn steps_make_stretches_where_they_lie_evenly() {
        let steps = |places: &[u32]| places.iter().zip(0..).map(|(&a, k)| Step { a, b: 2 * k }).collect::<Vec<_>>();
        let (first, inner, apart) = stretches(&steps(&[0, 1, 2, 9, 10, 11]));
        assert_eq!((first.len(), inner, apart), (2, 3, Step { a: 1, b: 2 }));
        assert_eq!(stretches(&steps(&[0, 1, 2, 9, 10])).1, 1);
        assert_eq!(stretches(&steps(&[5, 1, 2])).1, 1);
        assert_eq!(stretches(&[]).0, []);
    }

    #[test]
    #[should_panic(expected = "A holds")]
    fn a_slice_that_is_too_short_is_refused() {
        let product = Product::packed(vec![Row { a: 4, c: 0 }], 0..2, 1);
        product.run(0..1, &[0.0; 5], &[0.0; 64], &mut [0.0], Start::Zero, false);
    }
}
