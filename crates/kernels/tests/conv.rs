//! The convolution on the CPU against its definition in Burn's operations and double precision.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that finds nothing where something must be has failed"
)]

use burn::tensor::{DType, Device, Tensor, TensorData, ops::ConvOptions};
use kernels::{After, Window};
use proptest::prelude::*;

mod parity;
use parity::{difference, numbers, random, values};

/// A convolution to try.
#[derive(Clone, Debug)]
struct Case {
    x: [usize; 4],
    weight: [usize; 4],
    options: ConvOptions<2>,
    after: After,
    biased: bool,
    /// Whether the input and the incoming gradient lie channels-last.
    turned: bool,
    /// Whether a bridge leads over it.
    bridged: bool,
}

/// The output, and the input for a bridge.
type Convolve = fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>, ConvOptions<2>, After) -> (Tensor<4>, Tensor<4>);

/// The output, and the gradients of input, weights and bias for a loss that weighs every output differently, and what comes over the bridge.
fn run(case: &Case, convolve: Convolve, dtype: DType) -> [Vec<f64>; 4] {
    let device = Device::flex().autodiff();
    let x = random(case.x, 1, dtype, &device).require_grad();
    let weight = random(case.weight, 2, dtype, &device).require_grad();
    let bias = case.biased.then(|| random([case.weight[0]], 3, dtype, &device).require_grad());
    let seen =
        if case.turned { x.clone().permute([0, 2, 3, 1]).mul_scalar(1.0).permute([0, 3, 1, 2]) } else { x.clone() };
    let (out, bridge) = convolve(seen, weight.clone(), bias.clone(), case.options.clone(), case.after);
    let weights = random(out.dims(), 4, dtype, &device);
    let loss = match case.turned {
        true => (out.clone().permute([0, 2, 3, 1]) * weights.permute([0, 2, 3, 1])).sum(),
        false => (out.clone() * weights).sum(),
    };
    let loss = match case.bridged {
        true => loss + (bridge * random(case.x, 5, dtype, &device)).sum(),
        false => loss,
    };
    let grads = loss.backward();
    let bias = bias.and_then(|bias| bias.grad(&grads)).map(values).unwrap_or_default();
    [values(out), values(x.grad(&grads).unwrap()), values(weight.grad(&grads).unwrap()), bias]
}

fn definition(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    after: After,
) -> (Tensor<4>, Tensor<4>) {
    (kernels::conv2d_composed(x.clone(), weight, bias, options, after), x)
}

fn agree(case: &Case) -> Result<(), TestCaseError> {
    let ours: Convolve = match case.bridged {
        true => kernels::conv2d_bridged,
        false => |x, weight, bias, options, after| (kernels::conv2d(x.clone(), weight, bias, options, after), x),
    };
    let found = run(case, ours, DType::F32);
    let expected = run(case, definition, DType::F64);
    let names = ["output", "gradient of the input", "gradient of the weights", "gradient of the bias"];
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let apart = difference(found, expected);
        let most = if at == 0 { 1e-5 } else { 1e-4 };
        prop_assert!(apart <= most, "{}: {apart:.1e} apart", names[at]);
    }
    Ok(())
}

fn cases() -> impl Strategy<Value = Case> {
    let side = || (1usize..4, 1usize..4, 0usize..3, 0usize..3, 1usize..3, 0usize..9);
    let groups = prop_oneof![
        (1usize..20, 1usize..40, Just(1usize)),
        (1usize..5, 1usize..20, 2usize..4),
        (Just(1), Just(1), 2usize..40)
    ];
    let pool = prop_oneof![
        Just(None),
        (1usize..4, 1usize..4).prop_map(|(size, stride)| Some(Window { size, stride, padding: 0 }))
    ];
    (1usize..6, [side(), side()], groups, pool, any::<[bool; 4]>()).prop_filter_map(
        "a window fits",
        |(batch, sides, groups, pool, flags)| {
            let (inputs, outputs, groups) = groups;
            let [rows, columns] = sides.map(|(kernel, _, before, after, dilation, more)| {
                let reach = dilation * (kernel - 1) + 1;
                // As small as the kernel with its padding allows, and more.
                (reach.saturating_sub(before + after).max(1) + more, kernel)
            });
            let options = ConvOptions::new_with_padding(
                sides.map(|side| side.1),
                sides.map(|side| (side.2, side.3)),
                sides.map(|side| side.4),
                groups,
            );
            let out = |axis: usize| {
                let (kernel, stride, before, after, dilation, _) = sides[axis];
                ([rows.0, columns.0][axis] + before + after - dilation * (kernel - 1) - 1) / stride + 1
            };
            let fits = pool.is_none_or(|pool: Window| pool.size <= out(0).min(out(1)));
            fits.then(|| Case {
                x: [batch, inputs * groups, rows.0, columns.0],
                weight: [outputs * groups, inputs, rows.1, columns.1],
                options,
                after: After { relu: flags[0], pool },
                biased: flags[1],
                turned: flags[2],
                bridged: flags[3],
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_cpu_agrees_with_the_definition(case in cases()) {
        agree(&case)?;
    }
}

fn plain(x: [usize; 4], weight: [usize; 4]) -> Case {
    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], x[1] / weight[1]);
    Case { x, weight, options, after: After::default(), biased: true, turned: false, bridged: false }
}

#[test]
fn networks_of_the_bench_agree() {
    let pooled = After { relu: true, pool: Some(Window { size: 2, stride: 2, padding: 0 }) };
    for case in [
        Case { after: pooled, ..plain([5, 1, 28, 28], [32, 1, 3, 3]) },
        Case { after: pooled, ..plain([5, 32, 14, 14], [64, 32, 3, 3]) },
        plain([3, 64, 9, 9], [64, 1, 3, 3]),
        Case { options: ConvOptions::new([2, 2], [1, 1], [1, 1], 1), ..plain([3, 16, 32, 32], [32, 16, 3, 3]) },
        plain([2, 3, 70, 70], [40, 3, 3, 3]),
        Case { options: ConvOptions::new([2, 2], [3, 3], [1, 1], 1), ..plain([4, 3, 67, 67], [64, 3, 7, 7]) },
        Case { turned: true, bridged: true, ..plain([5, 16, 32, 32], [16, 16, 3, 3]) },
    ] {
        agree(&case).unwrap();
    }
}

#[test]
fn an_empty_batch_gives_an_empty_map() {
    let device = Device::flex().autodiff();
    let case = plain([0, 3, 8, 8], [4, 3, 3, 3]);
    let x = random(case.x, 1, DType::F32, &device).require_grad();
    let weight = random(case.weight, 2, DType::F32, &device).require_grad();
    let out = kernels::conv2d(x, weight.clone(), None, case.options, case.after);
    assert_eq!(out.dims(), [0, 4, 8, 8]);
    let grads = out.sum().backward();
    assert_eq!(values(weight.grad(&grads).unwrap()), vec![0.0; 108]);
}

#[test]
fn what_is_no_number_stays_none() {
    let mut numbers = numbers(2 * 36, 7);
    (numbers[3], numbers[40]) = (f64::NAN, f64::INFINITY);
    let device = Device::flex();
    let x = |dtype| {
        Tensor::<4>::from_data(TensorData::new(numbers.clone(), [2, 1, 6, 6]).convert_dtype(dtype), (&device, dtype))
    };
    let weight = |dtype| random([3, 1, 3, 3], 2, dtype, &device);
    for after in [
        After::default(),
        After { relu: true, pool: None },
        After { relu: true, pool: Some(Window { size: 2, stride: 2, padding: 0 }) },
    ] {
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        let found = kernels::conv2d(x(DType::F32), weight(DType::F32), None, options.clone(), after);
        let expected = kernels::conv2d_composed(x(DType::F64), weight(DType::F64), None, options, after);
        let expected = values(expected);
        assert!(expected.iter().any(|value| value.is_nan()));
        assert!(difference(&values(found), &expected) < 1e-5);
    }
}

/// The gradient of `loss` at `numbers`, by central differences in double precision.
fn differences(numbers: &[f64], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let step = 1e-5;
    let moved = |at: usize, by: f64| {
        let mut numbers = numbers.to_vec();
        numbers[at] += by;
        loss(&numbers)
    };
    (0..numbers.len()).map(|at| (moved(at, step) - moved(at, -step)) / (2.0 * step)).collect()
}

#[test]
fn the_definition_has_the_gradients_of_finite_differences() {
    let pool = Some(Window { size: 2, stride: 2, padding: 0 });
    let strided = ConvOptions::new_with_padding([2, 1], [(1, 0), (0, 2)], [1, 2], 2);
    for case in [
        Case { after: After { relu: true, pool }, ..plain([2, 2, 5, 5], [3, 2, 3, 3]) },
        Case { options: strided, ..plain([2, 4, 6, 7], [4, 2, 3, 3]) },
    ] {
        let [_, of_x, of_weight, of_bias] = run(&case, definition, DType::F64);
        let device = Device::flex();
        let tensor = |numbers: &[f64], shape: [usize; 4]| {
            Tensor::<4>::from_data(TensorData::new(numbers.to_vec(), shape), (&device, DType::F64))
        };
        let loss = |x: &[f64], weight: &[f64], bias: &[f64]| {
            let bias = Tensor::from_data(TensorData::new(bias.to_vec(), [bias.len()]), (&device, DType::F64));
            let (x, weight) = (tensor(x, case.x), tensor(weight, case.weight));
            let out = values(kernels::conv2d_composed(x, weight, Some(bias), case.options.clone(), case.after));
            out.iter().zip(numbers(out.len(), 4)).map(|(out, weight)| out * weight).sum::<f64>()
        };
        let count = |shape: [usize; 4]| shape.iter().product::<usize>();
        let (x, weight) = (numbers(count(case.x), 1), numbers(count(case.weight), 2));
        let bias = numbers(case.weight[0], 3);
        assert!(difference(&of_x, &differences(&x, |x| loss(x, &weight, &bias))) < 1e-6);
        assert!(difference(&of_weight, &differences(&weight, |weight| loss(&x, weight, &bias))) < 1e-6);
        assert!(difference(&of_bias, &differences(&bias, |bias| loss(&x, &weight, bias))) < 1e-6);
    }
}
