//! What counts in a picture, place by place, and the way back from the model's input to the picture that was given.

use data::ImageSpec;
use serde::Serialize;

/// A map of what counts in a picture, at the size of the model's input: of the picture as the network sees it, resized and cut. [`Heat::over`]
/// maps it back onto the picture that was given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Heat {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Whether numbers below zero mean that a place speaks against the output; else there are none, and no units.
    pub signed: bool,
    /// `[height, width]`. Of integrated gradients what each pixel adds to the score (they sum up to its change, but for the gap); of occlusion by
    /// how much the score falls where the place is hidden; of Grad-CAM where what speaks for the output was found.
    pub values: Vec<f32>,
}

impl Heat {
    /// The sum over the channels of `values`, `[channels, height, width]`.
    pub(super) fn of_channels(values: &[f64], image: &ImageSpec) -> Self {
        let size = image.height * image.width;
        let sum = |at: usize| values.iter().skip(at).step_by(size).sum::<f64>() as f32;
        Self { height: image.height, width: image.width, signed: true, values: (0..size).map(sum).collect() }
    }

    /// The map over a picture: `picture` is its height and width, `shown` how large it is drawn. `[height, width]` of `shown`; NaN where `image`,
    /// the model's input, has cut the picture off, so that the network saw nothing of it. Between the middles of the map's places it is
    /// interpolated.
    pub fn over(&self, image: &ImageSpec, picture: [usize; 2], shown: [usize; 2]) -> Vec<f32> {
        let framing = image.framing(picture);
        let places = [0, 1].map(|axis| {
            let place = move |at: usize| {
                // From the drawing to the picture, from there to the input.
                let along = (at as f64 + 0.5) * picture[axis] as f64 / shown[axis] as f64 - framing.start[axis];
                let inside = (0.0..=framing.span[axis]).contains(&along);
                let (from, to) = (framing.place[axis], framing.place[axis] + framing.size[axis] - 1);
                let cell = from as f64 + along * framing.size[axis] as f64 / framing.span[axis] - 0.5;
                inside.then(|| cell.clamp(from as f64, to as f64))
            };
            (0..shown[axis]).map(place).collect::<Vec<_>>()
        });
        let value = |row: Option<f64>, column: Option<f64>| row.zip(column).map_or(f32::NAN, |(y, x)| self.at(y, x));
        let [rows, columns] = places;
        rows.iter().flat_map(|row| columns.iter().map(move |column| value(*row, *column))).collect()
    }

    /// The number at a place between the middles of four.
    fn at(&self, y: f64, x: f64) -> f32 {
        let (top, left) = (y as usize, x as usize);
        let (bottom, right) = ((top + 1).min(self.height - 1), (left + 1).min(self.width - 1));
        let mix = |one: f32, other: f32, share: f64| one + (other - one) * share as f32;
        let line = |row: usize| {
            mix(self.values[row * self.width + left], self.values[row * self.width + right], x - left as f64)
        };
        mix(line(top), line(bottom), y - top as f64)
    }
}

#[cfg(test)]
mod tests {
    use data::{Filter, Fit};

    use super::*;

    fn image(fit: Fit, height: usize, width: usize) -> ImageSpec {
        ImageSpec { channels: 1, height, width, fit, filter: Filter::Nearest, mean: vec![0.0], std: vec![1.0] }
    }

    fn heat(height: usize, width: usize) -> Heat {
        Heat { height, width, signed: false, values: (0..height * width).map(|at| at as f32).collect() }
    }

    #[test]
    fn of_a_picture_of_the_models_size_it_stays_as_it_is() {
        for fit in [Fit::Crop, Fit::Stretch, Fit::Pad] {
            assert_eq!(heat(3, 4).over(&image(fit, 3, 4), [3, 4], [3, 4]), heat(3, 4).values);
        }
    }

    #[test]
    fn what_was_cut_off_has_no_heat_and_borders_that_were_added_are_left_out() {
        let cut = heat(2, 2).over(&image(Fit::Crop, 2, 2), [2, 4], [2, 4]);
        assert!([0, 3, 4, 7].iter().all(|at| cut[*at].is_nan()), "{cut:?}");
        assert_eq!([cut[1], cut[2], cut[5], cut[6]], [0.0, 1.0, 2.0, 3.0]);
        // Two of four rows are the picture's.
        assert_eq!(
            heat(4, 4).over(&image(Fit::Pad, 4, 4), [2, 4], [2, 4]),
            (4..12).map(|at| at as f32).collect::<Vec<_>>()
        );
        let stretched = heat(2, 1).over(&image(Fit::Stretch, 2, 1), [4, 9], [4, 2]);
        assert_eq!(stretched, [0.0, 0.0, 0.25, 0.25, 0.75, 0.75, 1.0, 1.0]);
    }

    #[test]
    fn a_large_picture_is_mapped_at_the_size_that_it_is_drawn_in() {
        let over = heat(2, 2).over(&image(Fit::Crop, 2, 2), [4000, 8000], [4, 8]);
        assert_eq!(over.iter().filter(|value| value.is_nan()).count(), 16);
        assert_eq!((over[2], over[5], over[31 - 2]), (0.0, 1.0, 3.0));
    }

    #[test]
    fn channels_add_up() {
        let spec = ImageSpec { channels: 2, ..image(Fit::Crop, 1, 2) };
        assert_eq!(Heat::of_channels(&[1.0, -2.0, 0.5, 0.25], &spec).values, [1.5, -1.75]);
    }
}
