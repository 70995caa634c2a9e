//! A bridge and the ReLU in one pass, against Burn's own operations in f64.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that finds nothing where something must be has failed"
)]

mod close;

use burn::tensor::{DType, Device, Tensor};
use close::{assert_close, random};
use kernels::Join;
use proptest::prelude::*;

/// The output, and the gradients of both ways.
fn run<const D: usize>(dims: [usize; D], seed: u64, dtype: DType, relu: bool, bridged: bool) -> Vec<Vec<f64>> {
    let device = Device::flex().autodiff();
    let cast = |seed| random(dims, seed, &device).cast(dtype);
    let (x, bridge) = (cast(seed).require_grad(), cast(seed + 1).require_grad());
    // Once more as the bridge's input: its gradients meet.
    let y = Join { bridge: bridged.then(|| bridge.clone() + x.clone()), relu }.apply(x.clone());
    let gradients = (y.clone() * cast(seed + 2)).sum().backward();
    let numbers = |x: Tensor<D>| x.into_data().iter::<f64>().collect::<Vec<f64>>();
    let mut results = vec![numbers(y), numbers(Tensor::from_inner(x.grad(&gradients).unwrap()))];
    if bridged {
        results.push(numbers(Tensor::from_inner(bridge.grad(&gradients).unwrap())));
    }
    results
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn maps_and_matrices_are_joined_as_composed_in_f64(
        dims in [0usize..5, 1usize..20, 1usize..9, 1usize..9], seed: u32, relu: bool, bridged: bool,
    ) {
        for (number, (ours, expected)) in
            run(dims, seed.into(), DType::F32, relu, bridged).iter().zip(run(dims, seed.into(), DType::F64, relu, bridged)).enumerate()
        {
            assert_close(ours, &expected, 1e-5, number);
        }
        let dims = [dims[0] * 7, dims[1] * dims[2]];
        for (number, (ours, expected)) in
            run(dims, seed.into(), DType::F32, relu, bridged).iter().zip(run(dims, seed.into(), DType::F64, relu, bridged)).enumerate()
        {
            assert_close(ours, &expected, 1e-5, number);
        }
    }
}

#[test]
fn not_a_number_passes_the_relu() {
    let device = Device::flex();
    let x = Tensor::<2>::from_floats([[f32::NAN, -1.0, f32::INFINITY, f32::NEG_INFINITY]], &device);
    let y: Vec<f32> = Join { bridge: None, relu: true }.apply(x).into_data().try_to_vec().unwrap();
    assert!(y[0].is_nan());
    assert_eq!(y[1..], [0.0, f32::INFINITY, 0.0]);
}
