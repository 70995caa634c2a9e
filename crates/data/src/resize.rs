//! Resampling to the size that an [`ImageSpec`] asks for. Our own, because the recipe is part of every model: a model must see the
//! same pixels whatever version of an image library reads them. Filters are widened by the scale when shrinking (as Pillow's are),
//! so that nothing aliases.

mod taps;

use serde::Serialize;

use crate::{Fit, ImageSpec};
use taps::Taps;

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
    let framing = spec.framing(size);
    let mut out = Planes { values: vec![0; spec.channels * spec.height * spec.width], spec, framing };
    if framing.size == size {
        pixels.chunks_exact(size[1] * spec.channels).enumerate().for_each(|(row, line)| out.copy(row, line));
        return out.values;
    }
    let [rows, columns] = [0, 1]
        .map(|side| Taps::new(size[side], framing.start[side], framing.span[side], framing.size[side], spec.filter));
    if size[0] * framing.size[1] <= framing.size[0] * size[1] {
        // The order that keeps less in between: a long thin picture must not cost more memory than a square one.
        columns_first(pixels, size[1], &rows, &columns, &mut out);
    } else {
        rows_first(pixels, size[1], &rows, &columns, &mut out);
    }
    out.values
}

/// `pixels` are `width` wide.
fn columns_first(pixels: &[u8], width: usize, rows: &Taps, columns: &Taps, out: &mut Planes<'_>) {
    let (channels, used) = (out.spec.channels, rows.used());
    let (source, len) = (width * channels, columns.len() * channels);
    let mut between = vec![0.0; used.len() * len];
    let mut line = vec![0.0; source + 1];
    let lines = pixels[used.start * source..used.end * source].chunks_exact(source);
    for (pixels, to) in lines.zip(between.chunks_exact_mut(len)) {
        line.iter_mut().zip(pixels).for_each(|(to, &value)| *to = f32::from(value));
        across(&line, channels, columns, to);
    }
    let mut line = vec![0.0; len];
    for (row, (first, weights)) in rows.iter().enumerate() {
        down(&between[(first - used.start) * len..], weights, &mut line);
        out.round(row, &line);
    }
}

/// `pixels` are `width` wide.
fn rows_first(pixels: &[u8], width: usize, rows: &Taps, columns: &Taps, out: &mut Planes<'_>) {
    let channels = out.spec.channels;
    let source = width * channels;
    let (mut line, mut narrow) = (vec![0.0; source + 1], vec![0.0; columns.len() * channels]);
    for (row, (first, weights)) in rows.iter().enumerate() {
        down(&pixels[first * source..], weights, &mut line[..source]);
        across(&line, channels, columns, &mut narrow);
        out.round(row, &narrow);
    }
}

/// A row `[width, channels]`, behind which one more value can be read, to `[channels, columns]`.
fn across(line: &[f32], channels: usize, columns: &Taps, to: &mut [f32]) {
    if channels == 1 {
        for (to, (first, weights)) in to.iter_mut().zip(columns.iter()) {
            *to = line[first..].iter().zip(weights).fold(0.0, |sum, (value, weight)| sum + weight * value);
        }
        return;
    }
    let (red, rest) = to.split_at_mut(columns.len());
    let (green, blue) = rest.split_at_mut(columns.len());
    for (((red, green), blue), (first, weights)) in red.iter_mut().zip(green).zip(blue).zip(columns.iter()) {
        // Four values make a vector, of which the last is the next pixel's and counts for nothing.
        let mut sums = [0.0f32; 4];
        let mut rest = &line[3 * first..];
        for &weight in weights {
            let Some(pixel) = rest.first_chunk::<4>() else { break };
            sums = std::array::from_fn(|lane| sums[lane] + weight * pixel[lane]);
            rest = &rest[3..];
        }
        [*red, *green, *blue, _] = sums;
    }
}

/// Sums `weights.len()` rows as long as `to`, two at a time: filters that enlarge have no more.
fn down<T: Copy + Into<f32>>(rows: &[T], weights: &[f32], to: &mut [f32]) {
    let mut rows = rows.chunks_exact(to.len());
    let (pairs, last) = weights.as_chunks::<2>();
    to.fill(0.0);
    for &[upper, lower] in pairs {
        let (Some(above), Some(below)) = (rows.next(), rows.next()) else { return };
        for ((sum, &above), &below) in to.iter_mut().zip(above).zip(below) {
            *sum = *sum + upper * above.into() + lower * below.into();
        }
    }
    if let ([weight], Some(row)) = (last, rows.next()) {
        to.iter_mut().zip(row).for_each(|(sum, &value)| *sum += weight * value.into());
    }
}

/// A picture as the network takes it, `[channels, height, width]`, and where in it the resized one lies.
struct Planes<'a> {
    values: Vec<u8>,
    spec: &'a ImageSpec,
    framing: Framing,
}

impl Planes<'_> {
    /// A row of each channel.
    fn rows(&mut self, row: usize) -> impl Iterator<Item = &mut [u8]> {
        let ImageSpec { height, width, .. } = *self.spec;
        let Framing { place: [top, left], size: [_, columns], .. } = self.framing;
        let plane = self.values.chunks_exact_mut(height * width);
        plane.map(move |plane| &mut plane[(top + row) * width + left..][..columns])
    }

    /// Pixels `[columns, channels]` as they are.
    fn copy(&mut self, row: usize, pixels: &[u8]) {
        let channels = self.spec.channels;
        for (channel, to) in self.rows(row).enumerate() {
            to.iter_mut().zip(pixels[channel..].iter().step_by(channels)).for_each(|(to, &value)| *to = value);
        }
    }

    /// Sums `[channels, columns]`.
    fn round(&mut self, row: usize, sums: &[f32]) {
        let columns = self.framing.size[1];
        for (to, sums) in self.rows(row).zip(sums.chunks_exact(columns)) {
            to.iter_mut().zip(sums).for_each(|(to, sum)| *to = byte(*sum));
        }
    }
}

/// The whole number nearest to a sum, and no byte's neighbour: of two that are equally near the greater one.
fn byte(sum: f32) -> u8 {
    /// Numbers from here on have no fraction, and the last bits of their pattern are those of the number.
    const WHOLE: f32 = (1 << 23) as f32;
    // Cutting the fraction off, in operations that there are vectors of: `as` looks at each number by itself.
    let sum = (sum + 0.5).clamp(0.0, 255.0);
    let near = sum + WHOLE;
    (near.to_bits() as u8).wrapping_sub(u8::from(near - WHOLE > sum))
}

#[cfg(test)]
mod tests;
