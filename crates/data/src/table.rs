//! Tables: CSV, TSV and their like, also compressed by gzip, to features and targets.
//!
//! Rules, each stated in `Found::notes` where it applies:
//! - fields are trimmed; empty, `?`, `NA`, `N/A`, `#N/A`, `<NA>`, `nan`, `null` and `none` in any case are missing;
//! - a column is numeric if 95 % of its present fields are numbers (the rest is then an error that names the line), or named by
//!   `OpenOptions::categorical`; else categorical, one feature for each category seen in the training split, at most the 100 most
//!   frequent; a missing or unknown category is all zeros;
//! - missing numbers become the median of the training split, with a feature that tells so, if at least 5 training rows missed them;
//! - left out are constant and empty columns, columns that count the rows, and texts that differ in more than half of the rows;
//! - a number becomes two features, itself and its rank among the training numbers (measured with scikit-learn's MLPs on the splits
//!   of the recipes, the rank adds 0.01 to housing's R2, 1 % to titanic's accuracy and 0.3 % to adult's, and costs penguins nothing
//!   that shows);
//! - one target column is classes if it is text, or whole numbers with at most 20 different values, each in two rows on average;
//!   other numbers are regression; several target columns are labels if all are 0 and 1, else numbers;
//! - rows without a target are left out.
//!
//! Everything is fitted on the training split alone. Splitting itself is in `split`.

mod columns;
mod decode;
mod encode;
mod field;
mod prepared;
mod read;
mod targets;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use encode::{Layout, Row, RowError, Rows, rows};
pub use field::MISSING;
pub(crate) use prepared::{Cell, Prepared};
pub(crate) use read::Raw;

use crate::split::{self, Part};
use crate::{Dataset, Error, Found, InputSpec, Like, OpenOptions, Samples, Sources, TableSpec, TargetColumn, Targets};

/// Bytes that the features of a table may take where nothing else is said.
const LARGEST_FEATURES: u64 = 2 << 30;

/// One or two files with the same columns, as one table.
struct Table {
    parts: Vec<Source>,
    /// Column names of the first file.
    names: Vec<String>,
    /// (part, row in it) of each row.
    rows: Vec<(usize, usize)>,
}

/// One file of a table.
struct Source {
    raw: Raw,
    /// Where the columns of the first file stand in this one.
    positions: Vec<Option<usize>>,
}

impl Table {
    fn new(raw: Raw) -> Self {
        let names = raw.names();
        let rows = (0..raw.rows()).map(|row| (0, row)).collect();
        Self { parts: vec![Source { positions: (0..raw.width).map(Some).collect(), raw }], names, rows }
    }

    /// The file that messages name where no row is at fault.
    fn path(&self) -> &Path {
        &self.parts[0].raw.path
    }

    /// The field of `row` in column `position` of the first file.
    fn cell(&self, row: usize, position: usize) -> &str {
        let (part, row) = self.rows[row];
        let part = &self.parts[part];
        part.positions[position].map_or("", |position| part.raw.cell(row, position))
    }

    fn source(&self, row: usize) -> (&Raw, u64) {
        let (part, row) = self.rows[row];
        (&self.parts[part].raw, self.parts[part].raw.line(row))
    }

    fn place(&self, row: usize) -> String {
        let (raw, line) = self.source(row);
        format!("{}:{line}", raw.name)
    }

    fn at(&self, row: usize, error: RowError) -> Error {
        let (raw, line) = self.source(row);
        error.at(&raw.path, line)
    }

    /// Adds the rows of a second table, whose columns are found by name if it has a header, else by position; `needed` are columns
    /// that it must have.
    fn add(&mut self, mut raw: Raw, needed: &[usize]) -> Result<(), Error> {
        let first = &self.parts[0].raw;
        let positions: Vec<Option<usize>> = match (&raw.header, &first.header) {
            (Some(header), Some(names)) => {
                names.iter().map(|name| header.iter().position(|column| column == name)).collect()
            }
            _ if raw.width == first.width => (0..raw.width).map(Some).collect(),
            _ => {
                let expected = format!("{} fields as in `{}`", first.width, first.name);
                return Err(Error::malformed(&raw.path, format!("line {}", raw.line(0)), expected, raw.width));
            }
        };
        if let Some(&column) = needed.iter().find(|&&column| positions[column].is_none()) {
            let near = field::near(&self.names[column], raw.header.iter().flatten());
            let hint = near.map_or_else(
                || "expected the columns of the first table".into(),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Error::unusable(&raw.path, format!("has no column `{}`", self.names[column]), hint));
        }
        if raw.name == first.name {
            raw.name = raw.path.to_string_lossy().into_owned();
        }
        self.rows.extend((0..raw.rows()).map(|row| (self.parts.len(), row)));
        self.parts.push(Source { raw, positions });
        Ok(())
    }
}

/// Reads the table `path`, and `options.test` if it is given, splits their rows, fits the recipe on the training split (or takes that
/// of `options.like`) and encodes all rows. The rules are those of the module.
///
/// # Errors
/// Names the file and the line: a table that is empty, ragged, not UTF-8 or too large; a target column that isn't named or isn't
/// there, constant, or text where numbers are due; a class that only the test rows have; text, NaN or infinity among numbers.
pub fn load(path: &Path, options: &OpenOptions) -> Result<Dataset, Error> {
    match &options.like {
        None => Prepared::read(path, options)?.finish(options),
        Some(like) => as_model(path, options, like),
    }
}

/// Loads a table as an existing model reads it, to evaluate the model.
fn as_model(path: &Path, options: &OpenOptions, like: &Like) -> Result<Dataset, Error> {
    let InputSpec::Table(spec) = &like.input else {
        return Err(Error::unusable(path, "is a table", "the model expects images"));
    };
    let is_header = |raw: &Raw| options.header.unwrap_or_else(|| spec.is_header(&raw.first()));
    let raw = Raw::read(path, options.memory, is_header)?;
    let place = |raw: &Raw, error: RowError| error.at(&raw.path, 1);
    let mut layouts = vec![spec.layout(raw.header.as_deref(), raw.width).map_err(|error| place(&raw, error))?];
    let mut table = Table::new(raw);
    let labels = if options.label.is_empty() {
        trained_labels(&table, spec)?
    } else {
        chosen(&table, &options.label, "--label")?
    };
    if let Some(test) = &options.test {
        let raw = Raw::read(test, options.memory, is_header)?;
        layouts.push(spec.layout(raw.header.as_deref(), raw.width).map_err(|error| place(&raw, error))?);
        table.add(raw, &labels)?;
    }
    let targets::Read { targets, rows, notes } = targets::read(&table, &labels, options, Some(&like.outputs))?;
    table.rows = rows.iter().map(|&row| table.rows[row as usize]).collect();
    let (split, split_notes) = assign(&table, &targets, path, options)?;
    finish(table, spec.clone(), &layouts, targets, split, [notes, split_notes].concat(), options)
}

/// Positions of the columns that a model predicts.
fn trained_labels(table: &Table, spec: &TableSpec) -> Result<Vec<usize>, Error> {
    let raw = &table.parts[0].raw;
    let find = |target: &TargetColumn| match &raw.header {
        Some(header) if spec.header => header.iter().position(|name| name.eq_ignore_ascii_case(&target.name)),
        _ => (raw.width == spec.width).then_some(target.position),
    };
    let position = |target: &TargetColumn| {
        find(target).ok_or_else(|| {
            let what = format!("has no column `{}`, which the model predicts", target.name);
            Error::unusable(&raw.path, what, "measuring needs it; name it with `--label` if it is called otherwise")
        })
    };
    if spec.targets.is_empty() {
        return Err(Error::option("--label", "say which column holds the answers"));
    }
    spec.targets.iter().map(position).collect()
}

/// Encodes all rows and puts the data set together.
fn finish(
    table: Table,
    spec: TableSpec,
    layouts: &[Layout],
    targets: Targets,
    split: split::Split,
    notes: Vec<String>,
    options: &OpenOptions,
) -> Result<Dataset, Error> {
    let input = InputSpec::Table(spec);
    let bytes = 4 * input.len() as u64 * table.rows.len() as u64;
    if bytes > options.memory.unwrap_or(LARGEST_FEATURES) {
        let what = format!("{} features for each of {} rows take {} MiB", input.len(), table.rows.len(), bytes >> 20);
        return Err(Error::unusable(table.path(), what, "leave columns out with `--drop`"));
    }
    let InputSpec::Table(spec) = &input else { unreachable!("made above") };
    let mut features = Vec::with_capacity(table.rows.len() * input.len());
    for (row, &(part, inner)) in table.rows.iter().enumerate() {
        let raw = &table.parts[part].raw;
        let encoded = spec.encode_as(&layouts[part], raw.width, |position| raw.cell(inner, position));
        features.extend(encoded.map_err(|error| table.at(row, error))?);
    }
    let raw = &table.parts[0].raw;
    let kind = match raw.delimiter {
        b'\t' => "TSV table",
        b';' => "table with semicolons",
        _ => "CSV table",
    };
    let header = if raw.header.is_some() { "with a header" } else { "without a header" };
    let found = Found { format: format!("{kind} {header}"), path: raw.path.clone(), notes };
    let sources = sources(&table);
    Ok(Dataset { found, input, samples: Samples::Features(features), targets, sources, split })
}

fn sources(table: &Table) -> Sources {
    let place = |row: usize| {
        let (raw, line) = table.source(row);
        (raw.name.clone(), line)
    };
    Sources::Rows((0..table.rows.len()).map(place).collect())
}

/// Splits the rows: those of `options.test` test, the others as `split` decides.
fn assign(
    table: &Table,
    targets: &Targets,
    path: &Path,
    options: &OpenOptions,
) -> Result<(split::Split, Vec<String>), Error> {
    let given: Vec<Part> =
        table.rows.iter().map(|&(part, _)| if part == 0 { Part::Unassigned } else { Part::Test }).collect();
    split::assign(&given, targets, &sources(table), path, options)
}

/// Whether the first row names the columns: one of them is a wanted target, or it looks so.
fn names_header(raw: &Raw, wanted: &[String]) -> bool {
    let is_name = |name: &&String| name.parse::<usize>().is_err();
    raw.names_any(&wanted.iter().filter(is_name).cloned().collect::<Vec<_>>()) || raw.looks_like_header()
}

/// The target columns, which must be named: a guess would train something that nobody asked for.
fn labels(table: &Table, wanted: &[String]) -> Result<Vec<usize>, Error> {
    if !wanted.is_empty() {
        return chosen(table, wanted, "--label");
    }
    let raw = &table.parts[0].raw;
    let usual = ["target", "label", "class", "y"];
    let likely = usual.iter().find_map(|usual| table.names.iter().find(|name| name.eq_ignore_ascii_case(usual)));
    let what = match (&raw.header, likely.or(table.names.last())) {
        (Some(header), Some(likely)) => {
            format!(
                "`{}` has the columns {}; name the one to predict, such as `--label '{likely}'`",
                raw.name,
                field::list(header)
            )
        }
        _ => format!(
            "`{}` has {} columns without a header; say which one to predict, counted from 1, such as `--label {}`",
            raw.name, raw.width, raw.width
        ),
    };
    Err(Error::option("--label", what))
}

/// Positions of the columns `wanted`: each a name, or a position counted from 1.
fn chosen(table: &Table, wanted: &[String], option: &str) -> Result<Vec<usize>, Error> {
    let mut columns = Vec::new();
    for wanted in wanted {
        let wanted = wanted.trim();
        let by_name = table.names.iter().position(|name| name == wanted);
        let alike = || table.names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
        let by_position =
            || wanted.parse::<usize>().ok().filter(|&p| (1..=table.names.len()).contains(&p)).map(|p| p - 1);
        let Some(column) = by_name.or_else(alike).or_else(by_position) else {
            let name = &table.parts[0].raw.name;
            let hint = match (field::near(wanted, &table.names), &table.parts[0].raw.header) {
                (Some(near), Some(_)) => format!("did you mean `{near}`?"),
                (None, Some(header)) => format!("expected one of {}", field::list(header)),
                _ => format!("it has no header: expected a position from 1 to {}", table.names.len()),
            };
            return Err(Error::option(option, format!("`{name}` has no column `{wanted}`; {hint}")));
        };
        if columns.contains(&column) {
            return Err(Error::option(option, format!("`{wanted}` is named twice")));
        }
        columns.push(column);
    }
    Ok(columns)
}
