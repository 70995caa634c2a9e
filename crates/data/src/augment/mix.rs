//! Mixing of the samples of a batch: mixup blends two samples (Zhang et al., "mixup: beyond empirical risk minimization", 2017), cutmix
//! pastes a rectangle of one into the other (Yun et al., 2019). Targets are mixed with the same weights.

use crate::batch::{Batch, Inputs, Targets};
use crate::random::Random;

/// Mixes each sample with the one `step` places further on, for one random step and one weight in a batch. Class targets become
/// probabilities of `classes` columns, in a batch of one sample too. Where both amounts are given, a coin decides.
pub(super) fn mix(batch: &mut Batch, classes: usize, [mixup, cutmix]: [f32; 2], random: &mut Random) {
    soften(batch, classes);
    let n = batch.len();
    if n < 2 {
        return;
    }
    let paste = cutmix > 0.0 && (mixup == 0.0 || random.chance(0.5));
    // In steps of 1/256: bytes are blended by integers, and targets by the very same weight.
    let weight = (random.beta(if paste { cutmix } else { mixup }) * 256.0).round() / 256.0;
    let step = 1 + random.below(n as u32 - 1) as usize;
    let weight = if paste {
        let [_, _, height, width] = batch.shape;
        let place = rectangle(height, width, weight, random);
        match &mut batch.inputs {
            Inputs::Pixels(values) => pasted(values, batch.shape, step, place),
            Inputs::Floats(values) => pasted(values, batch.shape, step, place),
        }
        // What was really pasted, after rounding and clipping.
        1.0 - (place[2] * place[3]) as f32 / (height * width) as f32
    } else {
        match &mut batch.inputs {
            Inputs::Pixels(values) => {
                let (own, others) = ((weight * 256.0) as u16, 256 - (weight * 256.0) as u16);
                *values =
                    blended(values, n, step, |a, b| ((u16::from(a) * own + u16::from(b) * others + 128) >> 8) as u8);
            }
            Inputs::Floats(values) => *values = blended(values, n, step, |a, b| blend(a, b, weight)),
        }
        weight
    };
    if let Some(Targets::Dense { values, .. }) = &mut batch.targets {
        *values = blended(values, n, step, |a, b| blend(a, b, weight));
    }
}

/// Turns class indices into probabilities of 0 and 1.
fn soften(batch: &mut Batch, classes: usize) {
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
