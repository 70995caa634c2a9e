//! A table that is read and split but not yet encoded: where training fits its recipe, and where the audit looks at the fields.

use std::path::Path;

use super::{Layout, Raw, Table, assign, chosen, columns, field, finish, labels, names_header, sources, targets};
use crate::{Dataset, Error, OpenOptions, Sources, Split, TargetColumn, Targets};

/// The rows that have a target, their targets and their split.
pub(crate) struct Prepared {
    table: Table,
    labels: Vec<usize>,
    dropped: Vec<usize>,
    codes: Vec<usize>,
    inputs: Vec<usize>,
    notes: Vec<String>,
    /// Position and name of every input column but those that count the rows, which training leaves out.
    named: Vec<(usize, String)>,
    pub(crate) targets: Targets,
    pub(crate) split: Split,
}

/// What one field holds.
pub(crate) enum Cell<'a> {
    Missing,
    Number(f64),
    Text(&'a str),
}

impl Prepared {
    /// Reads the table `path`, and `options.test` if it is given, and splits their rows.
    pub(crate) fn read(path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let wanted = &options.label;
        let raw = Raw::read(path, options.memory, |raw| options.header.unwrap_or_else(|| names_header(raw, wanted)))?;
        let mut table = Table::new(raw);
        let labels = labels(&table, wanted)?;
        let dropped = chosen(&table, &options.drop, "--drop")?;
        if let Some(&target) = dropped.iter().find(|column| labels.contains(column)) {
            return Err(Error::option("--drop", format!("`{}` is the target", table.names[target])));
        }
        let codes = chosen(&table, &options.categorical, "--categorical")?;
        if let Some(&target) = codes.iter().find(|column| labels.contains(column)) {
            let what = format!("`{}` is the target; `--task classification` makes classes of it", table.names[target]);
            return Err(Error::option("--categorical", what));
        }
        let inputs: Vec<usize> =
            (0..table.names.len()).filter(|column| !labels.contains(column) && !dropped.contains(column)).collect();
        if let Some(test) = &options.test {
            let names = table.parts[0].raw.header.clone();
            let raw = Raw::read(test, options.memory, |raw| match &names {
                Some(names) => raw.names_any(names),
                None => raw.looks_like_header(),
            })?;
            table.add(raw, &[labels.clone(), inputs.clone()].concat())?;
        }
        let targets::Read { targets, rows, mut notes } = targets::read(&table, &labels, options, None)?;
        table.rows = rows.iter().map(|&row| table.rows[row as usize]).collect();
        let (split, split_notes) = assign(&table, &targets, path, options)?;
        notes.extend(split_notes);
        let own = inputs.iter().filter(|&&position| !columns::counts_rows(&table, position));
        let named = own.map(|&position| (position, table.names[position].clone())).collect();
        Ok(Self { table, labels, dropped, codes, inputs, notes, named, targets, split })
    }

    /// Fits the recipe on the training rows and encodes all rows.
    pub(crate) fn finish(self, options: &OpenOptions) -> Result<Dataset, Error> {
        let Self { table, labels, dropped, codes, inputs, notes, targets, split, .. } = self;
        let mut fitted = columns::fit(&table, &split.train, &inputs, &codes)?;
        let raw = &table.parts[0].raw;
        fitted.spec.width = raw.width;
        fitted.spec.header = raw.header.is_some();
        let target = |&position: &usize| TargetColumn { name: table.names[position].clone(), position };
        fitted.spec.targets = labels.iter().map(target).collect();
        let layouts: Vec<Layout> =
            table.parts.iter().map(|part| fitted.spec.layout_in(&part.positions, part.raw.width)).collect();
        let mut all = fitted.notes;
        if !dropped.is_empty() {
            let names: Vec<&str> = dropped.iter().map(|&column| table.names[column].as_str()).collect();
            all.push(format!("dropped as asked: {}", field::list(&names)));
        }
        all.extend(notes);
        finish(table, fitted.spec, &layouts, targets, split, all, options)
    }

    /// Position and name of the input columns that training looks at.
    pub(crate) fn columns(&self) -> &[(usize, String)] {
        &self.named
    }

    /// The field of `row` in the column at `position`, as it stands.
    pub(crate) fn text(&self, row: usize, position: usize) -> &str {
        self.table.cell(row, position)
    }

    /// What that field means.
    pub(crate) fn value(&self, row: usize, position: usize) -> Cell<'_> {
        let text = self.text(row, position);
        match field::number(text) {
            _ if field::is_missing(text) => Cell::Missing,
            Some(number) if number.is_finite() => Cell::Number(number),
            _ => Cell::Text(text),
        }
    }

    /// Where each row came from.
    pub(crate) fn sources(&self) -> Sources {
        sources(&self.table)
    }
}
