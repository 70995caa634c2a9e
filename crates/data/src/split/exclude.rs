//! The exclude list: a CSV with the columns `sample` and `reason`, a row for each sample that neither trains nor is measured. `doctor`
//! proposes one; anybody may write one. Samples are named as in split.csv.

use std::collections::HashMap;
use std::path::Path;

use super::{Split, listed, write_rows};
use crate::error::near;
use crate::{Error, Sources};

/// Writes the list of (sample, reason) to `path`, whole or not at all.
///
/// # Errors
/// The file system's.
pub fn write_exclude(path: &Path, samples: &[(String, String)]) -> Result<(), Error> {
    let rows = samples.iter().map(|(sample, reason)| [sample.as_str(), reason.as_str()]);
    write_rows(path, ["sample", "reason"], rows)
}

/// Takes the samples that the list `path` names out of `split`, and says in a note how many that were.
///
/// # Errors
/// A file that cannot be read, has no column `sample`, or names a sample that the data set hasn't.
pub(super) fn apply(path: &Path, split: &mut Split, sources: &Sources, n: usize) -> Result<String, Error> {
    let out = read(path, sources, n)?;
    let before = split.len();
    for part in [&mut split.train, &mut split.val, &mut split.test] {
        part.retain(|&index| !out[index as usize]);
    }
    Ok(format!("--exclude `{}` leaves out {} samples", path.display(), before - split.len()))
}

fn read(path: &Path, sources: &Sources, n: usize) -> Result<Vec<bool>, Error> {
    let names: Vec<String> = (0..n).map(|index| sources.name(index)).collect();
    let positions: HashMap<&str, usize> =
        names.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    let bytes = listed(path, n)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::Headers).from_reader(bytes);
    let header = reader.headers().map_err(|error| Error::csv(path, &error))?.clone();
    let Some(column) = header.iter().position(|field| field.eq_ignore_ascii_case("sample")) else {
        let found = format!("`{}`", header.iter().collect::<Vec<_>>().join(","));
        return Err(Error::malformed(path, "header", "a column `sample`, as in `sample,reason`", found));
    };
    let mut out = vec![false; n];
    for record in reader.records() {
        let record = record.map_err(|error| Error::csv(path, &error))?;
        let name = record.get(column).unwrap_or_default();
        let Some(&index) = positions.get(name).or_else(|| positions.get(name.trim())) else {
            let place = format!("line {}", record.position().map_or(0, csv::Position::line));
            let expected = match near(name, names.iter().map(String::as_str)) {
                Some(near) => format!("a sample of the data set, such as `{near}`"),
                None => "a sample of the data set".into(),
            };
            return Err(Error::malformed(path, place, expected, format!("`{name}`")));
        };
        out[index] = true;
    }
    Ok(out)
}
