//! Random tensors, and how near numbers must be.

use burn::tensor::{Device, Tensor, TensorData};

/// Values in [-1, 1), the same for the same seed.
pub(crate) fn random<const D: usize>(dims: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..dims.iter().product::<usize>()).map(|_| draw()).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// The greatest distance, by the greatest expected value.
pub(crate) fn assert_close(ours: &[f64], expected: &[f64], tolerance: f64, what: usize) {
    assert_eq!(ours.len(), expected.len(), "result {what}");
    let scale = expected.iter().fold(1e-3f64, |most, x| most.max(x.abs()));
    let distance = ours.iter().zip(expected).fold(0.0f64, |most, (x, y)| most.max((x - y).abs()));
    assert!(distance <= tolerance * scale, "result {what}: {distance} of {scale}");
}
