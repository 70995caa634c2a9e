//! Pooling, subsampling and flattening on the CPU, against Burn's own operations in f64.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that finds nothing where something must be has failed"
)]

mod close;

use burn::tensor::{DType, Device, Tensor};
use close::{assert_close, random};
use kernels::{Window, avg_pool2d, flatten, global_average, max_pool2d, subsample};
use proptest::prelude::*;

const SIDE_BY_SIDE: Window = Window { size: 2, stride: 2, padding: 0 };

type Operation<'a> = &'a dyn Fn(Tensor<4>) -> Tensor<2>;

/// The output and the input's gradient, for a loss that weighs each output differently.
fn run(x: &Tensor<4>, dtype: DType, operation: Operation<'_>) -> [Vec<f64>; 2] {
    let x = x.clone().cast(dtype).require_grad();
    let y = operation(x.clone());
    let slope = random(y.dims(), 77, &y.device()).cast(dtype);
    let gradients = (y.clone() * slope).sum().backward();
    [y.into_data().iter::<f64>().collect(), x.grad(&gradients).unwrap().into_data().iter::<f64>().collect()]
}

fn compare(x: &Tensor<4>, operation: Operation<'_>) {
    let expected = run(x, DType::F64, operation);
    for (number, (ours, expected)) in run(x, DType::F32, operation).iter().zip(&expected).enumerate() {
        assert_close(ours, expected, 1e-5, number);
    }
}

/// As it is, and channels-last.
fn both(x: Tensor<4>) -> [Tensor<4>; 2] {
    let [n, c, h, w] = x.dims();
    [x, random([n, h, w, c], 3, &Device::flex().autodiff()).permute([0, 3, 1, 2])]
}

fn maps() -> impl Strategy<Value = Tensor<4>> {
    ([1usize..5, 1usize..36, 1usize..12, 1usize..12], any::<u32>())
        .prop_map(|(dims, seed)| random(dims, seed.into(), &Device::flex().autodiff()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_are_pooled_as_composed(x in maps(), size in 1usize..5, stride in 1usize..5, pad in 0usize..3, relu: bool) {
        let [_, _, height, width] = x.dims();
        let pool = Window { size, stride, padding: pad.min(size / 2) };
        prop_assume!(height.min(width) + 2 * pool.padding >= size);
        for x in both(x) {
            compare(&x, &|x| max_pool2d(x, pool, relu).flatten(1, 3));
            compare(&x, &|x| avg_pool2d(x, pool).flatten(1, 3));
        }
    }

    #[test]
    fn equal_values_give_the_gradient_to_the_first(x in maps(), stride in 1usize..4, padding in 0usize..2) {
        let [_, _, height, width] = x.dims();
        prop_assume!(height.min(width) >= 3);
        let x = (x * 2.0).round();
        for relu in [false, true] {
            compare(&x, &|x| max_pool2d(x, Window { size: 3, stride, padding }, relu).flatten(1, 3));
        }
    }

    #[test]
    fn bridges_are_subsampled_as_composed(x in maps(), stride in 1usize..4, before in 0usize..5, after in 0usize..5) {
        for x in both(x) {
            compare(&x, &|x| subsample(x, stride, before, after).flatten(1, 3));
        }
    }

    #[test]
    fn maps_are_averaged_and_flattened_as_composed(x in maps()) {
        for x in both(x) {
            compare(&x, &|x| global_average(x));
            compare(&x, &|x| flatten(x));
        }
    }
}

#[test]
fn the_last_value_that_is_not_a_number_wins() {
    let device = Device::flex().autodiff();
    let x = Tensor::<4>::from_floats([[[[1.0, f32::NAN], [f32::NAN, f32::INFINITY]]]], &device).require_grad();
    for relu in [false, true] {
        let y = max_pool2d(x.clone(), SIDE_BY_SIDE, relu);
        assert!(y.clone().into_data().try_to_vec::<f32>().unwrap()[0].is_nan());
        let gradients = (y * 3.0).sum().backward();
        let gradient: Vec<f32> = x.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
        assert_eq!(gradient, [0.0, 0.0, 3.0, 0.0]);
    }
}

#[test]
fn the_stem_of_a_residual_network_is_pooled_as_composed() {
    let x = random([4, 64, 34, 34], 5, &Device::flex().autodiff());
    for x in both(x) {
        for relu in [false, true] {
            compare(&x, &|x| max_pool2d(x, Window { size: 3, stride: 2, padding: 1 }, relu).flatten(1, 3));
        }
    }
}

#[test]
fn empty_batches_stay_empty() {
    let device = Device::flex().autodiff();
    let x = Tensor::<4>::empty([0, 3, 6, 4], &device).require_grad();
    assert_eq!(max_pool2d(x.clone(), SIDE_BY_SIDE, true).dims(), [0, 3, 3, 2]);
    assert_eq!(avg_pool2d(x.clone(), Window { size: 3, stride: 1, padding: 0 }).dims(), [0, 3, 4, 2]);
    assert_eq!(subsample(x.clone(), 2, 1, 2).dims(), [0, 6, 3, 2]);
    assert_eq!(global_average(x.clone()).dims(), [0, 3]);
    let y = flatten(x.clone());
    assert_eq!(y.dims(), [0, 72]);
    assert_eq!(x.grad(&y.sum().backward()).unwrap().dims(), [0, 3, 6, 4]);
}
