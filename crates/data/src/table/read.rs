//! Text files to fields: gzip, delimiters, quotes, headers. Knows nothing of what a column means.
//!
//! Records are found here rather than by the `csv` crate because messages and `split.csv` need the line where each one starts
//! (its positions drift over blank lines), a row must have a bound on its length, and a bad row must not stop the rows after it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use super::field;
use crate::Error;
use crate::regular::regular;

/// Bytes that one row may take. An unclosed quote swallows the file up to here and no further.
const LONGEST_ROW: usize = 16 << 20;
/// Bytes of text that a table may have, gzip undone, where nothing else is said.
const LARGEST_TABLE: u64 = 2 << 30;
/// Rows that decide whether there is a header.
const HEADER_SAMPLE: usize = 1000;
/// Bytes that decide which delimiter it is.
const DELIMITER_SAMPLE: usize = 64 << 10;
/// The delimiters that are recognised; where several fit, the first.
pub(super) const DELIMITERS: [u8; 3] = [b'\t', b',', b';'];

/// Fields one after the other in one buffer: those of a row, or of a whole table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    text: String,
    ends: Vec<usize>,
}

impl Fields {
    /// How many fields there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Field `index`, trimmed; empty where there is none.
    pub(crate) fn get(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends.get(index - 1).copied().unwrap_or(self.text.len()) };
        &self.text[start..self.ends.get(index).copied().unwrap_or(start)]
    }

    /// All fields in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }

    fn truncate(&mut self, fields: usize) {
        self.ends.truncate(fields);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }

    fn push(&mut self, field: &str) {
        self.text.push_str(field);
        self.ends.push(self.text.len());
    }

    /// Appends the fields of `record`; appends none and returns false if a quote in it isn't closed.
    fn split(&mut self, record: &str, delimiter: u8, quotes: bool) -> bool {
        let before = self.len();
        let until = |from: usize| record[from..].find(delimiter as char).map_or(record.len(), |at| from + at);
        let mut at = 0;
        loop {
            let end = until(at);
            let blanks = record[at..end].len() - record[at..end].trim_start().len();
            if quotes && record[at + blanks..end].starts_with('"') {
                let Some((field, after)) = quoted(record, at + blanks + 1) else {
                    self.truncate(before);
                    return false;
                };
                at = until(after);
                self.push((field + &record[after..at]).trim());
            } else {
                self.push(record[at..end].trim());
                at = end;
            }
            if at == record.len() {
                return true;
            }
            at += 1;
        }
    }
}

/// The text of a quoted field that starts at `at`, and where it ends; `""` in it stands for one quote.
fn quoted(record: &str, mut at: usize) -> Option<(String, usize)> {
    let mut field = String::new();
    loop {
        let quote = at + record[at..].find('"')?;
        field.push_str(&record[at..quote]);
        at = quote + 1;
        if !record[at..].starts_with('"') {
            return Some((field, at));
        }
        field.push('"');
        at += 1;
    }
}

/// The rows of a text, one at a time, in constant memory.
pub(crate) struct Records<'a> {
    input: Box<dyn BufRead + 'a>,
    path: PathBuf,
    delimiter: u8,
    line: u64,
    over: bool,
}

impl<'a> Records<'a> {
    /// Records of `input`, which may be compressed by gzip; `path` is named in messages. `sample` sees the text's start and chooses the
    /// delimiter: up to `bytes`, or the first line for `None`, so that a pipe that is still being written isn't waited for.
    pub(crate) fn new(
        input: impl Read + 'a,
        path: &Path,
        bytes: Option<usize>,
        choose: impl FnOnce(&str) -> u8,
    ) -> Result<Self, Error> {
        let io = |source| Error::io(path, source);
        let mut input: Box<dyn BufRead + 'a> = Box::new(BufReader::new(input));
        let mut start = take(&mut input, 3).map_err(io)?;
        if start.starts_with(&[0x1f, 0x8b]) {
            let whole = Cursor::new(start).chain(input);
            input = Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(whole)));
            start = take(&mut input, 3).map_err(io)?;
        }
        if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
            return Err(Error::malformed(path, "start", "UTF-8 text", "UTF-16 (save it as UTF-8)"));
        }
        if start == [0xef, 0xbb, 0xbf] {
            start.clear();
        }
        if !start.contains(&b'\n') || bytes.is_some() {
            match bytes {
                Some(bytes) => start.extend(take(&mut input, bytes).map_err(io)?),
                None => {
                    (&mut input).take(LONGEST_ROW as u64).read_until(b'\n', &mut start).map_err(io)?;
                }
            }
        }
        let delimiter = choose(&String::from_utf8_lossy(&start));
        Ok(Self {
            input: Box::new(Cursor::new(start).chain(input)),
            path: path.to_owned(),
            delimiter,
            line: 0,
            over: false,
        })
    }

    /// The file, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the next row to `fields` and returns the line where it starts, counted from 1; or an error in its place. Blank lines
    /// are no rows. After an error of the system there are no more rows.
    pub(crate) fn append(&mut self, fields: &mut Fields) -> Option<(u64, Result<(), Error>)> {
        let mut record = Vec::new();
        loop {
            let start = self.line + 1;
            match self.line(&mut record) {
                Ok(true) if record.iter().all(|byte| matches!(byte, b' ' | b'\r' | b'\n')) => record.clear(),
                Ok(true) => return Some((start, self.finish(start, record, fields))),
                Ok(false) => return None,
                Err(error) => return Some((start, Err(error))),
            }
        }
    }

    /// Splits `record`, which starts at line `start`, reading on while one of its quotes is open.
    fn finish(&mut self, start: u64, mut record: Vec<u8>, fields: &mut Fields) -> Result<(), Error> {
        let place = format!("line {start}");
        loop {
            let text = match std::str::from_utf8(&record) {
                Ok(text) => text.trim_end_matches(['\r', '\n']),
                Err(error) => {
                    let found =
                        format!("byte {:#04x} at column {}", record[error.valid_up_to()], error.valid_up_to() + 1);
                    return Err(Error::malformed(&self.path, place, "UTF-8 text", found));
                }
            };
            if fields.split(text, self.delimiter, true) {
                return Ok(());
            }
            // Tab-separated text rarely quotes: a quote that its own line doesn't close is a character like any other.
            if self.delimiter == b'\t' {
                fields.split(text, self.delimiter, false);
                return Ok(());
            }
            if !self.line(&mut record)? {
                return Err(Error::malformed(&self.path, place, "a closing quote", "the end of the file"));
            }
        }
    }

    /// Appends the next line to `record`; false at the end.
    fn line(&mut self, record: &mut Vec<u8>) -> Result<bool, Error> {
        if self.over {
            return Ok(false);
        }
        let before = record.len();
        let room = LONGEST_ROW.saturating_sub(before) as u64;
        let read = (&mut self.input).take(room).read_until(b'\n', record);
        let read = read.map_err(|source| {
            self.over = true;
            Error::io(&self.path, source)
        })?;
        self.line += 1;
        if record.len() >= LONGEST_ROW && record.last() != Some(&b'\n') {
            self.over = true;
            let place = format!("line {}", self.line);
            return Err(Error::malformed(
                &self.path,
                place,
                "a row of at most 16 MiB",
                "a longer one (an unclosed quote?)",
            ));
        }
        Ok(read > 0)
    }
}

/// Up to `len` bytes of `input`.
fn take(input: &mut impl Read, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(len as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A table in memory.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) path: PathBuf,
    /// The file's name without its folders.
    pub(crate) name: String,
    pub(crate) delimiter: u8,
    /// Fields in each row.
    pub(crate) width: usize,
    /// The column names of the first row, if they are there.
    pub(crate) header: Option<Vec<String>>,
    cells: Fields,
    lines: Vec<u64>,
}

impl Raw {
    /// Reads `path`; `is_header` decides by the first rows whether the very first one names the columns.
    pub(crate) fn read(path: &Path, memory: Option<u64>, is_header: impl FnOnce(&Raw) -> bool) -> Result<Self, Error> {
        regular(path)?;
        let file = File::open(path).map_err(|source| Error::io(path, source))?;
        let mut records = Records::new(file, path, Some(DELIMITER_SAMPLE), delimiter)?;
        let largest = memory.unwrap_or(LARGEST_TABLE);
        let name =
            path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        let (mut cells, mut lines, mut width) = (Fields::default(), Vec::new(), 0);
        loop {
            let before = cells.len();
            let Some((line, result)) = records.append(&mut cells) else { break };
            result?;
            let found = cells.len() - before;
            if lines.is_empty() {
                width = found;
            } else if found != width {
                let expected = format!("{width} fields as in line {}", lines[0]);
                return Err(Error::malformed(path, format!("line {line}"), expected, found));
            }
            lines.push(line);
            if cells.text.len() as u64 + 8 * cells.len() as u64 > largest {
                let what = format!("takes more than {} MiB of memory by line {line}", largest >> 20);
                return Err(Error::unusable(path, what, "train on a part of it"));
            }
        }
        if lines.is_empty() {
            return Err(Error::unusable(path, "is empty", "expected a table with one row a line"));
        }
        let mut raw =
            Self { path: path.to_owned(), name, delimiter: records.delimiter, width, header: None, cells, lines };
        if is_header(&raw) {
            let header = header_names(raw.cells.iter().take(width));
            for (position, column) in header.iter().enumerate() {
                if header[..position].contains(column) {
                    let found = format!("`{column}` twice");
                    return Err(Error::malformed(
                        path,
                        format!("line {}", raw.lines[0]),
                        "a name for each column",
                        found,
                    ));
                }
            }
            raw.header = Some(header);
        }
        if raw.rows() == 0 {
            return Err(Error::unusable(path, "has a header and no rows", "expected a row for each sample under it"));
        }
        Ok(raw)
    }

    /// Rows under the header.
    pub(crate) fn rows(&self) -> usize {
        self.lines.len() - usize::from(self.header.is_some())
    }

    /// Field `column` of row `row`, both counted from 0, the header left aside.
    pub(crate) fn cell(&self, row: usize, column: usize) -> &str {
        self.cells.get((row + usize::from(self.header.is_some())) * self.width + column)
    }

    /// Where row `row` starts, counted from 1.
    pub(crate) fn line(&self, row: usize) -> u64 {
        self.lines[row + usize::from(self.header.is_some())]
    }

    /// The columns' names: those of the header, or `column 1` and so on.
    pub(crate) fn names(&self) -> Vec<String> {
        self.header.clone().unwrap_or_else(|| (0..self.width).map(unnamed).collect())
    }

    /// The fields of the very first row, a header or not.
    pub(super) fn first(&self) -> Vec<&str> {
        self.cells.iter().take(self.width).collect()
    }

    /// Whether the first row holds one of `names`.
    pub(super) fn names_any(&self, names: &[String]) -> bool {
        self.first().iter().any(|field| names.iter().any(|name| name.trim().eq_ignore_ascii_case(field)))
    }

    /// Whether the first row looks like names: no number in it, and above numbers, or without a word that comes again below.
    pub(crate) fn looks_like_header(&self) -> bool {
        let rows = self.lines.len().min(HEADER_SAMPLE);
        let (mut above_numbers, mut comes_again) = (false, false);
        for column in 0..self.width {
            let first = self.cells.get(column);
            if field::number(first).is_some() {
                return false;
            }
            let below: Vec<&str> = (1..rows)
                .map(|row| self.cells.get(row * self.width + column))
                .filter(|cell| !field::is_missing(cell))
                .collect();
            let numbers = below.iter().filter(|cell| field::number(cell).is_some()).count();
            above_numbers |= !field::is_missing(first) && numbers * 10 >= below.len().max(1) * 9;
            comes_again |= !field::is_missing(first) && below.contains(&first);
        }
        above_numbers || !comes_again
    }
}

/// The name of the column at `position` where no header names it.
pub(super) fn unnamed(position: usize) -> String {
    format!("column {}", position + 1)
}

/// The names in a header row; columns without one are named by their position.
pub(super) fn header_names<'a>(fields: impl Iterator<Item = &'a str>) -> Vec<String> {
    fields
        .enumerate()
        .map(|(position, name)| if name.is_empty() { unnamed(position) } else { name.to_owned() })
        .collect()
}

/// The delimiter that cuts most lines of `sample` into the same number of fields, at least two; a comma where none does.
fn delimiter(sample: &str) -> u8 {
    let whole = sample.len() < DELIMITER_SAMPLE;
    let mut lines: Vec<&str> = sample.lines().filter(|line| !line.trim().is_empty()).collect();
    if !whole && lines.len() > 1 {
        lines.pop();
    }
    let agreeing = |delimiter: u8| {
        let widths: Vec<usize> = lines.iter().map(|line| fields(line, delimiter).len()).collect();
        let first = widths.first().copied().unwrap_or(0);
        if first < 2 { 0 } else { widths.iter().filter(|&&width| width == first).count() }
    };
    let best = DELIMITERS.into_iter().map(agreeing).max().unwrap_or(0);
    DELIMITERS.into_iter().find(|&delimiter| best > 0 && agreeing(delimiter) == best).unwrap_or(b',')
}

/// The fields of `line`, on its own.
pub(super) fn fields(line: &str, delimiter: u8) -> Fields {
    let mut fields = Fields::default();
    if !fields.split(line.trim_end_matches(['\r', '\n']), delimiter, true) {
        fields.split(line.trim_end_matches(['\r', '\n']), delimiter, false);
    }
    fields
}
