//! Every preset builds, computes what its summary says, and keeps its parameters through a round trip by name.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::HashMap;

use burn::{
    module::Module,
    optim::{GradientsParams, SgdConfig},
    tensor::{Device, Tensor, TensorData},
};
use data::{Filter, Fit, ImageSpec, InputSpec};
use models::{Kind, Model, ModelConfig, Pass, load_tensors, named_tensors, parameter_kinds, summary};

fn image(channels: usize, side: usize) -> InputSpec {
    InputSpec::Image(ImageSpec {
        channels,
        height: side,
        width: side,
        fit: Fit::Crop,
        filter: Filter::Triangle,
        mean: vec![0.5; channels],
        std: vec![0.25; channels],
    })
}

fn parameters(name: &str, input: &InputSpec, outputs: usize) -> u64 {
    let config = ModelConfig::named(name).unwrap();
    summary(&config, input, outputs).unwrap().iter().map(|layer| layer.parameters).sum()
}

#[test]
fn presets_have_the_published_numbers_of_parameters() {
    assert_eq!(parameters("mlp", &image(1, 28), 10), 784 * 512 + 512 + 512 * 256 + 256 + 2560 + 10);
    assert_eq!(parameters("cnn", &image(1, 28), 10), 421_642);
    assert_eq!(parameters("lenet5", &image(1, 28), 10), 61_706);
    assert_eq!(parameters("lenet5", &image(1, 32), 10), 61_706);
    assert_eq!(parameters("resnet20", &image(3, 32), 10), 269_722);
    assert_eq!(parameters("resnet18-small", &image(3, 32), 10), 11_173_962);
    // torchvision's, 1,000 classes.
    assert_eq!(parameters("resnet18", &image(3, 224), 1000), 11_689_512);
    assert_eq!(parameters("resnet50", &image(3, 224), 1000), 25_557_032);
}

fn model(name: &str, input: &InputSpec, device: &Device) -> Model {
    ModelConfig::named(name).unwrap().init(input, 10, 1, device).unwrap()
}

#[test]
fn presets_compute_what_their_summary_says() {
    let device = Device::flex();
    for name in ModelConfig::PRESETS {
        let input = image(3, 16);
        let model = model(name, &input, &device);
        let outputs = model.forward(Tensor::zeros([2, 3, 16, 16], &device), Pass::Predict);
        assert_eq!(outputs.dims(), [2, 10], "{name}");
        let stored: usize = named_tensors(&model)
            .iter()
            .filter(|tensor| tensor.kind != Kind::Running)
            .map(|tensor| tensor.data.num_elements())
            .sum();
        assert_eq!(stored as u64, parameters(name, &input, 10), "{name}");
    }
}

#[test]
fn parameters_survive_a_round_trip_by_name() {
    let device = Device::flex();
    for name in ModelConfig::PRESETS {
        let input = image(1, 8);
        let first = model(name, &input, &device);
        let tensors: HashMap<String, TensorData> =
            named_tensors(&first).into_iter().map(|tensor| (tensor.name, tensor.data)).collect();
        assert_eq!(tensors.len(), named_tensors(&first).len(), "{name}: names are unique");
        assert_eq!(tensors.len(), parameter_kinds(&first).len(), "{name}");
        let other = ModelConfig::named(name).unwrap().init(&input, 10, 2, &device).unwrap();
        let second = load_tensors(other, tensors).unwrap();
        let x = Tensor::random([3, 1, 8, 8], burn::tensor::Distribution::Uniform(0.0, 1.0), &device);
        let outputs = first.forward(x.clone(), Pass::Predict).into_data();
        assert_eq!(outputs, second.forward(x, Pass::Predict).into_data(), "{name}");
    }
}

#[test]
fn names_are_those_of_pytorch() {
    let device = Device::flex();
    let names = |name| -> Vec<String> {
        named_tensors(&model(name, &image(1, 8), &device)).into_iter().map(|tensor| tensor.name).collect()
    };
    assert_eq!(
        names("mlp"),
        [
            "hidden.0.linear.weight",
            "hidden.0.linear.bias",
            "hidden.1.linear.weight",
            "hidden.1.linear.bias",
            "output.weight",
            "output.bias"
        ]
    );
    let resnet = names("resnet18-small");
    for name in ["stages.2.blocks.0.shortcut.norm.running_var", "stages.0.blocks.0.norm1.weight", "head.output.weight"]
    {
        assert!(resnet.iter().any(|other| other == name), "{name} isn't in {resnet:?}");
    }
}

#[test]
fn training_updates_every_parameter() {
    let device = Device::flex().autodiff();
    let input = image(1, 8);
    let mut model = model("resnet20", &input, &device);
    let before = named_tensors(&model);
    let x = Tensor::random([4, 1, 8, 8], burn::tensor::Distribution::Uniform(0.0, 1.0), &device);
    let loss = model.forward(x, Pass::Train { seed: 1, step: 0, first: 0 }).powi_scalar(2).mean();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    assert_eq!(gradients.len(), before.iter().filter(|tensor| tensor.kind != Kind::Running).count());
    model = SgdConfig::new().init().step(0.1, model, gradients);
    for (old, new) in before.iter().zip(named_tensors(&model)) {
        assert_ne!(old.data, new.data, "{} stayed", old.name);
    }
    let copy = model.clone();
    let kept = named_tensors(&copy);
    model.forward(Tensor::ones([4, 1, 8, 8], &device), Pass::Train { seed: 1, step: 1, first: 0 });
    for (old, new) in kept.iter().zip(named_tensors(&copy)) {
        assert_eq!(old.data, new.data, "{}: a copy changed with its original", old.name);
    }
    assert_eq!(copy.valid().devices().len(), 1);
}
