//! A process that is being measured: a command goes in as a line, an answer comes out as JSON. The protocol is in `xtask/peers/server.py`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

/// Threads of a pool spin for a moment after their work; nobody else should start meanwhile.
const REST: Duration = Duration::from_millis(20);

/// A running process.
pub(crate) struct Server {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What it said of itself: `peer`, `version`, `variants`.
    pub(crate) hello: Value,
}

impl Server {
    /// Starts `command`, whose stdin and stdout are piped, and waits until it says what it is.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let shown = format!("{command:?}");
        let mut child = command.spawn().with_context(|| format!("cannot start {shown}"))?;
        let commands = child.stdin.take().context("stdin is piped")?;
        let answers = BufReader::new(child.stdout.take().context("stdout is piped")?);
        let mut server = Self { child, commands, answers, hello: Value::Null };
        server.hello = server.answer().with_context(|| format!("{shown} doesn't answer"))?;
        Ok(server)
    }

    /// What it calls itself.
    pub(crate) fn name(&self) -> &str {
        self.hello["peer"].as_str().unwrap_or("?")
    }

    /// The variants in which it does `what`.
    pub(crate) fn variants(&self, what: &str) -> Vec<String> {
        let named = self.hello["variants"][what].as_array();
        named.map_or_else(Vec::new, |names| names.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect())
    }

    /// Sends one line and waits for its answer.
    pub(crate) fn ask(&mut self, line: &str) -> Result<Value> {
        std::thread::sleep(REST);
        let asked = writeln!(self.commands, "{line}").and_then(|()| self.commands.flush()).map_err(anyhow::Error::from);
        let answer = asked.and_then(|()| self.answer());
        answer.with_context(|| format!("{} ended when it was asked for `{line}`", self.name()))
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("no JSON: `{}`", line.trim()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is ours and has no state to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
