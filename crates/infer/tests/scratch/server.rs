//! A running `infer serve`, and a client of a few lines, which sends whatever bytes it is told to.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Scratch;

/// Nothing here takes so long unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A server, which is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The last word of a problem's type, which must be a whole one.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status, "{body}");
        for key in ["title", "detail"] {
            assert!(!body[key].as_str().unwrap().is_empty(), "{body}");
        }
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        body["type"].as_str().unwrap().strip_prefix("urn:striate:problem:").unwrap().to_owned()
    }
}

impl Scratch {
    /// Serves `model` with `options` at a free port of the loopback.
    pub(crate) fn serve(&self, model: &str, options: &[&str]) -> Running {
        self.serve_with(model, options, &[])
    }

    /// The same with `variables` in the environment.
    pub(crate) fn serve_with(&self, model: &str, options: &[&str], variables: &[(&str, &str)]) -> Running {
        let mut arguments = vec!["serve", model, "--bind", "127.0.0.1:0", "--log", "json"];
        arguments.extend(options);
        let mut command = self.command(&arguments);
        let mut child = command.env_remove("STRIATE_TOKEN").envs(variables.iter().copied()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (mut address, mut early) = (None, String::new());
        while address.is_none() {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "the server ended: {early}");
            let event = serde_json::from_str::<Value>(&line).unwrap_or_default();
            address = event["url"].as_str().and_then(|url| url.strip_prefix("http://")?.parse().ok());
            early += &line;
        }
        let lines = Arc::new(Mutex::new(early.lines().map(str::to_owned).collect::<Vec<_>>()));
        let all = lines.clone();
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                all.lock().unwrap().push(line);
            }
        });
        Running { child, address: address.unwrap(), lines, reader: Some(reader) }
    }
}

impl Running {
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends `bytes` on a connection of their own; what is answered.
    #[track_caller]
    pub(crate) fn send(&self, bytes: &[u8]) -> Answer {
        self.try_send(bytes).unwrap_or_else(|| panic!("no answer to {:?}", String::from_utf8_lossy(bytes)))
    }

    /// The same where the connection may be closed without an answer.
    pub(crate) fn try_send(&self, bytes: &[u8]) -> Option<Answer> {
        let mut stream = self.connect();
        // The server may have refused before all is sent.
        let _ = stream.write_all(bytes);
        answer(&mut stream)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&request("GET", path, &[], b""))
    }

    pub(crate) fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        self.send(&request("POST", path, &[("content-type", content_type)], body))
    }

    /// Everything on standard error so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until a line of the log holds `words`.
    #[track_caller]
    pub(crate) fn logged(&self, words: &str) -> String {
        self.until(|| self.log().into_iter().find(|line| line.contains(words)))
    }

    /// Waits until `look` finds something.
    #[track_caller]
    pub(crate) fn until<T>(&self, look: impl Fn() -> Option<T>) -> T {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "waited too long; the log: {:#?}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The number of a line of /metrics that starts with `name`.
    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").text();
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most bytes that it has held, where the system says so.
    pub(crate) fn most_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
    }

    /// Sends the signal `name` ("TERM").
    pub(crate) fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill").args(["-s", name, &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; the exit code, and all that it logged.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>) {
        let deadline = Instant::now() + LONG;
        let code = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None => assert!(Instant::now() < deadline, "it doesn't end: {:#?}", self.log()),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        self.reader.take().unwrap().join().unwrap();
        (code, self.log())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let log = self.log();
            assert!(!log.iter().any(|line| line.contains("panicked")), "{log:#?}");
        }
    }
}

/// A request with its body.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: here\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// A form with files, each under its name.
pub(crate) fn form(files: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, bytes) in files {
        let head = format!("--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend(b"--XX--\r\n");
    ("multipart/form-data; boundary=XX".into(), body)
}

/// Reads one answer; `None` if the connection ends before it is whole.
pub(crate) fn answer(stream: &mut impl Read) -> Option<Answer> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        more(stream, &mut bytes)?;
    };
    let mut body = bytes.split_off(head + 4);
    let text = String::from_utf8(bytes).unwrap();
    let mut lines = text.trim_end().lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let split = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let headers: Vec<(String, String)> = lines.filter_map(split).collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map(|(_, length)| length.parse::<usize>().unwrap());
    while body.len() < length.unwrap_or(0) {
        more(stream, &mut body)?;
    }
    assert!(length.is_some() || status == 100, "{text}");
    Some(Answer { status, headers, body })
}

fn more(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Option<()> {
    let mut part = [0; 4096];
    match stream.read(&mut part) {
        Ok(0) => None,
        Ok(count) => {
            bytes.extend(&part[..count]);
            Some(())
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the server doesn't answer"),
        Err(_) => None,
    }
}
