//! Rows to features by a recipe: the path that training, evaluation and inference share.

use std::io::Read;
use std::path::Path;

use super::field;
use super::read::{DELIMITERS, Fields, Records, fields, header_names};
use crate::{Column, ColumnKind, Error, TableSpec};

/// What is wrong with a row. Its message is one line without the row's place, which [`RowError::at`] adds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct RowError {
    /// The column at fault; `None` where it is the row as a whole.
    pub column: Option<String>,
    /// What the recipe asks for.
    pub expected: String,
    /// What stands there instead.
    pub found: String,
}

impl RowError {
    fn row(expected: impl ToString, found: impl ToString) -> Self {
        Self { column: None, expected: expected.to_string(), found: found.to_string() }
    }

    pub(super) fn field(column: &str, expected: impl ToString, found: &str) -> Self {
        Self { column: Some(column.to_owned()), expected: expected.to_string(), found: field::shown(found) }
    }

    /// The error for the row that starts at `line` (counted from 1) of `path`.
    pub fn at(self, path: &Path, line: u64) -> Error {
        let place = match self.column {
            Some(column) => format!("line {line}, column `{column}`"),
            None => format!("line {line}"),
        };
        Error::malformed(path, place, self.expected, self.found)
    }
}

/// Where the columns of a recipe stand in the rows of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// For each of `TableSpec::columns`: the position of its field.
    positions: Vec<usize>,
    /// Fields that a row must have.
    width: usize,
}

impl TableSpec {
    /// Finds the recipe's columns: by name in `header`, else by position in rows of `width` fields, which may lack the targets.
    ///
    /// # Errors
    /// Names the first column that `header` lacks, or the number of fields that rows without a header must have.
    pub fn layout(&self, header: Option<&[String]>, width: usize) -> Result<Layout, RowError> {
        let positions = match header {
            Some(header) if self.header => {
                self.columns.iter().map(|column| by_name(column, header)).collect::<Result<_, _>>()?
            }
            _ => self.by_position(width)?,
        };
        Ok(Layout { positions, width })
    }

    /// The layout of a table of `width` columns, where `positions` says where the columns of the table trained on stand.
    pub(super) fn layout_in(&self, positions: &[Option<usize>], width: usize) -> Layout {
        Layout { positions: self.columns.iter().filter_map(|column| positions[column.position]).collect(), width }
    }

    fn by_position(&self, width: usize) -> Result<Vec<usize>, RowError> {
        let trained = self.width.max(self.columns.iter().map(|column| column.position + 1).max().unwrap_or(0));
        let without = trained.saturating_sub(self.targets.len());
        if width == trained {
            return Ok(self.columns.iter().map(|column| column.position).collect());
        }
        if width != without || self.targets.is_empty() {
            let or =
                if self.targets.is_empty() { String::new() } else { format!(" or, without the target, {without}") };
            let names = if self.header { " or a header that names the columns" } else { "" };
            return Err(RowError::row(format!("{trained} fields as in the table trained on{or}{names}"), width));
        }
        // The columns behind a target move up where it is absent.
        let before = |position: usize| self.targets.iter().filter(|target| target.position < position).count();
        Ok(self.columns.iter().map(|column| column.position - before(column.position)).collect())
    }

    /// The features of `row`, before `mean` and `std`: `[features]`. `header` holds the names of its fields if its table has them.
    /// A category that training never saw becomes zeros, as a missing one does.
    ///
    /// # Errors
    /// If a column is missing, the number of fields is wrong, or a field of a numeric column is text or infinite.
    pub fn encode(&self, header: Option<&[String]>, row: &[&str]) -> Result<Vec<f32>, RowError> {
        let layout = self.layout(header, header.map_or(row.len(), <[String]>::len))?;
        self.encode_as(&layout, row.len(), |position| row[position])
    }

    /// The features of a row whose fields are all empty, which predicts what nothing is known of.
    pub fn absent(&self) -> Vec<f32> {
        self.of_columns(|_| None)
    }

    /// The features of a row whose numbers are the means of the training split, and whose categories are none.
    pub fn average(&self) -> Vec<f32> {
        self.of_columns(|kind| match kind {
            ColumnKind::Numeric { mean, .. } => Some(*mean),
            ColumnKind::Categorical { .. } => None,
        })
    }

    /// Of these numbers, and no categories.
    fn of_columns(&self, number: impl Fn(&ColumnKind) -> Option<f32>) -> Vec<f32> {
        let mut features = Vec::with_capacity(self.columns.iter().map(Column::features).sum());
        for column in &self.columns {
            // Each appends what is its kind's.
            column.push_number(number(&column.kind), &mut features);
            column.push_category(None, &mut features);
        }
        features
    }

    /// Like [`encode`](Self::encode), where the layout of many rows is known.
    pub(super) fn encode_as<'a>(
        &self,
        layout: &Layout,
        fields: usize,
        field: impl Fn(usize) -> &'a str,
    ) -> Result<Vec<f32>, RowError> {
        if fields != layout.width {
            return Err(RowError::row(format!("{} fields", layout.width), fields));
        }
        let mut features = Vec::with_capacity(self.columns.iter().map(Column::features).sum());
        for (column, &position) in self.columns.iter().zip(&layout.positions) {
            column.encode(field(position).trim(), &mut features)?;
        }
        Ok(features)
    }
}

fn by_name(column: &Column, header: &[String]) -> Result<usize, RowError> {
    let same = |name: &String| name.trim() == column.name;
    let alike = |name: &String| name.trim().eq_ignore_ascii_case(&column.name);
    if header.iter().filter(|name| same(name)).nth(1).is_some() {
        return Err(RowError::row(format!("one column `{}`", column.name), "several of that name"));
    }
    header.iter().position(same).or_else(|| header.iter().position(alike)).ok_or_else(|| {
        let found = match field::near(&column.name, header) {
            Some(near) => format!("none of that name (but `{near}`)"),
            None => format!("none of that name among {}", field::list(header)),
        };
        RowError::row(format!("a column `{}`", column.name), found)
    })
}

impl Column {
    /// Appends the features of `field`.
    fn encode(&self, field: &str, features: &mut Vec<f32>) -> Result<(), RowError> {
        let present = !field::is_missing(field);
        match &self.kind {
            ColumnKind::Numeric { .. } => {
                let number = present.then(|| usable(&self.name, field)).transpose()?;
                self.push_number(number.map(|number| number as f32), features);
            }
            ColumnKind::Categorical { .. } => self.push_category(present.then_some(field), features),
        }
        Ok(())
    }

    /// Appends the features of a number, or of none; nothing where the column holds categories.
    fn push_number(&self, number: Option<f32>, features: &mut Vec<f32>) {
        let ColumnKind::Numeric { fill, ranks, indicator, .. } = &self.kind else { return };
        features.push(number.unwrap_or(*fill));
        features.extend((!ranks.is_empty()).then(|| rank(ranks, number.unwrap_or(*fill))));
        features.extend(indicator.then_some(f32::from(u8::from(number.is_none()))));
    }

    /// Appends the features of a category, or of none; nothing where the column holds numbers.
    fn push_category(&self, given: Option<&str>, features: &mut Vec<f32>) {
        let ColumnKind::Categorical { categories } = &self.kind else { return };
        features.extend(categories.iter().map(|category| f32::from(u8::from(given == Some(category.as_str())))));
    }
}

/// The number in `field` of `column`, which must be finite.
pub(super) fn usable(column: &str, field: &str) -> Result<f64, RowError> {
    match field::number(field) {
        Some(number) if field::is_usable(number) => Ok(number),
        Some(_) => Err(RowError::field(column, "a finite 32-bit number", field)),
        None => Err(RowError::field(column, "a number", field)),
    }
}

/// Where `number` stands between the least and the greatest of the quantiles `ranks`, 0 to 1: linear between two of them, in the
/// middle of several equal ones.
fn rank(ranks: &[f32], number: f32) -> f32 {
    let below = ranks.partition_point(|&quantile| quantile < number);
    let upto = ranks.partition_point(|&quantile| quantile <= number);
    let position = match (below, upto) {
        _ if below < upto => (below + upto - 1) as f32 / 2.0,
        (0, _) => 0.0,
        (end, _) if end == ranks.len() => (end - 1) as f32,
        (above, _) => {
            let (low, high) = (f64::from(ranks[above - 1]), f64::from(ranks[above]));
            (above - 1) as f32 + ((f64::from(number) - low) / (high - low)) as f32
        }
    };
    position / (ranks.len() - 1).max(1) as f32
}

/// One row to predict.
#[derive(Debug)]
pub struct Row {
    /// The line where it starts, counted from 1.
    pub line: u64,
    /// Its features, or what is wrong with it.
    pub features: Result<Vec<f32>, Error>,
}

/// The rows of a table to predict, one at a time, in constant memory.
pub struct Rows<'a> {
    records: Records<'a>,
    spec: &'a TableSpec,
    layout: Layout,
    fields: Fields,
}

/// Reads the rows of `input`, which may be compressed by gzip, by a model's recipe: columns by name if the first row names them,
/// else by position; the targets may be absent. `path` is only named in messages. A bad row is an error in its place and doesn't
/// stop the rows after it.
///
/// # Errors
/// If there is no row at all, or if a column of the recipe is missing.
pub fn rows<'a>(input: impl Read + 'a, path: &Path, spec: &'a TableSpec) -> Result<Rows<'a>, Error> {
    let mut first = Fields::default();
    let mut records = Records::new(input, path, None, |start| {
        let line = start.lines().next().unwrap_or("");
        let delimiter = DELIMITERS.into_iter().max_by_key(|&delimiter| spec.likeness(line, delimiter)).unwrap_or(b',');
        first = fields(line, delimiter);
        delimiter
    })?;
    if first.len() < 2 && first.iter().all(str::is_empty) {
        return Err(Error::unusable(path, "has no row in its first line", "expected a table with one row a line"));
    }
    let header = spec.is_header(&first.iter().collect::<Vec<_>>()).then(|| header_names(first.iter()));
    let layout = spec.layout(header.as_deref(), first.len()).map_err(|error| error.at(path, 1))?;
    if header.is_some() {
        records.append(&mut Fields::default()).map_or(Ok(()), |(_, result)| result)?;
    }
    Ok(Rows { records, spec, layout, fields: Fields::default() })
}

impl TableSpec {
    /// How well the first line of a table fits the recipe if `delimiter` cuts it.
    fn likeness(&self, line: &str, delimiter: u8) -> (usize, bool, usize) {
        let first = fields(line, delimiter);
        // Ties are none of these delimiters' doing: the comma wins them by its place.
        (
            self.named(&first.iter().collect::<Vec<_>>()),
            self.by_position(first.len()).is_ok(),
            usize::from(delimiter == b','),
        )
    }

    /// How many of the recipe's names stand in `first`.
    fn named(&self, first: &[&str]) -> usize {
        let is_there = |column: &&Column| first.iter().any(|field| field.trim().eq_ignore_ascii_case(&column.name));
        if self.header { self.columns.iter().filter(is_there).count() } else { 0 }
    }

    /// Whether `first`, the first row of a table, names the columns: it holds names of the recipe; or, where the recipe has none, text
    /// above numbers.
    pub(super) fn is_header(&self, first: &[&str]) -> bool {
        if self.header {
            // A few names among numbers may be categories of the same spelling.
            let named = self.named(first);
            return named * 2 >= self.columns.len()
                || named > 0 && first.iter().all(|field| field::number(field).is_none());
        }
        let numeric: Vec<usize> = self
            .by_position(first.len())
            .unwrap_or_default()
            .into_iter()
            .zip(&self.columns)
            .filter(|(_, column)| matches!(column.kind, ColumnKind::Numeric { .. }))
            .map(|(position, _)| position)
            .collect();
        let is_text =
            |&position: &usize| field::number(first[position]).is_none() && !field::is_missing(first[position]);
        !numeric.is_empty() && numeric.iter().all(is_text)
    }
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        self.fields = Fields::default();
        let (line, result) = self.records.append(&mut self.fields)?;
        let features = result.and_then(|()| {
            let encoded = self.spec.encode_as(&self.layout, self.fields.len(), |position| self.fields.get(position));
            encoded.map_err(|error| error.at(self.records.path(), line))
        });
        Some(Row { line, features })
    }
}
