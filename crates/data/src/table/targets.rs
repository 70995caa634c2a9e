//! Target columns to targets: what is learned from their values, class names and their order, rows without a target.

use std::collections::BTreeSet;

use super::columns::MOSTLY;
use super::encode::{RowError, usable};
use super::{Table, field};
use crate::{Error, OpenOptions, Outputs, Targets, TaskKind};

/// Different whole numbers up to which a target is taken for codes of classes.
const MOST_CODES: usize = 20;
/// Classes that a target may have.
const MOST_CLASSES: usize = 1000;

/// The targets of the rows that have one.
pub(super) struct Read {
    pub(super) targets: Targets,
    /// Rows of the table, ascending: those of `targets`.
    pub(super) rows: Vec<u32>,
    pub(super) notes: Vec<String>,
}

/// Reads the columns `labels`; `known` are the outputs of an existing model.
pub(super) fn read(
    table: &Table,
    labels: &[usize],
    options: &OpenOptions,
    known: Option<&Outputs>,
) -> Result<Read, Error> {
    let columns =
        Columns { table, labels, strip: options.label_strip.as_deref().unwrap_or(""), known: known.is_some() };
    let rows = columns.present(options.task);
    let Some(&first) = rows.first().filter(|&&row| known.is_some() || table.rows[row as usize].0 == 0) else {
        let what = format!("has no row with a target in {}", columns.names());
        return Err(Error::unusable(table.path(), what, "check `--label`"));
    };
    let mut notes = Vec::new();
    let left = table.rows.len() - rows.len();
    if left > 0 {
        let gone = (0..table.rows.len() as u32).find(|row| rows.binary_search(row).is_err()).unwrap_or(first);
        notes.push(format!("{left} rows without a target left out (the first is {})", table.place(gone as usize)));
    }
    let (targets, note) = match known {
        Some(outputs) => (columns.as_model(&rows, outputs)?, None),
        None => columns.decide(&rows, options.task)?,
    };
    notes.extend(note);
    if known.is_none() {
        columns.refuse_constant(&targets)?;
    }
    Ok(Read { targets, rows, notes })
}

/// The target columns of a table.
struct Columns<'a> {
    table: &'a Table,
    labels: &'a [usize],
    strip: &'a str,
    known: bool,
}

impl<'a> Columns<'a> {
    fn field(&self, row: u32, label: usize) -> &'a str {
        let cell = self.table.cell(row as usize, self.labels[label]);
        if self.strip.is_empty() { cell } else { cell.trim_end_matches(|c| self.strip.contains(c)).trim_end() }
    }

    fn name(&self, label: usize) -> &'a str {
        &self.table.names[self.labels[label]]
    }

    fn names(&self) -> String {
        let names: Vec<String> = (0..self.labels.len()).map(|label| format!("`{}`", self.name(label))).collect();
        names.join(", ")
    }

    /// Rows that have all targets. In a column of label lists an empty field is an answer: none of them.
    fn present(&self, task: Option<TaskKind>) -> Vec<u32> {
        let lists = task == Some(TaskKind::MultiLabel) && self.labels.len() == 1;
        let all = 0..self.table.rows.len() as u32;
        let complete =
            |row: &u32| (0..self.labels.len()).all(|label| lists || !field::is_missing_target(self.field(*row, label)));
        all.filter(complete).collect()
    }

    /// The rows among `rows` that say what there is to learn: those of the first table, without `--test`.
    fn first_table(&self, rows: &[u32]) -> Vec<u32> {
        rows.iter().copied().filter(|&row| self.table.rows[row as usize].0 == 0).collect()
    }

    /// What to learn, by `task` or by what the values look like, with a note that says why.
    fn decide(&self, rows: &[u32], task: Option<TaskKind>) -> Result<(Targets, Option<String>), Error> {
        let first = self.first_table(rows);
        let several = self.labels.len() > 1;
        let flags =
            (0..self.labels.len()).all(|label| first.iter().all(|&row| field::flag(self.field(row, label)).is_some()));
        match task {
            Some(TaskKind::Classification) if several => {
                let what = "classification has one target column; several are labels (0 or 1) or numbers";
                Err(Error::option("--label", what))
            }
            Some(TaskKind::Classification) => Ok((self.classes(rows, &self.class_names(&first)?)?, None)),
            Some(TaskKind::Regression) => Ok((self.values(rows, "a number")?, None)),
            Some(TaskKind::MultiLabel) if several || flags => Ok((self.flags(rows)?, None)),
            Some(TaskKind::MultiLabel) => {
                let names: BTreeSet<&str> = first.iter().flat_map(|&row| labels(self.field(row, 0))).collect();
                Ok((self.lists(rows, names.into_iter().map(str::to_owned).collect())?, None))
            }
            None if several && flags => Ok((self.flags(rows)?, Some("several targets of 0 and 1: labels".into()))),
            None if several => {
                Ok((self.values(rows, "a number (several targets are numbers together, or all 0 and 1)")?, None))
            }
            None => self.one(rows, &first),
        }
    }

    /// What to learn from one column whose task nobody named.
    fn one(&self, rows: &[u32], first: &[u32]) -> Result<(Targets, Option<String>), Error> {
        let numbers: Vec<f64> = first.iter().filter_map(|&row| field::number(self.field(row, 0))).collect();
        if (numbers.len() as f64) < first.len() as f64 * MOSTLY {
            return Ok((self.classes(rows, &self.class_names(first)?)?, None));
        }
        let different: BTreeSet<i64> = numbers.iter().map(|&number| number as i64).collect();
        let whole =
            numbers.len() == first.len() && numbers.iter().all(|number| number.fract() == 0.0 && number.abs() < 9e15);
        if whole && different.len() <= MOST_CODES && different.len() * 2 <= first.len() {
            let note = format!(
                "`{}` holds {} different whole numbers: taken for classes (`--task regression` takes them for numbers)",
                self.name(0),
                different.len()
            );
            return Ok((self.classes(rows, &self.class_names(first)?)?, Some(note)));
        }
        let note =
            format!("`{}` holds numbers: regression (`--task classification` makes classes of them)", self.name(0));
        Ok((
            self.values(rows, "a number as in the column's other rows (for classes: `--task classification`)")?,
            Some(note),
        ))
    }

    /// Class names in their order: that of the numbers if all are numbers, else of the text.
    fn class_names(&self, first: &[u32]) -> Result<Vec<String>, Error> {
        let names: BTreeSet<String> = first.iter().map(|&row| field::canonical(self.field(row, 0))).collect();
        if names.len() > MOST_CLASSES || (names.len() > MOST_CODES && names.len() * 2 > first.len()) {
            let what =
                format!("column `{}` has {} different values in {} rows", self.name(0), names.len(), first.len());
            return Err(Error::unusable(
                self.table.path(),
                what,
                "names or free text are no classes, choose another `--label`",
            ));
        }
        let mut names: Vec<String> = names.into_iter().collect();
        if names.iter().all(|name| field::number(name).is_some()) {
            let number = |name: &String| field::number(name).unwrap_or(0.0);
            names.sort_by(|a, b| number(a).total_cmp(&number(b)));
        }
        Ok(names)
    }

    fn classes(&self, rows: &[u32], names: &[String]) -> Result<Targets, Error> {
        let values = rows.iter().map(|&row| self.class(row, self.field(row, 0), names)).collect::<Result<_, _>>()?;
        Ok(Targets::Classes { names: names.to_vec(), values })
    }

    /// The position of `wanted` in `names`, as it stands or as a whole number.
    fn class(&self, row: u32, wanted: &str, names: &[String]) -> Result<u32, Error> {
        let same = |wanted: &str| names.iter().position(|name| name == wanted);
        let found = same(wanted).or_else(|| same(&field::canonical(wanted)));
        found.map(|class| class as u32).ok_or_else(|| self.unknown(row, wanted, names))
    }

    fn unknown(&self, row: u32, wanted: &str, names: &[String]) -> Error {
        let (raw, line) = self.table.source(row as usize);
        let trained = if self.known { "the model".to_owned() } else { format!("`{}`", self.table.parts[0].raw.name) };
        let what = format!("line {line}: {} is no class of {trained}", field::shown(wanted));
        let cut = names.iter().find_map(|name| wanted.strip_prefix(name.as_str()).map(|rest| (name, rest.trim())));
        let hint = match cut.filter(|(_, rest)| !rest.is_empty() && !rest.contains(char::is_alphanumeric)) {
            Some((name, rest)) => format!("did you mean `{name}`? `--label-strip {rest}` cuts the end off"),
            None => match field::near(wanted, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("expected one of {}", field::list(names)),
            },
        };
        Error::unusable(&raw.path, what, hint)
    }

    fn values(&self, rows: &[u32], expected: &str) -> Result<Targets, Error> {
        let mut values = Vec::with_capacity(rows.len() * self.labels.len());
        for &row in rows {
            for label in 0..self.labels.len() {
                let number = usable(self.name(label), self.field(row, label)).map_err(|mut error| {
                    if error.expected == "a number" {
                        error.expected = expected.to_owned();
                    }
                    self.table.at(row as usize, error)
                })?;
                values.push(number as f32);
            }
        }
        Ok(Targets::Values { names: self.column_names(), values })
    }

    fn flags(&self, rows: &[u32]) -> Result<Targets, Error> {
        let mut values = Vec::with_capacity(rows.len() * self.labels.len());
        for &row in rows {
            for label in 0..self.labels.len() {
                let text = self.field(row, label);
                values.push(
                    field::flag(text).ok_or_else(|| {
                        self.table.at(row as usize, RowError::field(self.name(label), "0 or 1", text))
                    })?,
                );
            }
        }
        Ok(Targets::Labels { names: self.column_names(), values })
    }

    fn lists(&self, rows: &[u32], names: Vec<String>) -> Result<Targets, Error> {
        let mut values = vec![0; rows.len() * names.len()];
        for (answers, &row) in values.chunks_mut(names.len().max(1)).zip(rows) {
            for label in labels(self.field(row, 0)) {
                answers[self.class(row, label, &names)? as usize] = 1;
            }
        }
        Ok(Targets::Labels { names, values })
    }

    fn column_names(&self) -> Vec<String> {
        (0..self.labels.len()).map(|label| self.name(label).to_owned()).collect()
    }

    /// The targets as a model with `outputs` knows them.
    fn as_model(&self, rows: &[u32], outputs: &Outputs) -> Result<Targets, Error> {
        let expected = match outputs {
            Outputs::Labels(names) if self.labels.len() == 1 && names.len() > 1 => {
                return self.lists(rows, names.clone());
            }
            Outputs::Classes(_) => 1,
            Outputs::Labels(names) | Outputs::Values(names) => names.len(),
        };
        if self.labels.len() != expected {
            let what = format!("the model predicts {expected} columns, not {}: {}", self.labels.len(), self.names());
            return Err(Error::option("--label", what));
        }
        Ok(match outputs {
            Outputs::Classes(names) => self.classes(rows, names)?,
            Outputs::Labels(names) => renamed(self.flags(rows)?, names),
            Outputs::Values(names) => renamed(self.values(rows, "a number")?, names),
        })
    }

    /// Refuses targets that are the same in every row of the first table: nothing can be learned from them.
    fn refuse_constant(&self, targets: &Targets) -> Result<(), Error> {
        let width = match targets {
            Targets::Classes { .. } => 1,
            _ => targets.names().len(),
        };
        let constant = |column: usize| match targets {
            Targets::Classes { names, .. } => names.len() < 2,
            Targets::Labels { values, .. } => is_constant(values, width, column),
            Targets::Values { values, .. } => is_constant(values, width, column),
        };
        let all = (0..width).all(constant);
        let any = (0..width).find(|&column| constant(column));
        let column = match targets {
            Targets::Values { .. } => any,
            _ => any.filter(|_| all),
        };
        if width > 0 && column.is_none() {
            return Ok(());
        }
        let name = self.name(column.unwrap_or(0).min(self.labels.len() - 1));
        Err(Error::unusable(
            self.table.path(),
            format!("target `{name}` is the same in every row"),
            "there is nothing to learn",
        ))
    }
}

fn renamed(targets: Targets, to: &[String]) -> Targets {
    match targets {
        Targets::Labels { values, .. } => Targets::Labels { names: to.to_vec(), values },
        Targets::Values { values, .. } => Targets::Values { names: to.to_vec(), values },
        classes => classes,
    }
}

/// The labels of a list such as `cat;dog`.
fn labels(list: &str) -> impl Iterator<Item = &str> {
    list.split([';', '|']).map(str::trim).filter(|label| !field::is_missing_target(label))
}

fn is_constant<T: PartialEq>(values: &[T], width: usize, column: usize) -> bool {
    let mut column = values.iter().skip(column).step_by(width);
    let first = column.next();
    column.all(|value| Some(value) == first)
}
