//! The fully connected layer on the CPU against its definition in Burn's operations and double precision.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that finds nothing where something must be has failed"
)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use proptest::prelude::*;

mod parity;
use parity::{difference, numbers, random, signs_are_clear, values};

/// A layer to try.
#[derive(Clone, Debug)]
struct Case {
    batch: usize,
    inputs: usize,
    outputs: usize,
    biased: bool,
    relu: bool,
    /// Whether input, weight and incoming gradient are transposed views.
    turned: bool,
    /// Whether the input wants a gradient.
    tracked: bool,
}

type Layer = fn(Tensor<2>, Tensor<2>, Option<Tensor<1>>, bool) -> Tensor<2>;

/// The output, and the gradients of input, weight and bias for a loss that weighs every output differently.
fn run(case: &Case, layer: Layer, dtype: DType) -> [Vec<f64>; 4] {
    let device = Device::flex().autodiff();
    let matrix = |shape: [usize; 2], seed| match case.turned {
        true => random([shape[1], shape[0]], seed, dtype, &device).transpose(),
        false => random(shape, seed, dtype, &device),
    };
    let x = matrix([case.batch, case.inputs], 1).set_require_grad(case.tracked);
    let weight = matrix([case.inputs, case.outputs], 2).require_grad();
    let bias = case.biased.then(|| random([case.outputs], 3, dtype, &device).require_grad());
    let out = layer(x.clone(), weight.clone(), bias.clone(), case.relu);
    let grads = match case.turned {
        true => (out.clone().transpose() * random([case.outputs, case.batch], 4, dtype, &device)).sum().backward(),
        false => (out.clone() * random([case.batch, case.outputs], 4, dtype, &device)).sum().backward(),
    };
    let of_x = x.grad(&grads).map(values).unwrap_or_default();
    assert_eq!(of_x.is_empty(), !case.tracked, "a gradient where it was asked for");
    let of_bias = bias.and_then(|bias| bias.grad(&grads)).map(values).unwrap_or_default();
    [values(out), of_x, values(weight.grad(&grads).unwrap()), of_bias]
}

fn agree(case: &Case) -> Result<(), TestCaseError> {
    let found = run(case, kernels::linear, DType::F32);
    let expected = run(case, kernels::linear_composed, DType::F64);
    let names = ["output", "gradient of the input", "gradient of the weight", "gradient of the bias"];
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let apart = difference(found, expected);
        let most = if at == 0 { 1e-5 } else { 1e-4 };
        prop_assert!(apart <= most, "{}: {apart:.1e} apart", names[at]);
    }
    Ok(())
}

fn cases() -> impl Strategy<Value = Case> {
    let batch = prop_oneof![Just(1), 2usize..40, Just(64), Just(97)];
    let width = || prop_oneof![1usize..70, 100usize..300];
    (batch, width(), width(), any::<[bool; 4]>()).prop_map(|(batch, inputs, outputs, flags)| {
        let [biased, relu, turned, tracked] = flags;
        Case { batch, inputs, outputs, biased, relu, turned, tracked }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_cpu_agrees_with_the_definition(case in cases()) {
        if case.relu {
            let [before, ..] = run(&Case { relu: false, ..case.clone() }, kernels::linear_composed, DType::F64);
            prop_assume!(signs_are_clear(&before));
        }
        agree(&case)?;
    }
}

#[test]
fn layers_of_the_bench_agree() {
    for (batch, inputs, outputs) in [(64, 784, 512), (256, 512, 256), (65, 3136, 128), (1, 784, 512), (256, 256, 10)] {
        agree(&Case { batch, inputs, outputs, biased: true, relu: true, turned: false, tracked: true }).unwrap();
    }
}

#[test]
fn the_definition_has_the_gradients_of_finite_differences() {
    let device = Device::flex().autodiff();
    let tensor = |values: &[f64], shape: [usize; 2]| {
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), (&device, DType::F64))
    };
    let (x, weight, weights) = (numbers(15, 1), numbers(20, 2), numbers(12, 3));
    let loss = |x: &[f64], weight: &[f64]| {
        let out = kernels::linear_composed(tensor(x, [3, 5]), tensor(weight, [5, 4]), None, true);
        values((out * tensor(&weights, [3, 4])).sum())[0]
    };
    let (x_tensor, weight_tensor) = (tensor(&x, [3, 5]).require_grad(), tensor(&weight, [5, 4]).require_grad());
    let out = kernels::linear_composed(x_tensor.clone(), weight_tensor.clone(), None, true);
    let grads = (out * tensor(&weights, [3, 4])).sum().backward();
    let moved = |values: &[f64], at: usize, by: f64| {
        let mut values = values.to_vec();
        values[at] += by;
        values
    };
    const H: f64 = 1e-6;
    let of_x: Vec<f64> =
        (0..15).map(|at| (loss(&moved(&x, at, H), &weight) - loss(&moved(&x, at, -H), &weight)) / (2.0 * H)).collect();
    let of_weight: Vec<f64> =
        (0..20).map(|at| (loss(&x, &moved(&weight, at, H)) - loss(&x, &moved(&weight, at, -H))) / (2.0 * H)).collect();
    assert!(difference(&of_x, &values(x_tensor.grad(&grads).unwrap())) < 1e-6);
    assert!(difference(&of_weight, &values(weight_tensor.grad(&grads).unwrap())) < 1e-6);
}

#[test]
fn an_empty_batch_gives_no_rows_and_gradients_of_zero() {
    let device = Device::flex().autodiff();
    let x = random([0, 5], 1, DType::F32, &device).require_grad();
    let weight = random([5, 3], 2, DType::F32, &device).require_grad();
    let bias = random([3], 3, DType::F32, &device).require_grad();
    let out = kernels::linear(x, weight.clone(), Some(bias.clone()), true);
    assert_eq!(out.dims(), [0, 3]);
    let grads = out.sum().backward();
    assert_eq!(values(weight.grad(&grads).unwrap()), vec![0.0; 15]);
    assert_eq!(values(bias.grad(&grads).unwrap()), vec![0.0; 3]);
}

#[test]
fn what_is_no_number_stays_none() {
    let run = |layer: Layer, dtype| {
        let device = Device::flex().autodiff();
        let mut x = numbers(3 * 4, 7);
        (x[1], x[6]) = (f64::NAN, f64::INFINITY);
        let x =
            Tensor::<2>::from_data(TensorData::new(x, [3, 4]).convert_dtype(dtype), (&device, dtype)).require_grad();
        let weight = random([4, 5], 2, dtype, &device).require_grad();
        let out = layer(x.clone(), weight.clone(), None, true);
        let grads = (out.clone() * random([3, 5], 4, dtype, &device)).sum().backward();
        [values(out), values(x.grad(&grads).unwrap()), values(weight.grad(&grads).unwrap())]
    };
    let (found, expected) = (run(kernels::linear, DType::F32), run(kernels::linear_composed, DType::F64));
    for (found, expected) in found.iter().zip(&expected) {
        assert!(difference(found, expected) < 1e-4, "{found:?} {expected:?}");
    }
    assert!(expected[0].iter().any(|value| value.is_nan()));
}
