//! A model file behind a program, in one file with it: how it is put there, and where it is found again. Specified in `docs/formats.md`.
//!
//! Owns the mark at the file's end. What the model says is read by [`container`](crate::container), which looks here for what begins like
//! a program.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::Error;

/// The last bytes of a packed program; before them, where the model file begins and how long it is (little-endian u64).
const MARK: [u8; 16] = *b"striate packed 1";
/// Bytes of the mark with these numbers.
const FOOTER: u64 = 32;

/// Where a model file lies inside another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its first byte, counted from the start of the file.
    pub start: u64,
    /// How many bytes it has.
    pub len: u64,
}

/// Finds the model file that was packed behind the program `file`, of `len` bytes; `None` where none was.
///
/// # Errors
/// If the file cannot be read, or its mark doesn't fit its length.
pub fn find(file: &mut File, len: u64, path: &Path) -> Result<Option<Section>, Error> {
    let Some(footer) = len.checked_sub(FOOTER) else { return Ok(None) };
    let mut bytes = [0; FOOTER as usize];
    let read = file.seek(SeekFrom::Start(footer)).and_then(|_| file.read_exact(&mut bytes));
    read.map_err(|source| Error::read(path, source))?;
    let (numbers, mark) = bytes.split_at(FOOTER as usize - MARK.len());
    if mark != MARK {
        return Ok(None);
    }
    let (numbers, _) = numbers.as_chunks::<8>();
    let (start, len) = (u64::from_le_bytes(numbers[0]), u64::from_le_bytes(numbers[1]));
    if start.checked_add(len) != Some(footer) {
        let what = format!(
            "is damaged: its end says that {len} bytes of a model begin at byte {start}, it has {footer} bytes before that; pack it again"
        );
        return Err(Error::file(path, what));
    }
    Ok(Some(Section { start, len }))
}

/// Writes a program, the model file behind it, and the mark.
///
/// # Errors
/// If one of them cannot be read, or `to` not written.
pub fn write(mut program: impl Read, mut model: impl Read, to: &mut impl Write) -> io::Result<()> {
    let start = io::copy(&mut program, to)?;
    let len = io::copy(&mut model, to)?;
    to.write_all(&start.to_le_bytes())?;
    to.write_all(&len.to_le_bytes())?;
    to.write_all(&MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> Result<Option<Section>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, bytes).unwrap();
        find(&mut File::open(&path).unwrap(), bytes.len() as u64, &path)
    }

    #[test]
    fn what_was_packed_is_found_where_it_is() {
        let mut packed = Vec::new();
        write(&b"program"[..], &b"model"[..], &mut packed).unwrap();
        assert_eq!(found(&packed).unwrap(), Some(Section { start: 7, len: 5 }));
        assert_eq!(found(&packed[..packed.len() - 1]).unwrap(), None);
        assert_eq!(found(b"short").unwrap(), None);
    }

    #[test]
    fn a_mark_that_lies_is_refused() {
        for (start, len) in [(0, u64::MAX), (u64::MAX, 1), (7, 4), (8, 5)] {
            let mut bytes = b"programmodel".to_vec();
            bytes.extend(u64::to_le_bytes(start));
            bytes.extend(u64::to_le_bytes(len));
            bytes.extend(MARK);
            assert!(found(&bytes).unwrap_err().to_string().contains("is damaged"), "{start} {len}");
        }
    }
}
