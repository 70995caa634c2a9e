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
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
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
}
