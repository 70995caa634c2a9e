//! Which columns are inputs and how they become features: kinds told apart and a recipe fitted, by the rows of the training split alone.

use std::collections::BTreeMap;

use super::encode::RowError;
use super::{Table, field};
use crate::{Column, ColumnKind, Error, TableSpec};

/// Categories that a column may have; of more, the most frequent.
const MOST_CATEGORIES: usize = 100;
/// Different texts up to which a column is never taken for names or free text.
const FEW_TEXTS: usize = 20;
/// A column with at least this share of numbers is numeric, and text in it a mistake.
pub(super) const MOSTLY: f64 = 0.95;
/// Rows from which on a column that counts them is recognised.
const COUNTED_ROWS: usize = 10;
/// Missing training rows from which on a feature tells that a number was missing: of fewer nothing would be learned.
const MARKED_GAPS: usize = 5;
/// Steps between the quantiles that ranks are made of.
const RANK_STEPS: usize = 32;

/// A recipe and what was decided on the way.
#[derive(Debug, Default)]
pub(super) struct Fitted {
    pub(super) spec: TableSpec,
    pub(super) notes: Vec<String>,
}

/// What the training rows hold in one column.
struct Seen<'a> {
    name: &'a str,
    present: Vec<(&'a str, u32)>,
    missing: usize,
}

/// What becomes of one column.
enum Decision {
    Kind(ColumnKind),
    LeftOut(String),
}

/// Fits the recipe of the columns `inputs` on the rows `train`; `codes` are columns whose numbers are categories.
pub(super) fn fit(table: &Table, train: &[u32], inputs: &[usize], codes: &[usize]) -> Result<Fitted, Error> {
    let mut fitted = Fitted::default();
    let (mut left_out, mut gaps, mut cut) = (Vec::new(), Vec::new(), Vec::new());
    for &position in inputs {
        let seen = Seen::new(table, train, position);
        let decision = if counts_rows(table, position) {
            Decision::LeftOut("it counts the rows".into())
        } else {
            seen.decide(codes.contains(&position)).map_err(|(error, row)| table.at(row as usize, error))?
        };
        let kind = match decision {
            Decision::Kind(kind) => kind,
            Decision::LeftOut(why) => {
                left_out.push(format!("`{}` ({why})", seen.name));
                continue;
            }
        };
        match &kind {
            ColumnKind::Numeric { .. } => {
                gaps.extend((seen.missing > 0).then(|| format!("{} ({})", seen.name, seen.missing)));
            }
            ColumnKind::Categorical { categories } => {
                cut.extend((categories.len() == MOST_CATEGORIES).then(|| seen.name.to_owned()));
            }
        }
        fitted.spec.columns.push(Column { name: seen.name.to_owned(), position, kind });
    }
    fitted.notes = describe(&fitted.spec);
    let mut note = |words: &[String], text: &str| {
        if !words.is_empty() {
            fitted.notes.push(format!("{text}: {}", field::list(words)));
        }
    };
    note(
        &gaps,
        &format!("missing numbers become the training median, with a feature that tells so from {MARKED_GAPS} rows on"),
    );
    note(&cut, &format!("only the {MOST_CATEGORIES} most frequent categories of"));
    note(&left_out, "left out");
    if fitted.spec.columns.is_empty() {
        let hint =
            if left_out.is_empty() { "a table needs columns beside its target".into() } else { left_out.join(", ") };
        return Err(Error::unusable(table.path(), "has no column to learn from", hint));
    }
    Ok(fitted)
}

/// A line for the numeric columns and one for the categorical ones.
fn describe(spec: &TableSpec) -> Vec<String> {
    let (mut numeric, mut categorical) = (Vec::new(), Vec::new());
    for column in &spec.columns {
        match &column.kind {
            ColumnKind::Numeric { .. } => numeric.push(column.name.clone()),
            ColumnKind::Categorical { categories } => {
                categorical.push(format!("{} ({})", column.name, categories.len()))
            }
        }
    }
    [("numeric", numeric), ("categorical", categorical)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(kind, names)| {
            format!("{} {kind} column{}: {}", names.len(), if names.len() == 1 { "" } else { "s" }, field::list(&names))
        })
        .collect()
}

impl<'a> Seen<'a> {
    fn new(table: &'a Table, train: &[u32], position: usize) -> Self {
        let mut present = Vec::with_capacity(train.len());
        for &row in train {
            let cell = table.cell(row as usize, position);
            if !field::is_missing(cell) {
                present.push((cell, row));
            }
        }
        Self { name: &table.names[position], missing: train.len() - present.len(), present }
    }

    fn decide(&self, codes: bool) -> Result<Decision, (RowError, u32)> {
        if self.present.is_empty() {
            return Ok(Decision::LeftOut("empty".into()));
        }
        let numbers = self.present.iter().filter(|(cell, _)| field::number(cell).is_some()).count();
        if !codes && numbers as f64 >= self.present.len() as f64 * MOSTLY {
            self.numeric()
        } else {
            Ok(self.categorical())
        }
    }

    fn numeric(&self) -> Result<Decision, (RowError, u32)> {
        let mut values = Vec::with_capacity(self.present.len());
        for &(cell, row) in &self.present {
            values.push(super::encode::usable(self.name, cell).map_err(|mut error| {
                error.expected += " as in the column's other rows";
                (error, row)
            })?);
        }
        values.sort_unstable_by(f64::total_cmp);
        if values[0] == values[values.len() - 1] && self.missing == 0 {
            return Ok(Decision::LeftOut(format!("always {}", self.present[0].0)));
        }
        let fill = median(&values) as f32;
        // Of the features as the network sees them, with the gaps filled.
        let filled = std::iter::repeat_n(f64::from(fill), self.missing);
        let features = values.iter().copied().chain(filled);
        let n = (values.len() + self.missing) as f64;
        let mean = features.clone().sum::<f64>() / n;
        let std = (features.map(|feature| (feature - mean).powi(2)).sum::<f64>() / n).sqrt();
        let std = if (std as f32).is_normal() { std as f32 } else { 1.0 };
        let indicator = self.missing >= MARKED_GAPS;
        Ok(Decision::Kind(ColumnKind::Numeric { fill, mean: mean as f32, std, ranks: quantiles(&values), indicator }))
    }

    fn categorical(&self) -> Decision {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (cell, _) in &self.present {
            *counts.entry(cell).or_default() += 1;
        }
        if counts.len() == 1 && self.missing == 0 {
            return Decision::LeftOut(format!("always {}", field::shown(self.present[0].0)));
        }
        if counts.len() > FEW_TEXTS && counts.len() * 2 > self.present.len() {
            return Decision::LeftOut(format!(
                "names or free text: {} different in {} rows",
                counts.len(),
                self.present.len()
            ));
        }
        let mut categories: Vec<(&str, usize)> = counts.into_iter().collect();
        if categories.len() > MOST_CATEGORIES {
            categories.sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
            categories.truncate(MOST_CATEGORIES);
            categories.sort_unstable();
        }
        Decision::Kind(ColumnKind::Categorical {
            categories: categories.into_iter().map(|(name, _)| name.to_owned()).collect(),
        })
    }
}

/// Whether the column at `position` numbers the rows in their order, and is named as such or is the first of a table without names.
pub(super) fn counts_rows(table: &Table, position: usize) -> bool {
    let name = table.names[position].to_lowercase();
    let called_so = name.ends_with("id")
        || ["index", "row", "no", "nr", "#", "number"].contains(&name.as_str())
        || name.starts_with("unnamed")
        || (position == 0 && name == super::read::unnamed(0));
    let raw = &table.parts[0].raw;
    if !called_so || raw.rows() < COUNTED_ROWS {
        return false;
    }
    let number = |row: usize| field::number(raw.cell(row, position));
    (1..raw.rows()).all(|row| matches!((number(row - 1), number(row)), (Some(last), Some(this)) if this == last + 1.0))
}

fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 }
}

/// Numbers in equal steps from the least to the greatest of `sorted`; none where there are two different ones at most, whose ranks
/// would say nothing new.
fn quantiles(sorted: &[f64]) -> Vec<f32> {
    let mut different = sorted.to_vec();
    different.dedup();
    if different.len() < 3 {
        return Vec::new();
    }
    let at = |step: usize| {
        let position = step as f64 / RANK_STEPS as f64 * (sorted.len() - 1) as f64;
        let low = sorted[position.floor() as usize];
        let high = sorted[position.ceil() as usize];
        (low + (high - low) * position.fract()) as f32
    };
    (0..=RANK_STEPS).map(at).collect()
}
