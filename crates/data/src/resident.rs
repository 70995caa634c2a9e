//! A data set that lies on a device from the beginning to the end of a run: a batch then goes there as a few numbers for each of its samples,
//! and its inputs are gathered and augmented where they are learned from. Owns what lies there and whether it may; how inputs are made of it
//! is `resident/paint.rs`. Order, targets and draws are the loader's, which makes the same batches on the host.

mod numbers;
mod paint;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::augment::{Mixture, Stroke, mean_colour, pad};
use crate::{Augment, Dataset, Error, Samples};
use paint::Paints;

/// Longer sides have positions that 32 bits don't hold in 65,536ths.
const LONGEST: usize = 4096;
/// More pixels have sums that 32 bits don't hold.
const MOST_PIXELS: usize = 1 << 23;

/// The inputs of a whole data set on a device, for one augmentation.
///
/// Pixels take a byte each, four to a number of 32 bits: WebGPU's shaders know no smaller ones, so that this is what every backend holds. Where
/// pictures are moved they lie there with their edges, three rows and columns each, which is what the host pads them with.
pub struct Resident {
    device: Device,
    /// `[channels, height, width]`.
    shape: [usize; 3],
    augment: Augment,
    samples: Held,
}

enum Held {
    /// `[samples, numbers]`.
    Features(Tensor<2>),
    /// Each picture in whole numbers of 32 bits, `[samples, numbers]`.
    Pixels(Tensor<2, Int>, Box<Paints>),
}

/// Samples that lie on a device, and what is to be done to them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    resident: Arc<Resident>,
    indices: Vec<u32>,
    /// What is done to each of them, or nothing for all.
    strokes: Vec<Stroke>,
    pub(crate) mixture: Option<Mixture>,
    /// Which of them are wanted, once all are mixed.
    part: Range<usize>,
}

impl Resident {
    /// Bytes that `dataset` takes on a device to be augmented by `augment`.
    ///
    /// # Errors
    /// Why it cannot lie there.
    pub fn bytes(dataset: &Dataset, augment: &Augment) -> Result<u64, String> {
        let refused = |why: &str| Err(why.to_owned());
        let numbers = match &dataset.samples {
            Samples::Files(_) => {
                return refused(
                    "the images are decoded while training, as they don't fit in --memory; give more of it",
                );
            }
            Samples::Features(_) if augment.mixes() => {
                return refused(
                    "devices don't blend features of tables to the bit as the host does; leave out `mixup`",
                );
            }
            Samples::Features(features) => return Ok(4 * features.len() as u64),
            Samples::Pixels(_) => {
                let [channels, height, width] = dataset.input.shape();
                if height.max(width) > LONGEST || height * width > MOST_PIXELS {
                    return refused("the images are too large to be augmented there");
                }
                let edge = edge(augment);
                channels * (height + edge) * (width + edge)
            }
        };
        Ok(4 * (dataset.len() * numbers.div_ceil(4)) as u64)
    }

    /// Waits until the inputs lie on the device: a runtime tells of memory that has ended when what should lie there is read.
    ///
    /// # Panics
    /// If the device fails.
    pub fn wait(&self) {
        let first = match &self.samples {
            Held::Features(rows) => rows.clone().slice([0..1, 0..1]).into_data(),
            Held::Pixels(rows, _) => rows.clone().slice([0..1, 0..1]).into_data(),
        };
        // A GPU is asked for it by the look at its bytes.
        first.as_bytes();
    }

    /// Moves the inputs of all samples of `dataset` to `device`, without autodiff, once and for all.
    ///
    /// # Errors
    /// Those of [`Resident::bytes`], and an augmentation that was parsed for other data.
    pub fn new(dataset: &Dataset, augment: &Augment, device: &Device) -> Result<Self, Error> {
        Self::bytes(dataset, augment).map_err(|why| Error::option("--data-on device", why))?;
        augment.check(&dataset.input, &dataset.targets)?;
        let device = device.clone().inner();
        let (rows, shape) = (dataset.len(), dataset.input.shape());
        let samples = match &dataset.samples {
            Samples::Pixels(pixels) => {
                let words = words(pixels, shape, augment);
                let data = TensorData::new(words, [rows, row_words(shape, augment)]);
                let paints = Paints::new(shape, augment, mean_colour(&dataset.input), &device);
                Held::Pixels(Tensor::from_data(data, (&device, DType::I32)), Box::new(paints))
            }
            Samples::Features(features) => {
                let data = TensorData::new(features.clone(), [rows, dataset.input.len()]);
                Held::Features(Tensor::from_data(data, &device))
            }
            Samples::Files(_) => return Err(Error::internal("image files on a device")),
        };
        Ok(Self { device, shape, augment: *augment, samples })
    }

    /// Whether it was made for this augmentation, or needs none.
    pub(crate) fn serves(&self, augment: Option<&Augment>) -> bool {
        augment.is_none_or(|augment| *augment == self.augment)
    }
}

/// Rows and columns of edges around a picture.
fn edge(augment: &Augment) -> usize {
    if augment.changes_geometry() { 3 } else { 0 }
}

/// Numbers of 32 bits that a picture takes.
fn row_words([channels, height, width]: [usize; 3], augment: &Augment) -> usize {
    let edge = edge(augment);
    (channels * (height + edge) * (width + edge)).div_ceil(4)
}

/// Pictures, with their edges where they need them, four bytes to a number.
fn words(pixels: &[u8], shape: [usize; 3], augment: &Augment) -> Vec<i32> {
    let (len, each) = (shape.iter().product::<usize>().max(1), 4 * row_words(shape, augment));
    let mut words = Vec::with_capacity(pixels.len() / len * each / 4);
    let mut row = Vec::with_capacity(each);
    for picture in pixels.chunks_exact(len) {
        if edge(augment) == 0 {
            row.clear();
            row.extend_from_slice(picture);
        } else {
            pad(picture, shape, augment.fill, &mut row);
        }
        row.resize(each, 0);
        words.extend(row.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes)));
    }
    words
}

impl Rows {
    pub(crate) fn new(resident: Arc<Resident>, indices: &[u32], strokes: Vec<Stroke>) -> Self {
        Self { resident, indices: indices.to_vec(), strokes, mixture: None, part: 0..indices.len() }
    }

    /// Those of them at `part`.
    pub(crate) fn cut(self, part: &Range<usize>) -> Self {
        Self { part: self.part.start + part.start..self.part.start + part.end, ..self }
    }

    /// How many numbers they come to.
    pub(crate) fn len(&self) -> usize {
        self.part.len() * self.resident.shape.iter().product::<usize>()
    }

    /// Inputs as the host would make them, to the bit: `[batch, channels, height, width]`, with autodiff where `device` has it. Nothing waits
    /// for the device.
    pub(crate) fn into_tensor(self, device: &Device) -> Tensor<4> {
        let [channels, height, width] = self.resident.shape;
        let inputs = match &self.resident.samples {
            Held::Features(features) => {
                let indices: Vec<i32> = self.indices.iter().map(|&index| index as i32).collect();
                let data = TensorData::new(indices, [self.indices.len()]);
                features.clone().select(0, Tensor::from_data(data, (&self.resident.device, DType::I32)))
            }
            Held::Pixels(words, paints) => paints.paint(words, &self),
        };
        let inputs = inputs.narrow(0, self.part.start, self.part.len());
        let inputs = inputs.reshape([self.part.len(), channels, height, width]).to_device(&device.clone().inner());
        if device.is_autodiff() { inputs.autodiff() } else { inputs }
    }

    /// The same numbers on the host.
    pub(crate) fn into_floats(self) -> Vec<f32> {
        let device = self.resident.device.clone();
        self.into_tensor(&device).into_data().iter::<f32>().collect()
    }
}

/// One that lies in the same place: what lies there is not compared.
impl PartialEq for Resident {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl fmt::Debug for Resident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resident({:?}, {})", self.device, self.augment)
    }
}

#[cfg(test)]
mod tests;
