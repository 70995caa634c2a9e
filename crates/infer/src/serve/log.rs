//! What the server tells on standard error: a line for each request, and what happens to the server. Lines are written by a thread of their own, so
//! that no request waits for whoever reads them; what is too much is left out and counted. No line holds anything of a body, a token or a query.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use data::Utc;
use serde_json::{Value, json};

use crate::failure::tell;
use crate::output::shown;

/// Lines that may wait to be written.
const AHEAD: usize = 8192;
/// Bytes that are written at once.
const BLOCK: usize = 64 << 10;
/// How long the end of the program waits for the last lines to be read.
const PATIENCE: Duration = Duration::from_secs(2);

/// How requests are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Style {
    /// text on a terminal, json elsewhere
    Auto,
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
    /// No lines for requests
    Off,
}

/// A request that was answered.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) method: String,
    /// The route, or of what has none its path.
    pub(crate) route: String,
    pub(crate) status: u16,
    pub(crate) problem: Option<&'static str>,
    pub(crate) read: u64,
    pub(crate) written: Option<u64>,
    pub(crate) took: Duration,
}

#[derive(Debug)]
enum Entry {
    Request(SystemTime, Box<Record>),
    Event(SystemTime, &'static str, String, Box<Value>),
}

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Log {
    requests: bool,
    to: Mutex<Option<SyncSender<Entry>>>,
    lost: AtomicU64,
    thread: Mutex<Option<(JoinHandle<()>, Receiver<()>)>>,
}

impl Log {
    /// Starts to write.
    pub(crate) fn start(style: Style) -> io::Result<Self> {
        let style = match style {
            Style::Auto if io::stderr().is_terminal() => Style::Text,
            Style::Auto => Style::Json,
            style => style,
        };
        let (to, from) = mpsc::sync_channel(AHEAD);
        let (done, ended) = mpsc::channel();
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || {
            write(&from, style == Style::Json);
            let _ = done.send(());
        })?;
        let requests = style != Style::Off;
        Ok(Self {
            requests,
            to: Mutex::new(Some(to)),
            lost: AtomicU64::new(0),
            thread: Mutex::new(Some((thread, ended))),
        })
    }

    /// Logs a request, if requests are logged.
    pub(crate) fn request(&self, record: Record) {
        if self.requests {
            self.send(Entry::Request(SystemTime::now(), Box::new(record)));
        }
    }

    /// Logs what happened to the server: the word `event` for programs, `text` for people, and `more` for programs.
    pub(crate) fn event(&self, event: &'static str, text: impl Into<String>, more: Value) {
        self.send(Entry::Event(SystemTime::now(), event, text.into(), Box::new(more)));
    }

    fn send(&self, entry: Entry) {
        let sent = self.to.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|to| to.try_send(entry));
        if !matches!(sent, Some(Ok(()))) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything is written, but not for a reader that has gone to sleep.
    pub(crate) fn end(&self) {
        drop(self.to.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some((thread, ended)) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && ended.recv_timeout(PATIENCE).is_ok()
        {
            let _ = thread.join();
        }
        match self.lost.load(Ordering::Relaxed) {
            0 => {}
            lost => tell(format_args!("{lost} lines of the log were left out: nobody read them fast enough")),
        }
    }
}

fn write(from: &Receiver<Entry>, json: bool) {
    let mut text = String::new();
    while let Ok(entry) = from.recv() {
        let mut next = Some(entry);
        while let Some(entry) = next {
            line(&mut text, &entry, json);
            next = if text.len() < BLOCK { from.try_recv().ok() } else { None };
        }
        let _ = io::stderr().write_all(text.as_bytes());
        text.clear();
    }
}

fn line(text: &mut String, entry: &Entry, as_json: bool) {
    // Writing into a string cannot fail.
    let _ = match (entry, as_json) {
        (Entry::Request(time, record), true) => writeln!(text, "{}", about(*time, record)),
        (Entry::Request(time, record), false) => {
            let Record { id, method, route, status, took, read, .. } = &**record;
            let problem = record.problem.map_or_else(String::new, |problem| format!(" {problem}"));
            let (time, ms) = (Utc::of(*time).rfc3339(), took.as_secs_f64() * 1e3);
            writeln!(text, "{time} {status} {method} {}{problem} {read} bytes in {ms:.2} ms, {id}", shown(route))
        }
        (Entry::Event(time, event, words, more), true) => {
            let mut object = json!({ "time": Utc::of(*time).rfc3339(), "event": event, "message": words });
            if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
                object.extend(more.clone());
            }
            writeln!(text, "{object}")
        }
        (Entry::Event(.., words, _), false) => writeln!(text, "{}", shown(words)),
    };
}

fn about(time: SystemTime, record: &Record) -> Value {
    json!({
        "time": Utc::of(time).rfc3339(),
        "event": "request",
        "id": record.id,
        "peer": record.peer.map(|peer| peer.ip().to_string()),
        "method": record.method,
        "route": record.route,
        "status": record.status,
        "problem": record.problem,
        "bytes_in": record.read,
        "bytes_out": record.written,
        "ms": (record.took.as_secs_f64() * 1e6).round() / 1e3,
    })
}
