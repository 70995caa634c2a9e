//! What a run costs: how long it trained, how large its model is, how fast that answers here.

use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};
use models::{Model, ModelFile, Pass};
use serde::Serialize;
use serde_json::Value;
use trainer::RunFolder;

use crate::cli::bounded;

/// Samples that are answered at a time.
pub(super) const BATCH: usize = 64;
/// How long a model is timed, at least.
const TIMED: Duration = Duration::from_millis(200);

/// Each is null where it isn't known.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Cost {
    /// Of training, over all sittings.
    pub(super) training_seconds: Option<f64>,
    /// Of the best model's file.
    pub(super) bytes: Option<u64>,
    pub(super) parameters: Option<u64>,
    /// Of zeros in batches of [`BATCH`], on this machine, now.
    pub(super) samples_per_second: Option<f64>,
}

impl Cost {
    /// Of `run`; what cannot be learned is added to `notes`.
    pub(super) fn of(run: &Path, device: &Device, notes: &mut Vec<String>) -> Self {
        let best = RunFolder::open(run).map(|run| run.best());
        let mut cost = Self { training_seconds: seconds(run), ..Self::default() };
        let file = best.map_err(|error| error.to_string()).and_then(|best| {
            cost.bytes = best.metadata().ok().map(|about| about.len());
            ModelFile::load(&best, device).map_err(|error| error.to_string())
        });
        match file {
            Ok(file) => {
                let layers = models::summary(file.model.config(), file.model.input(), file.model.outputs());
                cost.parameters = layers.ok().map(|layers| layers.iter().map(|layer| layer.parameters).sum());
                cost.samples_per_second = speed(&file.model, device);
            }
            Err(error) => notes.push(format!("the speed isn't measured: {error}")),
        }
        cost
    }
}

fn seconds(run: &Path) -> Option<f64> {
    let text = bounded::text(&run.join("metrics.json"), 256 << 20).ok()??;
    serde_json::from_str::<Value>(&text).ok()?["seconds"].as_f64()
}

/// Samples that the model answers in a second, once it is warm.
fn speed(model: &Model, device: &Device) -> Option<f64> {
    let [channels, height, width] = model.input().shape();
    let zeros = vec![0.0; BATCH * channels * height * width];
    let plan = model.plan();
    let once = || match &plan {
        Some(plan) => {
            let _ = plan.floats(&zeros);
            Some(())
        }
        None => {
            let inputs = Tensor::<4>::zeros([BATCH, channels, height, width], device);
            // A look at the numbers: a GPU computes them no sooner.
            model.forward(inputs, Pass::Predict).try_into_data().ok()?.try_to_vec::<f32>().ok().map(drop)
        }
    };
    once()?;
    let began = Instant::now();
    let mut batches = 0;
    while began.elapsed() < TIMED {
        once()?;
        batches += 1;
    }
    Some((batches * BATCH) as f64 / began.elapsed().as_secs_f64())
}
