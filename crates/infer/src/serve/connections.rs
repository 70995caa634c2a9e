//! Connections: accepting them, not too many, none that dawdles; and ending without losing a request that was accepted.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::Server;
use super::access::Peer;
use super::owed::Owed;
use super::problem::{Kind, Problem};
use super::stream::Patient;

/// Bytes of a request's head, and headers in it, that are read at all; `access` refuses less with a reason.
const HEAD: usize = 64 << 10;
const HEADERS: usize = 256;
/// How long a connection may refuse to take what is written.
const STALLED: Duration = Duration::from_secs(30);
/// How long a connection without a request is kept once the server ends.
const LAST_CALL: Duration = Duration::from_millis(500);
/// Connections that are told that there are too many; more are closed without a word.
const TOLD: usize = 256;
/// How connections are treated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    /// From the first moment, or the end of the request before, to the end of a request's head.
    pub(crate) head: Duration,
    /// How long connections are accepted after the end was asked for.
    pub(crate) linger: Duration,
    /// How long requests may take after that.
    pub(crate) drain: Duration,
}

/// Serves until `stop` has come, then drains. How many requests were given up.
pub(crate) async fn serve(
    server: Arc<Server>,
    router: Router,
    listener: TcpListener,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> usize {
    let (ending, ended) = watch::channel(());
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let owed = Owed::default();
    let accept =
        Accept { server: server.clone(), router, limits, ended, alive, owed: owed.clone(), told: Arc::default() };
    tokio::select! {
        biased;
        () = stop => {}
        () = accept.all(&listener) => {}
    }
    server.drain();
    // Answers now say that their connection closes, so that its client opens the next one elsewhere.
    let _ = timeout(limits.linger, accept.all(&listener)).await;
    accept.rest(listener);
    drop(accept);
    let _ = ending.send(());
    let _ = timeout(limits.drain, all_gone.recv()).await;
    owed.all()
}

struct Accept {
    server: Arc<Server>,
    router: Router,
    limits: Limits,
    ended: watch::Receiver<()>,
    /// Every connection holds one: when all are gone, so are they.
    alive: mpsc::Sender<()>,
    /// Requests and answers under way.
    owed: Owed,
    told: Arc<AtomicUsize>,
}

impl Accept {
    async fn all(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.take(stream, peer),
                // Out of descriptors, or the client has gone already: the next one may fare better.
                Err(error) => {
                    if !matches!(
                        error.kind(),
                        std::io::ErrorKind::ConnectionAborted | std::io::ErrorKind::ConnectionReset
                    ) {
                        self.server.log.event(
                            "accept_failed",
                            format!("cannot accept a connection: {error}"),
                            serde_json::json!({}),
                        );
                        sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }
    }

    /// Takes the connections that the system has accepted already, and listens no more. What it accepts between the last look and the end of listening
    /// is reset: no time is lost there.
    fn rest(&self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        while let Ok((stream, peer)) = listener.accept() {
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                self.take(stream, peer);
            }
        }
    }

    fn take(&self, stream: TcpStream, peer: SocketAddr) {
        let open = self.server.metrics.connections.inc() + 1;
        let closing = Open(self.server.clone());
        if open as usize > self.limits.connections {
            self.server.metrics.refused.inc();
            let told = self.told.clone();
            if told.fetch_add(1, Ordering::Relaxed) < TOLD {
                tokio::spawn(async move {
                    refuse(stream).await;
                    told.fetch_sub(1, Ordering::Relaxed);
                });
            } else {
                told.fetch_sub(1, Ordering::Relaxed);
            }
            return;
        }
        let _ = stream.set_nodelay(true);
        let (router, limits, owed) = (self.router.clone(), self.limits, self.owed.another());
        let (ended, alive) = (self.ended.clone(), self.alive.clone());
        tokio::spawn(async move {
            talk(stream, peer, router, limits.head, ended, owed).await;
            drop((closing, alive));
        });
    }
}

/// An open connection, counted.
struct Open(Arc<Server>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}

/// Answers the requests of one connection.
async fn talk(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    head: Duration,
    mut ended: watch::Receiver<()>,
    owed: Owed,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let mut router = router.clone();
        let counted = owed.debt();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            let response: Result<_, Infallible> = tower::Service::call(&mut router, request).await;
            drop(counted);
            response
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(HEAD).max_headers(HEADERS);
    let mut connection =
        pin!(http.serve_connection(TokioIo::new(Patient::new(stream, STALLED, owed.clone())), service));
    tokio::select! {
        // What a client did to its connection is its own matter.
        _ = connection.as_mut() => return,
        _ = ended.changed() => {}
    }
    // Answers say by now that they are the last ones, so that a connection with a request ends behind it. A silent one may have a request on its way.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = sleep(LAST_CALL) => {}
    }
    connection.as_mut().graceful_shutdown();
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = sleep(LAST_CALL) => {
                if owed.is_even() {
                    return;
                }
            }
        }
    }
}

/// Says that there are too many connections.
async fn refuse(mut stream: TcpStream) {
    let detail = "too many connections are open (--max-connections); try again";
    let body = Problem::new(Kind::Overloaded, detail).body(None).to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let telling = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing with unread bytes would reset the connection before the answer is read.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(Duration::from_secs(1), telling).await;
}
