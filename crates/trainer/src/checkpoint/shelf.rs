//! The folder of a run's checkpoints: which there are, which name is free for the next, and how an old one goes. What is in one is the
//! checkpoint's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{FORMAT, format, reach};
use crate::Error;

/// The committed checkpoints below `folder`, oldest first.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = entries(folder)?;
    found.retain(|path| place(path).is_some());
    found.sort_by_key(|path| place(path));
    Ok(found)
}

/// `step-N`, or `step-N-2` and so on where the same step was saved before: nothing is ever replaced, and what cannot be removed is in
/// nobody's way.
pub(super) fn free(folder: &Path, step: u64) -> Result<PathBuf, Error> {
    let newest = list(folder)?.iter().filter_map(|path| place(path)).filter(|place| place.0 == step).max();
    let mut number = newest.map_or(1, |(_, number)| number + 1);
    loop {
        let path = folder.join(match number {
            1 => format!("step-{step:010}"),
            _ => format!("step-{step:010}-{number}"),
        });
        if path.with_extension("partial").symlink_metadata().is_err() {
            return Ok(path);
        }
        number += 1;
    }
}

/// Removes every checkpoint below `folder` but those in `kept` and those of a newer build, and what saves left unfinished. What cannot be
/// removed stays, and keeps nothing else from going.
///
/// # Errors
/// The first refusal of the system.
pub(super) fn prune(folder: &Path, kept: &[&Path]) -> Result<(), Error> {
    let mut outcome = Ok(());
    let old = |path: &PathBuf| !kept.contains(&path.as_path()) && !is_newer(path);
    for path in list(folder)?.iter().filter(|path| old(path)) {
        // A folder that is half removed would look like a damaged checkpoint.
        let renamed = fs::rename(path, aside(path)).map_err(Error::io("remove", path));
        outcome = outcome.and(renamed.and_then(|()| reach("checkpoint::pruning", path)));
    }
    outcome = outcome.and(clean(folder));
    // What is gone stays gone, also when the power fails.
    outcome.and(super::sync(folder))
}

/// Removes what saves that were cut off left behind.
///
/// # Errors
/// The first refusal of the system; the others are removed all the same.
pub(super) fn clean(folder: &Path) -> Result<(), Error> {
    let mut unfinished = entries(folder)?;
    unfinished.retain(|path| path.extension().is_some_and(|extension| extension == "partial"));
    if unfinished.is_empty() {
        return Ok(());
    }
    // Were the power to fail with files gone and the old name back, a folder that is half removed would look like a damaged checkpoint.
    super::sync(folder)?;
    let mut outcome = Ok(());
    for path in &unfinished {
        outcome = outcome.and(fs::remove_dir_all(path).map_err(Error::io("remove", path)));
    }
    outcome
}

/// Whether a newer build wrote the checkpoint: this one can neither read it nor say that it is damaged.
pub(super) fn is_newer(path: &Path) -> bool {
    format(path).is_some_and(|format| format > u64::from(FORMAT))
}

/// A name under which a checkpoint is none any more.
fn aside(path: &Path) -> PathBuf {
    let names = (1..).map(|number| if number == 1 { "partial".to_owned() } else { format!("{number}.partial") });
    let free = |path: &PathBuf| path.symlink_metadata().is_err();
    names.map(|name| path.with_extension(name)).find(free).unwrap_or_else(|| path.with_extension("partial"))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            entries.map(|entry| entry.map(|entry| entry.path()).map_err(Error::io("read", folder))).collect()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io("read", folder)(error)),
    }
}

/// Step and number of a checkpoint's folder: `step-N` or `step-N-NUMBER`.
fn place(path: &Path) -> Option<(u64, u64)> {
    let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
    let name = path.file_name()?.to_str()?.strip_prefix("step-")?;
    match name.split_once('-') {
        None => Some((number(name)?, 1)),
        Some((step, again)) => Some((number(step)?, number(again)?)),
    }
}
