//! `/v2`: the Open Inference Protocol, for clients that speak it already. Images are one tensor `input`, rows a tensor for each column.

use std::sync::Arc;

use axum::extract::{Extension, Path, Request, State};
use axum::response::Response;
use data::{ColumnKind, InputSpec, TableSpec};
use infer::{Prediction, Sample};
use serde::Deserialize;
use serde_json::{Value, json};
use tasks::Task;

use super::Server;
use super::access::Visit;
use super::inputs::{flatten, object};
use super::loaded::Loaded;
use super::problem::{Kind, Problem};
use super::rows::{encode_columns, kind, text, too_many};
use super::v1;

/// The model's name and perhaps its version, in a path.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    name: String,
    version: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    datatype: String,
    data: Value,
}

#[derive(Debug, Deserialize)]
struct Wanted {
    name: String,
}

/// What the server is.
pub(crate) async fn server(State(server): State<Arc<Server>>) -> Response {
    let about = json!({ "name": "striate", "version": env!("CARGO_PKG_VERSION"), "extensions": [] });
    v1::json(&server.model(), about.to_string())
}

/// What the model takes and answers.
pub(crate) async fn model(State(server): State<Arc<Server>>, Path(named): Path<Named>) -> Result<Response, Problem> {
    let model = find(&server, &named)?;
    let about = json!({
        "name": named.name,
        "versions": [model.version],
        "platform": "striate_burn",
        "inputs": inputs(model.predictor.input()),
        "outputs": outputs(model.predictor.task()),
    });
    Ok(v1::json(&model, about.to_string()))
}

/// Whether the model answers: as soon as there is one, it does.
pub(crate) async fn ready(State(server): State<Arc<Server>>, Path(named): Path<Named>) -> Result<Response, Problem> {
    let model = find(&server, &named)?;
    server.ready()?;
    Ok(v1::json(&model, json!({ "name": named.name, "ready": true }).to_string()))
}

/// Tensors in, tensors out.
pub(crate) async fn infer(
    State(server): State<Arc<Server>>,
    Path(named): Path<Named>,
    Extension(visit): Extension<Visit>,
    request: Request,
) -> Result<Response, Problem> {
    let model = find(&server, &named)?;
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key("inference-header-content-length") {
        return Err(Problem::new(
            Kind::UnsupportedType,
            "expected tensors in JSON, found binary ones; this server has no such extension",
        ));
    }
    let (body, _slot) = server.begin(&visit, &parts, body).await?;
    let coming = server.engine.announce();
    server
        .in_time(async {
            let (bytes, decoded, most) = (body.bytes.clone(), model.clone(), server.limits.inputs);
            let parse = move || parse(&bytes, &decoded, most);
            let asked = server.decoders.parse(body.bytes.len(), parse).await?;
            let predictions = server.engine.predict(&model, asked.samples, coming).await?;
            let outputs = answered(&predictions, model.predictor.task(), &asked.wanted)?;
            let mut answer = json!({ "model_name": named.name, "model_version": model.version, "outputs": outputs });
            if let Some(id) = asked.id {
                answer["id"] = id.into();
            }
            Ok(v1::json(&model, answer.to_string()))
        })
        .await
}

fn find(server: &Server, named: &Named) -> Result<Arc<Loaded>, Problem> {
    let model = server.model();
    if named.name != server.origin.name {
        return Err(Problem::new(Kind::UnknownModel, format!("expected the model `{}`", server.origin.name)));
    }
    match &named.version {
        Some(version) if *version != model.version => {
            Err(Problem::new(Kind::UnknownVersion, format!("expected the version `{}`", model.version)))
        }
        _ => Ok(model),
    }
}

fn inputs(input: &InputSpec) -> Vec<Value> {
    match input {
        InputSpec::Image(spec) => {
            let shape = json!([-1, spec.channels, spec.height, spec.width]);
            vec![json!({ "name": "input", "datatype": "UINT8", "shape": shape })]
        }
        InputSpec::Table(spec) => {
            let column = |column: &data::Column| {
                let datatype = if matches!(column.kind, ColumnKind::Numeric { .. }) { "FP64" } else { "BYTES" };
                json!({ "name": column.name, "datatype": datatype, "shape": [-1] })
            };
            spec.columns.iter().map(column).collect()
        }
    }
}

/// Name, datatype and numbers in a row of each output.
fn outputs_of(task: &Task) -> Vec<(&'static str, &'static str, Option<usize>)> {
    let names = task.names().len();
    match task {
        Task::Classification(_) => vec![("probabilities", "FP32", Some(names)), ("label", "BYTES", None)],
        Task::MultiLabel(_) => vec![("probabilities", "FP32", Some(names))],
        Task::Regression(_) => vec![("values", "FP64", Some(names))],
    }
}

fn outputs(task: &Task) -> Vec<Value> {
    let output = |(name, datatype, width): (&str, &str, Option<usize>)| {
        let shape = width.map_or_else(|| json!([-1]), |width| json!([-1, width]));
        json!({ "name": name, "datatype": datatype, "shape": shape })
    };
    outputs_of(task).into_iter().map(output).collect()
}

fn answered(predictions: &[Prediction], task: &Task, wanted: &Option<Vec<String>>) -> Result<Vec<Value>, Problem> {
    let known = outputs_of(task);
    for name in wanted.iter().flatten() {
        if known.iter().all(|(known, ..)| known != name) {
            let names: Vec<&str> = known.iter().map(|(name, ..)| *name).collect();
            return Err(Problem::new(
                Kind::WrongInput,
                format!("expected outputs among {}, found another", names.join(", ")),
            ));
        }
    }
    let asked = known
        .into_iter()
        .filter(|(name, ..)| wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|one| one == name)));
    let output = |(name, datatype, width): (&str, &str, Option<usize>)| match width {
        Some(width) => {
            let numbers = predictions.iter().flat_map(|prediction| v1::in_order(prediction, task));
            // The shortest text that is the same number of 32 bits.
            let numbers: Vec<Value> = match datatype {
                "FP32" => numbers.map(|number| json!(number as f32)).collect(),
                _ => numbers.map(|number| json!(number)).collect(),
            };
            json!({ "name": name, "datatype": datatype, "shape": [predictions.len(), width], "data": numbers })
        }
        None => {
            let labels: Vec<&str> =
                predictions.iter().map(|prediction| prediction.top().map_or("", |top| &top.name)).collect();
            json!({ "name": name, "datatype": datatype, "shape": [predictions.len()], "data": labels })
        }
    };
    Ok(asked.map(output).collect())
}

/// A request, understood.
struct Asked {
    id: Option<String>,
    samples: Vec<Sample>,
    wanted: Option<Vec<String>>,
}

fn parse(bytes: &[u8], model: &Loaded, most: usize) -> Result<Asked, Problem> {
    let malformed = |error: serde_json::Error| Problem::new(Kind::MalformedJson, error.to_string());
    let mut body = object(bytes, model.predictor.input(), most)?;
    let id = match body.remove("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) if id.len() <= 256 => Some(id),
        Some(_) => return Err(Problem::new(Kind::MalformedJson, "`id`: expected a string of at most 256 bytes")),
    };
    let wanted = body.remove("outputs").map(serde_json::from_value::<Vec<Wanted>>).transpose().map_err(malformed)?;
    let wanted = wanted.map(|wanted| wanted.into_iter().map(|output| output.name).collect());
    let Some(inputs) = body.remove("inputs") else {
        return Err(Problem::new(Kind::MalformedJson, "expected a key `inputs`"));
    };
    let inputs: Vec<Tensor> = serde_json::from_value(inputs).map_err(malformed)?;
    let samples = match model.predictor.input() {
        InputSpec::Image(_) => pictures(&inputs, model, most)?,
        InputSpec::Table(spec) => columns(&inputs, spec, most)?,
    };
    Ok(Asked { id, samples, wanted })
}

fn wrong(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::WrongInput, detail)
}

fn pictures(inputs: &[Tensor], model: &Loaded, most: usize) -> Result<Vec<Sample>, Problem> {
    let [tensor] = inputs else { return Err(wrong(format!("expected one input, found {}", inputs.len()))) };
    let [channels, height, width] = model.predictor.input().shape();
    if tensor.name != "input" {
        return Err(wrong("expected the name `input`"));
    }
    let count = match *tensor.shape {
        [count, c, h, w] if [c, h, w] == [channels, height, width] => count,
        _ => {
            return Err(wrong(format!(
                "`input`: expected the shape [n, {channels}, {height}, {width}], found {}",
                shown(&tensor.shape)
            )));
        }
    };
    if count > most {
        return Err(too_many(most));
    }
    let mut numbers = Vec::new();
    flatten(&tensor.data, &mut numbers).map_err(|found| wrong(format!("`input`: expected numbers, found {found}")))?;
    let len = channels * height * width;
    if numbers.len() != count * len {
        return Err(wrong(format!("`input`: expected {} numbers by its shape, found {}", count * len, numbers.len())));
    }
    match tensor.datatype.as_str() {
        "UINT8" => {
            let byte =
                |number: &f64| (number.fract() == 0.0 && (0.0..=255.0).contains(number)).then_some(*number as u8);
            let bytes: Option<Vec<u8>> = numbers.iter().map(byte).collect();
            let bytes = bytes.ok_or_else(|| wrong("`input`: expected whole numbers of 0 to 255 for UINT8"))?;
            Ok(bytes.chunks(len).map(|picture| Sample::pixels(picture.to_vec())).collect())
        }
        "FP32" => {
            if numbers.iter().any(|number| !(0.0..=1.0).contains(number)) {
                return Err(wrong("`input`: expected numbers of 0 to 1 for FP32"));
            }
            let numbers: Vec<f32> = numbers.into_iter().map(|number| number as f32).collect();
            Ok(numbers.chunks(len).map(|picture| Sample::features(picture.to_vec())).collect())
        }
        _ => Err(wrong("`input`: expected the datatype UINT8 (0 to 255) or FP32 (0 to 1)")),
    }
}

fn columns(inputs: &[Tensor], spec: &TableSpec, most: usize) -> Result<Vec<Sample>, Problem> {
    let mut fields = Vec::with_capacity(spec.columns.len());
    let mut count = None;
    for column in &spec.columns {
        let name = &column.name;
        let tensor = inputs.iter().find(|tensor| tensor.name == *name);
        let tensor = tensor.ok_or_else(|| wrong(format!("expected an input `{name}`, found none of that name")))?;
        let (rows, Value::Array(values)) = (rows_of(tensor)?, &tensor.data) else {
            return Err(wrong(format!("`{name}`: expected an array, found {}", kind(&tensor.data))));
        };
        if *count.get_or_insert(rows) != rows || values.len() != rows {
            return Err(wrong(format!("`{name}`: expected as many values as its shape and the other columns have")));
        }
        if rows > most {
            return Err(too_many(most));
        }
        let texts = values.iter().map(|value| {
            // A column of one may come as a list of lists.
            let value = match value {
                Value::Array(one) if one.len() == 1 => &one[0],
                value => value,
            };
            text(name, value).map_err(|found| wrong(format!("expected a number, a string or null, found {found}")))
        });
        fields.push(texts.collect::<Result<Vec<_>, _>>()?);
    }
    if inputs.len() != spec.columns.len() {
        return Err(wrong(format!(
            "expected {} inputs, one for each column, found {}",
            spec.columns.len(),
            inputs.len()
        )));
    }
    let row = |at: usize| encode_columns(&fields.iter().map(|column| column[at].as_ref()).collect::<Vec<_>>(), spec);
    let placed =
        |at: usize| row(at).map_err(|problem| Problem { detail: format!("row {at}: {}", problem.detail), ..problem });
    (0..count.unwrap_or(0)).map(placed).collect()
}

/// Rows of a column's tensor: `[n]` or `[n, 1]`, of numbers or text.
fn rows_of(tensor: &Tensor) -> Result<usize, Problem> {
    let known = [
        "BOOL", "FP64", "FP32", "FP16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64",
        "BYTES",
    ];
    if !known.contains(&tensor.datatype.as_str()) {
        return Err(wrong(format!("`{}`: expected a datatype of numbers, or BYTES", tensor.name)));
    }
    match *tensor.shape {
        [rows] | [rows, 1] => Ok(rows),
        _ => Err(wrong(format!("`{}`: expected the shape [n] or [n, 1], found {}", tensor.name, shown(&tensor.shape)))),
    }
}

/// A shape for a message, however long it is.
fn shown(shape: &[usize]) -> String {
    if shape.len() > 8 { format!("{} dimensions", shape.len()) } else { format!("{shape:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_task_says_of_its_outputs_is_what_is_answered() {
        let task: Task = serde_json::from_value(json!({ "task": "classification", "classes": ["a", "b"] })).unwrap();
        let scored = |index: usize, name: &str, probability| infer::Scored { index, name: name.into(), probability };
        let predictions = [Prediction::Class { ranked: vec![scored(1, "b", 0.75), scored(0, "a", 0.25)], set: None }];
        let all = answered(&predictions, &task, &None).unwrap();
        assert_eq!(
            all[0],
            json!({ "name": "probabilities", "datatype": "FP32", "shape": [1, 2], "data": [0.25, 0.75] })
        );
        assert_eq!(all[1]["data"], json!(["b"]));
        assert_eq!(answered(&predictions, &task, &Some(vec!["label".into()])).unwrap(), all[1..]);
        assert!(answered(&predictions, &task, &Some(vec!["logits".into()])).is_err());
    }
}
