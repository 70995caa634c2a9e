//! The interface described for programs: OpenAPI 3.1, of the model that is served. People read `docs/serving.md`.

use data::InputSpec;
use serde_json::{Map, Value, json};

use super::loaded::Loaded;
use super::problem::Kind;

/// What each route is for, what it takes and what it answers.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    body: Option<Body>,
    answer: Answer,
}

#[derive(Clone, Copy)]
enum Body {
    One,
    Explained,
    Many,
    Tensors,
}

#[derive(Clone, Copy)]
enum Answer {
    Json,
    Prediction,
    Predictions,
    Text,
    Page,
}

const fn operation(method: &'static str, path: &'static str, summary: &'static str, answer: Answer) -> Operation {
    Operation { method, path, summary, body: None, answer }
}

const fn taking(body: Body, operation: Operation) -> Operation {
    Operation { body: Some(body), ..operation }
}

const OPERATIONS: [Operation; 18] = [
    operation("get", "/", "A page to try the model", Answer::Page),
    taking(Body::One, operation("post", "/v1/predict", "Predict one input", Answer::Prediction)),
    taking(
        Body::Many,
        operation("post", "/v1/predict/batch", "Predict many inputs, errors in their place", Answer::Predictions),
    ),
    taking(Body::Explained, operation("post", "/v1/explain", "Why one input is answered as it is", Answer::Prediction)),
    operation("get", "/v1/model", "What is served", Answer::Json),
    operation("get", "/v2", "Open Inference Protocol: the server", Answer::Json),
    operation("get", "/v2/health/live", "Open Inference Protocol: is the process alive", Answer::Json),
    operation("get", "/v2/health/ready", "Open Inference Protocol: does it take requests", Answer::Json),
    operation("get", "/v2/models/{name}", "Open Inference Protocol: tensors of the model", Answer::Json),
    operation("get", "/v2/models/{name}/ready", "Open Inference Protocol: does the model answer", Answer::Json),
    taking(
        Body::Tensors,
        operation("post", "/v2/models/{name}/infer", "Open Inference Protocol: predict", Answer::Json),
    ),
    operation("get", "/v2/models/{name}/versions/{version}", "The same of one version", Answer::Json),
    operation("get", "/v2/models/{name}/versions/{version}/ready", "The same of one version", Answer::Json),
    taking(
        Body::Tensors,
        operation("post", "/v2/models/{name}/versions/{version}/infer", "The same of one version", Answer::Json),
    ),
    operation("get", "/healthz", "Is the process alive", Answer::Json),
    operation("get", "/readyz", "Does it take requests: 503 while it ends", Answer::Json),
    operation("get", "/metrics", "Figures for Prometheus", Answer::Text),
    operation("get", "/openapi.json", "This description", Answer::Json),
];

/// The description of a server with `model`.
pub(crate) fn document(model: &Loaded) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in &OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described(operation, model.predictor.input());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("striate: {}", model.about()["name"].as_str().unwrap_or_default()),
            "version": model.version,
            "description": "Predictions of one trained model. Every answer from 400 on is an RFC 9457 problem.",
        },
        "paths": paths,
        "components": { "schemas": schemas(), "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } } },
        "security": [{}, { "token": [] }],
    })
}

fn described(operation: &Operation, input: &InputSpec) -> Value {
    let (media, schema) = match operation.answer {
        Answer::Json => ("application/json", json!({ "type": "object" })),
        Answer::Prediction => ("application/json", json!({ "$ref": "#/components/schemas/Prediction" })),
        Answer::Predictions => ("application/json", json!({ "$ref": "#/components/schemas/Predictions" })),
        Answer::Text => ("application/openmetrics-text", json!({ "type": "string" })),
        Answer::Page => ("text/html", json!({ "type": "string" })),
    };
    let problem = json!({
        "description": "What went wrong, for people and programs",
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    let mut described = json!({
        "summary": operation.summary,
        "responses": { "200": { "description": "As asked", "content": { media: { "schema": schema } } }, "default": problem },
    });
    let mut parameters: Vec<Value> = Vec::new();
    for name in ["name", "version"].into_iter().filter(|name| operation.path.contains(&format!("{{{name}}}"))) {
        parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    }
    let text = || json!({ "type": "string" });
    let count = || json!({ "type": "integer", "minimum": 1 });
    let mut query = |name: &str, description: &str, schema: Value| {
        parameters.push(json!({ "name": name, "in": "query", "description": description, "schema": schema }));
    };
    if matches!(operation.body, Some(Body::One | Body::Many | Body::Explained)) {
        query("top_k", "Classes to name", count());
    }
    if matches!(operation.body, Some(Body::Explained)) {
        query("class", "What to explain, by name or by number from 0; without it the most probable", text());
        query("method", "grad-cam, integrated-gradients or occlusion", text());
        query("baseline", "mean or black for pictures, absent or mean for rows", text());
        query("steps", "Points of integrated gradients", count());
        query("patch", "Pixels of a side of what occlusion hides", count());
    }
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(body) = operation.body {
        described["requestBody"] = json!({ "required": true, "content": content(body, input) });
    }
    described
}

/// What a body may be, by its content type.
fn content(body: Body, input: &InputSpec) -> Value {
    let binary = || json!({ "schema": { "type": "string", "format": "binary" } });
    let form =
        json!({ "schema": { "type": "object", "additionalProperties": { "type": "string", "format": "binary" } } });
    let only = |key: &str, value: Value| json!({ "type": "object", "properties": { key: value }, "required": [key], "additionalProperties": false });
    let row = || json!({ "type": ["object", "array"] });
    let text = || json!({ "type": "string", "contentEncoding": "base64" });
    match (body, input) {
        (Body::Tensors, _) => json!({ "application/json": { "schema": { "type": "object", "required": ["inputs"] } } }),
        (Body::One | Body::Explained, InputSpec::Image(_)) => json!({
            "image/*": binary(), "application/octet-stream": binary(), "multipart/form-data": form,
            "application/json": { "schema": { "oneOf": [only("image", text()), only("pixels", json!({ "type": "array" }))] } },
        }),
        (Body::Many, InputSpec::Image(_)) => json!({
            "multipart/form-data": form,
            "application/json": { "schema": only("images", json!({ "type": "array", "items": text() })) },
        }),
        (_, InputSpec::Table(_)) => json!({
            "text/csv": { "schema": { "type": "string" } },
            "application/json": { "schema": { "oneOf": [only("row", row()), only("rows", json!({ "type": "array", "items": row() }))] } },
        }),
    }
}

fn schemas() -> Value {
    let types: Vec<String> = Kind::ALL.iter().map(|kind| format!("urn:striate:problem:{}", kind.word())).collect();
    json!({
        "Prediction": {
            "type": "object",
            "description": "As `infer predict --format jsonl` writes it: docs/formats.md, Predictions",
            "required": ["v", "source"],
            "properties": { "v": { "const": 1 }, "source": { "type": "string" } },
        },
        "Predictions": {
            "type": "object",
            "required": ["v", "predictions"],
            "properties": {
                "v": { "const": 1 },
                "predictions": { "type": "array", "items": { "$ref": "#/components/schemas/Prediction" } },
            },
        },
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": { "enum": types },
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "detail": { "type": "string" },
                "request_id": { "type": "string" },
                "error": { "type": "string", "description": "detail again, for clients of the Open Inference Protocol" },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::serve::routes::routes;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let described: BTreeSet<_> = OPERATIONS.iter().map(|operation| (operation.method, operation.path)).collect();
        let routed: BTreeSet<_> = routes().iter().map(|(method, path, _)| (*method, *path)).collect();
        assert_eq!(described, routed);
        assert_eq!(routed.len(), routes().len());
    }
}
