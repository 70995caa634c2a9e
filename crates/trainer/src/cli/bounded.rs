//! Reading files that anybody may have put there: only regular ones are opened, for a pipe would wait for its writer and some devices
//! never end, and never more than a bound of them. What stands in them is the caller's.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The bytes of the regular file at `path`, of `most` at most; `None` where there is nothing.
///
/// # Errors
/// What is wrong with it, in words that go on after its name.
pub(crate) fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>, String> {
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    if !about.is_file() {
        return Err("is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(format!("cannot be read: {error}")),
        Ok(_) if bytes.len() as u64 > most => {
            Err(format!("is too large: expected at most {most} bytes, found {}", about.len()))
        }
        Ok(_) => Ok(Some(bytes)),
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
        fs::write(&file, "abc").unwrap();
        assert_eq!(text(&file, 3), Ok(Some("abc".to_owned())));
        assert!(read(&file, 2).unwrap_err().contains("at most 2 bytes"));
        assert_eq!(read(scratch.path(), 3), Err("is no regular file".to_owned()));
        fs::write(&file, b"\xff").unwrap();
        assert!(text(&file, 3).unwrap_err().contains("UTF-8"));
    }
}
