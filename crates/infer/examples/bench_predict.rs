//! The predicting half of `cargo xtask bench`, spoken to as `xtask/bench/server.rs` says. Who computes: `plain`, the network in Burn's own
//! modules on a batch that lies ready; `ours`, ours the same way: the plan where the backend has one, and `Model::forward` elsewhere;
//! `whole`, all the way from pixels in memory to predictions. All but `whole` end with the logits on the host.

use std::hint::black_box;

use anyhow::{Result, bail, ensure};
use burn::tensor::{Device, Tensor};
use data::{Batch, Inputs, Targets};
use models::{Model, Pass};
use serde_json::json;
use tasks::Task;

#[path = "../../../xtask/bench/nets.rs"]
mod nets;
#[path = "../../../xtask/bench/plain.rs"]
mod plain;
#[path = "../../../xtask/bench/server.rs"]
mod server;

use nets::CLASSES;
use server::{Built, Case, Runner, stepwise};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let selected = device::select(&std::env::var("BENCH_DEVICE").unwrap_or_else(|_| "auto".to_owned()))?;
    let variants = json!({"predict": ["ours", "plain", "whole"]});
    server::serve(&variants, &selected.name, |case| build(case, &selected.device))
}

fn build(case: &Case, device: &Device) -> Result<Built> {
    let Case { model, batch, variant, .. } = case;
    let runner = match variant.as_str() {
        "plain" => plain_burn(model, *batch, device),
        "ours" => bare(model, *batch, device)?,
        "whole" => whole(model, *batch, device)?,
        _ => bail!("there is no variant `{variant}`"),
    };
    Ok(Built { runner, flop: Some(nets::flop(model)?[0] * *batch as u64) })
}

fn plain_burn(model: &str, batch: usize, device: &Device) -> Runner {
    let (net, inputs) = (plain::Plain::new(model, device), nets::batch(model, batch, device));
    stepwise(move || read(net.forward(inputs.clone())).map(drop))
}

fn bare(model: &str, batch: usize, device: &Device) -> Result<Runner> {
    let (net, inputs) = (ours(model, device)?, nets::batch(model, batch, device));
    if let Some(plan) = net.plan() {
        let floats = inputs.into_data().try_into_vec::<f32>().map_err(|error| anyhow::anyhow!("{error:?}"))?;
        return Ok(stepwise(move || {
            black_box(plan.floats(&floats));
            Ok(())
        }));
    }
    Ok(stepwise(move || read(net.forward(inputs.clone(), Pass::Predict)).map(drop)))
}

/// As `infer` does it: bytes to a batch to tensors, forward, and a prediction with names for every image.
fn whole(model: &str, batch: usize, device: &Device) -> Result<Runner> {
    let (net, device) = (ours(model, device)?, device.clone());
    let classes = Targets::Classes { names: (0..CLASSES).map(|class| class.to_string()).collect(), values: vec![0, 1] };
    let task = Task::for_targets(&classes, &[0, 1], &Default::default())?;
    let (pixels, [channels, height, width]) = (nets::pixels(model, batch, 1), nets::shape(model));
    let plan = net.plan();
    Ok(stepwise(move || {
        let outputs = match &plan {
            Some(plan) => plan.pixels(&pixels),
            None => {
                let (inputs, shape) = (Inputs::Pixels(pixels.clone()), [batch, channels, height, width]);
                let batch = Batch { indices: Vec::new(), shape, inputs, targets: None };
                read(net.forward(batch.into_tensors(&device).0, Pass::Predict))?
            }
        };
        let answers = outputs.chunks_exact(CLASSES).filter(|row| task.decode(row).top().is_some()).count();
        ensure!(answers * CLASSES == outputs.len(), "an image went without an answer");
        Ok(())
    }))
}

fn ours(model: &str, device: &Device) -> Result<Model> {
    Ok(nets::config(model)?.init(&nets::input(model), CLASSES, 0, device)?)
}

fn read(outputs: Tensor<2>) -> Result<Vec<f32>> {
    outputs.try_into_data()?.try_into_vec::<f32>().map_err(|error| anyhow::anyhow!("{error:?}"))
}
