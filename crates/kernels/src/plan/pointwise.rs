//! What changes values in their place: activations, normalisations that couldn't be folded, and the addition of another map.

use pulp::{Simd, WithSimd};

use super::map::Map;
use crate::Activation;
use crate::product::arch;

/// A change in place.
pub(super) enum Pointwise {
    Activation(Activation),
    Affine { scale: Vec<f32>, shift: Vec<f32> },
    GroupNorm { groups: usize, weight: Vec<f32>, bias: Vec<f32>, epsilon: f32 },
}

impl Pointwise {
    /// Changes the values of a map, not its margins.
    pub(super) fn run(&self, map: &Map, values: &mut [f32]) {
        match self {
            Self::Activation(activation) => map.lines_mut(values).for_each(|line| activate(*activation, line)),
            Self::Affine { scale, shift } => {
                for pixel in map.lines_mut(values).flat_map(|line| line.chunks_exact_mut(map.channels)) {
                    let factors = scale.iter().zip(shift);
                    pixel.iter_mut().zip(factors).for_each(|(x, (scale, shift))| *x = *x * scale + shift);
                }
            }
            Self::GroupNorm { groups, weight, bias, epsilon } => {
                let size = map.channels / groups;
                for group in 0..*groups {
                    let channels = group * size..(group + 1) * size;
                    normalise(map, values, channels.clone(), &weight[channels.clone()], &bias[channels], *epsilon);
                }
            }
        }
    }
}

/// Normalises some channels of a map over all of them and all pixels. Sums in f64: the order doesn't matter then.
fn normalise(
    map: &Map,
    values: &mut [f32],
    channels: std::ops::Range<usize>,
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
) {
    let count = (map.size[0] * map.size[1] * channels.len()) as f64;
    let sum = |of: &dyn Fn(f32) -> f64| -> f64 {
        let pixels = map.lines(values).flat_map(|line| line.chunks_exact(map.channels));
        pixels.flat_map(|pixel| &pixel[channels.clone()]).map(|&value| of(value)).sum()
    };
    let mean = sum(&f64::from) / count;
    let variance = sum(&|value| (f64::from(value) - mean).powi(2)) / count;
    let (mean, deviation) = (mean as f32, (variance + f64::from(epsilon)).sqrt() as f32);
    for pixel in map.lines_mut(values).flat_map(|line| line.chunks_exact_mut(map.channels)) {
        for (value, (weight, bias)) in pixel[channels.clone()].iter_mut().zip(weight.iter().zip(bias)) {
            *value = (*value - mean) / deviation * weight + bias;
        }
    }
}

/// Adds the values of a map of the same size to those of another.
pub(super) fn add(map: &Map, from: &[f32], to_map: &Map, to: &mut [f32], relu: bool) {
    for (from, to) in map.lines(from).zip(to_map.lines_mut(to)) {
        arch().dispatch(Add { from, to, relu });
    }
}

struct Add<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
    relu: bool,
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let pairs = self.to.iter_mut().zip(self.from);
        if self.relu {
            pairs.for_each(|(to, from)| *to = relu(*to + from));
        } else {
            pairs.for_each(|(to, from)| *to += from);
        }
    }
}

/// Not a number stays what it is.
#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

fn activate(activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::Relu => arch().dispatch(Each(values, relu)),
        Activation::LeakyRelu => arch().dispatch(Each(values, |x| if x < 0.0 { 0.01 * x } else { x })),
        Activation::HardSwish => arch().dispatch(Each(values, |x: f32| x * (x / 6.0 + 0.5).clamp(0.0, 1.0))),
        Activation::Elu => each(values, |x| if x > 0.0 { x } else { x.exp_m1() }),
        Activation::Selu => each(values, selu),
        Activation::Gelu => each(values, |x| 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))),
        Activation::Silu => each(values, |x| x * sigmoid(x)),
        Activation::Mish => each(values, |x| x * softplus(x).tanh()),
        Activation::Tanh => each(values, f32::tanh),
        Activation::Sigmoid => each(values, sigmoid),
    }
}

fn each(values: &mut [f32], of: impl Fn(f32) -> f32) {
    values.iter_mut().for_each(|x| *x = of(*x));
}

struct Each<'a, F>(&'a mut [f32], F);

impl<F: Fn(f32) -> f32> WithSimd for Each<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.0.iter_mut().for_each(|x| *x = (self.1)(*x));
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f32) -> f32 {
    if x > 20.0 { x } else { x.exp().ln_1p() }
}

/// With the constants of the paper.
fn selu(x: f32) -> f32 {
    const ALPHA: f32 = 1.673_263_2;
    const SCALE: f32 = 1.050_701;
    if x >= 0.0 { SCALE * x } else { SCALE * ALPHA * x.exp_m1() }
}
