//! How results are compared: random tensors in f64 and rounded to f32, a loss that weighs every output differently, and the greatest
//! difference relative to the greatest value.

#![allow(dead_code, reason = "not every test needs all of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot read its own tensors has failed")]

use burn::tensor::{DType, Device, Tensor, TensorData};

/// Numbers that look random (xorshift), in -1..1; the same for the same seed.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Rounded to f32, so that both precisions begin with the same numbers.
        f64::from(((state >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0) as f32)
    };
    (0..count).map(|_| next()).collect()
}

/// A tensor of [`numbers`], in the precision.
pub(crate) fn random<const D: usize>(shape: [usize; D], seed: u64, dtype: DType, device: &Device) -> Tensor<D> {
    let data = TensorData::new(numbers(shape.iter().product(), seed), shape);
    Tensor::from_data(data.convert_dtype(dtype), (device, dtype))
}

/// The values of a tensor, whatever its precision.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec().unwrap()
}

/// Whether every value is far enough from zero for both precisions to agree on its sign: a ReLU's gradient is another one else.
pub(crate) fn signs_are_clear(values: &[f64]) -> bool {
    let greatest = values.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    values.iter().all(|value| value.abs() > 2e-6 * greatest)
}

/// max|a - b| / max|b|; infinite where one is not a number and the other is.
pub(crate) fn difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "as many values");
    let greatest = b.iter().filter(|b| b.is_finite()).fold(0.0f64, |most, b| most.max(b.abs()));
    let apart = |(a, b): (&f64, &f64)| match (a.is_finite(), b.is_finite()) {
        (true, true) => (a - b).abs(),
        _ if a.is_nan() && b.is_nan() || a == b => 0.0,
        _ => f64::INFINITY,
    };
    a.iter().zip(b).map(apart).fold(0.0, f64::max) / if greatest > 0.0 { greatest } else { 1.0 }
}
