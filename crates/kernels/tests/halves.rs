//! Numbers of 16 bits on Flex: products are added up in f32, as on a GPU, and rounded once.

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use kernels::{After, Window};

fn tensor<const D: usize>(shape: [usize; D], slope: f32) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * slope).sin() + 0.5).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

#[test]
fn sums_of_products_are_rounded_once() {
    for dtype in [FloatDType::F16, FloatDType::BF16] {
        let rounded = |x: Tensor<4>| x.cast(dtype);
        let (x, weight) = (rounded(tensor([2, 2, 9, 9], 0.37)), rounded(tensor([5, 2, 3, 3], 1.3)));
        let options = || ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let after = After { relu: true, pool: Some(Window { size: 2, stride: 2, padding: 0 }) };
        let wide = kernels::conv2d(
            x.clone().cast(FloatDType::F32),
            weight.clone().cast(FloatDType::F32),
            None,
            options(),
            after,
        );
        let found = kernels::conv2d(x.clone(), weight.clone(), None, options(), after);
        assert_eq!(found.into_data(), wide.clone().cast(dtype).into_data());
        let (bridged, same) = kernels::conv2d_bridged(x.clone(), weight, None, options(), after);
        assert_eq!(bridged.into_data(), wide.cast(dtype).into_data());
        assert_eq!(same.into_data(), x.into_data());

        let rounded = |x: Tensor<2>| x.cast(dtype);
        let (x, weight) = (rounded(tensor([3, 700], 0.11)), rounded(tensor([700, 4], 0.7)));
        let bias = tensor([4], 2.0).cast(dtype);
        let wide = |x: &Tensor<2>| x.clone().cast(FloatDType::F32);
        let expected = kernels::linear(wide(&x), wide(&weight), Some(bias.clone().cast(FloatDType::F32)), true);
        let found = kernels::linear(x, weight, Some(bias), true);
        assert_eq!(found.into_data(), expected.cast(dtype).into_data());
    }
}
