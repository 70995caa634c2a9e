//! Files of a run that are shown whatever state they are in: as [`data::read_regular`] reads them, with what is wrong in words that go on after
//! their names. What stands in them is the caller's.

use std::io;
use std::path::Path;

/// The bytes of the regular file at `path`, of `most` at most; `None` where there is nothing.
///
/// # Errors
/// What is wrong with it, in words that go on after its name.
pub(crate) fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>, String> {
    match data::read_regular(path, most) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// The same as text.
///
/// # Errors
/// What is wrong with it, in words that go on after its name.
pub(crate) fn text(path: &Path, most: u64) -> Result<Option<String>, String> {
    let bytes = read(path, most)?;
    bytes.map(String::from_utf8).transpose().map_err(|_| "is no text: it isn't UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_or_no_regular_file_is_not_read() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("a");
        assert_eq!(read(&file, 3), Ok(None));
        std::fs::write(&file, "abc").unwrap();
        assert_eq!(text(&file, 3), Ok(Some("abc".to_owned())));
        assert!(read(&file, 2).unwrap_err().contains("at most 2 bytes"));
        assert!(read(scratch.path(), 3).unwrap_err().contains("expected a regular file, found a folder"));
        std::fs::write(&file, b"\xff").unwrap();
        assert!(text(&file, 3).unwrap_err().contains("UTF-8"));
    }
}
