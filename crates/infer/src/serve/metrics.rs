//! What Prometheus is told: how many requests, how fast, how large the batches, what waits. Names stand in `docs/serving.md`.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// What [`Metrics::text`] writes.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// All figures of the server.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    problems: Family<Reason, Counter>,
    latency: Family<Route, Histogram, fn() -> Histogram>,
    loads: Family<Outcome, Counter>,
    memory: Gauge,
    /// Requests that are being answered.
    pub(crate) in_flight: Gauge,
    /// Open connections.
    pub(crate) connections: Gauge,
    /// Connections that were refused.
    pub(crate) refused: Counter,
    /// Inputs that wait for the network.
    pub(crate) queue: Gauge,
    /// Inputs that went through the network together.
    pub(crate) batch: Histogram,
    /// Seconds that inputs waited for the network.
    pub(crate) waited: Histogram,
    /// Seconds of each run of the network.
    pub(crate) network: Histogram,
    /// Seconds until an image was decoded, waiting for a thread included.
    pub(crate) decoded: Histogram,
}

/// 0.1 ms to 13 s, each twice the one before.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 18))
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("striate"),
            requests: Family::default(),
            problems: Family::default(),
            latency: Family::new_with_constructor(seconds),
            loads: Family::default(),
            memory: Gauge::default(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            refused: Counter::default(),
            queue: Gauge::default(),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            waited: seconds(),
            network: seconds(),
            decoded: seconds(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("requests", "Requests answered, by route and status", self.requests.clone());
        registry.register("problems", "Requests refused, by the type of the problem", self.problems.clone());
        registry.register("request_seconds", "From a request's headers to its answer, by route", self.latency.clone());
        registry.register("model_loads", "Times that a model was read, by outcome", self.loads.clone());
        registry.register("requests_in_flight", "Requests being answered", self.in_flight.clone());
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register("connections_refused", "Connections refused", self.refused.clone());
        registry.register("queue_inputs", "Inputs that wait for the network", self.queue.clone());
        registry.register("batch_inputs", "Inputs that went through the network together", self.batch.clone());
        registry.register("queue_seconds", "Time that inputs waited for the network", self.waited.clone());
        registry.register("network_seconds", "Time of each run of the network", self.network.clone());
        registry.register("decode_seconds", "Time until an image was decoded", self.decoded.clone());
        registry.register("resident_memory_bytes", "Memory of this process", self.memory.clone());
    }

    /// Counts an answer. `problem`: its type's last word, if it is one.
    pub(crate) fn answered(&self, route: &str, status: u16, problem: Option<&'static str>, took: Duration) {
        self.requests.get_or_create(&Answered { route: route.to_owned(), status }).inc();
        self.latency.get_or_create(&Route { route: route.to_owned() }).observe(took.as_secs_f64());
        if let Some(reason) = problem {
            self.problems.get_or_create(&Reason { reason }).inc();
        }
    }

    /// Counts an attempt to read a model.
    pub(crate) fn loaded(&self, well: bool) {
        self.loads.get_or_create(&Outcome { outcome: if well { "ok" } else { "failed" } }).inc();
    }

    /// All of it as text.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        if let Some(bytes) = resident() {
            self.memory.set(bytes);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Bytes of memory that this process has, where the system says so.
fn resident() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").trim().parse::<i64>().ok()? << 10)
}
