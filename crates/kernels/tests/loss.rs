//! Softmax cross-entropy on the CPU against its definition in Burn's operations and double precision.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that finds nothing where something must be has failed"
)]

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use proptest::prelude::*;

mod parity;
use parity::{difference, numbers, random, values};

type Loss = fn(Tensor<2>, Tensor<1, Int>, Option<Tensor<1>>, f32) -> Tensor<1>;

/// A loss to try.
#[derive(Clone, Debug)]
struct Case {
    batch: usize,
    classes: usize,
    weighted: bool,
    smoothing: f32,
    turned: bool,
    /// What the logits are multiplied by.
    spread: f64,
    /// What the loss counts in what is differentiated.
    factor: f64,
}

fn logits(case: &Case, dtype: DType, device: &Device) -> Tensor<2> {
    let x = match case.turned {
        true => random::<2>([case.classes, case.batch], 1, dtype, device).transpose(),
        false => random([case.batch, case.classes], 1, dtype, device),
    };
    x.mul_scalar(case.spread)
}

fn classes(case: &Case, device: &Device) -> Tensor<1, Int> {
    let classes: Vec<i32> = (0..case.batch).map(|sample| (sample * 7 % case.classes) as i32).collect();
    Tensor::from_data(TensorData::new(classes, [case.batch]), device)
}

/// The loss, and its gradient by the logits.
fn run(case: &Case, loss: Loss, dtype: DType) -> [Vec<f64>; 2] {
    let device = Device::flex().autodiff();
    let x = logits(case, dtype, &device).detach().require_grad();
    let weights = case.weighted.then(|| random::<1>([case.classes], 3, dtype, &device).add_scalar(1.5));
    let loss = loss(x.clone(), classes(case, &device), weights, case.smoothing);
    let grads = loss.clone().mul_scalar(case.factor).sum().backward();
    [values(loss), values(x.grad(&grads).unwrap())]
}

fn agree(case: &Case) -> Result<(), TestCaseError> {
    let found = run(case, kernels::cross_entropy, DType::F32);
    let expected = run(case, kernels::cross_entropy_composed, DType::F64);
    // The loss is a difference of numbers as large as the logits: below their rounding it has no digits that could agree.
    let (loss, expected_loss) = (found[0][0], expected[0][0]);
    let scale = expected_loss.abs().max(case.spread * f64::from(f32::EPSILON));
    prop_assert!((loss - expected_loss).abs() <= 1e-5 * scale, "loss {loss:e} {expected_loss:e}");
    // Likewise a gradient, of probabilities and ones, each divided by the batch.
    let one = case.factor.abs() / case.batch as f64;
    let greatest = expected[1].iter().fold(0.01 * one, |most, value| most.max(value.abs()));
    let apart =
        std::iter::zip(&found[1], &expected[1]).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs())) / greatest;
    prop_assert!(apart <= 1e-4, "gradient {apart:.1e} apart");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_cpu_agrees_with_the_definition(
        sizes in (1usize..70, 1usize..50),
        smoothing in prop_oneof![Just(0.0f32), Just(0.1), 0.0f32..0.9],
        flags in any::<[bool; 3]>(),
        spread in prop_oneof![Just(1.0), Just(40.0)],
    ) {
        let [weighted, turned, counts] = flags;
        let factor = if counts { 1.0 } else { -2.5 };
        agree(&Case { batch: sizes.0, classes: sizes.1, weighted, smoothing, turned, spread, factor })?;
    }
}

#[test]
fn many_classes_on_several_threads_agree() {
    let case =
        Case { batch: 130, classes: 1000, weighted: true, smoothing: 0.1, turned: false, spread: 5.0, factor: 1.0 };
    agree(&case).unwrap();
}

#[test]
fn the_definition_has_the_gradient_of_finite_differences() {
    let device = Device::flex().autodiff();
    let x = numbers(12, 1);
    let weights = Tensor::<1>::from_data(TensorData::new(vec![0.5, 1.0, 2.0, 1.5], [4]), (&device, DType::F64));
    let loss = |x: Tensor<2>| {
        let classes = Tensor::<1, Int>::from_data(TensorData::from([3, 0, 1]), &device);
        kernels::cross_entropy_composed(x, classes, Some(weights.clone()), 0.1)
    };
    let tensor = |x: &[f64]| Tensor::<2>::from_data(TensorData::new(x.to_vec(), [3, 4]), (&device, DType::F64));
    const H: f64 = 1e-6;
    let differences: Vec<f64> = (0..12)
        .map(|at| {
            let moved = |by: f64| {
                let mut x = x.clone();
                x[at] += by;
                values(loss(tensor(&x)))[0]
            };
            (moved(H) - moved(-H)) / (2.0 * H)
        })
        .collect();
    let x = tensor(&x).require_grad();
    let grads = loss(x.clone()).backward();
    assert!(difference(&differences, &values(x.grad(&grads).unwrap())) < 1e-6);
}

#[test]
fn what_is_no_number_stays_none() {
    let run = |loss: Loss, dtype| {
        let device = Device::flex().autodiff();
        let x = [[0.5, f64::NAN, 0.1], [1.0, 2.0, 3.0], [f64::INFINITY, 0.0, 1.0], [f64::NEG_INFINITY, 0.0, 1.0]];
        let x = Tensor::<2>::from_data(TensorData::from(x).convert_dtype(dtype), (&device, dtype)).require_grad();
        let classes = Tensor::<1, Int>::from_data(TensorData::from([0, 1, 2, 1]), &device);
        let loss = loss(x.clone(), classes, None, 0.0);
        let grads = loss.backward();
        [values(loss), values(x.grad(&grads).unwrap())]
    };
    let found = run(kernels::cross_entropy, DType::F32);
    let expected = run(kernels::cross_entropy_composed, DType::F64);
    assert!(found[0][0].is_nan() && expected[0][0].is_nan());
    assert!(difference(&found[1], &expected[1]) < 1e-4, "{found:?} {expected:?}");
}
