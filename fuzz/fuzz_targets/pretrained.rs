//! The file of `--init-from`, in any format that it may have: what it has of a small network, and its numbers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use models::{Model, Pretrained};

thread_local! {
    static NETWORK: Model = network();
}

/// The perceptron of 6 inputs, 4 hidden units and 3 outputs whose weights the seeds are.
fn network() -> Model {
    let device = device::select("cpu").expect("a processor").device;
    let input = data::ImageSpec {
        channels: 1,
        height: 2,
        width: 3,
        fit: data::Fit::Crop,
        filter: data::Filter::Triangle,
        mean: vec![0.0],
        std: vec![1.0],
    };
    let config = models::ModelConfig::Mlp(models::MlpConfig::with_hidden([4]));
    config.blank(&data::InputSpec::Image(input), 3, &device).expect("a network")
}

fuzz_target!(|bytes: &[u8]| {
    let path = fuzz::write("weights.pt", bytes);
    let network = NETWORK.with(Model::clone);
    let Ok(mut file) = Pretrained::open(&path) else { return };
    let fit = file.fit(&network, false);
    let taken = file.check(&fit, true).and_then(|()| file.read(&fit));
    if let Ok(tensors) = taken {
        models::replace_tensors(network, tensors).expect("what is taken fits");
    }
});
