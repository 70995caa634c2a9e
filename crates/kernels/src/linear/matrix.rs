//! Products of matrices on several threads. Each thread packs the panels of B that it needs as it comes to them, so that they are in its
//! cache when they are used; what B is, its caller says.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::fresh::fresh;
use crate::parallel;
use crate::product::{Product, Row, Step, panel_width};
use crate::scratch;

/// Where the factors of A lie, for `rows` rows and `steps` factors in each.
pub(super) struct Left<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) row: usize,
    pub(super) steps: Steps,
}

/// Where the k-th factor of a row lies.
pub(super) enum Steps {
    /// So far from each other.
    Apart { steps: usize, by: usize },
    /// In the panels of a packed matrix of so many rows.
    Panels { steps: usize, rows: usize },
}

impl Steps {
    fn len(&self) -> usize {
        match *self {
            Self::Apart { steps, .. } | Self::Panels { steps, .. } => steps,
        }
    }

    fn place(&self, k: usize) -> usize {
        match *self {
            Self::Apart { by, .. } => k * by,
            Self::Panels { rows, .. } => k / panel_width() * rows * panel_width() + k % panel_width(),
        }
    }
}

/// Where the factors of B come from.
pub(super) enum Right<'a, P> {
    /// A matrix `[steps, columns]`, used as it lies.
    Rows(&'a [f32]),
    /// Its panels, one behind the other.
    Packed(&'a [f32]),
    /// Packs the panel of these columns: `[steps, panel_width]`, as much of it as there are columns.
    Pack(P),
}

/// A C that threads share, each with its own part of the rows or columns.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: threads write through it in places of their own only, which `into` sees to.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn column(self, first: usize) -> *mut f32 {
        self.0.wrapping_add(first)
    }
}

/// A B, or bias + A B, without what is below zero where `relu` says so: `columns` values for each row of A.
pub(super) fn multiply<P: Fn(usize, Range<usize>, &mut [f32]) + Sync>(
    a: &Left<'_>,
    b: &Right<'_, P>,
    columns: usize,
    bias: Option<&[f32]>,
    relu: bool,
) -> Vec<f32> {
    // SAFETY: every panel of every row is written, whatever the number of steps.
    unsafe { fresh(a.rows * columns, |c| into(a, b, columns, bias, relu, c)) }
}

fn into<P: Fn(usize, Range<usize>, &mut [f32]) + Sync>(
    a: &Left<'_>,
    b: &Right<'_, P>,
    columns: usize,
    bias: Option<&[f32]>,
    relu: bool,
    c: &mut [MaybeUninit<f32>],
) {
    let (width, steps) = (panel_width(), a.steps.len());
    assert_eq!(c.len(), a.rows * columns, "C holds a value for each row and column");
    if let Some(bias) = bias {
        assert_eq!(bias.len(), columns, "a bias for each column");
    }
    let apart = if matches!(b, Right::Rows(_)) { columns } else { width };
    let rows = (0..a.rows).map(|row| Row { a: row * a.row, c: row * columns }).collect();
    let places = (0..steps).map(|k| Step { a: a.steps.place(k) as u32, b: (k * apart) as u32 }).collect();
    let product = Product::rows(rows, places, columns.min(width));

    let shared = Shared(c.as_mut_ptr().cast());
    let panels = columns.div_ceil(width);
    let run = |rows: Range<usize>, panels: Range<usize>| {
        let buffer = if matches!(b, Right::Pack(_)) { steps * width } else { 0 };
        scratch::with(buffer, |buffer| {
            for panel in panels {
                let columns = panel * width..columns.min((panel + 1) * width);
                let b = match b {
                    Right::Rows(values) => &values[columns.start.min(values.len())..],
                    Right::Packed(values) => &values[panel * steps * width..(panel + 1) * steps * width],
                    Right::Pack(pack) => {
                        pack(panel, columns.clone(), buffer);
                        &*buffer
                    }
                };
                let bias = bias.map(|bias| &bias[columns.clone()]);
                // SAFETY: the length of C was compared with its rows and columns; parts share neither a row nor a panel.
                unsafe {
                    let c = shared.column(columns.start);
                    product.run_panel(rows.clone(), columns.len(), a.values, b, c, bias, relu);
                }
            }
        });
    };

    let work = steps * a.rows * columns;
    let parts = parallel::parts(panels, work / panels.max(1));
    let by_rows = parallel::parts(a.rows, steps * columns);
    // Panels are shared out where that is fair: then each is packed once.
    let most = parts.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
    if parts.len() >= by_rows.len() && most * parts.len() * 7 <= panels * 8 {
        parallel::each(&parts, vec![(); parts.len()], |panels, ()| run(0..a.rows, panels));
    } else {
        parallel::each(&by_rows, vec![(); by_rows.len()], |rows, ()| run(rows, 0..panels));
    }
}
