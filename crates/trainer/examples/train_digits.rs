//! Training from another Rust program: a small CNN on the embedded digits, its model file, and its accuracy on the test split.

use std::path::Path;
use std::sync::Arc;

use models::{CnnConfig, ModelConfig};
use tasks::Task;
use trainer::{Event, Job, RunFolder, TrainConfig, train};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dataset = data::digits::load(&data::OpenOptions::default())?;
    let config = TrainConfig { epochs: 5, ..TrainConfig::new(ModelConfig::Cnn(CnnConfig::from_filters(&[16, 32]))) };
    let task = Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss)?;
    let run = RunFolder::create(Path::new("runs"), "example")?;
    let job = Job {
        provenance: serde_json::json!({ "made_by": "an example" }),
        ..Job::new(&config, task, Arc::new(dataset), device::select("auto")?.device, &run)
    };
    let report = train(job, &|| false, &mut |event| {
        if let Event::Epoch(epoch) = event {
            println!("epoch {}: training loss {:.4}", epoch.epoch, epoch.train_loss);
        }
    })?;
    println!("{:?} on samples that nothing chose on", report.test.and_then(|metrics| metrics.get("accuracy")));
    println!("the model is in {}", run.best().display());
    Ok(())
}
