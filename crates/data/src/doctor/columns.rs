//! What single columns of a table hold: the same value everywhere, gaps, numbers far from the others. Also the hash of a row.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::Subject;
use super::finding::{Group, Report, Severity};
use super::outliers::outliers;
use crate::table::{Cell, Prepared};
use crate::{Part, Targets};

/// How many times the distance between the quartiles a number may lie outside of them: columns have long tails.
const FENCE: f64 = 6.0;
/// The share of missing values from which on a column says little.
const MOSTLY_MISSING: f64 = 0.5;

/// What was found in one column.
#[derive(Default)]
struct Column {
    constant: Option<Group>,
    missing: Option<(Group, f64)>,
    outliers: Option<Group>,
}

/// Adds what is odd about single columns.
pub(super) fn find(table: &Prepared, subject: &Subject<'_>, report: &mut Report) {
    let rows: Vec<usize> = subject.used().collect();
    let examined: Vec<Column> =
        table.columns().par_iter().map(|(position, name)| column(table, subject, &rows, *position, name)).collect();
    let (mut constant, mut missing, mut outliers) = (Vec::new(), Vec::new(), Vec::new());
    let mut severity = Severity::Note;
    for column in examined {
        constant.extend(column.constant);
        outliers.extend(column.outliers);
        if let Some((group, share)) = column.missing {
            severity = if share >= MOSTLY_MISSING { Severity::Warning } else { severity };
            missing.push(group);
        }
    }
    outliers.extend(target_outliers(subject, &rows));
    if !constant.is_empty() {
        let what = "columns with the same value in every row";
        report.add("constant-column", Severity::Note, what, constant, "training leaves them out");
    }
    if !missing.is_empty() {
        let advice = "training fills numbers with the median; a column that is mostly missing says little (`--drop`)";
        report.add("missing-values", severity, "columns with missing values", missing, advice);
    }
    if !outliers.is_empty() {
        let what = "columns with a few numbers far from all others";
        let advice = "other units, a slip of a digit, or a code such as 999 for missing? look at them";
        report.add("outliers", Severity::Note, what, outliers, advice);
    }
}

fn column(table: &Prepared, subject: &Subject<'_>, rows: &[usize], position: usize, name: &str) -> Column {
    let mut found = Column::default();
    let (mut missing, mut texts, mut numbers) = (0, 0, Vec::new());
    let mut present = None;
    let mut constant = true;
    for &row in rows {
        match table.value(row, position) {
            Cell::Missing => {
                missing += 1;
                continue;
            }
            Cell::Number(number) => numbers.push((number, row)),
            Cell::Text(_) => texts += 1,
        }
        let text = table.text(row, position);
        constant &= *present.get_or_insert(text) == text;
    }
    match present {
        None => found.constant = Some(Group::named(name, "no value at all".into())),
        Some(value) if constant && missing == 0 => {
            found.constant = Some(Group::named(name, format!("`{}`", value.chars().take(40).collect::<String>())));
        }
        Some(_) if missing > 0 => {
            let share = missing as f64 / rows.len() as f64;
            let detail = format!("{missing} of {} rows ({:.1} %)", rows.len(), share * 100.0);
            found.missing = Some((Group::named(name, detail), share));
        }
        Some(_) => {}
    }
    if texts == 0 {
        found.outliers = outliers(subject, name, numbers, FENCE);
    }
    found
}

fn target_outliers(subject: &Subject<'_>, rows: &[usize]) -> Vec<Group> {
    let Targets::Values { names, values } = subject.targets else { return Vec::new() };
    let column = |(at, name): (usize, &String)| {
        let numbers = rows.iter().map(|&row| (f64::from(values[row * names.len() + at]), row)).collect();
        outliers(subject, name, numbers, FENCE)
    };
    names.iter().enumerate().filter_map(column).collect()
}

/// The hash of every row's inputs, for rows that are there twice. Targets are left aside: they may contradict each other.
pub(super) fn prints(table: &Prepared, subject: &Subject<'_>) -> Vec<Option<u128>> {
    let print = |row: usize| {
        let mut hash = Sha256::new();
        for (position, _) in table.columns() {
            let text = table.text(row, *position);
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash.finalize()[..16].iter().fold(0, |print, &byte| print << 8 | u128::from(byte))
    };
    let used = |row: usize| subject.parts[row] != Part::Unassigned;
    (0..subject.parts.len()).into_par_iter().map(|row| used(row).then(|| print(row))).collect()
}
