//! Which source pixels an output pixel is the weighted sum of, along one axis: the filters, and their weights.

use std::ops::Range;

use crate::Filter;

/// The source pixels of each output pixel along an axis.
pub(super) struct Taps {
    /// The first source pixel of each output pixel.
    firsts: Vec<usize>,
    /// Those of an output pixel have the sum one.
    weights: Vec<f32>,
    /// Weights of an output pixel; those that it doesn't need are zero.
    each: usize,
}

impl Taps {
    /// The taps of `out` pixels that cover `window` source pixels from `start`, of `size` that there are.
    pub(super) fn new(size: usize, start: f64, window: f64, out: usize, filter: Filter) -> Self {
        let step = window / out as f64;
        let widen = step.max(1.0);
        let radius = filter.radius() * widen;
        let mut found = Vec::with_capacity(out);
        let mut weights = Vec::new();
        let mut exact = Vec::new();
        for at in 0..out {
            let centre = start + (at as f64 + 0.5) * step;
            let begin = weights.len();
            if filter == Filter::Nearest {
                weights.push(1.0);
                found.push(((centre as usize).min(size - 1), begin..begin + 1));
                continue;
            }
            let first = (centre - radius).floor().max(0.0) as usize;
            let end = ((centre + radius).ceil() as usize).min(size);
            exact.clear();
            exact.extend((first..end).map(|source| filter.weight((source as f64 + 0.5 - centre) / widen)));
            let sum: f64 = exact.iter().sum();
            weights.extend(exact.iter().map(|weight| (weight / sum) as f32));
            found.push((first, begin..weights.len()));
        }
        Self::even(size, &found, &weights)
    }

    /// Equally many weights, as few as there can be, for each of the pixels of which `found` says where theirs are.
    fn even(size: usize, found: &[(usize, Range<usize>)], weights: &[f32]) -> Self {
        let weighs = |weight: &f32| *weight != 0.0;
        let cut = |(first, range): &(usize, Range<usize>)| {
            let all = &weights[range.clone()];
            let before = all.iter().position(weighs).unwrap_or(0);
            let end = all.iter().rposition(weighs).map_or(before, |last| last + 1);
            (first + before, &all[before..end])
        };
        let each = found.iter().map(|one| cut(one).1.len()).max().unwrap_or(0).max(1);
        let mut even = Self { firsts: Vec::with_capacity(found.len()), weights: vec![0.0; found.len() * each], each };
        for (one, to) in found.iter().zip(even.weights.chunks_exact_mut(each)) {
            let (wanted, weights) = cut(one);
            let first = wanted.min(size - each);
            to[wanted - first..][..weights.len()].copy_from_slice(weights);
            even.firsts.push(first);
        }
        even
    }

    /// Output pixels.
    pub(super) fn len(&self) -> usize {
        self.firsts.len()
    }

    /// The first source pixel of each output pixel, and the weights from there on.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.firsts.iter().copied().zip(self.weights.chunks_exact(self.each))
    }

    /// The source pixels that any of them needs.
    pub(super) fn used(&self) -> Range<usize> {
        let first = self.firsts.iter().min().copied().unwrap_or(0);
        first..self.firsts.iter().max().map_or(0, |first| first + self.each)
    }
}

impl Filter {
    /// How far it reaches, in output pixels.
    pub(super) fn radius(self) -> f64 {
        match self {
            Self::Nearest => 0.5,
            Self::Triangle => 1.0,
            Self::CatmullRom => 2.0,
            Self::Lanczos3 => 3.0,
        }
    }

    /// Its value at `x` (Keys 1981 with a = -0.5 for the bicubic one).
    pub(super) fn weight(self, x: f64) -> f64 {
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
