//! Mixing of the samples of a batch: mixup blends two samples (Zhang et al., "mixup: beyond empirical risk minimization", 2017), cutmix
//! pastes a rectangle of one into the other (Yun et al., 2019). Targets are mixed with the same weights.

use crate::batch::{Batch, Inputs, Targets};
use crate::random::Random;

/// How the samples of a batch are mixed: each with the one `step` places further on, in a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mixture {
    /// At least 1, and fewer than there are samples.
    pub(crate) step: usize,
    pub(crate) way: Way,
}

/// What a sample takes from the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// All but this share of its values, in 256ths: bytes are blended by integers, and targets by the very same weight.
    Blend(u16),
    /// A rectangle: top, left, rows and columns.
    Paste([usize; 4]),
}

impl Mixture {
    /// Draws one step and one weight for a batch of `n` samples, which has none if they are fewer than two. Where both amounts are given, a
    /// coin decides.
    pub(super) fn draw(
        n: usize,
        [height, width]: [usize; 2],
        [mixup, cutmix]: [f32; 2],
        random: &mut Random,
    ) -> Option<Self> {
        if n < 2 {
            return None;
        }
        let paste = cutmix > 0.0 && (mixup == 0.0 || random.chance(0.5));
        let weight = (random.beta(if paste { cutmix } else { mixup }) * 256.0).round();
        let step = 1 + random.below(n as u32 - 1) as usize;
        let way = match paste {
            true => Way::Paste(rectangle(height, width, weight / 256.0, random)),
            false => Way::Blend(weight as u16),
        };
        Some(Self { step, way })
    }

    /// The share of a sample that stays its own, of a plane of so many pixels: of a paste what was really left, after rounding and clipping.
    fn weight(self, plane: usize) -> f32 {
        match self.way {
            Way::Blend(own) => f32::from(own) / 256.0,
            Way::Paste([_, _, rows, columns]) => 1.0 - (rows * columns) as f32 / plane as f32,
        }
    }

    /// Mixes inputs that lie in this batch, and its targets. Inputs on a device are mixed when they are made.
    pub(super) fn apply(self, batch: &mut Batch) {
        let (n, step) = (batch.len(), self.step);
        let [_, _, height, width] = batch.shape;
        let weight = self.weight(height * width);
        match (&mut batch.inputs, self.way) {
            (Inputs::Pixels(values), Way::Paste(place)) => pasted(values, batch.shape, step, place),
            (Inputs::Floats(values), Way::Paste(place)) => pasted(values, batch.shape, step, place),
            (Inputs::Pixels(values), Way::Blend(own)) => {
                let others = 256 - own;
                *values =
                    blended(values, n, step, |a, b| ((u16::from(a) * own + u16::from(b) * others + 128) >> 8) as u8);
            }
            (Inputs::Floats(values), Way::Blend(_)) => {
                *values = blended(values, n, step, |a, b| blend(a, b, weight));
            }
            (Inputs::Resident(rows), _) => rows.mixture = Some(self),
        }
        if let Some(Targets::Dense { values, .. }) = &mut batch.targets {
            *values = blended(values, n, step, |a, b| blend(a, b, weight));
        }
    }
}

/// Turns class indices into probabilities of 0 and 1, with `classes` columns.
pub(super) fn soften(batch: &mut Batch, classes: usize) {
    if let Some(Targets::Classes(indices)) = &batch.targets {
        let mut values = vec![0.0; indices.len() * classes];
        for (row, &class) in values.chunks_exact_mut(classes.max(1)).zip(indices) {
            row[class as usize] = 1.0;
        }
        batch.targets = Some(Targets::Dense { width: classes, values });
    }
}

fn blend(a: f32, b: f32, weight: f32) -> f32 {
    a * weight + b * (1.0 - weight)
}

/// `f` of each number and of the one `step` samples further on, of `n` samples in a circle.
fn blended<T: Copy>(values: &[T], n: usize, step: usize, f: impl Fn(T, T) -> T) -> Vec<T> {
    let (cut, mut out) = (values.len() / n * step, Vec::with_capacity(values.len()));
    let (head, tail) = values.split_at(cut);
    // Two plain loops, which become vector instructions; one over a chain of both wouldn't.
    out.extend(values.iter().zip(tail).map(|(&a, &b)| f(a, b)));
    out.extend(values[tail.len()..].iter().zip(head).map(|(&a, &b)| f(a, b)));
    out
}

/// Top, left, rows and columns of a rectangle of `1 - weight` of the area, with the picture's aspect, around a random centre, clipped.
fn rectangle(height: usize, width: usize, weight: f32, random: &mut Random) -> [usize; 4] {
    let side = (1.0 - weight).max(0.0).sqrt();
    let mut span = |len: usize| {
        let centre = random.below(len as u32) as usize;
        let half = (side * len as f32 / 2.0) as usize;
        let start = centre.saturating_sub(half);
        (start, (centre + half).min(len) - start)
    };
    let ((top, rows), (left, columns)) = (span(height), span(width));
    [top, left, rows, columns]
}

fn pasted<T: Copy>(values: &mut [T], [n, channels, height, width]: [usize; 4], step: usize, place: [usize; 4]) {
    let [top, left, rows, columns] = place;
    let source = values.to_vec();
    let plane = height * width;
    for (i, sample) in values.chunks_exact_mut(channels * plane).enumerate() {
        let other = &source[(i + step) % n * channels * plane..][..channels * plane];
        for start in
            (0..channels).flat_map(|channel| (top..top + rows).map(move |row| channel * plane + row * width + left))
        {
            sample[start..start + columns].copy_from_slice(&other[start..start + columns]);
        }
    }
}
