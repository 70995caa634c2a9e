//! Fewer layers that do the same: an affine layer behind a convolution or a linear layer becomes part of its weights.

use crate::Layer;

/// The layers with every affine one folded into the layer before it, where that is possible.
pub fn fold(layers: Vec<Layer>) -> Vec<Layer> {
    let mut folded: Vec<Layer> = Vec::with_capacity(layers.len());
    for layer in layers {
        let layer = match layer {
            Layer::Affine { name, scale, shift } => match folded.last_mut() {
                Some(Layer::Conv { weight, bias, outputs, .. } | Layer::Linear { weight, bias, outputs, .. })
                    if scale.len() == *outputs && shift.len() == *outputs =>
                {
                    into(weight, bias, &scale, &shift);
                    continue;
                }
                _ => Layer::Affine { name, scale, shift },
            },
            Layer::Residual { body, bridge } => Layer::Residual { body: fold(body), bridge: fold(bridge) },
            other => other,
        };
        folded.push(layer);
    }
    folded
}

/// Scales the weights and the bias of each output, and shifts the bias.
fn into(weight: &mut [f32], bias: &mut Option<Vec<f32>>, scale: &[f32], shift: &[f32]) {
    let inputs = weight.len() / scale.len().max(1);
    for (row, scale) in weight.chunks_exact_mut(inputs.max(1)).zip(scale) {
        row.iter_mut().for_each(|weight| *weight *= scale);
    }
    let bias = bias.get_or_insert_with(|| vec![0.0; scale.len()]);
    for ((bias, scale), shift) in bias.iter_mut().zip(scale).zip(shift) {
        *bias = bias.mul_add(*scale, *shift);
    }
}
