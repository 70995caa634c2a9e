//! The bytes of a request's body: no more of them, and no longer waited for, than the server allows. What they mean is in `inputs`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use tokio::time::timeout;

use super::problem::{Kind, Problem};

/// Bodies of the largest size that may lie in memory at once.
const BODIES: usize = 16;

/// How much of bodies is taken, and how much is held by all requests together.
#[derive(Debug)]
pub(crate) struct Bodies {
    most: usize,
    wait: Duration,
    held: AtomicUsize,
}

/// A body, whose bytes are counted as long as it lives.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    _share: Share,
}

#[derive(Debug)]
struct Share {
    bodies: Arc<Bodies>,
    count: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.bodies.held.fetch_sub(self.count, Ordering::Relaxed);
    }
}

impl Share {
    /// Counts `more` bytes too; false if all requests together then hold too many.
    fn grow(&mut self, more: usize) -> bool {
        self.count += more;
        let before = self.bodies.held.fetch_add(more, Ordering::Relaxed);
        before + more <= self.bodies.most.saturating_mul(BODIES)
    }
}

impl Bodies {
    /// Bodies of at most `most` bytes, which arrive within `wait`.
    pub(crate) fn new(most: usize, wait: Duration) -> Arc<Self> {
        Arc::new(Self { most, wait, held: AtomicUsize::new(0) })
    }

    /// Reads `body` to its end.
    pub(crate) async fn read(self: &Arc<Self>, headers: &HeaderMap, mut body: Body) -> Result<Held, Problem> {
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > self.most as u64) {
            return Err(self.too_large());
        }
        timeout(self.wait, self.collect(&mut body, declared)).await.unwrap_or_else(|_| {
            let seconds = self.wait.as_secs_f64();
            Err(Problem::new(Kind::BodyTimeout, format!("expected the whole body within {seconds} s")))
        })
    }

    fn too_large(&self) -> Problem {
        Problem::new(Kind::BodyTooLarge, format!("expected a body of at most {} bytes (--max-body)", self.most))
    }

    async fn collect(self: &Arc<Self>, body: &mut Body, declared: Option<u64>) -> Result<Held, Problem> {
        let mut share = Share { bodies: self.clone(), count: 0 };
        let mut first: Option<Bytes> = None;
        let mut bytes: Vec<u8> = Vec::new();
        while let Some(data) = frame(body).await? {
            if share.count + data.len() > self.most {
                return Err(self.too_large());
            }
            if !share.grow(data.len()) {
                return Err(Problem::new(
                    Kind::Overloaded,
                    "too many bytes of other requests are being held; try again",
                ));
            }
            // A small body comes in one piece, and needs no copy.
            match (&first, bytes.is_empty()) {
                (None, true) => first = Some(data),
                _ => {
                    if let Some(first) = first.take() {
                        bytes.reserve_exact(declared.map_or(0, |length| length as usize).min(1 << 20));
                        bytes.extend_from_slice(&first);
                    }
                    bytes.extend_from_slice(&data);
                }
            }
        }
        Ok(Held { bytes: first.unwrap_or_else(|| bytes.into()), _share: share })
    }
}

/// The next piece of `body`; `None` at its end.
async fn frame(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        match std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            None => return Ok(None),
            Some(Err(error)) => {
                return Err(Problem::new(Kind::MalformedRequest, format!("the body cannot be read: {error}")));
            }
            // Trailers are of no use here.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
