//! Grad-CAM (Selvaraju 2017): the channels of the last convolution, each weighed by how much the output rises with it on average, added
//! up, and what speaks against the output cut off.

use burn::tensor::{Tensor, activation};

use super::{check, chosen, read, tracked};
use crate::{Error, Model};

/// Where in one sample the last convolution found what speaks for an output.
#[derive(Clone, Debug, PartialEq)]
pub struct GradCam {
    /// The block whose map it is, as in [`crate::summary`]: "stages.1.blocks.0", after its activation and before any pooling.
    pub layer: String,
    /// Height and width of that map.
    pub size: [usize; 2],
    /// `[height, width]` of that map, 0 or more: equation 2 of the paper, not scaled.
    pub map: Vec<f32>,
    /// The output, before softmax or any other reading.
    pub score: f32,
}

impl GradCam {
    /// The map, interpolated between the middles of its cells to `size`, height and width of the input: PyTorch's `bilinear`
    /// without `align_corners`.
    pub fn upsampled(&self, size: [usize; 2]) -> Vec<f32> {
        let [rows, columns] = [0, 1].map(|axis| between(self.size[axis], size[axis]));
        let width = self.size[1];
        let at = |y: usize, (left, right, share): (usize, usize, f32)| {
            let line = &self.map[y * width..];
            line[left] + (line[right] - line[left]) * share
        };
        let row = |&(top, bottom, share): &(usize, usize, f32)| {
            let mix = move |&column: &(usize, usize, f32)| {
                let upper = at(top, column);
                upper + (at(bottom, column) - upper) * share
            };
            columns.iter().map(mix).collect::<Vec<f32>>()
        };
        rows.iter().flat_map(row).collect()
    }
}

/// For each of `to` places the two of `from` cells that it lies between, and how far it is from the first to the second.
fn between(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let last = from.saturating_sub(1);
    let place = |at: usize| {
        let along = ((at as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, last as f64);
        let first = along as usize;
        (first, (first + 1).min(last), (along - first as f64) as f32)
    };
    (0..to).map(place).collect()
}

/// Grad-CAM of each of `inputs`, `[batch, channels, height, width]` as [`Model::forward`] takes them, for the output of its own among `outputs`.
/// Costs a forward pass, and a backward pass through the head alone. Batch normalisation uses its running statistics.
///
/// # Errors
/// [`Error::Config`] for a network without convolutions, and an output that it doesn't have.
///
/// # Panics
/// As [`Model::forward`] does, and where `outputs` aren't one for each sample.
pub fn grad_cam(model: &Model, inputs: Tensor<4>, outputs: &[usize]) -> Result<Vec<GradCam>, Error> {
    check(model, outputs)?;
    assert_eq!(inputs.dims()[0], outputs.len(), "one output for each sample");
    let tracked = tracked(model);
    let Some((layer, map)) = tracked.last_map(Tensor::from_inner(inputs.without_autodiff())) else {
        let what = "a perceptron has no convolution to look at; use integrated-gradients or occlusion";
        return Err(Error::config("grad-cam", what));
    };
    let map = Tensor::from_inner(map.without_autodiff()).require_grad();
    let scores = chosen(tracked.after_last_map(map.clone()), outputs);
    let gradients = scores.clone().sum().backward();
    let map_values = map.clone().without_autodiff();
    let [_, _, height, width] = map_values.dims();
    // Without a way from the map to the output nothing in it matters.
    let slope = map.grad(&gradients).unwrap_or_else(|| map_values.zeros_like());
    let weights = slope.mean_dim(2).mean_dim(3); // [batch, channels, 1, 1]
    let heat = read(activation::relu((map_values * weights).sum_dim(1))); // [batch, 1, height, width]
    let scores = read(scores);
    let one =
        |(map, score): (&[f32], f32)| GradCam { layer: layer.clone(), size: [height, width], map: map.to_vec(), score };
    Ok(heat.chunks(height * width).zip(scores).map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(map: &[f32], size: [usize; 2]) -> GradCam {
        GradCam { layer: String::new(), size, map: map.to_vec(), score: 0.0 }
    }

    #[test]
    fn a_map_is_interpolated_between_the_middles_of_its_cells() {
        // torch.nn.functional.interpolate(torch.tensor([[[[0., 4.], [8., 12.]]]]), (4, 3), mode="bilinear")
        let expected = [0.0, 2.0, 4.0, 2.0, 4.0, 6.0, 6.0, 8.0, 10.0, 8.0, 10.0, 12.0];
        assert_eq!(of(&[0.0, 4.0, 8.0, 12.0], [2, 2]).upsampled([4, 3]), expected);
        assert_eq!(of(&[1.0, 2.0, 3.0], [1, 3]).upsampled([1, 3]), [1.0, 2.0, 3.0]);
        assert_eq!(of(&[7.0], [1, 1]).upsampled([2, 2]), [7.0; 4]);
    }
}
