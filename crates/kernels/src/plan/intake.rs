//! What comes in: samples `[channels, height, width]` as bytes or numbers, into a map in its margins, normalised on the way.

use pulp::{Simd, WithSimd};

use super::map::Map;
use super::step::Place;
use crate::product::arch;

/// A batch, one sample after the other.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Floats(&'a [f32]),
    /// Pixels, of which 255 is 1.
    Pixels(&'a [u8]),
}

impl Source<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Pixels(values) => values.len(),
        }
    }
}

/// (x - mean) / std for each channel: the operations, and so the bits, that a network's input is normalised by elsewhere.
pub(super) struct Intake {
    pub(super) place: Place,
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Intake {
    pub(super) fn new(place: Place, mean: Vec<f32>, std: Vec<f32>) -> Self {
        Self { place, mean, std }
    }

    /// Brings sample number `index` into `to`.
    pub(super) fn run(&self, source: Source<'_>, index: usize, to: &mut [f32]) {
        let size = self.place.map.values();
        self.place.map.clear(to);
        match source {
            Source::Floats(values) => arch().dispatch(Read { intake: self, from: &values[index * size..][..size], to }),
            Source::Pixels(values) => arch().dispatch(Read { intake: self, from: &values[index * size..][..size], to }),
        }
    }
}

trait Value: Copy {
    fn float(self) -> f32;
}

impl Value for f32 {
    #[inline(always)]
    fn float(self) -> f32 {
        self
    }
}

impl Value for u8 {
    #[inline(always)]
    fn float(self) -> f32 {
        f32::from(self) / 255.0
    }
}

struct Read<'a, T> {
    intake: &'a Intake,
    from: &'a [T],
    to: &'a mut [f32],
}

impl<T: Value> WithSimd for Read<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Intake { place: Place { map, .. }, mean, std } = self.intake;
        let Map { channels, size: [height, width], .. } = *map;
        if height * width == 1 {
            let statistics = mean.iter().zip(std);
            for ((to, from), (mean, std)) in self.to[map.row(0)..].iter_mut().zip(self.from).zip(statistics) {
                *to = (from.float() - mean) / std;
            }
            return;
        }
        let planes = self.from.chunks_exact(height * width);
        for (channel, (plane, (&mean, &std))) in planes.zip(mean.iter().zip(std)).enumerate() {
            for (row, from) in plane.chunks_exact(width).enumerate() {
                let to = &mut self.to[map.row(row) + channel..];
                if channels == 1 {
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = (from.float() - mean) / std);
                } else {
                    to.iter_mut().step_by(channels).zip(from).for_each(|(to, from)| *to = (from.float() - mean) / std);
                }
            }
        }
    }
}
