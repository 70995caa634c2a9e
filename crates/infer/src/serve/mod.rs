//! `infer serve`: a model file behind HTTP. Owns the options and the life of the server, from its address to its end; each part of it has a file here.
//! The interface is specified in `docs/serving.md`.

mod access;
mod base64;
mod body;
mod connections;
mod decoding;
mod engine;
mod explain;
mod inputs;
mod loaded;
mod log;
mod metrics;
mod nesting;
mod openapi;
mod options;
mod owed;
mod page;
mod problem;
mod query;
mod routes;
mod rows;
mod signals;
mod stream;
mod token;
mod v1;
mod v2;
mod watch;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use axum::body::Body;
use axum::http::request::Parts;
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::failure::{Failure, tell};
use access::Visit;
use body::{Bodies, Held};
use decoding::Decoders;
use engine::Engine;
use explain::Explainers;
use loaded::{Loaded, Origin};
use log::Log;
use metrics::Metrics;
pub(crate) use options::Serve;
use problem::{Kind, Problem};
use token::Token;

/// How long a request waits for a place among those that are worked on.
const SLOT: Duration = Duration::from_millis(100);
/// Descriptors that aren't connections.
#[cfg(unix)]
const OTHER_FILES: u64 = 128;

/// All that requests share.
#[derive(Debug)]
struct Server {
    model: RwLock<Arc<Loaded>>,
    origin: Origin,
    engine: Arc<Engine>,
    decoders: Arc<Decoders>,
    bodies: Arc<Bodies>,
    explainers: Explainers,
    metrics: Arc<Metrics>,
    log: Log,
    token: Option<Token>,
    limits: Limits,
    slots: Semaphore,
    draining: AtomicBool,
}

/// What one request may hold, and how long it may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    inputs: usize,
    requests: usize,
    time: Duration,
}

impl Server {
    /// The model as it is now. A request keeps the one that it began with.
    fn model(&self) -> Arc<Loaded> {
        self.model.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, model: Loaded) {
        *self.model.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(model);
    }

    /// Reads a request's body, and takes a place among the requests that are worked on: slow clients hold none.
    async fn begin(&self, visit: &Visit, parts: &Parts, body: Body) -> Result<(Held, SemaphorePermit<'_>), Problem> {
        let body = self.bodies.read(&parts.headers, body).await?;
        visit.0.store(body.bytes.len() as u64, Ordering::Relaxed);
        Ok((body, self.slot().await?))
    }

    /// A place among the requests that are worked on. A short wait for one costs less than refusing whoever asks again at once.
    async fn slot(&self) -> Result<SemaphorePermit<'_>, Problem> {
        if let Ok(slot) = self.slots.try_acquire() {
            return Ok(slot);
        }
        let _in_line = self.engine.line_up();
        match tokio::time::timeout(SLOT, self.slots.acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => {
                let most = self.limits.requests;
                let detail = format!("{most} requests are being answered already (--max-requests); try again");
                Err(Problem::new(Kind::Overloaded, detail))
            }
        }
    }

    /// What `work` comes to, unless it takes too long.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        let late = |_| {
            let seconds = self.limits.time.as_secs_f64();
            Err(Problem::new(Kind::Timeout, format!("there was no answer within {seconds} s (--timeout); try again")))
        };
        tokio::time::timeout(self.limits.time, work).await.unwrap_or_else(late)
    }

    fn ready(&self) -> Result<(), Problem> {
        if self.is_draining() { Err(Problem::new(Kind::Draining, "the server takes no more requests")) } else { Ok(()) }
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.log.event("draining", "ending: no more connections; answering what was asked", json!({}));
    }
}

impl Serve {
    /// Serves until a signal comes.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let token = Token::read(self.token_file.as_deref(), std::env::var_os(token::VARIABLE).as_deref())?;
        let (listener, address) = self.listen()?;
        let connections = self.descriptors();
        let selected = device::select(&self.device)?;
        selected.note.iter().for_each(tell);
        let origin = self.origin(selected.device)?;
        let metrics = Arc::new(Metrics::new());
        let model = origin.load()?;
        metrics.loaded(true);
        if token.is_none() && !address.ip().is_loopback() {
            tell(format_args!(
                "warning: {address} is open to others, and anybody may ask; --token-file FILE (or STRIATE_TOKEN) asks for a token"
            ));
        }
        let (engine, network) = Engine::start(self.batching(), metrics.clone()).context("cannot start a thread")?;
        let log = Log::start(self.log).context("cannot start a thread")?;
        let decoders =
            Decoders::new(self.threads(), self.max_pixels, origin.exif, self.decode_timeout, metrics.clone());
        let started =
            format!("serving {} ({}, version {}) at http://{address}", origin.name, selected.name, model.version);
        let more = json!({ "url": format!("http://{address}"), "model": origin.name, "version": model.version });
        let server = Arc::new(Server {
            model: RwLock::new(Arc::new(model)),
            origin,
            engine,
            decoders: Arc::new(decoders),
            bodies: Bodies::new(self.max_body, self.body_timeout),
            explainers: Explainers::new(),
            metrics,
            log,
            token,
            limits: Limits { inputs: self.max_inputs, requests: self.max_requests, time: self.timeout },
            slots: Semaphore::new(self.max_requests),
            draining: AtomicBool::new(false),
        });
        let lost = self.live(&server, listener, connections, || server.log.event("started", started, more))?;
        server.engine.close();
        let ended = network.join();
        server.log.event("ended", format!("ended; {lost} requests were given up"), json!({ "lost": lost }));
        server.log.end();
        match (lost, ended) {
            (0, Ok(())) => Ok(()),
            (0, Err(_)) => Err(anyhow::anyhow!("the network's thread panicked").into()),
            (lost, _) => Err(anyhow::anyhow!("{lost} requests took longer than --drain and were given up").into()),
        }
    }

    fn listen(&self) -> Result<(TcpListener, SocketAddr), Failure> {
        let listen = || {
            let listener = TcpListener::bind(&self.bind)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok::<_, std::io::Error>((listener, address))
        };
        listen().map_err(|error| {
            let next = match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "; end the program that uses it, or choose another, such as --bind 127.0.0.1:0"
                }
                _ => "; expected an address and a port, such as 127.0.0.1:8000",
            };
            Failure::usage(anyhow::anyhow!("--bind {}: {error}{next}", self.bind))
        })
    }

    /// The runtime's life: the server on it, from where it has `started` until it ends.
    fn live(
        &self,
        server: &Arc<Server>,
        listener: TcpListener,
        connections: usize,
        started: impl FnOnce(),
    ) -> Result<usize, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("serve").build();
        let runtime = runtime.context("cannot start threads")?;
        let lost = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).context("cannot listen")?;
            // Whoever reads that it has started may send a signal at once.
            let (stop, hangup) = signals::listen().context("cannot wait for signals")?;
            started();
            tokio::spawn(watch::watch(server.clone(), self.watch, hangup));
            let limits = self.connections(connections);
            Ok::<_, anyhow::Error>(
                connections::serve(server.clone(), routes::router(server.clone()), listener, limits, stop).await,
            )
        })?;
        // A decoder that isn't waited for any more may still be at it.
        runtime.shutdown_timeout(Duration::from_millis(100));
        Ok(lost)
    }

    /// How many connections there may be, by what the system lets this process have open.
    fn descriptors(&self) -> usize {
        #[cfg(unix)]
        {
            use rustix::process::{Resource, getrlimit, setrlimit};
            let mut limit = getrlimit(Resource::Nofile);
            let wanted = self.max_connections as u64 + OTHER_FILES;
            if limit.current.is_some_and(|current| current < wanted) {
                let raised = limit.maximum.map_or(wanted, |most| most.min(wanted));
                limit.current = Some(raised);
                if setrlimit(Resource::Nofile, limit).is_err() || raised < wanted {
                    let current = getrlimit(Resource::Nofile).current.unwrap_or(wanted);
                    let connections = current.saturating_sub(OTHER_FILES).max(1);
                    tell(format_args!(
                        "the system allows {current} open files: at most {connections} connections at once (ulimit -n)"
                    ));
                    return connections as usize;
                }
            }
        }
        self.max_connections
    }
}
