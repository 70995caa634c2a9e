//! Resampling to the size that an [`ImageSpec`] asks for. Our own, because the recipe is part of every model: a model must see the
//! same pixels whatever version of an image library reads them. Filters are widened by the scale when shrinking (as Pillow's are),
//! so that nothing aliases.

use std::ops::Range;

use serde::Serialize;

use crate::{Filter, Fit, ImageSpec};

/// The source pixels of one output pixel along an axis: the first of them, and their weights, whose sum is one.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// Which part of a picture a network sees, and where in its input that part lies. Rows first, then columns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Framing {
    /// Where the part begins, in the picture's pixels.
    pub start: [f64; 2],
    /// Its height and width, in the picture's pixels.
    pub span: [f64; 2],
    /// Where it begins in the input.
    pub place: [usize; 2],
    /// Its height and width in the input; what is left of the input is black.
    pub size: [usize; 2],
}

impl ImageSpec {
    /// What of a picture of `size`, height and width, the network sees.
    pub fn framing(&self, size: [usize; 2]) -> Framing {
        let target = [self.height, self.width];
        let ratios = [target[0] as f64 / size[0] as f64, target[1] as f64 / size[1] as f64];
        let scale = match self.fit {
            Fit::Crop => ratios[0].max(ratios[1]),
            Fit::Pad => ratios[0].min(ratios[1]),
            Fit::Stretch => 1.0,
        };
        let axis = |side: usize| match self.fit {
            Fit::Stretch => (size[side] as f64, target[side]),
            // The middle of the source that the scaled picture would keep. Pixels beyond it still take part in the filter.
            Fit::Crop => ((target[side] as f64 / scale).min(size[side] as f64), target[side]),
            Fit::Pad => (size[side] as f64, ((size[side] as f64 * scale).round() as usize).clamp(1, target[side])),
        };
        let [rows, columns] = [axis(0), axis(1)];
        let span = [rows.0, columns.0];
        let inner = [rows.1, columns.1];
        Framing {
            start: std::array::from_fn(|side| (size[side] as f64 - span[side]) / 2.0),
            span,
            place: std::array::from_fn(|side| (target[side] - inner[side]) / 2),
            size: inner,
        }
    }
}

/// Resizes `pixels`, `[height, width, channels]` with `size` = [height, width], as `spec` asks: `[channels, height, width]`.
pub(crate) fn fit(pixels: &[u8], size: [usize; 2], spec: &ImageSpec) -> Vec<u8> {
    let (channels, target) = (spec.channels, [spec.height, spec.width]);
    let framing = spec.framing(size);
    let [rows, columns] =
        [0, 1].map(|side| taps(size[side], framing.start[side], framing.span[side], framing.size[side], spec.filter));
    let inner = framing.size;
    let inner_pixels = if inner == size {
        pixels.iter().map(|&value| f32::from(value)).collect()
    } else if size[0] * inner[1] <= inner[0] * size[1] {
        // The order that keeps less in between: a long thin picture must not cost more memory than a square one.
        let used = used(&rows);
        let between = horizontal(
            &pixels[used.start * size[1] * channels..used.end * size[1] * channels],
            size[1],
            channels,
            &columns,
        );
        vertical(&between, inner[1] * channels, &rows, used.start)
    } else {
        let between = vertical(pixels, size[1] * channels, &rows, 0);
        horizontal(&between, size[1], channels, &columns)
    };
    place(&inner_pixels, &framing, channels, target)
}

/// Puts `[height, width, channels]` into the middle of black `[channels, height, width]`.
fn place(pixels: &[f32], framing: &Framing, channels: usize, [height, width]: [usize; 2]) -> Vec<u8> {
    let mut out = vec![0; channels * height * width];
    let [top, left] = framing.place;
    for (y, row) in pixels.chunks_exact(framing.size[1] * channels).enumerate() {
        for (x, pixel) in row.chunks_exact(channels).enumerate() {
            for (channel, value) in pixel.iter().enumerate() {
                out[(channel * height + top + y) * width + left + x] = (value + 0.5).clamp(0.0, 255.0) as u8;
            }
        }
    }
    out
}

/// The taps of `out` pixels that cover `window` source pixels from `start`, of `size` that there are.
fn taps(size: usize, start: f64, window: f64, out: usize, filter: Filter) -> Vec<Taps> {
    let step = window / out as f64;
    let widen = step.max(1.0);
    let radius = filter.radius() * widen;
    let one = |at: usize| {
        let centre = start + (at as f64 + 0.5) * step;
        if filter == Filter::Nearest {
            return Taps { first: (centre as usize).min(size - 1), weights: vec![1.0] };
        }
        let first = (centre - radius).floor().max(0.0) as usize;
        let end = ((centre + radius).ceil() as usize).min(size);
        let weights: Vec<f64> =
            (first..end).map(|source| filter.weight((source as f64 + 0.5 - centre) / widen)).collect();
        let sum: f64 = weights.iter().sum();
        Taps { first, weights: weights.into_iter().map(|weight| (weight / sum) as f32).collect() }
    };
    (0..out).map(one).collect()
}

/// The source pixels that any of `taps` needs.
fn used(taps: &[Taps]) -> Range<usize> {
    let first = taps.iter().map(|taps| taps.first).min().unwrap_or(0);
    let end = taps.iter().map(|taps| taps.first + taps.weights.len()).max().unwrap_or(0);
    first..end
}

/// `[rows, width, channels]` to `[rows, taps, channels]`.
fn horizontal<T: Copy + Into<f32>>(pixels: &[T], width: usize, channels: usize, taps: &[Taps]) -> Vec<f32> {
    let mut out = Vec::with_capacity(pixels.len() / width.max(1) * taps.len());
    for row in pixels.chunks_exact(width * channels) {
        for Taps { first, weights } in taps {
            let mut sums = [0.0f32; 3];
            for (pixel, &weight) in row[first * channels..].chunks_exact(channels).zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += weight * value.into();
                }
            }
            out.extend_from_slice(&sums[..channels]);
        }
    }
    out
}

/// `[rows, len]`, whose first row is number `offset`, to `[taps, len]`.
fn vertical<T: Copy + Into<f32>>(pixels: &[T], len: usize, taps: &[Taps], offset: usize) -> Vec<f32> {
    let mut out = vec![0.0f32; taps.len() * len];
    for (sums, Taps { first, weights }) in out.chunks_exact_mut(len).zip(taps) {
        for (row, &weight) in pixels[(first - offset) * len..].chunks_exact(len).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += weight * value.into();
            }
        }
    }
    out
}

impl Filter {
    /// How far it reaches, in output pixels.
    fn radius(self) -> f64 {
        match self {
            Self::Nearest => 0.5,
            Self::Triangle => 1.0,
            Self::CatmullRom => 2.0,
            Self::Lanczos3 => 3.0,
        }
    }

    /// Its value at `x` (Keys 1981 with a = -0.5 for the bicubic one).
    fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        match self {
            Self::Nearest => f64::from(u8::from(x <= 0.5)),
            Self::Triangle => (1.0 - x).max(0.0),
            Self::CatmullRom if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::CatmullRom if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Self::Lanczos3 if x < 3.0 => sinc(x) * sinc(x / 3.0),
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests;
