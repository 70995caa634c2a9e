//! `/v1`: predictions by the schema that `infer predict --format jsonl` writes, and what the model is.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use infer::{Prediction, Sample};
use tasks::Task;
use tokio::task::JoinSet;

use super::Server;
use super::access::Visit;
use super::inputs::{Input, Raw, read};
use super::loaded::Loaded;
use super::problem::{Kind, Problem};
use super::query::Query;
use crate::answer::Json;

/// The model's version, in each answer that it gave.
const MODEL_VERSION: HeaderName = HeaderName::from_static("x-model-version");

/// One input to one answer; `rows` to as many.
pub(crate) async fn predict(
    State(server): State<Arc<Server>>,
    Extension(visit): Extension<Visit>,
    request: Request,
) -> Result<Response, Problem> {
    answer(&server, &visit, request, false).await
}

/// Many inputs to as many answers, those that cannot be predicted in their place.
pub(crate) async fn batch(
    State(server): State<Arc<Server>>,
    Extension(visit): Extension<Visit>,
    request: Request,
) -> Result<Response, Problem> {
    answer(&server, &visit, request, true).await
}

/// What is served.
pub(crate) async fn model(State(server): State<Arc<Server>>) -> Response {
    let model = server.model();
    json(&model, model.about().to_string())
}

async fn answer(server: &Server, visit: &Visit, request: Request, batch: bool) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let model = server.model();
    let writes = writes(&Query::of(&parts.uri, &["top_k"])?, &model)?;
    let (body, _slot) = server.begin(visit, &parts, body).await?;
    let coming = server.engine.announce();
    server
        .in_time(async {
            let asked = read(&parts, body.bytes.clone(), &model, &server.decoders, server.limits.inputs).await?;
            if asked.list && !batch && asked.inputs.iter().any(|input| matches!(input.raw, Ok(Raw::Image(_)))) {
                let detail =
                    format!("expected one image, found {}; /v1/predict/batch takes several", asked.inputs.len());
                return Err(Problem::new(Kind::MalformedRequest, detail));
            }
            let decoded = decode(server, &model, asked.inputs).await;
            let mut samples = Vec::with_capacity(decoded.len());
            let mut lines: Vec<(String, Option<Problem>)> = Vec::with_capacity(decoded.len());
            for (source, sample) in decoded {
                let why = match sample {
                    Ok(sample) => {
                        samples.push(sample);
                        None
                    }
                    // What is the server's fault, or too much for it, fails as a whole.
                    Err(problem) if !batch || problem.kind.parts().0 >= 500 => {
                        return Err(at(&source, asked.list, problem));
                    }
                    Err(problem) => Some(problem),
                };
                lines.push((source, why));
            }
            let predictions = server.engine.predict(&model, samples, coming).await?;
            let text = text(&lines, &predictions, &writes, batch || asked.list)?;
            Ok(json(&model, text))
        })
        .await
}

/// Says which of several inputs is wrong.
fn at(source: &str, list: bool, problem: Problem) -> Problem {
    if list { Problem { detail: format!("{source}: {}", problem.detail), ..problem } } else { problem }
}

fn text(
    lines: &[(String, Option<Problem>)],
    predictions: &[Prediction],
    writes: &Json,
    list: bool,
) -> Result<String, Problem> {
    let mut predictions = predictions.iter();
    let mut texts = Vec::with_capacity(lines.len());
    for (source, why) in lines {
        let answer = match why {
            Some(problem) => Err(problem.detail.as_str()),
            None => predictions.next().ok_or("the network gave no answer"),
        };
        texts.push(writes.line(source, answer).map_err(|error| Problem::internal(error.to_string()))?);
    }
    Ok(if list { format!("{{\"v\":1,\"predictions\":[{}]}}", texts.join(",")) } else { texts.concat() })
}

/// How the answer is to be written, by the request's query.
pub(crate) fn writes(query: &Query, model: &Loaded) -> Result<Json, Problem> {
    let usual = model.json.clone();
    let top = query.count("top_k", 1 << 16)?;
    Ok(top.map_or(usual.clone(), |top| Json::new(top, model.predictor.task()).covering(usual.coverage)))
}

/// Decodes all inputs, images on as many threads as there are for it.
pub(crate) async fn decode(
    server: &Server,
    model: &Arc<Loaded>,
    inputs: Vec<Input>,
) -> Vec<(String, Result<Sample, Problem>)> {
    let count = inputs.len();
    let mut decoded: Vec<(String, Result<Sample, Problem>)> = Vec::with_capacity(count);
    let mut running = JoinSet::new();
    for (at, Input { source, raw }) in inputs.into_iter().enumerate() {
        let sample = match raw {
            Err(problem) => Err(problem),
            Ok(Raw::Ready(sample)) => Ok(sample),
            Ok(Raw::Image(bytes)) if count == 1 => server.decoders.image(&source, bytes, model).await,
            Ok(Raw::Image(bytes)) => {
                let (decoders, model, name) = (server.decoders.clone(), model.clone(), source.clone());
                running.spawn(async move { (at, decoders.image(&name, bytes, &model).await) });
                Err(Problem::internal("the input was not decoded"))
            }
        };
        decoded.push((source, sample));
    }
    while let Some(done) = running.join_next().await {
        if let Ok((at, sample)) = done {
            decoded[at].1 = sample;
        }
    }
    decoded
}

/// An answer of `model` in JSON.
pub(crate) fn json(model: &Loaded, text: String) -> Response {
    let mut response = ([(header::CONTENT_TYPE, "application/json")], text).into_response();
    if let Ok(version) = HeaderValue::from_str(&model.version) {
        response.headers_mut().insert(MODEL_VERSION, version);
    }
    response
}

/// Probabilities or numbers of a prediction, in the order of the task's names.
pub(crate) fn in_order(prediction: &Prediction, task: &Task) -> Vec<f64> {
    match prediction {
        Prediction::Class { ranked, .. } => {
            let mut row = vec![0.0; task.names().len()];
            ranked.iter().for_each(|class| row[class.index] = f64::from(class.probability));
            row
        }
        Prediction::Labels { scored, .. } => scored.iter().map(|label| f64::from(label.probability)).collect(),
        Prediction::Values { values, .. } => values.iter().map(|(_, value)| *value).collect(),
    }
}
