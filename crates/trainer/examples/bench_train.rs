//! The training half of `cargo xtask bench`: images/s of three things, in turns. The network in plain Burn with Burn's Adam, on a batch
//! that lies ready; ours the same way; and all of `trainer::train`: loading, shuffling, reading the loss, counting. JSON on stdout.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData};
use data::random::{Purpose, Random};
use data::{Dataset, Filter, Fit, Found, ImageSpec, InputSpec, Samples, Sources, Split, Target, Targets};
use models::{Kind, ModelConfig, Pass};
use tasks::Task;
use trainer::optimizer::ParameterInfo;
use trainer::{Event, Job, Optimizer, OptimizerConfig, RunFolder, ScheduleConfig, TrainConfig};

#[path = "../../../xtask/bench/clock.rs"]
mod clock;
#[path = "../../../xtask/bench/plain.rs"]
mod plain;

use clock::{Clock, Variant, row, timed};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LR: f64 = 1e-3;

fn main() -> Result<()> {
    let selected = device::select(&std::env::var("BENCH_DEVICE").unwrap_or_else(|_| "auto".to_owned()))?;
    let clock = Clock::from_args();
    let mut rows = Vec::new();
    for model in ["mlp", "cnn"] {
        for batch in [1, 64, 256] {
            eprintln!("train {model} at batch {batch} on {}", selected.name);
            let mut variants = [
                plain_burn(model, batch, &selected.device),
                bare(model, batch, &selected.device)?,
                whole(model, batch, &selected.device)?,
            ];
            let times = clock.rounds(&mut variants)?;
            rows.push(row("train", model, batch, &selected.name, &times));
        }
    }
    println!("{}", serde_json::Value::from(rows));
    Ok(())
}

/// A loop as in Burn's book.
fn plain_burn<'a>(model: &str, batch: usize, device: &Device) -> Variant<'a> {
    let device = device.clone().autodiff();
    let mut net = Some(plain::Plain::new(model, &device));
    let mut adam = AdamConfig::new().init();
    let loss = CrossEntropyLossConfig::new().init(&device);
    let (inputs, classes) = ready(batch, &device);
    Box::new(move |steps| {
        timed(steps, &device, || {
            let model = net.take().context("taken")?;
            let loss = loss.forward(model.forward(inputs.clone()), classes.clone());
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            net = Some(adam.step(LR, model, gradients));
            Ok(())
        })
    })
}

/// Our network, loss and optimizer in the same loop.
fn bare<'a>(model: &str, batch: usize, device: &Device) -> Result<Variant<'a>> {
    let device = device.clone().autodiff();
    let data = random_images(4, 0);
    let task = Task::for_targets(&data.targets, &data.split.train, &Default::default())?;
    let config = ModelConfig::preset(model).context("preset")?;
    let net = config.init(&data.input, 10, 0, &device)?;
    let parameters = models::parameter_kinds(&net).into_iter();
    let parameters = parameters.map(|(id, (name, kind))| (id, ParameterInfo { name, decays: kind == Kind::Weight }));
    let mut adam = Optimizer::new(&OptimizerConfig::named("adam").context("adam")?, parameters.collect());
    let mut net = Some(net);
    let (inputs, classes) = ready(batch, &device);
    let (target, mut step) = (Target::Classes(classes), 0);
    Ok(Box::new(move |steps| {
        timed(steps, &device, || {
            let model = net.take().context("taken")?;
            let loss = task.loss(model.forward(inputs.clone(), Pass::Train { seed: 0, step }), &target);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            net = Some(adam.step(model, gradients, LR));
            step += 1;
            Ok(())
        })
    }))
}

/// One epoch of `trainer::train`, timed from its first step to its last, so that initialising and saving don't count.
fn whole<'a>(model: &str, batch: usize, device: &Device) -> Result<Variant<'a>> {
    let mut config = TrainConfig::new(ModelConfig::preset(model).context("preset")?);
    config.optimizer = OptimizerConfig::named("adam").context("adam")?;
    config.schedule = ScheduleConfig::named("constant").context("constant")?;
    (config.epochs, config.batch, config.lr) = (1, batch, LR);
    let (device, runs) = (device.clone(), tempfile::tempdir()?);
    Ok(Box::new(move |steps| {
        let dataset = Arc::new(random_images(batch * (steps + 1), steps as u64));
        let task = Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss)?;
        let run = RunFolder::create(runs.path(), "bench")?;
        let job = Job {
            config: &config,
            dataset,
            task,
            device: device.clone(),
            run: &run,
            resume: None,
            provenance: serde_json::Value::Null,
        };
        let (mut first, mut last) = (None, None);
        trainer::train(job, &|| false, &mut |event| {
            if matches!(event, Event::Step { .. }) {
                last = Some(Instant::now());
                first = first.or(last);
            }
        })?;
        let (first, last) = (first.context("no step")?, last.context("no step")?);
        std::fs::remove_dir_all(run.path())?;
        ensure!(last > first, "one step only");
        Ok((last - first).as_secs_f64())
    }))
}

/// A batch on the device: inputs `[batch, 1, 28, 28]`, classes `[batch]`.
fn ready(batch: usize, device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let data = random_images(batch, 1);
    let (Samples::Pixels(pixels), Targets::Classes { values, .. }) = (&data.samples, &data.targets) else {
        unreachable!()
    };
    let floats: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    let classes: Vec<i32> = values.iter().map(|&class| class as i32).collect();
    let inputs = Tensor::from_data(TensorData::new(floats, [batch, 1, 28, 28]), device);
    (inputs, Tensor::from_data(TensorData::new(classes, [batch]), device))
}

/// `count` gray noises of 28x28 in ten classes, all for training.
fn random_images(count: usize, seed: u64) -> Dataset {
    let mut random = Random::new(seed, Purpose::Bench, 0, 0);
    let input = ImageSpec {
        channels: 1,
        height: 28,
        width: 28,
        fit: Fit::default(),
        filter: Filter::default(),
        mean: vec![0.5],
        std: vec![0.29],
    };
    Dataset {
        found: Found::default(),
        input: InputSpec::Image(input),
        samples: Samples::Pixels((0..count * 784).map(|_| random.below(256) as u8).collect()),
        targets: Targets::Classes {
            names: (0..10).map(|class| class.to_string()).collect(),
            values: (0..count as u32).map(|index| index % 10).collect(),
        },
        sources: Sources::Arrays(vec![("random".to_owned(), count)]),
        split: Split { train: (0..count as u32).collect(), ..Split::default() },
    }
}
