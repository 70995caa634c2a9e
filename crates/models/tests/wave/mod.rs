//! Numbers that look random and are the same in Rust and in the scripts of `golden`: those of `wave`, `fill` and `digest` there.

use burn::tensor::TensorData;
use models::NamedTensor;

/// `wave` of the scripts.
pub(crate) fn wave(count: usize, phase: f64) -> Vec<f64> {
    let fraction = |x: f64| x - x.floor();
    (0..count).map(|i| 2.0 * fraction(43758.5453 * (12.9898 * i as f64 + phase).sin()) - 1.0).collect()
}

/// `fill` of the scripts.
pub(crate) fn filled(tensor: NamedTensor) -> (String, TensorData) {
    let NamedTensor { name, data, .. } = tensor;
    let shape = data.shape().clone();
    let phase = name.bytes().map(u32::from).sum::<u32>() % 97;
    let fan_in = (data.num_elements() / shape[0]) as f64;
    let norm = name.ends_with("running_var") || (name.contains(".norm") && name.ends_with("weight"));
    let scaled = |value: f64| match (shape.num_dims() > 1, norm) {
        (true, _) => value * 1.5 / fan_in.sqrt(),
        (false, true) => 1.0 + 0.2 * value,
        (false, false) => 0.1 * value,
    };
    let values: Vec<f32> = wave(data.num_elements(), f64::from(phase)).into_iter().map(|x| scaled(x) as f32).collect();
    (name, TensorData::new(values, shape))
}

/// `digest` of the scripts: the first value, a sum in which none can hide, the length.
pub(crate) fn digest(values: &[f64]) -> [f64; 3] {
    let sum: f64 = values.iter().zip(wave(values.len(), 1.0)).map(|(x, w)| x * w).sum();
    let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
    [values[0], sum, norm]
}
