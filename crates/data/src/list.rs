//! Image lists: a CSV or TSV with a column of image paths and one or more target columns, for what folders cannot say: several labels
//! an image, or numbers. Paths are relative to the list. What the targets mean is in `list/target.rs`.

mod target;

use std::collections::HashMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use csv::StringRecord;

use crate::error::near;
use crate::regular::regular;
use crate::{Dataset, Error, Found, InputSpec, OpenOptions, Outputs, Part, Sources, Split, image, pictures, split};

/// The largest list that is read, decompressed.
const MAX_BYTES: u64 = 1 << 30;
/// Names of the path column, tried before looking at the fields.
const PATH_NAMES: [&str; 6] = ["path", "file", "filename", "filepath", "image", "image_path"];

/// The rows of a list.
struct Rows {
    path: PathBuf,
    /// Names of the columns, `column 2` where there is no header.
    names: Vec<String>,
    records: Vec<StringRecord>,
    /// The position of the path column.
    file: usize,
}

/// Whether the text in `head`, the first bytes of `path`, is an image list: a column's fields are named like images, and one of them
/// exists or the header says that it holds paths.
pub(crate) fn is_list(path: &Path, head: &[u8]) -> bool {
    let whole = head.iter().rposition(|&byte| byte == b'\n').map_or(head, |end| &head[..end]);
    // Ragged rows are the reader's to refuse, with their line.
    let sniffed = builder(whole).flexible(true).from_reader(text(whole)).into_records().take(50).collect();
    let Ok(records): Result<Vec<_>, _> = sniffed else { return false };
    let Some(file) = path_column(&records) else { return false };
    let named = records[0].get(file).is_some_and(|name| PATH_NAMES.contains(&name.to_ascii_lowercase().as_str()));
    named || records.iter().filter_map(|record| record.get(file)).any(|field| folder(path).join(field).is_file())
}

/// Reads the list `path`.
///
/// # Errors
/// Rows of different length; a column that isn't there; files that are missing or listed twice; targets that are empty, not finite
/// or of the wrong kind: each names its row and column.
pub(crate) fn load(path: &Path, options: &OpenOptions) -> Result<Dataset, Error> {
    let rows = Rows::read(path, options)?;
    let split_column = rows.names.iter().position(|name| name.eq_ignore_ascii_case("split"));
    let columns = rows.targets(options, split_column)?;
    let mut notes = vec![format!("paths are in column `{}`", rows.names[rows.file])];
    let mut targets = target::read(&rows, &columns, options, &mut notes)?;
    if let Some(like) = &options.like {
        targets = like.align(targets, path)?;
    }
    let files = rows.files()?;
    let given = match split_column.filter(|column| !columns.contains(column)) {
        Some(column) => rows.parts(column)?,
        None => Vec::new(),
    };
    if !given.is_empty() && options.split.is_none() {
        notes.push("split: as the column `split` says".into());
    }
    let sources = Sources::Files(files.clone());
    let (split, decisions) = split::assign(&given, &targets, &sources, path, options)?;
    notes.extend(decisions);
    if !options.audit {
        rows.check(&split)?;
    }
    let (spec, samples) = pictures::read(folder(path), &files, &split, options, &mut notes)?;
    let found = Found { format: "image list".into(), path: path.to_owned(), notes };
    Ok(Dataset { found, input: InputSpec::Image(spec), samples, targets, sources, split })
}

impl Rows {
    fn read(path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let bytes = contents(path)?;
        let records = builder(&bytes).from_reader(text(&bytes)).into_records().collect::<Result<Vec<_>, _>>();
        let mut records = records.map_err(|error| Error::csv(path, &error))?;
        if let Some(record) = records.iter().find(|record| record.iter().any(|field| field.contains('\n'))) {
            let line = record.position().map_or(0, csv::Position::line);
            return Err(Error::malformed(path, format!("line {line}"), "a closing quote in the same line", "none"));
        }
        let Some(file) = path_column(&records) else {
            let hint = format!("a header may name it: {}", PATH_NAMES.join(", "));
            return Err(Error::unusable(path, "no column holds paths of image files", hint));
        };
        let header = options.header.unwrap_or_else(|| !image::has_image_name(Path::new(&records[0][file])));
        let names: Vec<String> = if header {
            records.remove(0).iter().map(str::to_owned).collect()
        } else {
            (1..=records[0].len()).map(|column| format!("column {column}")).collect()
        };
        if let Some(at) = (1..names.len()).find(|&at| !names[at].is_empty() && names[..at].contains(&names[at])) {
            let found = format!("`{}` twice", names[at]);
            return Err(Error::malformed(path, "line 1", "a name for each column", found));
        }
        if records.is_empty() {
            return Err(Error::unusable(path, "there are no rows below the header", "list some images"));
        }
        Ok(Self { path: path.to_owned(), names, records, file })
    }

    /// The target columns: those of `--label`, or those of the model, or the only ones there are.
    fn targets(&self, options: &OpenOptions, split: Option<usize>) -> Result<Vec<usize>, Error> {
        let others = |taken: &usize| *taken != self.file && Some(*taken) != split;
        let dropped = options.drop.iter().map(|name| self.column(name, "--drop")).collect::<Result<Vec<_>, _>>()?;
        if !options.label.is_empty() {
            let columns =
                options.label.iter().map(|name| self.column(name, "--label")).collect::<Result<Vec<_>, _>>()?;
            if columns.contains(&self.file) {
                return Err(Error::option("--label", format!("`{}` is the column of paths", self.names[self.file])));
            }
            if let Some(at) = (1..columns.len()).find(|&at| columns[..at].contains(&columns[at])) {
                return Err(Error::option("--label", format!("`{}` is named twice", options.label[at])));
            }
            return Ok(columns);
        }
        if let Some(Outputs::Labels(known) | Outputs::Values(known)) = options.like.as_ref().map(|like| &like.outputs) {
            let columns = known.iter().map(|known| self.names.iter().position(|name| name == known));
            if let Some(columns) = columns.collect::<Option<Vec<_>>>() {
                return Ok(columns);
            }
        }
        let left: Vec<usize> =
            (0..self.names.len()).filter(others).filter(|column| !dropped.contains(column)).collect();
        let labels = |column: &usize| self.records.iter().all(|record| matches!(&record[*column], "0" | "1"));
        match left[..] {
            [] => Err(Error::unusable(&self.path, "there is no column beside the paths", "add one with the targets")),
            [_] => Ok(left),
            _ if left.iter().all(labels) => Ok(left),
            _ => {
                let names = left.iter().map(|&column| self.names[column].as_str()).collect::<Vec<_>>().join(", ");
                let what = format!(
                    "which column of {} is the target? there are {names}; name it, such as `--label '{}'`",
                    self.named(),
                    self.names[left[0]]
                );
                Err(Error::option("--label", what))
            }
        }
    }

    /// A column by name, or by position counted from 1.
    fn column(&self, name: &str, option: &str) -> Result<usize, Error> {
        let named = self.names.iter().position(|known| known == name);
        let position = || name.parse::<usize>().ok()?.checked_sub(1).filter(|&column| column < self.names.len());
        named.or_else(position).ok_or_else(|| {
            let hint = match near(name, self.names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", self.names.join(", ")),
            };
            Error::option(option, format!("{} has no column `{name}`; {hint}", self.named()))
        })
    }

    /// The file's name, as a message about an option has it.
    fn named(&self) -> String {
        format!("`{}`", self.path.file_name().unwrap_or_default().display())
    }

    /// The paths, each of which is listed once.
    fn files(&self) -> Result<Vec<PathBuf>, Error> {
        let mut seen: HashMap<PathBuf, usize> = HashMap::new();
        let mut files = Vec::with_capacity(self.records.len());
        for (row, record) in self.records.iter().enumerate() {
            let field = &record[self.file];
            // The same file by another name is the same image, on both sides of a split if nobody looks.
            if let Some(first) = seen.insert(plain(&folder(&self.path).join(field)), row) {
                let found = format!("`{field}` again, after {}", self.place(first, self.file));
                return Err(Error::malformed(&self.path, self.place(row, self.file), "every image once", found));
            }
            if field.is_empty() {
                return Err(self.no_file(row, "nothing".into()));
            }
            files.push(PathBuf::from(field));
        }
        Ok(files)
    }

    /// Refuses a file of `split` that isn't there.
    fn check(&self, split: &Split) -> Result<(), Error> {
        let mut used: Vec<u32> = [&split.train[..], &split.val, &split.test].concat();
        used.sort_unstable();
        let field = |row: u32| &self.records[row as usize][self.file];
        match used.into_iter().find(|&row| !folder(&self.path).join(field(row)).is_file()) {
            Some(row) => Err(self.no_file(row as usize, format!("`{}`, which isn't there", field(row)))),
            None => Ok(()),
        }
    }

    fn no_file(&self, row: usize, found: String) -> Error {
        Error::malformed(&self.path, self.place(row, self.file), "the path of an image file", found)
    }

    fn parts(&self, column: usize) -> Result<Vec<Part>, Error> {
        let part = |(row, record): (usize, &StringRecord)| match &record[column] {
            "" => Ok(Part::Unassigned),
            word => Part::parse(word).ok_or_else(|| {
                let expected = "train, val, test or nothing";
                Error::malformed(&self.path, self.place(row, column), expected, format!("`{word}`"))
            }),
        };
        self.records.iter().enumerate().map(part).collect()
    }

    /// Where a field stands, in words; lines are counted from 1.
    fn place(&self, row: usize, column: usize) -> String {
        let line = self.records[row].position().map_or(0, csv::Position::line);
        format!("line {line}, column `{}`", self.names[column])
    }
}

/// A path without `.`, `..` and doubled separators, absolute where the system says where we are.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn contents(path: &Path) -> Result<Vec<u8>, Error> {
    let io = |source| Error::io(path, source);
    let mut bytes = Vec::new();
    regular(path)?;
    std::fs::File::open(path).map_err(io)?.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
    if bytes.starts_with(&[0x1F, 0x8B]) {
        let mut plain = Vec::new();
        let read = flate2::read::MultiGzDecoder::new(&bytes[..]).take(MAX_BYTES).read_to_end(&mut plain);
        read.map_err(|source| Error::malformed(path, "contents", "whole gzip data", source))?;
        bytes = plain;
    }
    if bytes.len() as u64 == MAX_BYTES {
        return Err(Error::malformed(path, "file", format!("less than {MAX_BYTES} bytes of text"), "more"));
    }
    Ok(bytes)
}

/// A reader of the delimiter that the first line has most of. A semicolon only counts where there is no other: it separates labels.
fn builder(bytes: &[u8]) -> csv::ReaderBuilder {
    let line = text(bytes).split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| line.iter().filter(|&&byte| byte == delimiter).count();
    let delimiter = match (count(b','), count(b'\t'), count(b';')) {
        (0, 0, 1..) => b';',
        (commas, tabs, _) if tabs > commas => b'\t',
        _ => b',',
    };
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).delimiter(delimiter).trim(csv::Trim::All);
    builder
}

/// The bytes without the byte order mark that Excel writes.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The column whose fields are named like images, below what may be a header; a telling name goes first.
fn path_column(records: &[StringRecord]) -> Option<usize> {
    let first = records.first()?;
    let below = if records.len() > 1 { &records[1..] } else { records };
    let images = |column: usize| {
        let like =
            |record: &&StringRecord| record.get(column).is_some_and(|field| image::has_image_name(Path::new(field)));
        below.iter().filter(like).count()
    };
    let telling = |column: &usize| PATH_NAMES.contains(&first[*column].to_ascii_lowercase().as_str());
    let columns = (0..first.len()).filter(|&column| images(column) * 2 > below.len());
    let columns: Vec<usize> = columns.collect();
    columns.iter().copied().find(|column| telling(column)).or(columns.first().copied())
}

#[cfg(test)]
mod tests;
