//! How many images a second the loader gives, as batches of 256 on the host and as tensors: 28x28 gray (MNIST's shape) and 32x32 RGB
//! (CIFAR's), in memory, for each preset and number of workers; and as tensors of a data set that lies on the device, which is this CPU.
//! `cargo run -p data --example loader_speed`

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use data::random::{Purpose, Random};
use data::{
    Augment, Dataset, Filter, Fit, Found, ImageSpec, InputSpec, Loader, Resident, Samples, Sources, Split, Targets,
};

fn main() -> Result<(), Box<dyn Error>> {
    for (n, channels, side) in [(60_000, 1, 28), (20_000, 3, 32)] {
        let dataset = Arc::new(dataset(n, channels, side));
        println!("{n} images of {channels}x{side}x{side}, batches of 256: images/s (best of 3)");
        for text in ["none", "light", "strong", "mixup", "cutmix"] {
            let augment = Augment::parse(text, &dataset.input, &dataset.targets)?;
            for workers in [0, 1, 2] {
                let loader = Loader::new(dataset.clone(), (0..n as u32).collect(), 256).shuffled(1);
                let loader = loader.augmented(augment, 1).workers(workers);
                let mut best = f64::INFINITY;
                for epoch in 0..3 {
                    let start = Instant::now();
                    for batch in loader.epoch(epoch) {
                        black_box(batch?);
                    }
                    best = best.min(start.elapsed().as_secs_f64());
                }
                println!("  {text:7} {workers} workers {:>12.0}", n as f64 / best);
            }
            let host = Loader::new(dataset.clone(), (0..n as u32).collect(), 256).shuffled(1).augmented(augment, 1);
            let resident = Resident::new(&dataset, &augment, &burn::tensor::Device::flex())?;
            let there = host.clone().resident(Some(Arc::new(resident)));
            let mut best = [f64::INFINITY; 2];
            for epoch in 0..3 {
                for (best, loader) in best.iter_mut().zip([&host, &there]) {
                    let start = Instant::now();
                    for batch in loader.epoch(epoch) {
                        black_box(batch?.into_tensors(&burn::tensor::Device::flex()));
                    }
                    *best = best.min(start.elapsed().as_secs_f64());
                }
            }
            let [host, there] = best.map(|seconds| n as f64 / seconds);
            println!("  {text:7} tensors {host:>12.0}, of data on the device {there:>12.0}");
        }
        let batches: Vec<_> =
            Loader::new(dataset.clone(), (0..n as u32).collect(), 256).epoch(0).collect::<Result<_, _>>()?;
        let device = burn::tensor::Device::flex();
        let start = Instant::now();
        for batch in batches {
            black_box(batch.into_tensors(&device));
        }
        println!("  into_tensors      {:>12.0}", n as f64 / start.elapsed().as_secs_f64());
    }
    Ok(())
}

fn dataset(n: usize, channels: usize, side: usize) -> Dataset {
    let mut random = Random::new(1, Purpose::Bench, 0, 0);
    let pixels = (0..n * channels * side * side).map(|_| random.bits() as u8).collect();
    let (mean, std) = (vec![0.5; channels], vec![0.3; channels]);
    let image = ImageSpec { channels, height: side, width: side, fit: Fit::Crop, filter: Filter::Triangle, mean, std };
    Dataset {
        found: Found::default(),
        input: InputSpec::Image(image),
        samples: Samples::Pixels(pixels),
        targets: Targets::Classes {
            names: (0..10).map(|c| c.to_string()).collect(),
            values: (0..n as u32).map(|i| i % 10).collect(),
        },
        sources: Sources::Arrays(vec![("noise".into(), n)]),
        split: Split::default(),
    }
}
