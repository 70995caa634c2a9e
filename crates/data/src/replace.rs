//! Writing a file whole or not at all: the one way in which split files, run folders, model files and predictions are written. What stands
//! in them is the caller's.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::failpoint::failpoint;

/// Writes a file whole or not at all: beside `path` under another name, synced, renamed over `path`, the folder synced. Until the
/// rename whatever stood at `path` stays; a failure removes what was begun.
///
/// # Errors
/// The first error of `fill`; if the system refuses to write, sync or rename.
pub fn replace<T, E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<T, E>,
) -> Result<T, E> {
    // Two writers, be they threads or processes, must not share a scratch file.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no file to write to").into());
    };
    // A pipe or a device, as /dev/stdout, is written to, not replaced.
    if path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        let mut file = BufWriter::new(File::create(path)?);
        let result = fill(&mut file)?;
        file.flush()?;
        return Ok(result);
    }
    let folder = folder_of(path);
    let mut scratch = std::ffi::OsString::from(".");
    scratch.push(name);
    scratch.push(format!(".{}-{}.part", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let scratch = folder.join(scratch);
    let written = (|| {
        let mut file = BufWriter::with_capacity(1 << 16, File::create(&scratch)?);
        failpoint("replace::created")?;
        let result = fill(&mut file)?;
        failpoint("replace::filled")?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        failpoint("replace::synced")?;
        std::fs::rename(&scratch, path)?;
        failpoint("replace::renamed")?;
        sync_folder(folder)?;
        failpoint("replace::done")?;
        Ok(result)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&scratch);
    }
    written
}

/// Removes what writers of `path` that were killed left beside it: files named as [`replace`] names them. Only for who knows that nobody
/// else writes there; what cannot be removed stays.
pub fn remove_scratch(path: &Path) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_scratch = |other: &str| {
        let middle = other.strip_prefix('.').and_then(|rest| rest.strip_prefix(name));
        let middle = middle.and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".part")?.split_once('-'));
        middle.is_some_and(|(process, count)| number(process) && number(count))
    };
    for entry in std::fs::read_dir(folder_of(path)).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_scratch) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The folder that `path` lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes renames in `folder` durable. Windows has no such call for folders, and needs none.
///
/// # Errors
/// The system's.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_leaves_the_old_file_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        replace(&path, |file| file.write_all(b"old")).unwrap();
        let failed: io::Result<()> = replace(&path, |file| {
            file.write_all(b"new")?;
            Err(io::Error::other("no"))
        });
        assert!(failed.is_err() && std::fs::read(&path).unwrap() == b"old");
        replace(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(Path::new(".."), |file| file.write_all(b"x")).is_err());
    }

    #[test]
    fn what_a_killed_writer_left_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let others = ["a", ".a.1-2.party", ".a.1-.part", ".b.1-2.part", "a.1-2.part", ".a.x-2.part", ".a.part"];
        for name in others.into_iter().chain([".a.1-2.part", ".a.4711-0.part"]) {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        remove_scratch(&folder.path().join("a"));
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let mut others = others.map(std::ffi::OsString::from).to_vec();
        others.sort();
        assert_eq!(left, others);
    }
}
