//! A connection's bytes, with what hyper has no setting for: a client that takes nothing of what is written is given up; one that still sends when the
//! connection closes gets to read its answer; and what hyper answers by itself, to what is no request, gets its reason.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::owed::{Debt, Owed};
use super::problem::{Kind, Problem};

/// How hyper's own refusals begin and end. Answers of ours have an id, and no body ends so.
const REFUSAL: (&[u8], &[u8]) = (b"HTTP/1.1 4", b"\r\n\r\n");
const ID: &[u8] = b"x-request-id:";

/// Bytes that are read and forgotten once nothing more is answered, and how long that may take.
const FORGOTTEN: usize = 64 << 20;
const FORGETTING: Duration = Duration::from_secs(2);

/// A stream whose writes fail once nothing could be written for a while.
#[derive(Debug)]
pub(crate) struct Patient {
    stream: TcpStream,
    patience: Duration,
    owed: Owed,
    /// Runs out while a write waits, which is owed until then.
    waiting: Option<(Pin<Box<Sleep>>, Debt)>,
    /// What is written in the place of a refusal, and how much of it has been.
    instead: Option<(Vec<u8>, usize)>,
    /// Once nothing more is written: until when, and how many bytes, are read and forgotten.
    closing: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Patient {
    pub(crate) fn new(stream: TcpStream, patience: Duration, owed: Owed) -> Self {
        Self { stream, patience, owed, waiting: None, instead: None, closing: None }
    }

    /// Writes `bytes`, or the problem that they are.
    fn write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            self.instead = reasoned(bytes).map(|text| (text, 0));
        }
        while let Some((text, at)) = &mut self.instead {
            *at += ready!(Pin::new(&mut self.stream).poll_write(context, &text[*at..]))?;
            if *at >= text.len() {
                self.instead = None;
                return Poll::Ready(Ok(bytes.len()));
            }
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    /// What a write came to, if it hasn't waited too long.
    fn watched<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let (patience, owed) = (self.patience, &self.owed);
        let (waiting, _) = self.waiting.get_or_insert_with(|| (Box::pin(sleep(patience)), owed.debt()));
        if waiting.deadline() > Instant::now() {
            ready!(waiting.as_mut().poll(context));
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads and forgets what the client still sends. Closing a connection with unread bytes resets it, and the client then loses the answer that it
    /// hasn't come to read.
    fn forget(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((until, left)) = &mut self.closing else { return Poll::Ready(Ok(())) };
        let mut part = [0; 8 << 10];
        while *left > 0 && until.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut part);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            *left = if buffer.filled().is_empty() { 0 } else { left.saturating_sub(buffer.filled().len()) };
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.write(context, bytes);
        self.watched(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match bytes {
            [one] => self.write(context, one),
            several => Pin::new(&mut self.stream).poll_write_vectored(context, several),
        };
        self.watched(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watched(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.closing = Some((Box::pin(sleep(FORGETTING)), FORGOTTEN));
        }
        self.forget(context)
    }
}

/// What hyper says to what is no request, with its reason.
fn reasoned(bytes: &[u8]) -> Option<Vec<u8>> {
    let (beginning, end) = REFUSAL;
    if !bytes.starts_with(beginning) || !bytes.ends_with(end) || bytes.windows(ID.len()).any(|part| part == ID) {
        return None;
    }
    let (kind, detail) = match &bytes[9..12] {
        b"431" => (Kind::HeadersTooLarge, "expected fewer and shorter headers"),
        b"414" => (Kind::UriTooLong, "expected a shorter target"),
        _ => (Kind::MalformedRequest, "expected a request of HTTP/1.1"),
    };
    let (status, _, title) = kind.parts();
    let body = Problem::new(kind, detail).body(None).to_string();
    let head = format!("HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\nconnection: close\r\n");
    Some(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_hyper_refuses_by_itself_gets_another_answer() {
        let refusal = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
        let text = String::from_utf8(reasoned(refusal).unwrap()).unwrap();
        assert!(text.starts_with("HTTP/1.1 431 ") && text.contains("urn:striate:problem:headers-too-large"), "{text}");
        for other in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 404 Not Found\r\nx-request-id: a\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\n{}",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"",
        ] {
            assert_eq!(reasoned(other), None);
        }
    }
}
