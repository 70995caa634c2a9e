//! Batch normalisation on the CPU against its composed definition in f64, and that against finite differences.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that finds nothing where something must be has failed"
)]

mod close;

use burn::tensor::{DType, Device, Distribution, Tensor};
use close::{assert_close, random};
use kernels::{Join, batch_norm, batch_norm_train};
use proptest::prelude::*;

const EPSILON: f64 = 1e-5;

/// Output, statistics, and the gradients of x, weight, bias and the bridge for a loss that weighs each output differently.
fn train<const D: usize>(inputs: &Inputs<D>, dtype: DType, bridged: bool, relu: bool) -> Vec<Vec<f64>> {
    let cast = |x: &Tensor<D>| x.clone().cast(dtype).require_grad();
    let [x, bridge] = [cast(&inputs.x), cast(&inputs.bridge)];
    let [weight, bias] = inputs.affine.each_ref().map(|values| values.clone().cast(dtype).require_grad());
    let join = Join { bridge: bridged.then(|| bridge.clone()), relu };
    let (y, [mean, variance]) = batch_norm_train(x.clone(), [weight.clone(), bias.clone()], EPSILON, join);
    let gradients = (y.clone() * inputs.slope.clone().cast(dtype)).sum().backward();
    let numbers = |x: Tensor<D>| x.into_data().iter::<f64>().collect::<Vec<f64>>();
    let vector = |x: Tensor<1>| x.into_data().iter::<f64>().collect::<Vec<f64>>();
    let mut results = vec![numbers(y), vector(mean), vector(variance)];
    results.push(vector(Tensor::from_inner(weight.grad(&gradients).unwrap())));
    results.push(vector(Tensor::from_inner(bias.grad(&gradients).unwrap())));
    results.push(numbers(Tensor::from_inner(x.grad(&gradients).unwrap())));
    if bridged {
        results.push(numbers(Tensor::from_inner(bridge.grad(&gradients).unwrap())));
    }
    results
}

struct Inputs<const D: usize> {
    x: Tensor<D>,
    bridge: Tensor<D>,
    slope: Tensor<D>,
    affine: [Tensor<1>; 2],
}

impl<const D: usize> Inputs<D> {
    fn new(dims: [usize; D], seed: u64) -> Self {
        let device = Device::flex().autodiff();
        Self {
            x: random(dims, seed, &device) * 2.0 + 1.5,
            bridge: random(dims, seed + 1, &device),
            slope: random(dims, seed + 2, &device) + 0.1,
            affine: [random([dims[1]], seed + 3, &device) + 0.5, random([dims[1]], seed + 4, &device)],
        }
    }
}

fn compare<const D: usize>(inputs: &Inputs<D>, bridged: bool, relu: bool) {
    let ours = train(inputs, DType::F32, bridged, relu);
    let expected = train(inputs, DType::F64, bridged, relu);
    for (number, (ours, expected)) in ours.iter().zip(&expected).enumerate() {
        assert_close(ours, expected, if number < 3 { 1e-5 } else { 1e-4 }, number);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn maps_are_normalised_as_composed_in_f64(
        dims in [1usize..6, 1usize..40, 1usize..9, 1usize..9], seed: u32, bridged: bool, relu: bool, swapped: bool,
    ) {
        prop_assume!(dims[0] * dims[2] * dims[3] > 3);
        let mut inputs = Inputs::new(dims, seed.into());
        if swapped {
            // Other strides, in the input and in the output's gradient.
            inputs.x = inputs.x.swap_dims(2, 3);
            inputs.bridge = inputs.bridge.swap_dims(2, 3);
            inputs.slope = inputs.slope.swap_dims(2, 3);
        }
        compare(&inputs, bridged, relu);
    }

    #[test]
    fn rows_are_normalised_as_composed_in_f64(
        dims in [4usize..40, 1usize..300], seed: u32, bridged: bool, relu: bool,
    ) {
        compare(&Inputs::new(dims, seed.into()), bridged, relu);
    }

    #[test]
    fn given_statistics_normalise_as_composed_in_f64(
        dims in [1usize..6, 1usize..40, 1usize..9, 1usize..9], seed: u32, bridged: bool, relu: bool, tracked: bool,
    ) {
        let inputs = Inputs::new(dims, seed.into());
        let [mean, variance] = [random([dims[1]], 7, &inputs.x.device()), random([dims[1]], 8, &inputs.x.device()).abs() + 0.1];
        let run = |dtype: DType| {
            let cast = |x: &Tensor<1>| x.clone().cast(dtype);
            let x = inputs.x.clone().cast(dtype);
            let x = if tracked { x.require_grad() } else { x };
            let join = Join { bridge: bridged.then(|| inputs.bridge.clone().cast(dtype)), relu };
            let affine = inputs.affine.each_ref().map(cast);
            let y = batch_norm(x.clone(), affine, [cast(&mean), cast(&variance)], EPSILON, join);
            let mut results = vec![y.clone().into_data().iter::<f64>().collect::<Vec<_>>()];
            if tracked {
                let gradients = (y * inputs.slope.clone().cast(dtype)).sum().backward();
                results.push(x.grad(&gradients).unwrap().into_data().iter::<f64>().collect());
            }
            results
        };
        for (ours, expected) in run(DType::F32).iter().zip(run(DType::F64)) {
            assert_close(ours, &expected, 1e-5, 0);
        }
    }
}

#[test]
fn the_composed_gradient_is_the_slope_of_the_composed_output() {
    let dims = [3, 2, 3, 2];
    let inputs = Inputs::new(dims, 5);
    let expected = train(&inputs, DType::F64, true, true);
    let loss = |x: Tensor<4>| {
        let affine = inputs.affine.each_ref().map(|values| values.clone().cast(DType::F64));
        let join = Join { bridge: Some(inputs.bridge.clone().cast(DType::F64)), relu: true };
        let (y, _) = batch_norm_train(x, affine, EPSILON, join);
        (y * inputs.slope.clone().cast(DType::F64)).sum().into_data().iter::<f64>().next().unwrap()
    };
    let x = inputs.x.clone().cast(DType::F64);
    let step = 1e-5;
    let slopes: Vec<f64> = (0..dims.iter().product::<usize>())
        .map(|at| {
            let mut one = vec![0.0f64; dims.iter().product()];
            one[at] = step;
            let one = Tensor::<4>::from_data(burn::tensor::TensorData::new(one, dims), (&x.device(), DType::F64));
            (loss(x.clone() + one.clone()) - loss(x.clone() - one)) / (2.0 * step)
        })
        .collect();
    assert_close(&slopes, &expected[5], 1e-6, 5);
}

#[test]
fn a_large_mean_and_an_odd_first_image_cost_no_precision() {
    let device = Device::flex().autodiff();
    let mut inputs = Inputs::new([64, 3, 20, 20], 1);
    let odd = Tensor::<4>::random([1, 3, 20, 20], Distribution::Default, &device) - 300.0;
    inputs.x = inputs.x.slice_assign([0..1, 0..3, 0..20, 0..20], odd) + 1000.0;
    compare(&inputs, false, true);
}

#[test]
fn equal_runs_give_equal_bits() {
    let inputs = Inputs::new([32, 7, 33, 31], 3);
    assert_eq!(train(&inputs, DType::F32, true, true), train(&inputs, DType::F32, true, true));
}

#[test]
fn gradients_flow_only_where_they_are_wanted() {
    let inputs = Inputs::new([4, 3, 5, 5], 9);
    let [weight, bias] = inputs.affine.clone();
    let (weight, bridge) = (weight.require_grad(), inputs.bridge.clone().require_grad());
    let join = Join { bridge: Some(bridge.clone()), relu: true };
    let (y, [mean, _]) = batch_norm_train(inputs.x.clone(), [weight.clone(), bias.clone()], EPSILON, join);
    let gradients = (y.sum() + mean.sum()).backward();
    assert!(weight.grad(&gradients).is_some() && bridge.grad(&gradients).is_some());
    assert!(bias.grad(&gradients).is_none() && inputs.x.grad(&gradients).is_none());
}

#[test]
fn not_a_number_and_infinity_stay_in_their_channel_as_composed() {
    for odd in [f32::NAN, f32::INFINITY] {
        let mut inputs = Inputs::new([3, 2, 4, 4], 2);
        let one = Tensor::<4>::full([1, 1, 1, 1], odd, &inputs.x.device());
        inputs.x = inputs.x.slice_assign([1..2, 0..1, 2..3, 3..4], one);
        let ours = train(&inputs, DType::F32, true, true);
        let expected = train(&inputs, DType::F64, true, true);
        for (ours, expected) in ours.iter().zip(&expected) {
            for (ours, expected) in ours.iter().zip(expected) {
                assert_eq!(ours.is_nan(), expected.is_nan(), "{odd}: {ours} and {expected}");
                assert!(!ours.is_finite() || (ours - expected).abs() < 1e-4, "{odd}: {ours} and {expected}");
            }
        }
    }
}

#[test]
fn empty_batches_stay_empty() {
    let device = Device::flex().autodiff();
    let x = Tensor::<4>::empty([0, 3, 4, 4], &device).require_grad();
    let affine = [Tensor::<1>::ones([3], &device).require_grad(), Tensor::<1>::zeros([3], &device)];
    let (y, [mean, _]) = batch_norm_train(x.clone(), affine.clone(), EPSILON, Join { bridge: None, relu: true });
    assert_eq!((y.dims(), mean.dims()), ([0, 3, 4, 4], [3]));
    let gradients = y.sum().backward();
    assert_eq!(x.grad(&gradients).unwrap().dims(), [0, 3, 4, 4]);
    let weight: Vec<f32> = affine[0].grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
    assert_eq!(weight, [0.0; 3]);
}
