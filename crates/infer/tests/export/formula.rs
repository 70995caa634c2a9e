//! Models whose weights are a formula, the same on every machine: nothing is drawn, and sums of powers of two alone are exact.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::HashMap;

use burn::tensor::TensorData;
use data::{Filter, Fit, ImageSpec, InputSpec, Targets};
use models::{Kind, ModelConfig, ModelFile, NamedTensor, load_tensors, named_tensors};
use serde_json::{Value, json};
use tasks::{LossOptions, Task};

use crate::scratch::device;

/// A number from -0.5 to below 0.5 for each seed and place.
pub(crate) fn formula(seed: usize, place: usize) -> f32 {
    let mut x = (place as u32).wrapping_mul(0x9E37_79B9) ^ (seed as u32).wrapping_mul(0x85EB_CA6B);
    x = (x ^ (x >> 15)).wrapping_mul(0x2C1B_3C6D);
    x = (x ^ (x >> 12)).wrapping_mul(0x297A_2D39);
    ((x ^ (x >> 15)) >> 16) as f32 / 65536.0 - 0.5
}

/// A model file of `config` for `input` that answers to `targets`.
pub(crate) fn model(config: &ModelConfig, input: InputSpec, targets: &Targets, temperature: Option<f64>) -> ModelFile {
    let train: Vec<u32> = (0..targets.len() as u32).collect();
    let task = Task::for_targets(targets, &train, &LossOptions::default()).unwrap();
    let model = config.init(&input, task.outputs(), 0, &device()).unwrap();
    let tensors: HashMap<String, TensorData> = named_tensors(&model).into_iter().enumerate().map(weights).collect();
    ModelFile {
        model: load_tensors(model, tensors).unwrap(),
        task: serde_json::to_value(&task).unwrap(),
        provenance: json!({}),
        metrics: json!({}),
        calibration: temperature.map(|temperature| json!({"samples": 100, "temperature": temperature})),
        golden: None,
    }
}

/// Scaled so that deep networks neither fade nor explode.
fn weights((seed, tensor): (usize, NamedTensor)) -> (String, TensorData) {
    let NamedTensor { name, data, kind } = tensor;
    let shape = data.shape().clone();
    let fan_in: usize = shape[1..].iter().product();
    let mut scale = 8.0_f32;
    while scale * scale * fan_in as f32 > 34.0 {
        scale /= 2.0;
    }
    let closes = name.contains(".norm2.") || name.contains(".norm3.");
    let value = |place: usize| {
        let x = formula(seed, place);
        match (kind, name.rsplit('.').next()) {
            (Kind::Weight, _) => x * scale,
            (Kind::Running, Some("running_var")) => 1.0 + x,
            (Kind::Norm, Some("weight")) => (1.0 + x) * if closes { 0.25 } else { 1.0 },
            _ => x * 0.25,
        }
    };
    let values = (0..data.num_elements()).map(value).collect::<Vec<f32>>();
    (name, TensorData::new(values, shape))
}

/// A recipe for pictures that is its own in every channel.
pub(crate) fn picture(channels: usize, height: usize, width: usize) -> ImageSpec {
    ImageSpec {
        channels,
        height,
        width,
        fit: Fit::Crop,
        filter: Filter::Triangle,
        mean: [0.5, 0.25, 0.375][..channels].to_vec(),
        std: [0.25, 0.5, 0.3125][..channels].to_vec(),
    }
}

/// Rows of numbers with and without ranks and indicator, and categories between them.
pub(crate) fn table() -> InputSpec {
    let numeric = |fill: f64, ranks: Value, indicator: bool| json!({"type": "numeric", "fill": fill, "mean": 1.5, "std": 2.5, "ranks": ranks, "indicator": indicator});
    let column = |name: &str, position: usize, kind: Value| json!({"name": name, "position": position, "kind": kind});
    let categorical = |categories: &[&str]| json!({"type": "categorical", "categories": categories});
    let columns = json!([
        column("size", 0, numeric(1.0, json!([]), false)),
        column("colour", 1, categorical(&["blue", "red", "\u{fc}ber \"all\"\\n"])),
        column("age", 2, numeric(3.0, json!([-1.0, 0.0, 0.0, 0.0, 2.5, 7.0]), true)),
        column("'); drop", 4, categorical(&["0", "x y"])),
        column("speed", 5, numeric(0.5, json!([0.0, 1.0, 8.0]), false)),
        column("weight", 6, numeric(0.25, json!([]), true)),
    ]);
    let recipe = json!({"kind": "table", "columns": columns, "targets": [{"name": "price", "position": 3}], "width": 7, "header": true});
    serde_json::from_value(recipe).unwrap()
}
