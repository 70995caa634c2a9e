//! Pooling of channels-last slices, and its gradients, image by image.

use std::{mem::MaybeUninit, ops::Range};

use crate::{
    conv::{
        Window,
        window::{PoolRow, UnpoolRow},
    },
    flex::transpose,
    fresh::fresh,
    parallel,
    product::arch,
};

/// A map that is pooled in windows: `[batch, channels, height, width]`, and height and width after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub(super) pool: Window,
    pub(super) dims: [usize; 4],
    pub(super) output: [usize; 2],
}

/// `body` for each image of both, in parts.
fn images<T: Send + Sync, U: Send>(batch: usize, from: &[T], to: &mut [U], body: impl Fn(&[T], &mut [U]) + Sync) {
    let [from_size, to_size] = [from.len(), to.len()].map(|len| len / batch.max(1));
    let parts = parallel::parts(batch, 4 * (from_size + to_size));
    let states = parallel::cut(&parts, to, to_size);
    parallel::each(&parts, states, |part, to| {
        arch().dispatch(
            #[inline(always)]
            || {
                for (image, to) in part.zip(to.chunks_exact_mut(to_size.max(1))) {
                    body(&from[image * from_size..][..from_size], to);
                }
            },
        );
    });
}

#[inline(always)]
fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

impl Windows {
    fn len(&self) -> usize {
        self.dims[0] * self.dims[1] * self.output[0] * self.output[1]
    }

    /// The first value that each row of windows meets, which rows of the windows lie on the map, and each row of outputs.
    fn rows(&self) -> impl Iterator<Item = (usize, Range<usize>, Range<usize>)> + use<> {
        let Self { pool, dims: [_, channels, height, width], output } = *self;
        let line = output[1] * channels;
        (0..output[0]).map(move |row| {
            let (top, downs) = pool.meets(row, height);
            (top * width * channels, downs, row * line..(row + 1) * line)
        })
    }

    /// The greatest, and which value of its window it was, if `tracked`.
    pub(super) fn max(&self, x: &[f32], relu: bool, tracked: bool) -> (Vec<f32>, Vec<u8>) {
        let [batch, channels, _, width] = self.dims;
        let mut from = vec![0; if tracked { self.len() } else { 0 }];
        let [size, y_size] = [x.len(), self.len()].map(|len| len / batch.max(1));
        let parts = parallel::parts(batch, 4 * (size + y_size));
        let write = |y: &mut [MaybeUninit<f32>]| {
            let ys = parallel::cut(&parts, y, y_size);
            let froms = parallel::cut(&parts, &mut from, if tracked { y_size } else { 0 });
            parallel::each(&parts, ys.into_iter().zip(froms).collect(), |part, (y, from)| {
                for (at, image) in part.enumerate() {
                    let (x, y) = (&x[image * size..][..size], &mut y[at * y_size..][..y_size]);
                    for (corner, downs, row) in self.rows() {
                        let from = if tracked { &mut from[at * y_size..][row.clone()] } else { &mut [][..] };
                        let (rows, out) = (&x[corner..], &mut y[row]);
                        PoolRow { pool: self.pool, downs, rows, width, channels, relu, out, from }.run();
                    }
                }
            });
        };
        // SAFETY: every row of windows of every image is written.
        let y = unsafe { fresh(self.len(), write) };
        (y, from)
    }

    /// The gradient of the input of [`Windows::max`].
    pub(super) fn max_backward(&self, slope: &[f32], from: &[u8]) -> Vec<f32> {
        let [batch, channels, height, width] = self.dims;
        let mut to = vec![0.0; self.dims.iter().product()];
        let (size, y_size) = (channels * height * width, slope.len() / batch.max(1));
        let parts = parallel::parts(batch, 4 * (size + y_size));
        let states = parallel::cut(&parts, &mut to, size);
        parallel::each(&parts, states, |part, to| {
            for (image, to) in part.zip(to.chunks_exact_mut(size)) {
                let [start, end] = [image * y_size, (image + 1) * y_size];
                let (slope, from) = (&slope[start..end], &from[start..end]);
                for (corner, downs, row) in self.rows() {
                    let (gradient, from, dy) = (&slope[row.clone()], &from[row], &mut to[corner..]);
                    let bias = &mut [][..];
                    UnpoolRow { pool: self.pool, downs, gradient, from, dy, width, channels, bias }.run();
                }
            }
        });
        to
    }

    /// The mean, to which what lies off the map counts as zeros.
    pub(super) fn average(&self, x: &[f32]) -> Vec<f32> {
        let [batch, channels, _, _] = self.dims;
        let share = 1.0 / (self.pool.size * self.pool.size) as f32;
        let mut y = vec![0.0; self.len()];
        images(
            batch,
            x,
            &mut y,
            #[inline(always)]
            |x, y| {
                for (corner, downs, row) in self.rows() {
                    for (column, y) in y[row].chunks_exact_mut(channels).enumerate() {
                        for tap in self.taps(column, downs.len()) {
                            add(y, &x[corner + tap * channels..][..channels]);
                        }
                        y.iter_mut().for_each(|y| *y *= share);
                    }
                }
            },
        );
        y
    }

    /// The gradient of the input of [`Windows::average`].
    pub(super) fn average_backward(&self, slope: &[f32]) -> Vec<f32> {
        let [batch, channels, _, _] = self.dims;
        let share = 1.0 / (self.pool.size * self.pool.size) as f32;
        let mut to = vec![0.0; self.dims.iter().product()];
        images(
            batch,
            slope,
            &mut to,
            #[inline(always)]
            |slope, to| {
                for (corner, downs, row) in self.rows() {
                    for (column, slope) in slope[row].chunks_exact(channels).enumerate() {
                        for tap in self.taps(column, downs.len()) {
                            let to = &mut to[corner + tap * channels..][..channels];
                            to.iter_mut().zip(slope).for_each(|(to, slope)| *to += slope * share);
                        }
                    }
                }
            },
        );
        to
    }

    /// The pixels that a window meets in `rows` rows, from the first of those rows on.
    fn taps(&self, column: usize, rows: usize) -> impl Iterator<Item = usize> + use<> {
        let width = self.dims[3];
        let (left, rights) = self.pool.meets(column, width);
        (0..rows).flat_map(move |down| (0..rights.len()).map(move |right| down * width + left + right))
    }

    /// Each window's first pixel, between channels of zeros: `channels` of them all, `before` the map's.
    pub(super) fn subsample(&self, x: &[f32], before: usize, channels: usize) -> Vec<f32> {
        let [batch, held, _, _] = self.dims;
        let mut y = vec![0.0; batch * self.output[0] * self.output[1] * channels];
        images(batch, x, &mut y, |x, y| {
            let lines = y.chunks_exact_mut((self.output[1] * channels).max(1));
            for ((corner, _, _), line) in self.rows().zip(lines) {
                for (column, y) in line.chunks_exact_mut(channels).enumerate() {
                    let from = &x[corner + column * self.pool.stride * held..][..held];
                    y[before..before + held].copy_from_slice(from);
                }
            }
        });
        y
    }

    /// The gradient of the input of [`Windows::subsample`].
    pub(super) fn subsample_backward(&self, slope: &[f32], before: usize, channels: usize) -> Vec<f32> {
        let [batch, held, _, _] = self.dims;
        let mut to = vec![0.0; self.dims.iter().product()];
        images(batch, slope, &mut to, |slope, to| {
            let lines = slope.chunks_exact((self.output[1] * channels).max(1));
            for ((corner, _, _), line) in self.rows().zip(lines) {
                for (column, slope) in line.chunks_exact(channels).enumerate() {
                    let to = &mut to[corner + column * self.pool.stride * held..][..held];
                    to.copy_from_slice(&slope[before..before + held]);
                }
            }
        });
        to
    }
}

/// The mean of each channel of each image.
pub(super) fn global(x: &[f32], dims: [usize; 4]) -> Vec<f32> {
    let [batch, channels, height, width] = dims;
    let mut y = vec![0.0; batch * channels];
    images(
        batch,
        x,
        &mut y,
        #[inline(always)]
        |x, y| {
            x.chunks_exact(channels).for_each(|pixel| add(y, pixel));
            y.iter_mut().for_each(|y| *y /= (height * width) as f32);
        },
    );
    y
}

/// The gradient of the input of [`global`].
pub(super) fn global_backward(slope: &[f32], dims: [usize; 4]) -> Vec<f32> {
    let [batch, channels, height, width] = dims;
    let share = 1.0 / (height * width) as f32;
    let mut to = vec![0.0; dims.iter().product()];
    images(
        batch,
        slope,
        &mut to,
        #[inline(always)]
        |slope, to| {
            for to in to.chunks_exact_mut(channels) {
                to.iter_mut().zip(slope).for_each(|(to, slope)| *to = slope * share);
            }
        },
    );
    to
}

/// The images' matrices of `rows` by what remains, transposed.
pub(super) fn transposed(from: &[f32], batch: usize, rows: usize) -> Vec<f32> {
    let mut to = vec![0.0; from.len()];
    images(batch, from, &mut to, |from, to| transpose(from, rows, to));
    to
}
