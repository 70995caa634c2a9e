//! The predicting half of `cargo xtask bench`: images/s of three things, in turns. The network in plain Burn on a batch that lies ready;
//! ours the same way; and the whole way from pixels in memory to predictions. JSON on stdout.

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData, activation::softmax};
use data::random::{Purpose, Random};
use data::{Batch, Filter, Fit, ImageSpec, InputSpec, Inputs, Targets};
use models::{Model, ModelConfig, Pass};
use tasks::Task;

#[path = "../../../xtask/bench/clock.rs"]
mod clock;
#[path = "../../../xtask/bench/plain.rs"]
mod plain;

use clock::{Clock, Variant, row, timed};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let selected = device::select(&std::env::var("BENCH_DEVICE").unwrap_or_else(|_| "auto".to_owned()))?;
    let clock = Clock::from_args();
    let mut rows = Vec::new();
    for model in ["mlp", "cnn"] {
        for batch in [1, 64, 256] {
            eprintln!("predict {model} at batch {batch} on {}", selected.name);
            let mut variants = [
                plain_burn(model, batch, &selected.device),
                bare(model, batch, &selected.device)?,
                whole(model, batch, &selected.device)?,
            ];
            let times = clock.rounds(&mut variants)?;
            rows.push(row("predict", model, batch, &selected.name, &times));
        }
    }
    println!("{}", serde_json::Value::from(rows));
    Ok(())
}

fn plain_burn<'a>(model: &str, batch: usize, device: &Device) -> Variant<'a> {
    let (net, device) = (plain::Plain::new(model, device), device.clone());
    let inputs = ready(batch, &device);
    Box::new(move |steps| timed(steps, &device, || read(softmax(net.forward(inputs.clone()), 1)).map(drop)))
}

fn bare<'a>(model: &str, batch: usize, device: &Device) -> Result<Variant<'a>> {
    let (net, device) = (ours(model, device)?, device.clone());
    let inputs = ready(batch, &device);
    Ok(Box::new(move |steps| {
        timed(steps, &device, || read(softmax(net.forward(inputs.clone(), Pass::Predict), 1)).map(drop))
    }))
}

/// As `infer` does it: bytes to a batch to tensors, forward, and a prediction with names for every image.
fn whole<'a>(model: &str, batch: usize, device: &Device) -> Result<Variant<'a>> {
    let (net, device) = (ours(model, device)?, device.clone());
    let classes = Targets::Classes { names: (0..10).map(|class| class.to_string()).collect(), values: vec![0, 1] };
    let task = Task::for_targets(&classes, &[0, 1], &Default::default())?;
    let pixels = pixels(batch);
    Ok(Box::new(move |steps| {
        timed(steps, &device, || {
            let inputs = Inputs::Pixels(pixels.clone());
            let batch = Batch { indices: Vec::new(), shape: [batch, 1, 28, 28], inputs, targets: None };
            let outputs = read(net.forward(batch.into_tensors(&device).0, Pass::Predict))?;
            let answers = outputs.chunks_exact(10).filter(|row| task.decode(row).top().is_some()).count();
            anyhow::ensure!(answers * 10 == outputs.len(), "an image went without an answer");
            Ok(())
        })
    }))
}

fn ours(model: &str, device: &Device) -> Result<Model> {
    let input = ImageSpec {
        channels: 1,
        height: 28,
        width: 28,
        fit: Fit::default(),
        filter: Filter::default(),
        mean: vec![0.5],
        std: vec![0.29],
    };
    let config = ModelConfig::preset(model).context("preset")?;
    Ok(config.init(&InputSpec::Image(input), 10, 0, device)?)
}

fn pixels(count: usize) -> Vec<u8> {
    let mut random = Random::new(0, Purpose::Bench, 0, 0);
    (0..count * 784).map(|_| random.below(256) as u8).collect()
}

fn ready(batch: usize, device: &Device) -> Tensor<4> {
    let floats: Vec<f32> = pixels(batch).into_iter().map(|pixel| f32::from(pixel) / 255.0).collect();
    Tensor::from_data(TensorData::new(floats, [batch, 1, 28, 28]), device)
}

fn read(outputs: Tensor<2>) -> Result<Vec<f32>> {
    outputs.try_into_data()?.try_into_vec::<f32>().map_err(|error| anyhow::anyhow!("{error:?}"))
}
