//! Which path and method lead where. `openapi` describes the same list, and a test compares the two.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;

use super::problem::{Kind, Problem};
use super::{Server, access, explain, metrics, openapi, page, v1, v2};

/// Every route: its method, its path, what it does.
pub(crate) fn routes() -> Vec<(&'static str, &'static str, MethodRouter<Arc<Server>>)> {
    vec![
        ("get", "/", get(page::page)),
        ("post", "/v1/predict", post(v1::predict)),
        ("post", "/v1/predict/batch", post(v1::batch)),
        ("post", "/v1/explain", post(explain::explain)),
        ("get", "/v1/model", get(v1::model)),
        ("get", "/v2", get(v2::server)),
        ("get", "/v2/health/live", get(live)),
        ("get", "/v2/health/ready", get(ready)),
        ("get", "/v2/models/{name}", get(v2::model)),
        ("get", "/v2/models/{name}/ready", get(v2::ready)),
        ("post", "/v2/models/{name}/infer", post(v2::infer)),
        ("get", "/v2/models/{name}/versions/{version}", get(v2::model)),
        ("get", "/v2/models/{name}/versions/{version}/ready", get(v2::ready)),
        ("post", "/v2/models/{name}/versions/{version}/infer", post(v2::infer)),
        ("get", "/healthz", get(live)),
        ("get", "/readyz", get(ready)),
        ("get", "/metrics", get(figures)),
        ("get", "/openapi.json", get(description)),
    ]
}

/// The routes with what is around them.
pub(crate) fn router(server: Arc<Server>) -> Router {
    let mut router = Router::new();
    for (_, path, route) in routes() {
        router = router.route(path, route);
    }
    let nothing = async || Problem::new(Kind::NotFound, "expected a path that /openapi.json lists");
    let other = async || Problem::new(Kind::MethodNotAllowed, "the header Allow says which methods this path takes");
    let panicked =
        |_: Box<dyn std::any::Any + Send>| Problem::internal("the request made the server panic").into_response();
    router
        .fallback(nothing)
        .method_not_allowed_fallback(other)
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(server.clone(), access::guard))
        .with_state(server)
}

async fn live() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json!({ "live": true }).to_string()).into_response()
}

async fn ready(State(server): State<Arc<Server>>) -> Result<Response, Problem> {
    server.ready()?;
    Ok(v1::json(&server.model(), json!({ "ready": true }).to_string()))
}

async fn figures(State(server): State<Arc<Server>>) -> Result<Response, Problem> {
    let text = server.metrics.text().map_err(|error| Problem::internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

async fn description(State(server): State<Arc<Server>>) -> Response {
    v1::json(&server.model(), openapi::document(&server.model()).to_string())
}
