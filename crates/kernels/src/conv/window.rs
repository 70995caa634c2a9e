//! Maximum pooling right behind a convolution, while its rows are in the cache. Where the greatest value came from is one byte for each
//! output: its place in the window, or [`CUT`] where ReLU let nothing through.

use pulp::{Simd, WithSimd};

use crate::product::arch;

/// No value of the window got through.
pub(crate) const CUT: u8 = u8::MAX;

/// Windows of `size` x `size`, `stride` apart, without padding: rows and columns that fill none are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Rows and columns of a window: at most 15.
    pub size: usize,
    /// Steps between windows.
    pub stride: usize,
}

impl MaxPool {
    /// Height and width after a map of `size`; `None` where no window fits.
    pub(crate) fn output(self, size: [usize; 2]) -> Option<[usize; 2]> {
        let along = |side: usize| Some(side.checked_sub(self.size)? / self.stride + 1);
        Some([along(size[0])?, along(size[1])?])
    }

    /// Pools a row of windows, of which `rows` are the lines of the map, `width` pixels wide, into `out`; `from` is empty where nobody
    /// asks for the places.
    pub(crate) fn row(self, rows: &[f32], width: usize, channels: usize, relu: bool, out: &mut [f32], from: &mut [u8]) {
        assert!(rows.len() >= self.size * width * channels, "the lines of a window");
        arch().dispatch(PoolRow { pool: self, rows, width, channels, relu, out, from });
    }
}

struct PoolRow<'a> {
    pool: MaxPool,
    rows: &'a [f32],
    width: usize,
    channels: usize,
    relu: bool,
    out: &'a mut [f32],
    from: &'a mut [u8],
}

/// Channels that are pooled at once: a fixed number, so that the compiler makes vectors of them.
const WIDE: usize = 16;

impl WithSimd for PoolRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { pool, rows, width, channels, relu, out, from } = self;
        let mut none = [];
        for (column, out) in out.chunks_exact_mut(channels).enumerate() {
            let from = if from.is_empty() { &mut none[..] } else { &mut from[column * channels..][..channels] };
            let corner = column * pool.stride;
            for first in (0..channels).step_by(WIDE) {
                let held = (channels - first).min(WIDE);
                let mut best = [0.0f32; WIDE];
                let mut place = [0u32; WIDE];
                for tap in 0..pool.size * pool.size {
                    let pixel = (tap / pool.size) * width + corner + tap % pool.size;
                    let line = &rows[pixel * channels + first..][..held];
                    if let Ok(line) = <&[f32; WIDE]>::try_from(line) {
                        take(&mut best, &mut place, line, tap as u32);
                    } else {
                        let mut filled = [0.0; WIDE];
                        filled[..held].copy_from_slice(line);
                        take(&mut best, &mut place, &filled, tap as u32);
                    }
                }
                if relu {
                    for lane in 0..WIDE {
                        let cut = best[lane] <= 0.0;
                        best[lane] = if cut { 0.0 } else { best[lane] };
                        place[lane] = if cut { u32::from(CUT) } else { place[lane] };
                    }
                }
                out[first..first + held].copy_from_slice(&best[..held]);
                if !from.is_empty() {
                    let bytes: [u8; WIDE] = std::array::from_fn(|lane| place[lane] as u8);
                    from[first..first + held].copy_from_slice(&bytes[..held]);
                }
            }
        }
    }
}

/// Takes what is greater, or not a number: the last of these wins, as in Burn and PyTorch.
#[inline(always)]
fn take(best: &mut [f32; WIDE], place: &mut [u32; WIDE], line: &[f32; WIDE], tap: u32) {
    for lane in 0..WIDE {
        let value = line[lane];
        let wins = tap == 0 || value > best[lane] || value.is_nan();
        best[lane] = if wins { value } else { best[lane] };
        place[lane] = if wins { tap } else { place[lane] };
    }
}
