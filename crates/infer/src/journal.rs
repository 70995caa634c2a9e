//! An output file that a killed program's successor goes on with: which inputs it answers already, and where its last whole line ends.
//!
//! Every line is one answer and names its input and its model, so the file alone says what is left to do. Specified in `docs/formats.md`.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::anyhow;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// How every answer begins.
const BEGINNING: &[u8] = br#"{"v":1,"source":"#;

/// The inputs that are answered already.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// How often each was, by the hash of its name: a million names would fill the memory.
    times: HashMap<[u8; 16], u32>,
    /// How many answers there are.
    pub(crate) count: u64,
    /// How many of them say that the input could not be predicted.
    pub(crate) failed: u64,
}

/// What is read of a line.
#[derive(Deserialize)]
struct Line {
    source: String,
    model: String,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

impl Answered {
    /// Whether an answer to `source` is there that no other input of that name was given yet.
    pub(crate) fn take(&mut self, source: &str) -> bool {
        self.times.get_mut(&key(source)).filter(|times| **times > 0).map(|times| *times -= 1).is_some()
    }

    fn add(&mut self, source: &str) {
        *self.times.entry(key(source)).or_default() += 1;
        self.count += 1;
    }
}

fn key(source: &str) -> [u8; 16] {
    let digest = Sha256::digest(source.as_bytes());
    std::array::from_fn(|at| digest[at])
}

/// Opens `path` for answers of `model`, for this process alone. With `resume` those that are there stay, and a last line that was cut off
/// goes; without, there may be none.
pub(crate) fn open(path: &Path, model: &str, resume: bool) -> Result<(File, Answered), Failure> {
    let usage = |what: String| Failure::usage(anyhow!("`{}` {what}", path.display()));
    let writing = |error| Failure::writing(path, error);
    // A pipe or a device, as /dev/stdout, has nothing to go on with.
    if path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        if resume {
            return Err(usage("is no regular file: there is nothing to resume".into()));
        }
        return Ok((OpenOptions::new().write(true).open(path).map_err(writing)?, Answered::default()));
    }
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(writing)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(usage("is being written by another process".into())),
        // Some network file systems have no locks.
        Err(TryLockError::Error(_)) => {}
    }
    if file.metadata().map_err(writing)?.len() == 0 {
        return Ok((file, Answered::default()));
    }
    if !resume {
        return Err(usage("is there already; --resume goes on with it, or delete it".into()));
    }
    let (answered, whole) = read(&file, model).map_err(|what| match what {
        Unfit::Io(error) => Failure::reading(path, error),
        Unfit::Line(line, what) => Failure::data(anyhow!("`{}` line {line}: {what}", path.display())),
    })?;
    file.set_len(whole).map_err(writing)?;
    file.seek(SeekFrom::End(0)).map_err(writing)?;
    Ok((file, answered))
}

/// Why a file is none to go on with.
enum Unfit {
    Io(io::Error),
    Line(u64, String),
}

/// The answers in `file`, and where the last whole one ends.
fn read(file: &File, model: &str) -> Result<(Answered, u64), Unfit> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut answered, mut whole, mut number, mut broken) = (Answered::default(), 0, 0, None);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes).map_err(Unfit::Io)?;
        if read == 0 {
            return Ok((answered, whole));
        }
        number += 1;
        let line = bytes.strip_suffix(b"\n").map(serde_json::from_slice::<Line>);
        match (line, broken) {
            (Some(Ok(line)), None) if line.model == model => {
                answered.add(&line.source);
                answered.failed += u64::from(line.error.is_some());
                whole += read as u64;
            }
            (Some(Ok(line)), None) => {
                let what = format!("is an answer of the model {}, this one is {model}; name another file", line.model);
                return Err(Unfit::Line(number, what));
            }
            // A loss of power may leave rubbish behind the last line that reached the disk, but no answers behind that.
            (Some(Ok(_)), Some(at)) => {
                let what = "is no answer that names its `source` and its `model`, and there are answers below it; mend or delete the file";
                return Err(Unfit::Line(at, what.into()));
            }
            (_, None) if number == 1 && !is_torn(&bytes) => {
                let what = "is no answer that names its `source` and its `model`; --resume goes on with files that -o FILE --format jsonl wrote";
                return Err(Unfit::Line(1, what.into()));
            }
            (_, None) => broken = Some(number),
            (_, Some(_)) => {}
        }
    }
}

/// Whether `line` may be the beginning of an answer: nothing else is cut away where no answer is before it.
fn is_torn(line: &[u8]) -> bool {
    line.iter().zip(BEGINNING).all(|(byte, expected)| byte == expected) && !line.ends_with(b"\n")
}

/// Where answers go.
pub(crate) enum Sink {
    Stdout(io::StdoutLock<'static>),
    File(File),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(text: &str, resume: bool) -> (Result<(u64, String), String>, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        std::fs::write(&path, text).unwrap();
        let result = open(&path, "m1", resume);
        let result = result.map(|(mut file, answered)| {
            file.write_all(b"+").unwrap();
            (answered.count, std::fs::read_to_string(&path).unwrap())
        });
        (result.map_err(|failure| format!("{failure:?}")), std::fs::read_to_string(&path).unwrap())
    }

    #[test]
    fn whole_lines_stay_and_what_was_cut_off_goes() {
        let line = |source: &str| format!("{{\"v\":1,\"source\":\"{source}\",\"model\":\"m1\"}}\n");
        let two = line("a") + &line("b");
        for rest in ["", "{\"v\":1,\"sou", "\0\0\0\0", "\0\0\n\0", &line("c")[..line("c").len() - 1]] {
            let (result, _) = opened(&(two.clone() + rest), true);
            assert_eq!(result.unwrap(), (2, two.clone() + "+"), "{rest:?}");
        }
        assert_eq!(opened("", true).0.unwrap(), (0, "+".into()));
        assert_eq!(opened("{\"v\":1,\"so", true).0.unwrap(), (0, "+".into()));
    }

    #[test]
    fn nothing_is_lost_of_a_file_that_is_no_such_file() {
        let line = "{\"v\":1,\"source\":\"a\",\"model\":\"m1\"}\n";
        for (text, resume, expected) in [
            ("something".to_owned(), false, "--resume goes on with it"),
            ("my diary\nof today\n".into(), true, "line 1: is no answer"),
            ("a file of one line".into(), true, "line 1: is no answer"),
            ("{\"v\":1,\"from\":1}".into(), true, "line 1: is no answer"),
            ("\0\0\0\0".into(), true, "line 1: is no answer"),
            (format!("{line}rubbish\n{line}"), true, "line 2: is no answer"),
            (line.replace("m1", "m2"), true, "line 1: is an answer of the model m2"),
            ("{\"v\":1,\"source\":\"a\"}\n".into(), true, "line 1: is no answer"),
        ] {
            let (result, left) = opened(&text, resume);
            assert!(result.as_ref().is_err_and(|error| error.contains(expected)), "{result:?}");
            assert_eq!(left, text);
        }
    }

    #[test]
    fn inputs_of_one_name_are_answered_as_often_as_they_are_there() {
        let mut answered = Answered::default();
        answered.add("a");
        answered.add("a");
        assert!(answered.take("a") && answered.take("a"));
        assert!(!answered.take("a") && !answered.take("b"));
    }
}
