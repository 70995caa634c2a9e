//! What of an input an output goes by: attribution. Three methods, a file each: [`grad_cam`] for networks with convolutions,
//! [`integrated_gradients`] for any network, [`occlusion`] for anything that answers. What is owned here is what they share: their names,
//! what stands for "nothing to see", and a network whose inputs have gradients. The drawing is `report`'s, the meaning of outputs `tasks`'.

mod grad_cam;
mod integrated_gradients;
mod occlusion;

use burn::{
    module::Module,
    tensor::{Int, Tensor, TensorData},
};
use data::InputSpec;

use crate::{Error, Model, ModelConfig, named::named, summary};

pub use grad_cam::{GradCam, grad_cam};
pub use integrated_gradients::{IntegratedGradients, integrated_gradients};
pub use occlusion::{Patches, occlusion};

named! {
    /// How an output is explained.
    pub enum Attribution("method") {
        /// [`grad_cam`]: where the last convolution found what speaks for the output.
        #[default]
        GradCam = "grad-cam",
        /// [`integrated_gradients`]: what each number of the input adds to the output.
        IntegratedGradients = "integrated-gradients",
        /// [`occlusion`]: by how much the output falls where a part of the input is hidden.
        Occlusion = "occlusion",
    }
}

/// Places along a side of a map below which Grad-CAM says little: its weights are means over all places, and what lies on few is
/// mixed up. The paper's networks end in maps of 7x7 and 14x14.
const COARSE: usize = 7;

impl Attribution {
    /// What suits the network that `config` makes for `input`: Grad-CAM where the last convolution's map has 7x7 places or more, else occlusion.
    pub fn usual(config: &ModelConfig, input: &InputSpec) -> Self {
        let layers = summary(config, input, 1).unwrap_or_default();
        let map = layers.iter().rfind(|layer| layer.name.contains(".blocks."));
        match map.map(|layer| layer.output.as_slice()) {
            Some(&[_, height, width]) if height.min(width) >= COARSE => Self::GradCam,
            _ => Self::Occlusion,
        }
    }
}

named! {
    /// An input that shows nothing, which others are measured against.
    pub enum Baseline("baseline") {
        /// Pictures of one colour: each channel's mean over the training split. Rows of a table: numbers at their mean, no category.
        #[default]
        Mean = "mean",
        /// Black pictures; not for tables.
        Black = "black",
        /// Rows whose fields are empty, as a missing value is read; not for pictures.
        Absent = "absent",
    }
}

impl Baseline {
    /// What is usual for `input`: pictures [`Mean`](Self::Mean), tables [`Absent`](Self::Absent).
    pub fn usual(input: &InputSpec) -> Self {
        match input {
            InputSpec::Image(_) => Self::Mean,
            InputSpec::Table(_) => Self::Absent,
        }
    }

    /// The baseline as an input of the network, `[channels, height, width]`: pixels in 0..=1, or features.
    ///
    /// # Errors
    /// If there is no such baseline for inputs of this kind.
    pub fn values(self, input: &InputSpec) -> Result<Vec<f32>, Error> {
        let size = input.shape()[1..].iter().product();
        match (self, input) {
            (Self::Mean, InputSpec::Image(image)) => {
                Ok(image.mean.iter().flat_map(|mean| std::iter::repeat_n(*mean, size)).collect())
            }
            (Self::Mean, InputSpec::Table(table)) => Ok(table.average()),
            (Self::Black, InputSpec::Image(_)) => Ok(vec![0.0; input.len()]),
            (Self::Absent, InputSpec::Table(table)) => Ok(table.absent()),
            (Self::Black, InputSpec::Table(_)) => Err(Error::config(
                "baseline",
                "`black` is for pictures, and this model takes rows; there are absent, mean",
            )),
            (Self::Absent, InputSpec::Image(_)) => Err(Error::config(
                "baseline",
                "`absent` is for rows of a table, and this model takes pictures; there are mean, black",
            )),
        }
    }
}

/// The same network, through which gradients of inputs flow; its parameters get none, which halves the work.
fn tracked(model: &Model) -> Model {
    model.valid().train().no_grad()
}

/// Of `answers`, `[batch, outputs]`, one for each sample: `[batch, 1]`.
fn chosen(answers: Tensor<2>, outputs: &[usize]) -> Tensor<2> {
    let indices: Vec<i32> = outputs.iter().map(|output| *output as i32).collect();
    let indices = Tensor::<2, Int>::from_data(TensorData::new(indices, [outputs.len(), 1]), &answers.device());
    answers.gather(1, indices)
}

fn check(model: &Model, outputs: &[usize]) -> Result<(), Error> {
    let most = model.outputs();
    match outputs.iter().find(|output| **output >= most) {
        Some(output) => {
            Err(Error::config("output", format!("there are {most}, counted from 0; {output} is none of them")))
        }
        None => Ok(()),
    }
}

fn read<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}
