//! A convolution's weights `[outputs, inputs / groups, rows, columns]` in the orders in which the kernels walk them.

use super::geometry::Geometry;
use crate::packed::Packed;

/// For each pass over the map, the weights of all taps as [`Geometry::forward`] meets them.
pub(crate) fn forward(weight: &[f32], geometry: &Geometry) -> Vec<Vec<f32>> {
    let (taps, steps, columns) = (geometry.kernel[0] * geometry.kernel[1], geometry.steps(), geometry.columns());
    if geometry.is_depthwise() {
        return vec![by_tap(weight, taps)];
    }
    let inner = steps / taps;
    let pass = |group: usize| {
        let weight = &weight[group * columns * steps..];
        Packed::new(steps, columns, |k, j| weight[(j * inner + k % inner) * taps + k / inner]).into_values()
    };
    (0..geometry.passes()).map(pass).collect()
}

/// For each pass over the map, the weights of the named taps as [`Geometry::input_gradient`] meets them.
pub(crate) fn backward(weight: &[f32], geometry: &Geometry, named: &[usize]) -> Vec<Vec<f32>> {
    let (taps, steps, columns) = (geometry.kernel[0] * geometry.kernel[1], geometry.steps(), geometry.columns());
    if geometry.is_depthwise() {
        return vec![by_tap(weight, taps)];
    }
    let inner = steps / taps;
    let pass = |group: usize| {
        let weight = &weight[group * columns * steps..];
        let at = |k: usize, j: usize| weight[((k % columns) * inner + j) * taps + named[k / columns]];
        Packed::new(named.len() * columns, inner, at).into_values()
    };
    (0..geometry.passes()).map(pass).collect()
}

/// `[channels, taps]` to `[taps, channels]`.
fn by_tap(weight: &[f32], taps: usize) -> Vec<f32> {
    (0..taps).flat_map(|tap| weight.iter().skip(tap).step_by(taps).copied()).collect()
}

/// The gradient in the weights' own order, from sums `[passes, taps, inner, columns]`.
pub(crate) fn unpack(sums: &[f32], geometry: &Geometry) -> Vec<f32> {
    let (taps, columns) = (geometry.kernel[0] * geometry.kernel[1], geometry.columns());
    let inner = geometry.steps() / taps;
    let mut weight = vec![0.0; sums.len()];
    for (group, sums) in sums.chunks_exact((geometry.steps() * columns).max(1)).enumerate() {
        for (row, sums) in sums.chunks_exact(columns).enumerate() {
            let (tap, input) = (row / inner, row % inner);
            for (column, &sum) in sums.iter().enumerate() {
                weight[((group * columns + column) * inner + input) * taps + tap] = sum;
            }
        }
    }
    weight
}
