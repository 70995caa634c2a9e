//! The gradients of a fully connected layer on slices: dx = dy W^T, dW = x^T dy, and the sum of dy over the batch for the bias.

use std::ops::Range;

use super::matrix::{Left, Right, Steps, multiply};
use crate::parallel;
use crate::product::{arch, panel_width};
use crate::scratch;

/// A layer that has run.
pub(super) struct Layer<'a> {
    pub(super) batch: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// `[batch, inputs]`.
    pub(super) x: &'a [f32],
    /// `[inputs, outputs]`.
    pub(super) weight: &'a [f32],
    /// `[batch, outputs]` after ReLU, if one followed.
    pub(super) output: Option<&'a [f32]>,
}

/// The gradients of [`Layer`], each where it was asked for.
#[derive(Default)]
pub(super) struct Gradients {
    pub(super) x: Option<Vec<f32>>,
    pub(super) weight: Option<Vec<f32>>,
    pub(super) bias: Option<Vec<f32>>,
}

impl Layer<'_> {
    /// From `dy` `[batch, outputs]`, the gradient of what came out; `wanted` are those of x, the weight and the bias.
    pub(super) fn gradients(&self, dy: &[f32], wanted: [bool; 3]) -> Gradients {
        let width = panel_width();
        let panel = self.batch * width;
        let panels = self.outputs.div_ceil(width);
        scratch::with(panels * panel, |packed| {
            let mut bias = vec![0.0; panels * width];
            let parts = parallel::parts(panels, 16 * panel);
            let states = parallel::cut(&parts, packed, panel).into_iter().zip(parallel::cut(&parts, &mut bias, width));
            parallel::each(&parts, states.collect(), |part, (packed, bias)| {
                let each = packed.chunks_exact_mut(panel.max(1)).zip(bias.chunks_exact_mut(width));
                arch().dispatch(
                    #[inline(always)]
                    || {
                        for (index, (packed, bias)) in part.zip(each) {
                            self.behind(dy, index * width..self.outputs.min((index + 1) * width), packed, bias);
                        }
                    },
                );
            });
            bias.truncate(self.outputs);
            Gradients {
                weight: wanted[1].then(|| self.of_weight(packed)),
                x: wanted[0].then(|| self.of_x(packed)),
                bias: wanted[2].then_some(bias),
            }
        })
    }

    /// Packs columns of the gradient before the ReLU, and adds them up.
    #[inline(always)]
    fn behind(&self, dy: &[f32], columns: Range<usize>, packed: &mut [f32], sums: &mut [f32]) {
        let width = panel_width();
        for (row, packed) in packed.chunks_exact_mut(width).enumerate() {
            let at = row * self.outputs;
            let (packed, rest) = packed.split_at_mut(columns.len());
            let dy = &dy[at + columns.start..at + columns.end];
            rest.fill(0.0);
            match self.output {
                None => packed.copy_from_slice(dy),
                Some(output) => {
                    let output = &output[at + columns.start..at + columns.end];
                    for ((packed, &dy), &output) in packed.iter_mut().zip(dy).zip(output) {
                        // Burn's ReLU lets a gradient through where the output isn't a number.
                        *packed = if output <= 0.0 { 0.0 } else { dy };
                    }
                }
            }
            sums.iter_mut().zip(packed).for_each(|(sum, value)| *sum += *value);
        }
    }

    fn of_weight(&self, packed: &[f32]) -> Vec<f32> {
        let steps = Steps::Apart { steps: self.batch, by: self.inputs };
        let a = Left { values: self.x, rows: self.inputs, row: 1, steps };
        multiply(&a, &Right::<fn(usize, Range<usize>, &mut [f32])>::Packed(packed), self.outputs, None, false)
    }

    fn of_x(&self, packed: &[f32]) -> Vec<f32> {
        let steps = Steps::Panels { steps: self.outputs, rows: self.batch };
        let a = Left { values: packed, rows: self.batch, row: panel_width(), steps };
        let pack = |_, inputs: Range<usize>, panel: &mut [f32]| {
            transpose(&self.weight[inputs.start * self.outputs..inputs.end * self.outputs], self.outputs, panel);
        };
        multiply(&a, &Right::Pack(pack), self.inputs, None, false)
    }
}

/// Rows of `columns` values, at most [`panel_width`] of them, to rows of that width.
fn transpose(from: &[f32], columns: usize, to: &mut [f32]) {
    const BLOCK: usize = 16;
    let width = panel_width();
    let rows = from.len() / columns.max(1);
    for first in (0..columns).step_by(BLOCK) {
        for column in first..(first + BLOCK).min(columns) {
            let to = &mut to[column * width..(column + 1) * width];
            for (row, to) in to[..rows].iter_mut().enumerate() {
                *to = from[row * columns + column];
            }
        }
    }
}
