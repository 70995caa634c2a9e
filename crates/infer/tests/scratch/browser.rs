//! Headless Chromium, driven by its DevTools protocol over a pair of pipes: a page is opened, looked at and worked with as a person would.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::server::LONG;

/// The command of a Chromium, if there is one: `CHROMIUM` names it, or it has one of its usual names.
pub(crate) fn chromium() -> Option<String> {
    let usual = ["chromium", "chromium-browser", "google-chrome"].map(str::to_owned);
    let found = std::env::var("CHROMIUM").ok().into_iter().chain(usual).find(|name| {
        let asked = Command::new(name).arg("--version").stdin(Stdio::null()).output();
        asked.is_ok_and(|answer| answer.status.success())
    });
    if found.is_none() {
        eprintln!("no Chromium found (`chromium`, or where CHROMIUM says): the page is not tested in a browser");
    }
    found
}

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    commands: File,
    messages: Receiver<Value>,
    session: Option<String>,
    next: u64,
    /// What the page complained of: errors, and what its policy forbade.
    pub(crate) complaints: Vec<String>,
}

impl Browser {
    /// Starts `chromium` with its files in `folder`.
    pub(crate) fn start(chromium: &str, folder: &Path) -> Self {
        let [to, from] = ["to", "from"].map(|name| folder.join(name));
        assert!(Command::new("mkfifo").args([&to, &from]).status().unwrap().success());
        // The protocol's pipes are descriptors 3 and 4, which a shell can open.
        let mut command = Command::new("sh");
        command.args(["-c", "to=$1; from=$2; shift 2; exec \"$@\" 3<\"$to\" 4>\"$from\"", "sh"]).args([&to, &from]);
        command.args([
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ]);
        command.args(["--disable-background-networking", "--remote-debugging-pipe", "--hide-scrollbars"]);
        command.arg(format!("--user-data-dir={}", folder.join("profile").display())).arg("about:blank");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let commands = File::create(&to).unwrap();
        let mut answers = BufReader::new(File::open(&from).unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while answers.read_until(0, &mut bytes).is_ok_and(|count| count > 0) {
                let message = serde_json::from_slice(bytes.strip_suffix(b"\0").unwrap_or(&bytes)).unwrap_or_default();
                if sender.send(message).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        let mut browser = Self { child, commands, messages, session: None, next: 0, complaints: Vec::new() };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = browser.ask("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Calls a method of the protocol; its result.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.commands.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let message = self.messages.recv_timeout(LONG).unwrap_or_else(|_| panic!("no answer to {method}"));
            if message["id"] == self.next {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            match message["method"].as_str() {
                // Advice is none.
                Some("Log.entryAdded") if message["params"]["entry"]["level"] != "error" => {}
                Some("Log.entryAdded" | "Runtime.exceptionThrown") => {
                    self.complaints.push(message["params"].to_string())
                }
                Some("Runtime.consoleAPICalled") if message["params"]["type"] == "error" => {
                    self.complaints.push(message["params"].to_string());
                }
                _ => {}
            }
        }
    }

    /// Opens a page of `width` points, in a colour scheme.
    pub(crate) fn open(&mut self, url: &str, width: u32, scheme: &str) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let preferred = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", json!({ "features": preferred }));
        self.ask("Page.navigate", json!({ "url": url }));
        self.until("document.readyState === 'complete'");
    }

    /// What an expression of JavaScript comes to; promises are waited for.
    #[track_caller]
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.ask("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + LONG;
        while self.value(expression) != true {
            let seen = self.value("document.body.innerText");
            assert!(Instant::now() < deadline, "never true: {expression}; complaints: {:?}; {seen}", self.complaints);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The middle of the first element that a selector finds, scrolled into view.
    pub(crate) fn place(&mut self, selector: &str) -> [f64; 2] {
        let find = format!(
            "(() => {{ const e = document.querySelector('{selector}'); e.scrollIntoView({{block: 'center'}}); \
             const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
        );
        let place = self.value(&find);
        [0, 1].map(|at| place[at].as_f64().unwrap())
    }

    /// Presses the mouse, moves it along `path`, and lets it go.
    pub(crate) fn drag(&mut self, path: &[[f64; 2]]) {
        let mut event = |kind: &str, [x, y]: [f64; 2], buttons: u8| {
            self.ask(
                "Input.dispatchMouseEvent",
                json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1 }),
            );
        };
        event("mousePressed", path[0], 1);
        path[1..].iter().for_each(|place| event("mouseMoved", *place, 1));
        event("mouseReleased", path[path.len() - 1], 0);
    }

    /// Clicks what a selector finds.
    pub(crate) fn click(&mut self, selector: &str) {
        let place = self.place(selector);
        self.drag(&[place]);
    }

    /// A picture of the whole page, as PNG in base64.
    pub(crate) fn picture(&mut self) -> String {
        let taken = self.ask("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true }));
        taken["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
