//! The optimizers' updates on the CPU against their definitions in Burn's operations and double precision.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that finds nothing where something must be has failed"
)]

use burn::tensor::{DType, Device, Tensor, s};
use kernels::{Adam, Sgd, Step};
use proptest::prelude::*;

mod parity;
use parity::{difference, random, values};

const STEPS: u64 = 4;

fn gradient(len: usize, number: u64, dtype: DType) -> Tensor<1> {
    random([len], 10 + number, dtype, &Device::flex())
}

fn step(number: u64, weight_decay: f64, scale: f64) -> Step {
    Step { lr: 0.05, weight_decay, scale, number }
}

fn close(found: &[Vec<f64>], expected: &[Vec<f64>]) -> Result<(), TestCaseError> {
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let apart = difference(found, expected);
        prop_assert!(apart <= 1e-5, "tensor {at}: {apart:.1e} apart");
    }
    Ok(())
}

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..100, Just(40_001)]
}

fn settings() -> impl Strategy<Value = (f64, f64)> {
    (prop_oneof![Just(0.0), Just(0.1)], prop_oneof![Just(1.0), 0.1f64..1.0])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn adam_on_the_cpu_agrees_with_the_definition(len in lengths(), settings in settings(), decoupled in any::<bool>()) {
        // With a smaller eps a gradient that all but vanishes would step by its rounding error.
        let rule = Adam { beta1: 0.9, beta2: 0.99, eps: 1e-2, decoupled };
        #[expect(clippy::type_complexity, reason = "the signature that both share")]
        let run = |update: fn(Adam, Tensor<1>, Tensor<1>, Option<[Tensor<1>; 2]>, Step) -> (Tensor<1>, [Tensor<1>; 2]), dtype| {
            let (mut param, mut averages) = (random([len], 1, dtype, &Device::flex()), None);
            for number in 1..=STEPS {
                let (next, after) = update(rule, param, gradient(len, number, dtype), averages, step(number, settings.0, settings.1));
                (param, averages) = (next, Some(after));
            }
            let [mean, square] = averages.unwrap();
            [values(param), values(mean), values(square)]
        };
        close(&run(kernels::adam, DType::F32), &run(kernels::adam_composed, DType::F64))?;
    }

    #[test]
    fn sgd_on_the_cpu_agrees_with_the_definition(len in lengths(), settings in settings(), kind in 0..4) {
        let rule = Sgd {
            momentum: if kind == 0 { 0.0 } else { 0.9 },
            dampening: if kind == 2 { 0.3 } else { 0.0 },
            nesterov: kind == 3,
        };
        #[expect(clippy::type_complexity, reason = "the signature that both share")]
        let run = |update: fn(Sgd, Tensor<1>, Tensor<1>, Option<Tensor<1>>, Step) -> (Tensor<1>, Option<Tensor<1>>), dtype| {
            let (mut param, mut momentum) = (random([len], 1, dtype, &Device::flex()), None);
            for number in 1..=STEPS {
                (param, momentum) = update(rule, param, gradient(len, number, dtype), momentum, step(number, settings.0, settings.1));
            }
            assert_eq!(momentum.is_some(), kind != 0);
            [values(param), momentum.map(values).unwrap_or_default()]
        };
        close(&run(kernels::sgd, DType::F32), &run(kernels::sgd_composed, DType::F64))?;
    }

    #[test]
    fn sums_of_squares_and_averages_agree(len in lengths(), weight in 0.0f64..1.0) {
        let tensor = |seed, dtype| random::<1>([len], seed, dtype, &Device::flex());
        let sum = |dtype| values(kernels::sum_of_squares(tensor(1, dtype)));
        let blend = |dtype| values(kernels::blend(tensor(1, dtype), tensor(2, dtype), weight));
        close(&[sum(DType::F32), blend(DType::F32)], &[sum(DType::F64), blend(DType::F64)])?;
    }
}

#[test]
fn who_else_holds_a_parameter_keeps_its_values() {
    let param = random::<1>([100], 1, DType::F32, &Device::flex());
    let kept = param.clone();
    let before = values(param.clone());
    let rule = Adam { beta1: 0.9, beta2: 0.99, eps: 1e-6, decoupled: true };
    let (after, _) = kernels::adam(rule, param, gradient(100, 1, DType::F32), None, step(1, 0.1, 1.0));
    assert_eq!(values(kept), before);
    assert_ne!(values(after), before);
}

#[test]
fn a_part_of_a_tensor_steps_alone() {
    let whole = random::<1>([100], 1, DType::F32, &Device::flex());
    let part = whole.clone().slice(s![30..70]);
    let rule = Sgd { momentum: 0.0, dampening: 0.0, nesterov: false };
    let grad = gradient(40, 1, DType::F32);
    let (found, _) = kernels::sgd(rule, part.clone(), grad.clone(), None, step(1, 0.0, 1.0));
    let (expected, _) = kernels::sgd_composed(rule, part, grad, None, step(1, 0.0, 1.0));
    assert!(difference(&values(found), &values(expected)) < 1e-6);
}

#[test]
fn a_gradient_that_is_no_number_shows_in_its_own_place_only() {
    let mut numbers = parity::numbers(50, 3);
    (numbers[7], numbers[20]) = (f64::NAN, f64::INFINITY);
    let grad = Tensor::<1>::from_data(
        burn::tensor::TensorData::new(numbers, [50]).convert_dtype(DType::F32),
        (&Device::flex(), DType::F32),
    );
    let param = || random::<1>([50], 1, DType::F32, &Device::flex());
    let rule = Adam { beta1: 0.9, beta2: 0.99, eps: 1e-6, decoupled: false };
    let (found, _) = kernels::adam(rule, param(), grad.clone(), None, step(1, 0.0, 1.0));
    let (expected, _) = kernels::adam_composed(rule, param(), grad, None, step(1, 0.0, 1.0));
    assert!(difference(&values(found.clone()), &values(expected)) < 1e-5);
    assert_eq!(values(found).iter().filter(|value| value.is_nan()).count(), 2);
}

#[test]
fn a_parameter_that_nobody_else_holds_steps_where_it_lies() {
    let place = |tensor: &Tensor<1>| {
        let tensor = tensor.clone().try_into_primitive::<burn::backend::Flex>().unwrap();
        tensor.storage::<f32>().as_ptr()
    };
    let param = random::<1>([100], 1, DType::F32, &Device::flex());
    let averages = [2, 3].map(|seed| random::<1>([100], seed, DType::F32, &Device::flex()).abs());
    let before = [&param, &averages[0], &averages[1]].map(place);
    let rule = Adam { beta1: 0.9, beta2: 0.99, eps: 1e-6, decoupled: true };
    let (param, averages) = kernels::adam(rule, param, gradient(100, 1, DType::F32), Some(averages), step(1, 0.1, 1.0));
    assert_eq!([&param, &averages[0], &averages[1]].map(place), before);
}
