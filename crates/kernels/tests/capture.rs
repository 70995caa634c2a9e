//! A device that records operations instead of computing them, as exporters use it: every operation takes its composed definition there.
#![cfg(feature = "capture")]
#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something must be has failed")]

use burn::tensor::{Device, Int, Tensor, TensorData, ops::ConvOptions};
use kernels::{After, Join, Window};

/// A tensor on the device, of numbers that don't matter.
fn made<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(vec![0.5f32; shape.iter().product()], shape), device)
}

/// An operation by name.
type Operation = (&'static str, fn(&Device));

fn x(device: &Device) -> Tensor<4> {
    made([2, 4, 8, 8], device)
}

const OPERATIONS: [Operation; 11] = [
    ("convolution", |device| {
        let after = After { relu: true, pool: Some(Window { size: 2, stride: 2, padding: 0 }) };
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        drop(kernels::conv2d(x(device), made([6, 4, 3, 3], device), Some(made([6], device)), options, after));
    }),
    ("convolution with a bridge", |device| {
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        drop(kernels::conv2d_bridged(x(device), made([4, 4, 3, 3], device), None, options, After::default()));
    }),
    ("linear layer", |device| {
        drop(kernels::linear(made([2, 5], device), made([5, 3], device), Some(made([3], device)), true));
    }),
    ("batch normalisation", |device| {
        let channels = || [made([4], device), made([4], device)];
        let join = Join { bridge: Some(x(device)), relu: true };
        drop(kernels::batch_norm(x(device), channels(), channels(), 1e-5, join));
    }),
    ("batch normalisation in training", |device| {
        let join = Join { bridge: None, relu: true };
        drop(kernels::batch_norm_train(x(device), [made([4], device), made([4], device)], 1e-5, join));
    }),
    ("maximum pooling", |device| drop(kernels::max_pool2d(x(device), Window { size: 2, stride: 2, padding: 0 }, true))),
    ("average pooling", |device| drop(kernels::avg_pool2d(x(device), Window { size: 2, stride: 2, padding: 0 }))),
    ("mean of each channel", |device| drop(kernels::global_average(x(device)))),
    ("bridge with more channels", |device| drop(kernels::subsample(x(device), 2, 1, 1))),
    ("maps as rows", |device| drop(kernels::flatten(x(device)))),
    ("cross-entropy", |device| {
        let classes = Tensor::<1, Int>::from_data(TensorData::from([1i32, 0]), device);
        drop(kernels::cross_entropy(made([2, 3], device), classes, None, 0.1));
    }),
];

#[test]
fn every_operation_is_recorded_by_its_definition() {
    for (name, operation) in OPERATIONS {
        let device = Device::capture();
        let graph = device
            .capture_scope(|scope| {
                operation(&device);
                scope.complete([], [])
            })
            .unwrap();
        assert!(!graph.graph.operations.is_empty(), "{name} recorded nothing");
    }
}
