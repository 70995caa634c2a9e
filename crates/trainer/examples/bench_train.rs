//! The training half of `cargo xtask bench`, spoken to as `xtask/bench/server.rs` says. Who computes: `plain`, the network in Burn's own
//! modules with Burn's Adam, on a batch that lies ready; `ours`, ours the same way; `whole`, all of `trainer::train`: loading, shuffling,
//! reading the loss, counting. `sgemm` by `burn` is the matrix product of Burn's backend.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use data::{Dataset, Found, Samples, Sources, Split, Target, Targets};
use models::{Kind, Pass};
use serde_json::json;
use tasks::Task;
use trainer::optimizer::ParameterInfo;
use trainer::{Event, Job, Optimizer, OptimizerConfig, RunFolder, ScheduleConfig, TrainConfig};

#[path = "../../../xtask/bench/nets.rs"]
mod nets;
#[path = "../../../xtask/bench/plain.rs"]
mod plain;
#[path = "../../../xtask/bench/server.rs"]
mod server;

use server::{Built, Case, Runner, stepwise};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LR: f64 = 1e-3;

fn main() -> Result<()> {
    let selected = device::select(&std::env::var("BENCH_DEVICE").unwrap_or_else(|_| "auto".to_owned()))?;
    let variants = json!({"train": ["ours", "plain", "whole"], "sgemm": ["burn"]});
    server::serve(&variants, &selected.name, |case| build(case, &selected.device))
}

fn build(case: &Case, device: &Device) -> Result<Built> {
    let Case { what, model, batch, variant } = case;
    if what == "sgemm" {
        return Ok(Built { runner: sgemm(*batch, device), flop: Some(2 * (*batch as u64).pow(3)) });
    }
    let runner = match variant.as_str() {
        "plain" => plain_burn(model, *batch, device),
        "ours" => bare(model, *batch, device)?,
        "whole" => whole(model, *batch, device)?,
        _ => bail!("there is no variant `{variant}`"),
    };
    Ok(Built { runner, flop: Some(nets::flop(model)?[1] * *batch as u64) })
}

/// A loop as in Burn's book.
fn plain_burn(model: &str, batch: usize, device: &Device) -> Runner {
    let device = device.clone().autodiff();
    let mut net = Some(plain::Plain::new(model, &device));
    let mut adam = AdamConfig::new().init();
    let loss = CrossEntropyLossConfig::new().init(&device);
    let (inputs, classes) = ready(model, batch, &device);
    stepwise(move || {
        let model = net.take().context("taken")?;
        let loss = loss.forward(model.forward(inputs.clone()), classes.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        net = Some(adam.step(LR, model, gradients));
        sync(&device)
    })
}

/// Our network, loss and optimizer in the same loop.
fn bare(model: &str, batch: usize, device: &Device) -> Result<Runner> {
    let device = device.clone().autodiff();
    let data = random_images(model, 4, 0);
    let task = Task::for_targets(&data.targets, &data.split.train, &Default::default())?;
    let net = nets::config(model)?.init(&data.input, nets::CLASSES, 0, &device)?;
    let parameters = models::parameter_kinds(&net).into_iter();
    let parameters =
        parameters.map(|(id, (name, kind))| (id, ParameterInfo { name, decays: kind == Kind::Weight, rate: 1.0 }));
    let mut adam = Optimizer::new(&OptimizerConfig::named("adam").context("adam")?, parameters.collect());
    let mut net = Some(net);
    let (inputs, classes) = ready(model, batch, &device);
    let (target, mut step) = (Target::Classes(classes), 0);
    Ok(stepwise(move || {
        let model = net.take().context("taken")?;
        let loss = task.loss(model.forward(inputs.clone(), Pass::Train { seed: 0, step, first: 0 }), &target);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        net = Some(adam.step(model, gradients, LR));
        step += 1;
        sync(&device)
    }))
}

/// One epoch of `trainer::train`, timed from its first step to its last, so that initialising and saving don't count.
fn whole(model: &str, batch: usize, device: &Device) -> Result<Runner> {
    let mut config = TrainConfig::new(nets::config(model)?);
    config.optimizer = OptimizerConfig::named("adam").context("adam")?;
    config.schedule = ScheduleConfig::named("constant").context("constant")?;
    (config.epochs, config.batch, config.lr) = (1, batch, LR);
    let (model, device) = (model.to_owned(), device.clone());
    let epoch = move |steps| epoch(&config, random_images(&model, batch * (steps + 1), steps as u64), &device);
    let mut step = None;
    Ok(Box::new(move |seconds| {
        let guess = match step {
            Some(step) => step,
            None => epoch(3)?,
        };
        let steps = (seconds / guess).ceil().clamp(3.0, 20_000.0) as usize;
        let found = epoch(steps)?;
        step = Some(found);
        Ok(vec![found; steps])
    }))
}

/// Seconds of a step in an epoch over `dataset`.
fn epoch(config: &TrainConfig, dataset: Dataset, device: &Device) -> Result<f64> {
    let runs = tempfile::tempdir()?;
    let run = RunFolder::create(runs.path(), "bench")?;
    let task = Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss)?;
    let dataset = Arc::new(dataset);
    let batches = dataset.split.train.len().div_ceil(config.batch);
    let job = Job::new(config, task, dataset, device.clone(), &run);
    // Of each step that was told: which, and when. Devices run behind: what is timed begins and ends with a wait for them.
    let told = Rc::new(RefCell::new(Vec::new()));
    let mut waited = Ok(());
    trainer::train(job, &|| false, &mut |event| {
        if let Event::Step { batch, .. } = event {
            if [1, batches].contains(&batch) && waited.is_ok() {
                waited = sync(device);
            }
            told.borrow_mut().push((batch, Instant::now()));
        }
    })?;
    waited?;
    let told = told.borrow();
    let ((first, began), (last, ended)) = (told.first().context("no step")?, told.last().context("no step")?);
    ensure!(last > first, "one step only");
    Ok((*ended - *began).as_secs_f64() / (last - first) as f64)
}

/// The product of two square matrices by Burn's backend.
fn sgemm(size: usize, device: &Device) -> Runner {
    let random = || Tensor::<2>::random([size, size], Distribution::Default, device);
    let (a, b, device) = (random(), random(), device.clone());
    stepwise(move || {
        let _product = a.clone().matmul(b.clone());
        sync(&device)
    })
}

fn sync(device: &Device) -> Result<()> {
    device.sync().map_err(|error| anyhow::anyhow!("{error:?}"))
}

/// A batch on the device: inputs `[batch, channels, height, width]`, classes `[batch]`.
fn ready(model: &str, batch: usize, device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let classes: Vec<i32> = (0..batch).map(|index| (index % nets::CLASSES) as i32).collect();
    (nets::batch(model, batch, device), Tensor::from_data(TensorData::new(classes, [batch]), device))
}

/// `count` noises in ten classes, all for training.
fn random_images(model: &str, count: usize, seed: u64) -> Dataset {
    Dataset {
        found: Found::default(),
        input: nets::input(model),
        samples: Samples::Pixels(nets::pixels(model, count, seed)),
        targets: Targets::Classes {
            names: (0..nets::CLASSES).map(|class| class.to_string()).collect(),
            values: (0..count as u32).map(|index| index % nets::CLASSES as u32).collect(),
        },
        sources: Sources::Arrays(vec![("random".to_owned(), count)]),
        split: Split { train: (0..count as u32).collect(), ..Split::default() },
    }
}
