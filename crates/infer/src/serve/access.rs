//! What happens around every request: its id, who may ask, how large its head may be, what is logged and counted of it, and the body of a problem.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Server;
use super::log::Record;
use super::problem::{Kind, Problem};

/// Bytes of all headers, and how many there may be.
const HEAD: usize = 16 << 10;
const HEADERS: usize = 100;
/// Bytes of a request's target.
const TARGET: usize = 8 << 10;
/// What may be asked without a token: is it alive, and the page that asks for one.
const OPEN: [&str; 5] = ["/", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"];
/// The status in the log where the client has gone before the answer.
const GONE: u16 = 499;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// One request, as handlers see it: what they have read of it.
#[derive(Clone, Debug)]
pub(crate) struct Visit(pub(crate) Arc<AtomicU64>);

/// The layer around all routes.
pub(crate) async fn guard(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let id = id(request.headers());
    let visit = Visit(Arc::default());
    request.extensions_mut().insert(visit.clone());
    let mut entry = Entry {
        server: server.clone(),
        route: route.clone().unwrap_or_else(|| "none".into()),
        started: Instant::now(),
        visit,
        record: Some(Record {
            id: id.clone(),
            peer: request.extensions().get::<Peer>().map(|peer| peer.0),
            method: request.method().to_string(),
            route: route.clone().unwrap_or_else(|| request.uri().path().chars().take(200).collect()),
            status: GONE,
            problem: None,
            read: 0,
            written: None,
            took: std::time::Duration::ZERO,
        }),
    };
    server.metrics.in_flight.inc();
    let bodied = !request.body().is_end_stream();
    let mut response = match allowed(&server, &request, route.as_deref()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = &problem {
        *response.body_mut() = Body::from(problem.body(Some(&id)).to_string());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }
    let headers = response.headers_mut();
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", id);
    }
    // Of a body that nobody has read to its end the connection makes nothing more.
    let unread = bodied && entry.visit.0.load(Ordering::Relaxed) == 0;
    if unread || server.is_draining() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    entry.done(
        response.status().as_u16(),
        problem.map(|problem| problem.kind.word()),
        response.body().size_hint().exact(),
    );
    response
}

/// A request's entry in log and metrics, made when it is answered or given up.
struct Entry {
    server: Arc<Server>,
    route: String,
    started: Instant,
    visit: Visit,
    record: Option<Record>,
}

impl Entry {
    fn done(&mut self, status: u16, problem: Option<&'static str>, written: Option<u64>) {
        let Some(record) = self.record.take() else { return };
        let took = self.started.elapsed();
        self.server.metrics.in_flight.dec();
        self.server.metrics.answered(&self.route, status, problem, took);
        let read = self.visit.0.load(Ordering::Relaxed);
        self.server.log.request(Record { status, problem, read, written, took, ..record });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.done(GONE, None, None);
    }
}

/// Whether the request may go on to its route.
fn allowed(server: &Server, request: &Request, route: Option<&str>) -> Result<(), Problem> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET {
        return Err(Problem::new(
            Kind::UriTooLong,
            format!("expected a target of at most {TARGET} bytes, found {target}"),
        ));
    }
    let headers = request.headers();
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > HEAD || headers.len() > HEADERS {
        let detail =
            format!("expected at most {HEADERS} headers of {HEAD} bytes together, found {} of {size}", headers.len());
        return Err(Problem::new(Kind::HeadersTooLarge, detail));
    }
    let open = route.is_some_and(|route| OPEN.contains(&route));
    match &server.token {
        Some(token) if !open && !token.is_in(headers) => Err(Problem::new(
            Kind::Unauthorized,
            "expected a header `Authorization: Bearer TOKEN` with the server's token",
        )),
        _ => Ok(()),
    }
}

/// The id that the client gave the request, if it is a sane one, or else one of ours.
fn id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let given = headers.get("x-request-id").and_then(|id| id.to_str().ok());
    given.filter(sane).map_or_else(made, str::to_owned)
}

fn made() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static KEYS: std::sync::LazyLock<RandomState> = std::sync::LazyLock::new(RandomState::new);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}", KEYS.hash_one((number, std::process::id())))
}
