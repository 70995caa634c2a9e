//! Folders that are looked into again and again: every file in them once it has been written, and again once it was written anew.
//!
//! Looks at names, lengths and times by turns, which works on every file system, network ones too.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::sources::{Kind, Source, expand};

/// How long a signal may wait to be noticed.
const NAP: Duration = Duration::from_millis(50);

/// Length and time of a file: while it is being written, one of them changes.
type Stamp = (u64, Option<SystemTime>);

/// Files that were seen.
#[derive(Debug)]
pub(crate) struct Watch {
    folders: Vec<String>,
    kind: Kind,
    every: Duration,
    seen: HashMap<PathBuf, (Stamp, bool)>,
}

impl Watch {
    /// Looks into `folders`, and the folders in them, `every` so long.
    pub(crate) fn new(folders: Vec<String>, kind: Kind, every: Duration) -> Self {
        Self { folders, kind, every, seen: HashMap::new() }
    }

    /// Hands each file on once; after each look calls it with nothing. Until it is told `false`, or `stop`.
    pub(crate) fn run(mut self, stop: &AtomicBool, mut take: impl FnMut(Option<PathBuf>) -> bool) {
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            if !self.ready(SystemTime::now()).into_iter().map(Some).all(&mut take) || !take(None) {
                return;
            }
            while begun.elapsed() < self.every && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(NAP.min(self.every));
            }
        }
    }

    /// The files that are whole and weren't handed on as they are now.
    fn ready(&mut self, now: SystemTime) -> Vec<PathBuf> {
        let mut before = std::mem::take(&mut self.seen);
        let mut ready = Vec::new();
        for source in expand(self.folders.clone(), self.kind) {
            let Source::File(path) = source else { continue };
            let Some(stamp) = stamp(&path) else { continue };
            let known = before.remove(&path).filter(|(known, _)| *known == stamp);
            // Untouched for as long as it takes to look again, or since the last look.
            let rested =
                stamp.1.and_then(|written| now.duration_since(written).ok()).is_some_and(|age| age > self.every);
            let done = known.is_some_and(|(_, done)| done);
            if !done && (rested || known.is_some()) {
                ready.push(path.clone());
                self.seen.insert(path, (stamp, true));
            } else {
                self.seen.insert(path, (stamp, done));
            }
        }
        ready
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.len(), about.modified().ok()))
}

/// Set by the first SIGINT or SIGTERM; a second one ends the program.
pub(crate) fn stopped() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))?;
        flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_once_it_rests_and_again_when_it_was_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let every = Duration::from_secs(10);
        let mut watch = Watch::new(vec![folder.path().display().to_string()], Kind::Images, every);
        let now = SystemTime::now();
        assert!(watch.ready(now).is_empty(), "an empty folder");
        std::fs::write(&path, "half").unwrap();
        assert!(watch.ready(now).is_empty(), "perhaps it is still being written");
        std::fs::write(&path, "halves").unwrap();
        assert!(watch.ready(now).is_empty(), "it was");
        assert_eq!(watch.ready(now), std::slice::from_ref(&path));
        assert!(watch.ready(now).is_empty(), "once");
        std::fs::write(&path, "another one").unwrap();
        assert!(watch.ready(now).is_empty());
        assert_eq!(watch.ready(now), std::slice::from_ref(&path));
        std::fs::remove_file(&path).unwrap();
        assert!(watch.ready(now).is_empty() && watch.seen.is_empty(), "forgotten");
        std::fs::write(&path, "old").unwrap();
        assert_eq!(watch.ready(now + 2 * every), [path], "written long ago");
    }
}
