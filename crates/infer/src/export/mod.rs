//! A trained model in other programs' formats: ONNX with everything inside the graph, and a folder for PyTorch. Answers bytes and text;
//! where they are written is the caller's.
//!
//! ```no_run
//! let device = device::select("cpu")?.device;
//! let predictor = infer::Predictor::load("runs/digits/weights/best.safetensors".as_ref(), &device)?;
//! std::fs::write("digits.onnx", infer::export::onnx(&predictor, &infer::export::OnnxOptions::default())?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod graph;
mod modules;
mod network;
mod onnx;
mod resize;
mod table;
mod torch;
mod words;

use data::{ImageSpec, InputSpec};
use models::VERSION;
use prost::Message;
use serde_json::json;
use tasks::Task;

use crate::{Error, Predictor};
use graph::Graph;
use network::Value;
use onnx::{Dim, IR, ML_OPSET, ModelProto, OPSET, OperatorSetIdProto, StringStringEntryProto, Type, value_info};

pub use torch::{Torch, torch};
pub use words::{onnx_usage, outputs};

/// What a protocol buffer can hold.
const MOST_BYTES: usize = i32::MAX as usize;
/// The input of pictures.
const IMAGE: &str = "image";

/// What to put into an ONNX file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnnxOptions {
    /// Pictures of any size go in, and the recipe's resize happens inside the graph: to within 1 of 255 in single pixels of what `infer`
    /// makes of them. Else they have the network's size already.
    pub resize: bool,
}

/// The model as an ONNX file (opset 17), with preprocessing, network and the reading of its outputs inside the graph: see
/// `docs/formats.md` for inputs, outputs and metadata. Batches are of any size. Equal models give equal bytes.
///
/// # Errors
/// If the device fails to give the weights back, the file would exceed the 2 GiB of a protocol buffer, or `resize` is asked for rows of a
/// table.
pub fn onnx(predictor: &Predictor, options: &OnnxOptions) -> Result<Vec<u8>, Error> {
    let model = predictor.model();
    let layers = model.layers().ok_or_else(|| Error::Device("it doesn't give the weights back".into()))?;
    let input = predictor.input();
    let [channels, height, width] = input.shape();
    let resized = match input {
        InputSpec::Table(_) if options.resize => {
            let what = "--resize: this model takes rows of a table; leave it out";
            return Err(Error::Export { what: what.into(), model: false });
        }
        InputSpec::Image(spec) if options.resize => Some(spec),
        _ => None,
    };
    let inputs = match input {
        InputSpec::Image(spec) => vec![picture(spec, resized.is_some())],
        InputSpec::Table(spec) => table::inputs(spec),
    };
    let shape = [Dim::Any("batch"), Dim::Of(model.outputs())];
    let answers = outputs(predictor.task()).iter();
    let answers = answers.map(|(name, doc)| value_info(name, Type::Float, &shape, *doc)).collect();
    let mut graph = Graph::new("striate", inputs, answers);
    let raw = match (input, resized) {
        (InputSpec::Table(spec), _) => table::write(&mut graph, spec),
        (InputSpec::Image(_), Some(spec)) => resize::write(&mut graph, IMAGE, spec),
        (InputSpec::Image(_), None) => graph.cast(IMAGE, Type::Float),
    };
    let size = matches!(input, InputSpec::Image(_)).then_some([height, width]);
    let normal = normalise(&mut graph, Value { name: raw, channels, size }, input);
    let answer = network::write(&mut graph, layers, normal);
    read(&mut graph, answer.name, predictor.task(), predictor.reading().temperature);
    let proto = ModelProto {
        ir_version: Some(IR),
        producer_name: "striate".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: words::onnx_usage(predictor, options).join(" "),
        graph: Some(graph.finish()),
        opset_import: operators(input),
        metadata_props: metadata(predictor, options),
    };
    let bytes = proto.encoded_len();
    if bytes > MOST_BYTES {
        let what = format!("the ONNX file would have {bytes} bytes, of which a protocol buffer holds {MOST_BYTES}");
        return Err(Error::Export { what: format!("{what}; take --torch"), model: true });
    }
    Ok(proto.encode_to_vec())
}

fn picture(spec: &ImageSpec, any_size: bool) -> onnx::ValueInfoProto {
    let side = |name, side| if any_size { Dim::Any(name) } else { Dim::Of(side) };
    let dims = [Dim::Any("batch"), Dim::Of(spec.channels), side("height", spec.height), side("width", spec.width)];
    let order = if spec.channels == 1 { "gray" } else { "red, green, blue" };
    value_info(IMAGE, Type::Uint8, &dims, format!("pictures as bytes, 0 to 255, {order}"))
}

/// (x - mean) / std, of pixels after division by 255: the same operations as in `models`.
fn normalise(graph: &mut Graph, x: Value, input: &InputSpec) -> Value {
    let mut name = x.name;
    if let InputSpec::Image(_) = input {
        let most = graph.floats("most", &[], &[255.0]);
        name = graph.node("pixels", "Div", &[&name, &most], &[]);
    }
    let (mean, std) = input.normalisation();
    let dims: &[usize] = if x.size.is_some() { &[1, x.channels, 1, 1] } else { &[1, x.channels] };
    if mean.iter().any(|mean| *mean != 0.0) {
        let mean = graph.floats("mean", dims, &mean);
        name = graph.node("centred", "Sub", &[&name, &mean], &[]);
    }
    if std.iter().any(|std| *std != 1.0) {
        let std = graph.floats("std", dims, &std);
        name = graph.node("normalised", "Div", &[&name, &std], &[]);
    }
    Value { name, ..x }
}

/// From the network's outputs to what a user reads.
fn read(graph: &mut Graph, answer: String, task: &Task, temperature: f64) {
    let op = match task {
        Task::Classification(_) => "Softmax",
        Task::MultiLabel(_) => "Sigmoid",
        Task::Regression(task) => {
            let std = graph.floats("deviations", &[1, task.std.len()], &task.std);
            let mean = graph.floats("means", &[1, task.mean.len()], &task.mean);
            let scaled = graph.node("scaled", "Mul", &[&answer, &std], &[]);
            let values = graph.node("shifted", "Add", &[&scaled, &mean], &[]);
            return graph.answer(values, "values");
        }
    };
    graph.answer(answer, "logits");
    let mut logits = "logits".to_owned();
    if temperature != 1.0 {
        let by = graph.floats("temperature", &[], &[temperature as f32]);
        logits = graph.node("calibrated", "Div", &[&logits, &by], &[]);
    }
    let axis: &[_] = if op == "Softmax" { &[("axis", onnx::Attribute::Int(1))] } else { &[] };
    let probabilities = graph.node(op, op, &[&logits], axis);
    graph.answer(probabilities, "probabilities");
}

fn operators(input: &InputSpec) -> Vec<OperatorSetIdProto> {
    let set = |domain: &str, version| OperatorSetIdProto { domain: Some(domain.to_owned()), version: Some(version) };
    let mut sets = vec![set("", OPSET)];
    if let InputSpec::Table(spec) = input
        && !table::columns(spec).1.is_empty()
    {
        sets.push(set("ai.onnx.ml", ML_OPSET));
    }
    sets
}

/// What stands in `metadata_props`, by key.
fn metadata(predictor: &Predictor, options: &OnnxOptions) -> Vec<StringStringEntryProto> {
    let task = predictor.task();
    let mut entries = vec![
        ("format", models::FORMAT.to_owned()),
        ("input", json!(predictor.input()).to_string()),
        ("names", json!(task.names()).to_string()),
        ("preprocessing", words::onnx_usage(predictor, options).join(" ")),
        ("task", task.name().to_owned()),
        ("temperature", predictor.reading().temperature.to_string()),
        ("version", VERSION.to_string()),
    ];
    if let InputSpec::Table(spec) = predictor.input() {
        let (numbers, categories) = table::columns(spec);
        let names = |columns: &[&data::Column]| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
        let columns = json!({table::NUMBERS: names(&numbers), table::CATEGORIES: names(&categories)});
        entries.push(("columns", columns.to_string()));
    }
    if let Task::MultiLabel(task) = task {
        entries.push(("thresholds", json!(task.thresholds()).to_string()));
    }
    entries.sort();
    let entry = |(key, value): (&str, String)| StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) };
    entries.into_iter().map(entry).collect()
}
