//! A short comparison of the public operations on a device with double precision: for users' machines, whose processors and drivers no
//! test of ours has seen. What is compared stands in `cases`; how, here.

mod cases;

use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};

/// What an operation gave on a device, beside its definition in double precision.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Which operation, with what follows it, in words.
    pub operation: &'static str,
    /// Greatest difference of an output, relative to the greatest output: max|a - b| / max|b|. Infinite where only one is a number.
    pub output: f64,
    /// The same of the gradients, each compared by itself; `None` where there are none.
    pub gradient: Option<f64>,
}

impl Check {
    /// How far outputs may be apart: single precision, and sums in another order.
    pub const OUTPUT: f64 = 1e-5;
    /// How far gradients may be apart, whose sums are longer.
    pub const GRADIENT: f64 = 1e-4;

    /// Whether the device computed what it should.
    pub fn passed(&self) -> bool {
        self.output <= Self::OUTPUT && self.gradient.is_none_or(|gradient| gradient <= Self::GRADIENT)
    }
}

/// An operation that can be checked.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    /// Which, as [`Check::operation`] says it.
    pub operation: &'static str,
    run: fn(&Lab) -> Outcome,
}

/// All of them, in the order in which they are best checked.
pub fn checked() -> impl Iterator<Item = Checked> {
    cases::CASES.iter().map(|(operation, run)| Checked { operation, run: *run })
}

impl Checked {
    /// Compares the operation on `device` in single precision, forward and backward, with its definition on `reference` in double
    /// precision; `reference` should be a CPU backend, for few GPUs have doubles. Always the same numbers; takes a moment.
    ///
    /// # Errors
    /// What a device said instead of giving its numbers. Runtimes of GPUs may panic instead.
    pub fn check(&self, device: &Device, reference: &Device) -> Result<Check, String> {
        let found = (self.run)(&Lab { device: device.clone().autodiff(), dtype: DType::F32 });
        let expected = (self.run)(&Lab { device: reference.clone().autodiff(), dtype: DType::F64 });
        let mut gradient = None;
        for (found, expected) in found.gradients.into_iter().zip(expected.gradients) {
            let apart = difference(&found?, &expected?);
            gradient = Some(gradient.map_or(apart, |most: f64| most.max(apart)));
        }
        let output = difference(&found.output?, &expected.output?);
        Ok(Check { operation: self.operation, output, gradient })
    }
}

/// A tensor's numbers, or what its device said instead.
type Numbers = Result<Vec<f64>, String>;

/// Where and how precisely a case is computed.
struct Lab {
    device: Device,
    dtype: DType,
}

/// What a case gave: its output, and the gradients of what went in.
struct Outcome {
    output: Numbers,
    gradients: Vec<Numbers>,
}

impl Lab {
    /// Numbers in -1..1 that look random, the same for the same `seed` in every precision.
    fn random<const D: usize>(&self, shape: [usize; D], seed: u64) -> Tensor<D> {
        let mut state = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = || {
            // Xorshift (Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
        Tensor::from_data(TensorData::new(numbers, shape).convert_dtype(self.dtype), (&self.device, self.dtype))
    }

    /// The same, to ask a gradient of.
    fn leaf<const D: usize>(&self, shape: [usize; D], seed: u64) -> Tensor<D> {
        self.random(shape, seed).require_grad()
    }

    /// An output, and the gradients of a loss that weighs each of its values differently.
    fn outcome<const D: usize>(
        &self,
        output: Tensor<D>,
        gradients: impl FnOnce(&Gradients) -> Vec<Numbers>,
    ) -> Outcome {
        let weights = self.random(output.dims(), 99);
        let found = (output.clone() * weights).sum().backward();
        Outcome { output: values(output), gradients: gradients(&found) }
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Numbers {
    let data = tensor.try_into_data().map_err(|error| format!("{error:?}"))?;
    Ok(data.iter::<f64>().collect())
}

/// A gradient's numbers; a single one that isn't any where there is none.
fn gradient<const D: usize>(leaf: &Tensor<D>, gradients: &Gradients) -> Numbers {
    leaf.grad(gradients).map_or_else(|| Ok(vec![f64::NAN]), values)
}

/// max|a - b| / max|b|, or max|a - b| where all of b is 0; infinite where a has another length, or a number that is none.
pub fn difference(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let greatest = b.iter().fold(0.0, |most: f64, b| most.max(b.abs()));
    let apart = a.iter().zip(b).map(|(a, b)| if a.is_finite() { (a - b).abs() } else { f64::INFINITY });
    apart.fold(0.0, f64::max) / if greatest > 0.0 { greatest } else { 1.0 }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn this_machine_computes_what_it_should() {
        assert!(checked().count() >= 5);
        for check in checked().map(|one| one.check(&Device::flex(), &Device::flex()).unwrap()) {
            assert!(check.passed(), "{check:?}");
            let moves = check.operation.starts_with("maximum") || check.operation.starts_with("bridge");
            assert!(moves || check.output > 0.0, "{}: single precision is not double precision", check.operation);
        }
    }

    #[test]
    fn what_is_wrong_is_seen() {
        assert_eq!(difference(&[1.0, 2.5], &[1.0, 2.0]), 0.25);
        assert_eq!(difference(&[0.0], &[0.0]), 0.0);
        for wrong in [f64::NAN, f64::INFINITY] {
            assert_eq!(difference(&[wrong, 1.0], &[1.0, 1.0]), f64::INFINITY);
        }
        assert_eq!(difference(&[], &[1.0]), f64::INFINITY, "a device that gave nothing");
        let check = |output, gradient| Check { operation: "", output, gradient }.passed();
        assert!(check(1e-6, Some(1e-5)));
        assert!(!check(1e-3, Some(1e-5)) && !check(1e-6, Some(1e-3)) && !check(f64::NAN, None));
    }
}
