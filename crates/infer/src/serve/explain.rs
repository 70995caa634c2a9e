//! `/v1/explain`: what one answer goes by, as `infer explain --format jsonl` says it. Explaining takes many runs of the network: one request at a time does
//! it, beside the network's own thread, and few wait for it.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use data::{InputSpec, image};
use infer::{Attribution, Baseline, Explain, Sample};
use tokio::sync::Semaphore;

use super::Server;
use super::access::Visit;
use super::inputs::{Input, Raw, read};
use super::loaded::Loaded;
use super::problem::{Kind, Problem};
use super::query::Query;
use super::v1;
use crate::answer::{Framed, Why};

/// Explanations that are worked on or waited for.
const WAITING: usize = 8;
/// Points of integrated gradients that a request may ask for.
const STEPS: usize = 256;
/// Sides of what occlusion hides.
const PATCH: usize = 4096;
/// Patches side by side on the longer side of a picture, at most: they lie half over one another, and the network runs for each.
const PATCHES: usize = 32;

/// Who may explain.
#[derive(Debug)]
pub(crate) struct Explainers {
    waiting: Arc<Semaphore>,
    working: Arc<Semaphore>,
}

impl Explainers {
    pub(crate) fn new() -> Self {
        Self { waiting: Arc::new(Semaphore::new(WAITING)), working: Arc::new(Semaphore::new(1)) }
    }
}

/// One input to why it is answered as it is.
pub(crate) async fn explain(
    State(server): State<Arc<Server>>,
    Extension(visit): Extension<Visit>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let model = server.model();
    let query = Query::of(&parts.uri, &["class", "method", "baseline", "steps", "patch", "top_k"])?;
    let options = options(&query, &model)?;
    let writes = v1::writes(&query, &model)?;
    let (body, _slot) = server.begin(&visit, &parts, body).await?;
    let _place = server.explainers.waiting.try_acquire().map_err(|_| {
        Problem::new(Kind::Overloaded, format!("{WAITING} explanations are being worked on already; try again"))
    })?;
    server
        .in_time(async {
            let asked = read(&parts, body.bytes.clone(), &model, &server.decoders, 1).await?;
            let input = asked.inputs.into_iter().next();
            let input = input.ok_or_else(|| Problem::new(Kind::MalformedRequest, "expected one input, found none"))?;
            let (source, framing, sample) = decode(&server, &model, input).await?;
            let working = server.explainers.working.clone().acquire_owned().await;
            let explained = model.clone();
            let explaining = tokio::task::spawn_blocking(move || {
                let _working = working;
                explained.predictor.explain(&sample, &options)
            });
            let explanation =
                explaining.await.map_err(|error| Problem::internal(format!("explaining failed: {error}")))?;
            let explanation = explanation.map_err(refused)?;
            let why = Why { explanation: &explanation, framing, picture: None };
            let text = writes.line_with(&source, Ok(&explanation.prediction), Some(why));
            Ok(v1::json(&model, text.map_err(|error| Problem::internal(error.to_string()))?))
        })
        .await
}

fn options(query: &Query, model: &Loaded) -> Result<Explain, Problem> {
    let output = query.text("class").map(|name| model.predictor.output_called(name)).transpose().map_err(refused)?;
    let usual = Explain::default();
    let [_, height, width] = model.predictor.input().shape();
    let (patch, least) = (query.count("patch", PATCH)?, height.max(width).div_ceil(PATCHES));
    if patch.is_some_and(|patch| patch < least) {
        let what = format!(
            "patch: expected {least} or more for pictures of {height}x{width}: smaller ones take too long here"
        );
        return Err(Problem::new(Kind::MalformedRequest, what));
    }
    Ok(Explain {
        method: query.value::<Attribution>("method")?,
        output,
        baseline: query.value::<Baseline>("baseline")?,
        steps: query.count("steps", STEPS)?.unwrap_or(usual.steps),
        patch,
    })
}

/// The input as the network takes it, and where in it the picture lies.
async fn decode(
    server: &Server,
    model: &Arc<Loaded>,
    input: Input,
) -> Result<(String, Option<Framed>, Sample), Problem> {
    let Input { source, raw } = input;
    match raw? {
        Raw::Ready(sample) => Ok((source, None, sample)),
        Raw::Image(bytes) => {
            let sample = server.decoders.image(&source, bytes.clone(), model).await?;
            let header = image::probe_bytes(&bytes, source.as_ref(), server.decoders.exif).ok();
            let framing = header.zip(match model.predictor.input() {
                InputSpec::Image(spec) => Some(spec),
                InputSpec::Table(_) => None,
            });
            let framing =
                framing.map(|(header, spec)| Framed::new([header.height as usize, header.width as usize], spec));
            Ok((source, framing, sample))
        }
    }
}

/// A method that isn't for this network, a class that it doesn't know.
fn refused(error: infer::Error) -> Problem {
    match error {
        infer::Error::Device(why) => Problem::internal(why),
        error => Problem::new(Kind::MalformedRequest, error.to_string()),
    }
}
