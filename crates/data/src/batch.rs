//! One contiguous host buffer of inputs and targets in a fixed order, and the one function that makes tensors of it. Training and
//! inference both go through here.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::resident::Rows;

/// Samples of a data set, in order, on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Positions of the samples in their data set; empty for inputs that belong to none.
    pub indices: Vec<u32>,
    /// `[batch, channels, height, width]`.
    pub shape: [usize; 4],
    /// The samples' numbers, row by row.
    pub inputs: Inputs,
    /// What the network should answer; `None` when predicting.
    pub targets: Option<Targets>,
}

/// The numbers of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// Pixels 0..=255, which become 0..=1.
    Pixels(Vec<u8>),
    /// Pixels that are 0..=1 already, or features as they are.
    Floats(Vec<f32>),
    /// Samples that lie on a device; only a [`Loader`](crate::Loader) of such a data set makes them.
    Resident(Rows),
}

/// The targets of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// A class for each sample, `[batch]`.
    Classes(Vec<u32>),
    /// Probabilities (mixed classes), labels 0 or 1, or numbers: `[batch, width]`.
    Dense {
        /// Columns.
        width: usize,
        /// Row by row.
        values: Vec<f32>,
    },
}

/// The targets of a batch as a tensor.
#[derive(Clone, Debug)]
pub enum Target {
    /// Class indices, `[batch]`.
    Classes(Tensor<1, Int>),
    /// Probabilities, labels or numbers, `[batch, width]`.
    Dense(Tensor<2>),
}

impl Batch {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples at `rows`.
    pub(crate) fn cut(self, rows: Range<usize>) -> Self {
        fn cut<T: Copy>(values: &[T], rows: &Range<usize>, all: usize) -> Vec<T> {
            let width = values.len() / all.max(1);
            values[rows.start * width..rows.end * width].to_vec()
        }
        let [all, channels, height, width] = self.shape;
        if rows == (0..all) {
            return self;
        }
        Self {
            indices: cut(&self.indices, &rows, all),
            shape: [rows.len(), channels, height, width],
            inputs: match self.inputs {
                Inputs::Pixels(values) => Inputs::Pixels(cut(&values, &rows, all)),
                Inputs::Floats(values) => Inputs::Floats(cut(&values, &rows, all)),
                Inputs::Resident(resident) => Inputs::Resident(resident.cut(&rows)),
            },
            targets: self.targets.map(|targets| match targets {
                Targets::Classes(values) => Targets::Classes(cut(&values, &rows, all)),
                Targets::Dense { width, values } => Targets::Dense { width, values: cut(&values, &rows, all) },
            }),
        }
    }

    /// Moves the batch to `device`: inputs `[batch, channels, height, width]` (pixels as 0..=1), and the targets where there are any.
    pub fn into_tensors(self, device: &Device) -> (Tensor<4>, Option<Target>) {
        let inputs = match self.inputs {
            Inputs::Resident(rows) => rows.into_tensor(device),
            inputs => Tensor::from_data(TensorData::new(inputs.into_floats(), self.shape), device),
        };
        let rows = self.shape[0];
        let target = self.targets.map(|targets| match targets {
            Targets::Classes(values) => {
                let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
                Target::Classes(Tensor::from_data(TensorData::new(values, [rows]), device))
            }
            Targets::Dense { width, values } => {
                Target::Dense(Tensor::from_data(TensorData::new(values, [rows, width]), device))
            }
        });
        (inputs, target)
    }
}

impl Inputs {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Pixels(values) => values.len(),
            Self::Floats(values) => values.len(),
            Self::Resident(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers that the network takes: pixels as 0..=1. Waits for a device where they lie on one.
    pub fn into_floats(self) -> Vec<f32> {
        match self {
            Self::Floats(values) => values,
            Self::Pixels(values) => values.into_iter().map(float).collect(),
            Self::Resident(rows) => rows.into_floats(),
        }
    }
}

/// What the network takes for a pixel.
pub(crate) fn float(pixel: u8) -> f32 {
    f32::from(pixel) / 255.0
}
