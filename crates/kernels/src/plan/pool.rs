//! Windows of a map, and the whole map, channel by channel.

use pulp::{Simd, WithSimd};

use super::map::Map;
use crate::{Window, product::arch};

/// What a window becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Max,
    /// The greatest, or 0 where that is below it.
    MaxRelu,
    Mean,
}

/// What windows make of a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    pub(super) kind: Kind,
    pub(super) windows: Window,
}

impl Pool {
    /// Height and width after a map of `size`; `None` where no window fits.
    pub(super) fn output(self, size: [usize; 2]) -> Option<[usize; 2]> {
        let Window { size: window, stride, padding } = self.windows;
        (window > 0 && stride > 0 && padding <= window / 2).then_some(())?;
        self.windows.output(size)
    }

    /// One row of windows without padding, of a map `width` pixels wide: `from` begins with the first value of their upper row, whose
    /// rows are `pitch` apart, `to` with the first of `to.len() / channels` windows.
    pub(super) fn row(self, from: &[f32], pitch: usize, width: usize, channels: usize, to: &mut [f32]) {
        let rows = self.windows.size;
        arch().dispatch(Row { pool: self, from, pitch, rows, width, channels, to });
    }

    /// A whole map.
    pub(super) fn run(self, map: &Map, from: &[f32], to_map: &Map, to: &mut [f32]) {
        for (row, to) in to_map.lines_mut(to).enumerate() {
            let (top, downs) = self.windows.meets(row, map.size[0]);
            let (from, rows) = (&from[map.row(top)..], downs.len());
            let (pitch, width, channels) = (map.pitch(), map.size[1], map.channels);
            arch().dispatch(Row { pool: self, from, pitch, rows, width, channels, to });
        }
    }
}

struct Row<'a> {
    pool: Pool,
    from: &'a [f32],
    pitch: usize,
    /// Of the windows, from where `from` begins.
    rows: usize,
    width: usize,
    channels: usize,
    to: &'a mut [f32],
}

/// Channels at once: a fixed number, so that the compiler makes vectors of them.
const WIDE: usize = 16;

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        match self.pool.kind {
            // Not a number stays what it is, and the last of these wins, as in Burn and PyTorch.
            Kind::Max => self.reduce(f32::NEG_INFINITY, take, |best| best),
            Kind::MaxRelu => self.reduce(f32::NEG_INFINITY, take, |best| if best < 0.0 { 0.0 } else { best }),
            Kind::Mean => {
                let count = (self.pool.windows.size * self.pool.windows.size) as f32;
                self.reduce(0.0, |sum, value| sum + value, |sum| sum / count)
            }
        }
    }
}

#[inline(always)]
fn take(best: f32, value: f32) -> f32 {
    if value > best || value.is_nan() { value } else { best }
}

impl Row<'_> {
    #[inline(always)]
    fn reduce(self, start: f32, with: impl Fn(f32, f32) -> f32, end: impl Fn(f32) -> f32) {
        let Self { pool, from, pitch, rows, width, channels, to } = self;
        for (column, to) in to.chunks_exact_mut(channels).enumerate() {
            let (left, rights) = pool.windows.meets(column, width);
            let (corner, taps) = (left * channels, rights.len());
            let mut wide = to.chunks_exact_mut(WIDE);
            for (index, to) in wide.by_ref().enumerate() {
                let mut all = [start; WIDE];
                for row in 0..rows {
                    for tap in 0..taps {
                        let from = &from[row * pitch + corner + tap * channels + index * WIDE..][..WIDE];
                        for lane in 0..WIDE {
                            all[lane] = with(all[lane], from[lane]);
                        }
                    }
                }
                for lane in 0..WIDE {
                    to[lane] = end(all[lane]);
                }
            }
            let rest = channels / WIDE * WIDE;
            for (lane, to) in wide.into_remainder().iter_mut().enumerate() {
                let mut all = start;
                for row in 0..rows {
                    for tap in 0..taps {
                        all = with(all, from[row * pitch + corner + tap * channels + rest + lane]);
                    }
                }
                *to = end(all);
            }
        }
    }
}

/// The mean of each channel.
pub(super) fn global_average(map: &Map, from: &[f32], to: &mut [f32]) {
    let to = &mut to[..map.channels];
    to.fill(0.0);
    for line in map.lines(from) {
        for pixel in line.chunks_exact(map.channels) {
            to.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
        }
    }
    let count = (map.size[0] * map.size[1]) as f32;
    to.iter_mut().for_each(|sum| *sum /= count);
}

/// Every `stride`-th pixel, its channels from number `before` on, zeros in all others.
pub(super) fn subsample(map: &Map, from: &[f32], to_map: &Map, to: &mut [f32], stride: usize, before: usize) {
    for (row, to) in to_map.lines_mut(to).enumerate() {
        let from = &from[map.row(row * stride)..];
        for (column, to) in to.chunks_exact_mut(to_map.channels).enumerate() {
            to.fill(0.0);
            to[before..before + map.channels].copy_from_slice(&from[column * stride * map.channels..][..map.channels]);
        }
    }
}
