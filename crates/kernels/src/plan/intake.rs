//! What comes in: samples `[channels, height, width]` as bytes or numbers, into a map in its margins, normalised on the way.

use pulp::{Simd, WithSimd};

use super::map::Map;
use super::step::Place;
use crate::product::arch;

/// Pixels of a picture that pay for normalising all values of a byte first.
const MANY: usize = 1024;

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
            Source::Pixels(values) if size >= MANY * self.mean.len() => {
                self.look_up(&values[index * size..][..size], to)
            }
            Source::Pixels(values) => arch().dispatch(Read { intake: self, from: &values[index * size..][..size], to }),
        }
    }

    /// A byte has so few values that each of them is normalised once, for all pixels.
    fn look_up(&self, from: &[u8], to: &mut [f32]) {
        let Self { place: Place { map, .. }, mean, std } = self;
        let Map { channels, size: [height, width], .. } = *map;
        let planes = from.chunks_exact(height * width);
        for (channel, (plane, (&mean, &std))) in planes.zip(mean.iter().zip(std)).enumerate() {
            let levels: [f32; 256] = std::array::from_fn(|level| ((level as u8).float() - mean) / std);
            for (to, from) in map.lines_mut(to).zip(plane.chunks_exact(width)) {
                for (to, &level) in to.chunks_exact_mut(channels).zip(from) {
                    to[channel] = levels[usize::from(level)];
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_looked_up_are_those_that_are_computed_bit_by_bit() {
        for (channels, size) in [(1, [32, 32]), (3, [31, 33]), (3, [32, 32]), (3, [40, 50])] {
            let map = Map { margins: [(1, 2), (3, 1)], ..Map::new(channels, size) };
            let (mean, std) = ([0.485, 0.456, 0.1], [0.229, 0.224, 0.7]);
            let place = Place { buffer: 0, map };
            let intake = Intake::new(place, mean[..channels].to_vec(), std[..channels].to_vec());
            let pixels: Vec<u8> = (0..2 * map.values()).map(|at| (at * 7 + at / 256) as u8).collect();
            let floats: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
            let [mut looked_up, mut computed] = [(); 2].map(|()| vec![f32::NAN; map.len()]);
            intake.run(Source::Pixels(&pixels), 1, &mut looked_up);
            intake.run(Source::Floats(&floats), 1, &mut computed);
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&looked_up), bits(&computed), "{channels} {size:?}");
        }
    }
}
