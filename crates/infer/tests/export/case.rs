//! One model with inputs, as `infer` and as the peers are to answer it.
#![allow(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use data::{ImageSpec, InputSpec};
use infer::export::{OnnxOptions, Torch, onnx, torch};
use infer::{Prediction, Predictor, Sample};
use models::{ModelConfig, ModelFile};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tasks::Task;

use crate::formula::{formula, model};
use crate::scratch::{Scratch, classes, device};

/// A model and inputs for it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) file: ModelFile,
    pub(crate) resize: bool,
    pub(crate) inputs: Inputs,
}

pub(crate) enum Inputs {
    /// Samples of the network's size, one after the other.
    Pixels(Vec<u8>),
    /// Pictures of one other size, `[channels, height, width]`.
    Pictures([usize; 3], Vec<u8>),
    /// Fields of rows.
    Rows(Vec<Vec<String>>),
}

/// What the program answers, and what the peers have to.
pub(crate) struct Exported {
    pub(crate) sha256: String,
    pub(crate) expected: Vec<f32>,
    /// Numbers of one sample.
    pub(crate) width: usize,
    /// For each of them what is counted as one: the targets' standard deviation, in which a network that predicts numbers computes, or 1.
    pub(crate) units: Vec<f32>,
    pub(crate) case: Value,
}

fn units(task: &Task) -> Vec<f32> {
    match task {
        Task::Regression(regression) => regression.std.clone(),
        _ => vec![1.0; task.outputs()],
    }
}

impl Case {
    pub(crate) fn of(name: impl ToString, config: &ModelConfig, input: ImageSpec) -> Self {
        let pixels = pixels(3 * input.channels * input.height * input.width);
        let targets = classes(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
        let file = model(config, InputSpec::Image(input), &targets, Some(1.75));
        Self { name: name.to_string(), file, resize: false, inputs: Inputs::Pixels(pixels) }
    }

    /// Writes the model as ONNX, and its inputs, into the scratch folder.
    pub(crate) fn onnx(&self, scratch: &Scratch) -> Exported {
        let predictor = self.predictor(scratch);
        let bytes = onnx(&predictor, &OnnxOptions { resize: self.resize }).unwrap();
        let file = format!("{}.onnx", self.name);
        scratch.write(&file, &bytes);
        let (samples, inputs) = self.inputs(scratch, predictor.input());
        let expected = numbers(&predictor.predict(&samples).unwrap());
        Exported {
            sha256: hex(&[&bytes]),
            expected,
            width: predictor.task().outputs(),
            units: units(predictor.task()),
            case: json!({"file": file, "inputs": inputs}),
        }
    }

    /// Writes the model for PyTorch, and its inputs, into the scratch folder.
    pub(crate) fn torch(&self, scratch: &Scratch) -> Exported {
        let predictor = self.predictor(scratch);
        let Torch { script, weights } = torch(&predictor).unwrap();
        scratch.write(&format!("{}/{}", self.name, Torch::SCRIPT), &script);
        scratch.write(&format!("{}/{}", self.name, Torch::WEIGHTS), &weights);
        let (samples, inputs) = self.inputs(scratch, predictor.input());
        let expected = numbers(&predictor.predict(&samples).unwrap());
        let mut case = json!({"torch": self.name, "inputs": inputs});
        if let (Inputs::Rows(rows), InputSpec::Table(spec)) = (&self.inputs, predictor.input()) {
            let named = |row: &Vec<String>| -> Value {
                spec.columns.iter().map(|column| (column.name.clone(), json!(row[column.position]))).collect()
            };
            case["rows"] = rows.iter().map(named).collect();
        }
        Exported {
            sha256: hex(&[script.as_bytes(), &weights]),
            expected,
            width: predictor.task().outputs(),
            units: units(predictor.task()),
            case,
        }
    }

    fn predictor(&self, scratch: &Scratch) -> Predictor {
        let place = scratch.path().join("m.safetensors");
        self.file.save(&place).unwrap();
        Predictor::load(&place, &device()).unwrap()
    }

    /// The inputs as `infer` takes them, and as the peers do.
    fn inputs(&self, scratch: &Scratch, input: &InputSpec) -> (Vec<Sample>, Value) {
        let [channels, height, width] = input.shape();
        match &self.inputs {
            Inputs::Pixels(pixels) => {
                let samples: Vec<Sample> =
                    pixels.chunks(channels * height * width).map(|one| Sample::pixels(one.to_vec())).collect();
                let shape = [samples.len(), channels, height, width];
                (samples, json!({"image": self.bytes(scratch, "image", "uint8", pixels, &shape)}))
            }
            Inputs::Pictures(shape, pixels) => {
                let [channels, height, width] = *shape;
                let decode = |pixels: &[u8]| {
                    let file = pnm(*shape, pixels);
                    Sample::image_bytes("picture".as_ref(), &file, input).unwrap()
                };
                let samples: Vec<Sample> = pixels.chunks(channels * height * width).map(decode).collect();
                let shape = [samples.len(), channels, height, width];
                (samples, json!({"image": self.bytes(scratch, "image", "uint8", pixels, &shape)}))
            }
            Inputs::Rows(rows) => self.rows(scratch, input, rows),
        }
    }

    fn rows(&self, scratch: &Scratch, input: &InputSpec, rows: &[Vec<String>]) -> (Vec<Sample>, Value) {
        let InputSpec::Table(spec) = input else { panic!("rows are for tables") };
        let encode = |row: &Vec<String>| {
            let fields: Vec<&str> = row.iter().map(String::as_str).collect();
            Sample::features(spec.encode(None, &fields).unwrap())
        };
        let samples = rows.iter().map(encode).collect();
        let numeric = |column: &&data::Column| matches!(column.kind, data::ColumnKind::Numeric { .. });
        let (numbers, categories): (Vec<_>, Vec<_>) = spec.columns.iter().partition(numeric);
        let number = |field: &String| field.parse::<f32>().unwrap_or(f32::NAN);
        let floats: Vec<u8> = rows
            .iter()
            .flat_map(|row| numbers.iter().flat_map(|column| number(&row[column.position]).to_le_bytes()))
            .collect();
        let words: Vec<&String> =
            rows.iter().flat_map(|row| categories.iter().map(|column| &row[column.position])).collect();
        let mut inputs = json!({});
        if !numbers.is_empty() {
            inputs["numbers"] = self.bytes(scratch, "numbers", "<f4", &floats, &[rows.len(), numbers.len()]);
        }
        if !categories.is_empty() {
            inputs["categories"] = json!({"type": "text", "values": words, "shape": [rows.len(), categories.len()]});
        }
        (samples, inputs)
    }

    fn bytes(&self, scratch: &Scratch, input: &str, r#type: &str, bytes: &[u8], shape: &[usize]) -> Value {
        let file = format!("{}.{input}", self.name);
        scratch.write(&file, bytes);
        json!({"type": r#type, "values": file, "shape": shape})
    }
}

/// Probabilities or values, in the order of the names.
fn numbers(predictions: &[Prediction]) -> Vec<f32> {
    let of = |prediction: &Prediction| match prediction {
        Prediction::Class { ranked: scored, .. } | Prediction::Labels { scored, .. } => {
            let mut scored: Vec<(usize, f32)> = scored.iter().map(|one| (one.index, one.probability)).collect();
            scored.sort_by_key(|(index, _)| *index);
            scored.into_iter().map(|(_, probability)| probability).collect()
        }
        Prediction::Values { values, .. } => values.iter().map(|value| value.1 as f32).collect::<Vec<f32>>(),
    };
    predictions.iter().flat_map(of).collect()
}

fn hex(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn pixels(count: usize) -> Vec<u8> {
    (0..count).map(|place| ((formula(99, place) + 0.5) * 256.0) as u8).collect()
}

/// A picture as a file.
fn pnm([channels, height, width]: [usize; 3], pixels: &[u8]) -> Vec<u8> {
    let magic = if channels == 1 { "P5" } else { "P6" };
    let plane = height * width;
    let interleaved = (0..plane).flat_map(|at| (0..channels).map(move |channel| pixels[channel * plane + at]));
    [format!("{magic} {width} {height} 255\n").into_bytes(), interleaved.collect()].concat()
}
