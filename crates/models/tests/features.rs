//! Feature maps are what `forward` computes on the way, for any configuration; filters are the weights under their names.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use data::{Column, ColumnKind, Filter, Fit, ImageSpec, InputSpec, TableSpec};
use models::{
    Activation, CnnConfig, FeatureMap, HeadConfig, MlpConfig, Model, ModelConfig, Normalisation, Pass, PoolConfig,
    PoolKind, Residual, StageConfig, feature_maps, filters, first_filters, load_tensors, named_tensors, summary,
};

const OUTPUTS: usize = 4;

fn image([channels, height, width]: [usize; 3], mean: f32, std: f32) -> InputSpec {
    let (mean, std) = (vec![mean; channels], vec![std; channels]);
    InputSpec::Image(ImageSpec { channels, height, width, fit: Fit::Crop, filter: Filter::Triangle, mean, std })
}

fn network(config: &ModelConfig, shape: [usize; 3]) -> Model {
    config.init(&image(shape, 0.4, 0.3), OUTPUTS, 3, &Device::flex()).unwrap()
}

/// Two samples that differ in every pixel.
fn inputs(shape: [usize; 3]) -> Tensor<4> {
    let numbers = (0..2 * shape.iter().product::<usize>()).map(|at| (at as f32 * 0.7).sin().abs());
    let [channels, height, width] = shape;
    Tensor::from_data(TensorData::new(numbers.collect(), [2, channels, height, width]), &Device::flex())
}

fn tensor(map: &FeatureMap) -> Tensor<4> {
    Tensor::from_data(TensorData::new(map.values.clone(), map.shape), &Device::flex())
}

fn floats<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

fn close(found: &[f32], expected: &[f32]) -> bool {
    found.len() == expected.len() && found.iter().zip(expected).all(|(x, y)| (x - y).abs() <= 1e-5 * (1.0 + y.abs()))
}

fn stage(norm: Normalisation, activation: Activation, pool: Option<PoolConfig>, repeat: usize) -> StageConfig {
    StageConfig { filters: 6, norm, activation, pool, repeat, ..StageConfig::default() }
}

/// Convolutions that take in their ReLU and pooling, that leave ReLU to the pooling, that pool by the mean, and residual blocks.
fn configurations() -> Vec<ModelConfig> {
    let average = PoolConfig { kind: PoolKind::Avg, size: 3, stride: Some(2), padding: 1 };
    let stages = [
        stage(Normalisation::None, Activation::Relu, Some(PoolConfig::max(2)), 2),
        stage(Normalisation::Batch, Activation::Relu, Some(PoolConfig::max(2)), 2),
        stage(Normalisation::None, Activation::LeakyRelu, Some(PoolConfig::max(2)), 1),
        stage(Normalisation::None, Activation::Relu, Some(average), 1),
        stage(Normalisation::Group, Activation::Gelu, Some(PoolConfig::max(2)), 1),
        stage(Normalisation::None, Activation::None, None, 1),
        StageConfig {
            residual: Residual::Project,
            ..stage(Normalisation::Batch, Activation::Relu, Some(PoolConfig::max(2)), 2)
        },
    ];
    let head = HeadConfig { hidden: vec![5], ..HeadConfig::default() };
    let cnn = |stage| ModelConfig::Cnn(CnnConfig { stages: vec![stage], head: head.clone(), ..CnnConfig::default() });
    let presets = ModelConfig::PRESETS.iter().map(|name| ModelConfig::preset(name).unwrap());
    stages.map(cnn).into_iter().chain(presets).collect()
}

#[test]
fn the_maps_of_any_network_end_in_its_outputs_and_have_the_shapes_of_its_summary() {
    let shape = [3, 12, 10];
    for config in configurations() {
        let model = network(&config, shape);
        let maps = feature_maps(&model, inputs(shape), usize::MAX);
        let outputs = floats(model.forward(inputs(shape), Pass::Predict));
        assert!(close(&maps.last().unwrap().values, &outputs), "{config:?}");
        for layer in summary(&config, model.input(), OUTPUTS).unwrap() {
            let Some(map) = maps.iter().find(|map| map.layer == layer.name) else { continue };
            let [_, found @ ..] = map.shape;
            assert_eq!(found[..layer.output.len()], layer.output[..], "{}", layer.name);
            assert_eq!(map.channels, layer.output[0], "{}", layer.name);
        }
    }
}

#[test]
fn the_last_map_fed_through_the_head_alone_gives_the_outputs() {
    let shape = [3, 12, 10];
    for config in configurations() {
        let ModelConfig::Cnn(cnn) = &config else { continue };
        let model = network(&config, shape);
        let maps = feature_maps(&model, inputs(shape), usize::MAX);
        let map = maps.iter().rfind(|map| !map.layer.starts_with("head") || map.layer == "head").unwrap();
        // The head as a perceptron of its own, that takes the map as it is.
        let HeadConfig { hidden, norm, activation, .. } = cnn.head.clone();
        let head = ModelConfig::Mlp(MlpConfig { norm, activation, ..MlpConfig::with_hidden(hidden) });
        let [_, channels, height, width] = map.shape;
        let head = head.init(&image([channels, height, width], 0.0, 1.0), OUTPUTS, 9, &Device::flex()).unwrap();
        let weights = named_tensors(&model).into_iter();
        let weights = weights.filter_map(|one| Some((one.name.strip_prefix("head.")?.to_owned(), one.data)));
        let head = load_tensors(head, weights.collect::<HashMap<_, _>>()).unwrap();
        let found = floats(head.forward(tensor(map), Pass::Predict));
        assert!(close(&found, &floats(model.forward(inputs(shape), Pass::Predict))), "{config:?}");
    }
}

#[test]
fn pooling_keeps_the_greatest_of_the_map_before_it() {
    let shape = [1, 28, 28];
    let maps = feature_maps(&network(&ModelConfig::named("cnn").unwrap(), shape), inputs(shape), usize::MAX);
    let [before, after] = [&maps[0], &maps[1]];
    assert_eq!([&*before.layer, &*after.layer], ["stages.0.blocks.0", "stages.0.pool"]);
    assert_eq!([&*before.kind, &*after.kind], ["conv 3x3, relu", "max pool 2x2"]);
    assert_eq!((before.shape, after.shape), ([2, 32, 28, 28], [2, 32, 14, 14]));
    for (at, greatest) in after.values.iter().enumerate() {
        let (plane, y, x) = (at / 196, at / 14 % 14, at % 14);
        let window = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(dy, dx)| plane * 784 + (2 * y + dy) * 28 + 2 * x + dx);
        assert_eq!(window.map(|at| before.values[at]).into_iter().fold(f32::MIN, f32::max), *greatest);
    }
}

#[test]
fn of_wide_layers_the_first_channels_are_read_and_of_vectors_all_units() {
    let shape = [1, 28, 28];
    let model = network(&ModelConfig::named("cnn").unwrap(), shape);
    let (all, some) = (feature_maps(&model, inputs(shape), usize::MAX), feature_maps(&model, inputs(shape), 3));
    for (all, some) in all.iter().zip(&some).take(4) {
        let [_, channels, height, width] = all.shape;
        assert_eq!((some.shape, some.channels), ([2, 3, height, width], channels));
        let (sample, kept) = (channels * height * width, 3 * height * width);
        assert_eq!(some.values[..kept], all.values[..kept]);
        assert_eq!(some.values[kept..], all.values[sample..][..kept]);
    }
    assert_eq!(all[4..], some[4..], "head.hidden.0 and head.output");
}

#[test]
fn filters_are_the_weights_of_the_convolutions_and_of_a_perceptron_those_that_see_the_image() {
    let model = network(&ModelConfig::named("resnet18-small").unwrap(), [3, 8, 8]);
    let found = filters(&model);
    assert_eq!(found.len(), 20, "a stem, sixteen convolutions, three bridges");
    assert_eq!((&*found[0].layer, found[0].shape), ("stages.0.blocks.0.conv1", [64, 3, 3, 3]));
    assert_eq!(first_filters(&model).as_ref(), found.first());
    for one in &found {
        let tensors = named_tensors(&model);
        let tensor = tensors.iter().find(|tensor| tensor.name == format!("{}.weight", one.layer)).unwrap();
        assert_eq!((&tensor.data.shape()[..], tensor.data.as_slice::<f32>().unwrap()), (&one.shape[..], &*one.values));
    }

    let model = network(&ModelConfig::Mlp(MlpConfig::with_hidden([7, 5])), [3, 4, 2]);
    let [found] = &filters(&model)[..] else { panic!("one layer looks at the image") };
    assert_eq!((&*found.layer, found.shape), ("hidden.0.linear", [7, 3, 4, 2]));
    let tensor = named_tensors(&model).remove(0);
    assert_eq!((&*tensor.name, tensor.data.as_slice::<f32>().unwrap()), ("hidden.0.linear.weight", &*found.values));
    let linear = network(&ModelConfig::Mlp(MlpConfig::with_hidden([])), [1, 4, 2]);
    assert_eq!(
        first_filters(&linear).map(|found| (found.layer, found.shape)),
        Some(("output".to_owned(), [4, 1, 4, 2]))
    );

    let kind = ColumnKind::Numeric { fill: 0.0, mean: 0.0, std: 1.0, ranks: Vec::new(), indicator: false };
    let columns =
        ["a", "b"].map(|name| Column { name: name.to_owned(), position: usize::from(name == "b"), kind: kind.clone() });
    let table = InputSpec::Table(TableSpec { columns: columns.into(), targets: Vec::new(), width: 2, header: true });
    let of_rows = ModelConfig::named("mlp").unwrap().init(&table, OUTPUTS, 3, &Device::flex()).unwrap();
    assert_eq!(filters(&of_rows), [], "a row is no image");
    let maps = feature_maps(&of_rows, Tensor::ones([1, 2, 1, 1], &Device::flex()), 1);
    assert_eq!(maps.iter().map(|map| &*map.layer).collect::<Vec<_>>(), ["hidden.0", "hidden.1", "output"]);
}
