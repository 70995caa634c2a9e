//! Pictures that lie on a device, gathered and augmented there: what `augment` does to bytes, as operations on tensors of 32-bit integers, for
//! GPUs round and fuse floats as they like. What each line must come to stands in `augment`; `tests.rs` compares them, to the bit.

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};

use super::Rows;
use super::numbers::{HOLE, JITTER, Numbers, OTHER, OWN, PASTE, SAMPLE, STEP};
use crate::Augment;
use crate::augment::{Fill, LUMA, Way};

/// What pictures of one shape are painted with.
pub(super) struct Paints {
    /// `[channels, height, width]`.
    shape: [usize; 3],
    fill: Fill,
    /// What is done, whatever is drawn.
    geometry: bool,
    jitter: bool,
    erase: bool,
    /// 0, 8, 16, 24: where the bytes of a number are, `[1, 1, 4]`.
    shifts: Tensor<3, Int>,
    /// Row and column of each pixel, `[1, 1, pixels]` each.
    places: [Tensor<3, Int>; 2],
    /// Of each channel, `[1, channels, 1]`.
    mean: Tensor<3, Int>,
    /// What the network takes for each of the 256 values of a pixel: GPUs divide as they like, too.
    floats: Tensor<1>,
}

impl Paints {
    pub(super) fn new(shape: [usize; 3], augment: &Augment, mean: Vec<u8>, device: &Device) -> Self {
        let [_, height, width] = shape;
        let row = |values: Vec<usize>| {
            let (n, values) = (values.len(), values.into_iter().map(|value| value as i32).collect::<Vec<_>>());
            Tensor::<3, Int>::from_data(TensorData::new(values, [1, 1, n]), (device, DType::I32))
        };
        let pixels = || 0..height * width;
        let floats: Vec<f32> = (0..=u8::MAX).map(crate::batch::float).collect();
        Self {
            shape,
            fill: augment.fill,
            geometry: augment.changes_geometry(),
            jitter: augment.jitters(),
            erase: augment.erases(),
            shifts: row(vec![0, 8, 16, 24]),
            places: [row(pixels().map(|at| at / width).collect()), row(pixels().map(|at| at % width).collect())],
            mean: row(mean.into_iter().map(usize::from).collect()).swap_dims(1, 2),
            floats: Tensor::from_data(TensorData::new(floats, [256]), device),
        }
    }

    /// All of `rows`, of what lies in `words`: `[batch, channels * height * width]`, 0..=1.
    pub(super) fn paint(&self, words: &Tensor<2, Int>, rows: &Rows) -> Tensor<2> {
        let [channels, height, width] = self.shape;
        let numbers = Numbers::of(rows, [height, width], &words.device());
        let mut pixels = self.unpacked(words, &numbers);
        if self.geometry {
            // Without draws these are samples as they are, and lie with their edges all the same.
            pixels = if rows.strokes.is_empty() { self.without_edges(pixels) } else { self.moved(pixels, &numbers) };
        }
        if self.jitter && !rows.strokes.is_empty() {
            pixels = self.jittered(pixels, &numbers);
        }
        if self.erase && !rows.strokes.is_empty() {
            let mean = self.mean.clone().expand(pixels.dims());
            pixels = self.covered(pixels, mean, HOLE, &numbers);
        }
        if let Some(mixture) = &rows.mixture {
            let others = pixels.clone().select(0, numbers.of_each(OTHER));
            pixels = match mixture.way {
                Way::Blend(_) => blended(pixels, others, numbers.column(OWN)),
                Way::Paste(_) => self.covered(pixels, others, PASTE, &numbers),
            };
        }
        let batch = rows.indices.len();
        let len = channels * height * width;
        self.floats.clone().select(0, pixels.reshape([batch * len])).reshape([batch, len])
    }

    /// Rows and columns of a picture as it lies there.
    fn stored(&self) -> [usize; 2] {
        let [_, height, width] = self.shape;
        let edge = if self.geometry { 3 } else { 0 };
        [height + edge, width + edge]
    }

    /// The bytes of each sample, `[batch, channels, pixels]`.
    fn unpacked(&self, words: &Tensor<2, Int>, numbers: &Numbers) -> Tensor<3, Int> {
        let [_, each] = words.dims();
        let (channels, [rows, columns]) = (self.shape[0], self.stored());
        let words = words.clone().select(0, numbers.of_each(SAMPLE));
        let [batch, _] = words.dims();
        let bytes = words.unsqueeze_dim::<3>(2).bitwise_right_shift(self.shifts.clone()).bitwise_and_scalar(255);
        let bytes = bytes.reshape([batch, each * 4]).narrow(1, 0, channels * rows * columns);
        bytes.reshape([batch, channels, rows * columns])
    }

    /// Pictures as they were before their edges were added.
    fn without_edges(&self, pixels: Tensor<3, Int>) -> Tensor<3, Int> {
        let ([batch, ..], [channels, height, width], [rows, columns]) = (pixels.dims(), self.shape, self.stored());
        let pixels = pixels.reshape([batch, channels, rows, columns]);
        pixels.slice([0..batch, 0..channels, 1..1 + height, 1..1 + width]).reshape([batch, channels, height * width])
    }

    /// `Place::sample`: each pixel is blended from the four around the place it comes from.
    fn moved(&self, pixels: Tensor<3, Int>, numbers: &Numbers) -> Tensor<3, Int> {
        let ([batch, ..], [channels, height, width]) = (pixels.dims(), self.shape);
        let stride = self.stored()[1] as i32;
        let columns = self.places[1].clone().narrow(2, 0, width);
        let position = |axis: usize, len: usize| {
            let along = numbers.column(STEP + axis) * columns.clone();
            let position = (numbers.starts(axis, height) + along).reshape([batch, 1, height * width]);
            self.inside(position, len as i32)
        };
        let (x, y) = (position(0, width), position(1, height));
        let whole = |position: &Tensor<3, Int>| position.clone().bitwise_right_shift_scalar(16);
        let rest = |position: Tensor<3, Int>| position.bitwise_right_shift_scalar(8).bitwise_and_scalar(255);
        let place = whole(&y).mul_scalar(stride) + whole(&x);
        let (right, below) = (rest(x), rest(y));
        let at = |further: i32| {
            let place = place.clone().add_scalar(further).expand([batch, channels, height * width]);
            pixels.clone().gather(2, place)
        };
        let across = |first: Tensor<3, Int>, second| weighted(first, second, right.clone());
        let (upper, lower) = (across(at(0), at(1)), across(at(stride), at(stride + 1)));
        weighted(upper, lower, below).add_scalar(1 << 15).bitwise_right_shift_scalar(16)
    }

    /// `Fill::inside`.
    fn inside(&self, position: Tensor<3, Int>, len: i32) -> Tensor<3, Int> {
        let (one, last) = (1 << 16, (len - 1) << 16);
        match self.fill {
            Fill::Border => position.clamp(-one, last + one).add_scalar(one),
            Fill::Mirror => {
                let beyond = position.abs().neg().add_scalar(last).abs();
                beyond.neg().add_scalar(last).clamp_min(0).add_scalar(one)
            }
        }
    }

    /// `Jitter::apply`.
    fn jittered(&self, pixels: Tensor<3, Int>, numbers: &Numbers) -> Tensor<3, Int> {
        let [own, shared, level] = [0, 1, 2].map(|at| numbers.column(JITTER + at));
        let offset = (self.mean_of(&pixels) * level).bitwise_right_shift_scalar(4).add_scalar(1 << 15);
        let mut sum = pixels.clone() * own + offset;
        if self.shape[0] == 3 {
            let gray = luma(&pixels).add_scalar(8).bitwise_right_shift_scalar(4);
            sum = sum + gray * shared;
        }
        sum.bitwise_right_shift_scalar(16).clamp(0, 255)
    }

    /// The mean brightness of each picture in 256ths, `[batch, 1, 1]`.
    fn mean_of(&self, pixels: &Tensor<3, Int>) -> Tensor<3, Int> {
        let [_, channels, plane] = pixels.dims();
        let (channels, plane) = (channels as i32, plane as i32);
        let sum = pixels.clone().sum_dim(2);
        let whole = sum.clone().div_scalar(plane);
        let rest = sum - whole.clone().mul_scalar(plane);
        let means = whole.mul_scalar(256) + rest.mul_scalar(256).div_scalar(plane);
        match channels {
            3 => luma(&means).bitwise_right_shift_scalar(8),
            _ => means.sum_dim(1).div_scalar(channels),
        }
    }

    /// `pixels` with `over` in the rectangle whose corners are in the numbers from `corner` on.
    fn covered(
        &self,
        pixels: Tensor<3, Int>,
        over: Tensor<3, Int>,
        corner: usize,
        numbers: &Numbers,
    ) -> Tensor<3, Int> {
        let [row, column] = self.places.clone();
        let [top, left, bottom, right] = [0, 1, 2, 3].map(|at| numbers.column(corner + at));
        let within = |place: Tensor<3, Int>, from: Tensor<3, Int>, to: Tensor<3, Int>| -> Tensor<3, Bool> {
            place.clone().greater_equal(from).bool_and(place.lower(to))
        };
        let inside = within(row, top, bottom).bool_and(within(column, left, right));
        let shape = pixels.dims();
        pixels.mask_where(inside.expand(shape), over)
    }
}

/// `first` and `second` by weights that add up to 256, of which the second has `weight`.
fn weighted(first: Tensor<3, Int>, second: Tensor<3, Int>, weight: Tensor<3, Int>) -> Tensor<3, Int> {
    first * weight.clone().neg().add_scalar(256) + second * weight
}

/// `Mixture::apply` of a blend, of which `pixels` have `own`.
fn blended(pixels: Tensor<3, Int>, others: Tensor<3, Int>, own: Tensor<3, Int>) -> Tensor<3, Int> {
    weighted(others, pixels, own).add_scalar(128).bitwise_right_shift_scalar(8)
}

/// The gray of each pixel of RGB in 256ths, `[batch, 1, pixels]`.
fn luma(pixels: &Tensor<3, Int>) -> Tensor<3, Int> {
    let [red, green, blue] = [0, 1, 2].map(|at| pixels.clone().narrow(1, at, 1).mul_scalar(LUMA[at]));
    red + green + blue
}
