//! The split file: a CSV with the columns `sample` and `split`, a row for each sample, written beside every run and taken back with
//! `--split`. Samples that `--limit` left out are `unused`.

use std::collections::HashMap;
use std::path::Path;

use super::{Part, Split, listed, write_rows};
use crate::error::near;
use crate::{Dataset, Error, Sources};

/// Writes the split of `dataset` to `path`, whole or not at all.
///
/// # Errors
/// The file system's.
pub fn write_csv(path: &Path, dataset: &Dataset) -> Result<(), Error> {
    let mut words = vec!["unused"; dataset.len()];
    let Split { train, val, test } = &dataset.split;
    for (indices, word) in [(train, "train"), (val, "val"), (test, "test")] {
        indices.iter().for_each(|&index| words[index as usize] = word);
    }
    let rows = words.into_iter().enumerate().map(|(index, word)| [dataset.sources.name(index), word.to_owned()]);
    write_rows(path, ["sample", "split"], rows)
}

/// Reads which part each of the `n` samples of `sources` belongs to; [`Part::Unassigned`] stands for samples that are left out.
pub(super) fn read(path: &Path, sources: &Sources, n: usize) -> Result<Vec<Part>, Error> {
    let names: Vec<String> = (0..n).map(|index| sources.name(index)).collect();
    let positions: HashMap<&str, usize> =
        names.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    let bytes = listed(path, n)?;
    // Excel puts a byte order mark in front.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    // Names of files may begin or end with a space: only what people type beside them is trimmed.
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(bytes);
    let header = reader.headers().map_err(|error| Error::csv(path, &error))?.clone();
    let column = |name: &str| {
        let found = header.iter().position(|field| field.eq_ignore_ascii_case(name));
        let all = || format!("`{}`", header.iter().collect::<Vec<_>>().join(","));
        found.ok_or_else(|| Error::malformed(path, "header", format!("a column `{name}`, as in `sample,split`"), all()))
    };
    let (sample, split) = (column("sample")?, column("split")?);
    let mut parts: Vec<Option<Part>> = vec![None; n];
    for record in reader.records() {
        let record = record.map_err(|error| Error::csv(path, &error))?;
        let place = format!("line {}", record.position().map_or(0, csv::Position::line));
        let (name, word) = (&record[sample], record[split].trim_matches(' '));
        if word.contains('\n') {
            return Err(Error::malformed(path, place, "a closing quote in the same line", "none"));
        }
        let Some(&index) = positions.get(name).or_else(|| positions.get(name.trim())) else {
            let expected = match near(name, names.iter().map(String::as_str)) {
                Some(near) => format!("a sample of the data set, such as `{near}`"),
                None => "a sample of the data set".into(),
            };
            return Err(Error::malformed(path, place, expected, format!("`{name}`")));
        };
        let part = match Part::parse(word) {
            Some(part) => part,
            None if word.eq_ignore_ascii_case("unused") => Part::Unassigned,
            None => {
                let expected = format!("train, val, test or unused for sample `{name}`");
                return Err(Error::malformed(path, place, expected, format!("`{word}`")));
            }
        };
        if parts[index].replace(part).is_some() {
            return Err(Error::malformed(path, place, "every sample once", format!("`{name}` again")));
        }
    }
    let missing = parts.iter().filter(|part| part.is_none()).count();
    if let Some(first) = parts.iter().position(Option::is_none) {
        let found = format!("none for `{}` ({missing} of {n} samples are missing)", names[first]);
        return Err(Error::malformed(path, "rows", "one for every sample of the data set", found));
    }
    Ok(parts.into_iter().flatten().collect())
}
