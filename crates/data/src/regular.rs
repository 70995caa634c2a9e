//! Opening files without being made to wait or to eat up memory: a pipe waits for its writer, some devices never end, and the length of a
//! file says nothing of what it is good for.

use std::fs::{File, Metadata};
use std::io::{self, Read, Take};
use std::path::Path;

use crate::Error;

/// Opens the regular file `path`, which has at most `most` bytes; a reader gets no more of them, however the file grows.
///
/// # Errors
/// If the system refuses; of what is no regular file (before it is opened), and of a larger file.
pub fn open_regular(path: &Path, most: u64) -> io::Result<Take<File>> {
    let about = std::fs::metadata(path)?;
    if let Some(found) = irregular(&about) {
        return Err(io::Error::other(format!("expected a regular file, found {found}")));
    }
    if about.len() > most {
        return Err(io::Error::other(format!("expected at most {most} bytes, found {}", about.len())));
    }
    Ok(File::open(path)?.take(most))
}

/// All of the regular file `path`, which has at most `most` bytes.
///
/// # Errors
/// As [`open_regular`]; if the system refuses to read.
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path, most)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Refuses data that are no regular file, before they are opened.
pub(crate) fn regular(path: &Path) -> Result<Metadata, Error> {
    let about = std::fs::metadata(path).map_err(|source| Error::io(path, source))?;
    match irregular(&about) {
        None => Ok(about),
        Some(found) => Err(Error::malformed(path, "itself", "a regular file", found)),
    }
}

fn irregular(about: &Metadata) -> Option<&'static str> {
    match (about.is_file(), about.is_dir()) {
        (true, _) => None,
        (false, true) => Some("a folder"),
        (false, false) => Some("a pipe or a device"),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_bearable_length_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(read_regular(&path, 3).unwrap(), b"abc");
        let said = |path: &Path, most| read_regular(path, most).unwrap_err().to_string();
        assert_eq!(said(&path, 2), "expected at most 2 bytes, found 3");
        assert_eq!(said(Path::new("/dev/zero"), 2), "expected a regular file, found a pipe or a device");
        assert_eq!(said(folder.path(), 2), "expected a regular file, found a folder");
        let absent = read_regular(&folder.path().join("b"), 2).unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
    }
}
