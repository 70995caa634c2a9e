//! What goes to a device for a batch: a row of whole numbers for each of its samples, all in one piece. Owns which number stands where.

use std::ops::Range;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::Rows;
use crate::augment::Way;

/// Which sample it is.
pub(super) const SAMPLE: usize = 0;
/// Which sample of the batch it is mixed with.
pub(super) const OTHER: usize = 1;
/// How much of a blend is its own, in 256ths.
pub(super) const OWN: usize = 2;
/// What is pasted over it: the first row and column, and those behind the last.
pub(super) const PASTE: usize = 3;
/// [`Jitter`](crate::augment::Jitter), in the order of its fields.
pub(super) const JITTER: usize = 7;
/// What is painted over it, as [`PASTE`].
pub(super) const HOLE: usize = 10;
/// From a pixel of a row to the next, x and y.
pub(super) const STEP: usize = 14;
/// Where the rows begin: x of all, then y of all.
const START: usize = 16;

/// The numbers of a batch, `[batch, numbers]`.
pub(super) struct Numbers(Tensor<2, Int>);

impl Numbers {
    /// Those of `rows`, whose pictures are of `size` (height, width), on `device`.
    pub(super) fn of(rows: &Rows, size: [usize; 2], device: &Device) -> Self {
        let (n, width) = (rows.indices.len(), START + 2 * size[0]);
        let mut all = vec![0; n * width];
        for (at, numbers) in all.chunks_exact_mut(width).enumerate() {
            fill(rows, at, size, numbers);
        }
        Self(Tensor::from_data(TensorData::new(all, [n, width]), (device, DType::I32)))
    }

    /// One number of each sample, `[batch]`.
    pub(super) fn of_each(&self, at: usize) -> Tensor<1, Int> {
        self.0.clone().narrow(1, at, 1).flatten(0, 1)
    }

    /// The same, `[batch, 1, 1]`.
    pub(super) fn column(&self, at: usize) -> Tensor<3, Int> {
        self.0.clone().narrow(1, at, 1).unsqueeze_dim(2)
    }

    /// Where the rows of pictures of `height` begin, x or y (0 or 1): `[batch, height, 1]`.
    pub(super) fn starts(&self, axis: usize, height: usize) -> Tensor<3, Int> {
        self.0.clone().narrow(1, START + axis * height, height).unsqueeze_dim(2)
    }
}

/// The numbers of sample `at`.
fn fill(rows: &Rows, at: usize, size: [usize; 2], numbers: &mut [i32]) {
    numbers[SAMPLE] = rows.indices[at] as i32;
    if let Some(mixture) = &rows.mixture {
        numbers[OTHER] = ((at + mixture.step) % rows.indices.len()) as i32;
        match mixture.way {
            Way::Blend(own) => numbers[OWN] = own.into(),
            Way::Paste(place) => put(numbers, PASTE..PASTE + 4, place),
        }
    }
    let Some(stroke) = rows.strokes.get(at) else { return };
    if let Some(jitter) = stroke.jitter {
        numbers[JITTER..JITTER + 3].copy_from_slice(&[jitter.own, jitter.shared, jitter.level]);
    }
    if let Some(place) = stroke.hole {
        put(numbers, HOLE..HOLE + 4, place);
    }
    let (starts, [step_x, step_y]) = stroke.positions(size);
    // Of pictures whose sides are bounded: 32 bits hold them.
    (numbers[STEP], numbers[STEP + 1]) = (step_x as i32, step_y as i32);
    for (y, [start_x, start_y]) in starts.enumerate() {
        (numbers[START + y], numbers[START + size[0] + y]) = (start_x as i32, start_y as i32);
    }
}

/// A rectangle of top, left, rows and columns.
fn put(numbers: &mut [i32], to: Range<usize>, [top, left, rows, columns]: [usize; 4]) {
    let corners = [top, left, top + rows, left + columns].map(|edge| edge as i32);
    numbers[to].copy_from_slice(&corners);
}
