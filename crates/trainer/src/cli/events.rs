//! `events.jsonl` in the folder of a run: what happens, a line each, for programs that follow it. Nothing reads it back, and no failure to
//! write it ends a run. `docs/formats.md` specifies it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use trainer::{EpochSummary, Event, Report};

use super::position::Position;
use data::Utc;

/// Between two steps that are written: at most ten a second.
const STEPS_EVERY: Duration = Duration::from_millis(100);
/// The version of the lines.
const VERSION: u32 = 1;

/// The file, as long as it can be written.
pub(crate) struct EventLog {
    file: Option<File>,
    /// Bytes of whole lines.
    whole: u64,
    /// What is to be said of a failure, once.
    failed: Option<String>,
    told: bool,
    /// The name of the next beginning: `started`, `resumed`, `rolled_back`.
    beginning: &'static str,
    position: Position,
    written: Option<Instant>,
}

impl EventLog {
    /// The log of the run in `folder`, behind what stands there; half a line that a kill left is cut off.
    pub(crate) fn open(folder: &Path) -> Self {
        let path = folder.join("events.jsonl");
        let (file, whole, failed) = match repaired(&path) {
            Ok((file, whole)) => (Some(file), whole, None),
            Err(error) => (None, 0, Some(format!("`{}` cannot be written: {error}", path.display()))),
        };
        let beginning = if whole == 0 { "started" } else { "resumed" };
        Self { file, whole, failed, told: false, beginning, position: Position::default(), written: None }
    }

    /// Writes one event down, unless it is a step so soon after another.
    pub(crate) fn record(&mut self, event: &Event) {
        self.position.follow(event);
        match event {
            Event::Started { parameters, epochs, done, batches, samples, .. } => {
                let [train, val, test] = samples;
                let name = std::mem::replace(&mut self.beginning, "rolled_back");
                let samples = json!({ "train": train, "val": val, "test": test });
                self.line(
                    name,
                    json!({ "parameters": parameters, "epochs": epochs, "done": done, "batches": batches, "samples": samples }),
                );
            }
            Event::Step { epoch, batch, samples, loss, accuracy, lr } => {
                let due = self.written.is_none_or(|written| written.elapsed() >= STEPS_EVERY);
                if due {
                    self.written = Some(Instant::now());
                    let step = json!({ "epoch": epoch, "batch": batch, "samples": samples, "loss": loss, "accuracy": accuracy, "lr": lr });
                    self.line("step", step);
                }
            }
            Event::Epoch(summary) => self.line("epoch", of_epoch(summary)),
            Event::Saved { done, done_batches } => {
                self.line("saved", json!({ "done": done, "done_batches": done_batches }));
            }
            Event::Note(text) => self.line("note", json!({ "text": text })),
        }
    }

    /// Writes down how the sitting ended.
    pub(crate) fn ended(&mut self, report: &Report) {
        let Report { ended, epochs, best_epoch, seconds, .. } = report;
        self.line("ended", json!({ "ended": ended, "epochs": epochs, "best_epoch": best_epoch, "seconds": seconds }));
    }

    /// Writes down that it ended by an error.
    pub(crate) fn failed(&mut self, error: &trainer::Error) {
        self.line("failed", json!({ "error": error.to_string() }));
    }

    /// What went wrong with the file, when it is first asked for: the run goes on without it.
    pub(crate) fn trouble(&mut self) -> Option<String> {
        let failed = self.failed.take().filter(|_| !self.told)?;
        self.told = true;
        Some(format!("warning: {failed}; training goes on, and events are missing there"))
    }

    fn line(&mut self, event: &str, fields: Value) {
        let Some(file) = &mut self.file else { return };
        let time = Utc::of(SystemTime::now()).rfc3339();
        let mut line = json!({ "v": VERSION, "event": event, "time": time, "step": self.position.step() });
        if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
            line.extend(fields);
        }
        let text = format!("{line}\n");
        match file.write_all(text.as_bytes()) {
            Ok(()) => self.whole += text.len() as u64,
            Err(error) => {
                self.failed = Some(format!("`events.jsonl` could not be written: {error}"));
                // Half a line would spoil the next one.
                if file.set_len(self.whole).is_err() {
                    self.file = None;
                }
            }
        }
    }
}

fn of_epoch(summary: &EpochSummary) -> Value {
    let EpochSummary { epoch, seconds, train_loss, train_accuracy, val, lr, best, weights } = summary;
    let val: serde_json::Map<String, Value> = val.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "epoch": epoch, "seconds": seconds, "train_loss": train_loss, "train_accuracy": train_accuracy, "val": val, "lr": lr, "best": best,
        "weights": weights,
    })
}

/// Opens the file to write behind its last whole line, whose end is returned.
fn repaired(path: &Path) -> io::Result<(File, u64)> {
    // A pipe would wait for its reader.
    if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let all = file.metadata()?.len();
    let whole = end_of_last_line(&mut file, all)?;
    if whole < all {
        file.set_len(whole)?;
    }
    Ok((file, whole))
}

/// Where the last whole line of `all` bytes ends, looked for from behind.
fn end_of_last_line(file: &mut File, all: u64) -> io::Result<u64> {
    let mut end = all;
    let mut part = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(1 << 16);
        file.seek(SeekFrom::Start(begin))?;
        part.clear();
        (&mut *file).take(end - begin).read_to_end(&mut part)?;
        if let Some(at) = part.iter().rposition(|&byte| byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(batch: usize) -> Event {
        Event::Step { epoch: 2, batch, samples: 4, loss: f64::NAN, accuracy: Some(0.5), lr: 0.1 }
    }

    fn started(done: usize) -> Event {
        Event::Started { parameters: 7, epochs: 9, done, done_batches: 3, batches: 10, samples: [40, 5, 6] }
    }

    fn lines(folder: &Path) -> Vec<Value> {
        let text = fs::read_to_string(folder.join("events.jsonl")).unwrap();
        assert!(text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn steps_are_thinned_and_every_line_has_its_place() {
        let scratch = tempfile::tempdir().unwrap();
        let mut log = EventLog::open(scratch.path());
        log.record(&started(0));
        (1..=10).for_each(|batch| log.record(&step(batch)));
        log.record(&Event::Note("\u{732b}\n\"x\"".into()));
        log.record(&started(1));
        let found = lines(scratch.path());
        // However slow the machine is, the first step is written, and the note stands at the last.
        assert_eq!(
            (&found[0]["event"], &found[0]["step"], &found[0]["samples"]["val"]),
            (&json!("started"), &json!(3), &json!(5))
        );
        assert_eq!(
            (&found[1]["event"], &found[1]["step"], &found[1]["loss"]),
            (&json!("step"), &json!(11), &Value::Null)
        );
        let [.., note, back] = found.as_slice() else { panic!() };
        assert_eq!((&note["text"], &note["step"], &note["v"]), (&json!("\u{732b}\n\"x\""), &json!(20), &json!(1)));
        assert_eq!((&back["event"], &back["step"]), (&json!("rolled_back"), &json!(13)));
        assert_eq!(log.trouble(), None);
    }

    #[test]
    fn half_a_line_is_cut_off_and_the_run_goes_on_behind_it() {
        let scratch = tempfile::tempdir().unwrap();
        EventLog::open(scratch.path()).record(&started(0));
        let path = scratch.path().join("events.jsonl");
        for torn in ["{\"v\":1,\"ev".to_owned(), "\0".repeat(200_000)] {
            fs::write(&path, fs::read_to_string(&path).unwrap() + &torn).unwrap();
            EventLog::open(scratch.path()).record(&started(3));
        }
        let names: Vec<_> = lines(scratch.path()).iter().map(|line| line["event"].clone()).collect();
        assert_eq!(names, ["started", "resumed", "resumed"]);
        fs::write(&path, "{").unwrap();
        EventLog::open(scratch.path()).record(&started(0));
        assert_eq!(lines(scratch.path())[0]["event"], "started");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_that_is_full_is_told_of_once_and_no_failure() {
        let mut log = EventLog::open(tempfile::tempdir().unwrap().path());
        log.file = Some(OpenOptions::new().append(true).open("/dev/full").unwrap());
        log.record(&started(0));
        assert!(log.trouble().unwrap().contains("No space left"));
        log.record(&Event::Note("x".into()));
        assert_eq!(log.trouble(), None);
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("events.jsonl")).unwrap();
        let mut log = EventLog::open(scratch.path());
        log.record(&started(0));
        assert!(log.trouble().unwrap().contains("no regular file"));
    }
}
