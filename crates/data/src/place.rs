//! Where a file may be written that an option names: never over a file of another kind. The writing itself is `replace`'s.

use std::io::Read;
use std::path::Path;

use crate::Error;

/// Refuses a place for a file that `option` names before anything is computed for it: one that isn't there, and a file of another kind, which
/// may be somebody's data. `endings` are those that its name may have, and `beginnings` those that a file in its place may have.
///
/// # Errors
/// [`Error::Option`] for such a place; [`Error::Io`] where the file that is there cannot be read.
pub fn check_place(option: &str, file: &Path, endings: &[&str], beginnings: &[&[u8]]) -> Result<(), Error> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
    let what = if file.is_dir() || file.file_name().is_none() {
        format!("expected a file to write, found the folder `{}`; name a file in it", file.display())
    } else if !folder.is_dir() {
        format!("cannot write `{}`: there is no folder `{}`; make it first", file.display(), folder.display())
    } else if file.is_file() && !endings.contains(&ending.as_str()) {
        format!("`{}` is there already, and no .{}; give another name", file.display(), endings.join(" or ."))
    } else if file.is_file() && !begins_with(file, beginnings)? {
        format!("`{}` is there already, and isn't what would be written; give another name", file.display())
    } else {
        return Ok(());
    };
    Err(Error::option(option, what))
}

/// Whether the file begins with one of `beginnings`, or has nothing in it.
fn begins_with(file: &Path, beginnings: &[&[u8]]) -> Result<bool, Error> {
    let mut head = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(64).read_to_end(&mut head));
    read.map_err(|source| Error::io(file, source))?;
    Ok(head.is_empty() || beginnings.iter().any(|beginning| head.starts_with(beginning)))
}
