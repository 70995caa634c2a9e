//! Draws training events for people: a live bar and a line for each epoch on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use trainer::{EpochSummary, Event};

use ::report::grouped;

use super::stream;

/// What draws the events of a run.
pub(crate) struct Bar {
    unit: &'static str,
    bar: Option<ProgressBar>,
    quiet: bool,
    epochs: usize,
    batches: usize,
    learned: u64,
    began: Instant,
    said: Instant,
    header: bool,
    /// What is to be said once the screen is free again.
    held: Option<Vec<String>>,
}

/// Between the lines of a long epoch where there is no terminal to draw a bar on.
const PLAIN_EVERY: Duration = Duration::from_secs(15);
/// Between two pictures of the bar: a step may take less than drawing one.
const BAR_EVERY: Duration = Duration::from_millis(100);

impl Bar {
    /// Draws on stderr, or not at all; `unit` is what is learned: images, rows.
    pub(crate) fn new(unit: &'static str, quiet: bool) -> Self {
        let now = Instant::now();
        Self {
            unit,
            bar: None,
            quiet,
            epochs: 0,
            batches: 0,
            learned: 0,
            began: now,
            said: now,
            header: false,
            held: None,
        }
    }

    /// This one, with a silent one in its place.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.unit, true))
    }

    /// Draws one event.
    pub(crate) fn draw(&mut self, event: &Event) {
        if self.quiet {
            return;
        }
        match event {
            Event::Started { parameters, epochs, done, batches, .. } => {
                self.say(&format!("model    {} parameters", grouped(*parameters)));
                (self.epochs, self.batches, self.began, self.said) =
                    (*epochs, *batches, Instant::now(), Instant::now());
                if std::io::stderr().is_terminal() && self.held.is_none() {
                    let bar = ProgressBar::new((epochs * batches) as u64).with_style(style());
                    bar.set_position((done * batches) as u64);
                    bar.reset_eta();
                    self.bar = Some(bar);
                }
            }
            Event::Step { epoch, batch, samples, loss, accuracy, .. } => {
                self.learned += *samples as u64;
                if self.held.is_some() {
                    return;
                }
                let wait = if self.bar.is_some() { BAR_EVERY } else { PLAIN_EVERY };
                if self.said.elapsed() < wait {
                    return;
                }
                self.said = Instant::now();
                let rate = self.learned as f64 / self.began.elapsed().as_secs_f64().max(1e-9);
                let accuracy = accuracy.map(|value| format!("  accuracy {:5.2} %", value * 100.0)).unwrap_or_default();
                let state = format!("loss {loss:.4}{accuracy}  {} {}/s", grouped(rate as u64), self.unit);
                match &self.bar {
                    Some(bar) => {
                        bar.set_prefix(format!("epoch {epoch}/{}", self.epochs));
                        bar.set_message(state);
                        bar.set_position(((epoch - 1) * self.batches + batch) as u64);
                    }
                    None => self.say(&format!("epoch {epoch}/{} batch {batch}/{}  {state}", self.epochs, self.batches)),
                }
            }
            Event::Epoch(summary) => {
                self.said = Instant::now();
                if !std::mem::replace(&mut self.header, true) {
                    self.say(&header(summary));
                }
                self.say(&row(summary, self.epochs));
            }
            Event::Note(note) => self.say(note),
            Event::Saved { .. } => {}
        }
    }

    /// Says nothing from now on, and keeps its lines.
    pub(crate) fn hold(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Says what was kept, and goes on with lines.
    pub(crate) fn say_held(&mut self) {
        self.held.take().into_iter().flatten().for_each(stream::tell);
    }

    /// Takes the bar away, and says what was kept.
    pub(crate) fn finish(&mut self) {
        self.say_held();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn say(&mut self, line: &str) {
        match (&mut self.held, &self.bar) {
            (Some(held), _) => held.push(line.to_owned()),
            (None, Some(bar)) => bar.suspend(|| stream::tell(line)),
            (None, None) => stream::tell(line),
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix} {wide_bar} {msg}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

/// Widths are those of `row`.
fn header(summary: &EpochSummary) -> String {
    let mut line = format!("{:>9} {:>11}", "epoch", "train loss");
    if summary.train_accuracy.is_some() {
        line += &format!(" {:>10}", "train acc.");
    }
    for (name, _) in shown(summary) {
        line += &format!(" {:>width$}", format!("val {name}"), width = width(name));
    }
    line + &format!(" {:>9} {:>8}", "lr", "time")
}

fn row(summary: &EpochSummary, epochs: usize) -> String {
    let mut line = format!("{:>9} {:>11.4}", format!("{}/{epochs}", summary.epoch), summary.train_loss);
    if let Some(accuracy) = summary.train_accuracy {
        line += &format!(" {:>8.2} %", accuracy * 100.0);
    }
    for (name, value) in shown(summary) {
        let value = value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
        line += &format!(" {value:>width$}", width = width(name));
    }
    line += &format!(" {:>9.2e} {:>7.1}s", summary.lr, summary.seconds);
    if summary.best { line + "  best" } else { line }
}

/// The validation metrics that fit a line; all of them are in results.csv.
fn shown(summary: &EpochSummary) -> impl Iterator<Item = (&str, Option<f64>)> {
    const SHOWN: [&str; 6] = ["loss", "accuracy", "map", "exact_match", "r2", "mae"];
    summary.val.iter().filter(|(name, _)| SHOWN.contains(&name.as_str())).map(|(name, value)| (name.as_str(), *value))
}

fn width(name: &str) -> usize {
    (name.len() + 4).max(9)
}
