//! Columns that give the answer away: one of them alone predicts the target in rows that it wasn't fitted on.
//!
//! Each column is cut into values (text and few numbers) or 256 quantiles, every value answers with its most frequent class or its
//! mean, fitted on half of the rows, drawn at random, and measured on the others, both ways round. No network does that by honest means from one column.

use std::collections::HashMap;

use rayon::prelude::*;

use super::Subject;
use super::finding::{Group, Report, Severity};
use crate::Targets;
use crate::random::{Purpose, Random};
use crate::table::{Cell, Prepared};

/// Mean recall of the classes from which on a column leaks.
const RECALL: f64 = 0.98;
/// Share of a number's variance (R2) from which on a column leaks.
const R2: f64 = 0.99;
/// Rows from which on something can be said.
const ROWS: usize = 40;
/// Rows that a class needs to be counted.
const CLASS_ROWS: u64 = 5;
/// Quantiles that a column of many numbers is cut into.
const QUANTILES: usize = 256;
/// Rows that each of them should have at least, so that none has no row in one of the halves.
const ROWS_OF_A_QUANTILE: usize = 16;

/// What a column should not predict: classes, or numbers.
enum Answer {
    Classes { of: Vec<usize>, n: usize },
    Numbers(Vec<f64>),
}

/// Adds the columns that leak.
pub(super) fn find(table: &Prepared, subject: &Subject<'_>, report: &mut Report) {
    let rows: Vec<usize> = subject.used().collect();
    if rows.len() < ROWS {
        return;
    }
    // Rows may alternate: halves are drawn.
    let mut rows = rows;
    Random::new(0, Purpose::Halves, 0, 0).shuffle(&mut rows);
    let answers = answers(subject.targets, &rows);
    let leak = |(position, name): &(usize, String)| {
        let codes = codes(table, &rows, *position)?;
        let scored = answers.iter().filter_map(|(target, answer)| {
            let (score, least, unit) = match answer {
                Answer::Classes { of, n } => (recall(&codes, of, *n), RECALL, "mean recall"),
                Answer::Numbers(of) => (r2(&codes, of), R2, "R2"),
            };
            (score >= least).then(|| format!("predicts `{target}` alone: {unit} {score:.3}"))
        });
        let told: Vec<String> = scored.collect();
        (!told.is_empty()).then(|| Group::named(name, told.join(", ")))
    };
    let groups: Vec<Group> = table.columns().par_iter().filter_map(leak).collect();
    if !groups.is_empty() {
        let what = "columns that predict the target all by themselves";
        let advice = "if a column isn't known when predicting, or was made from the target, leave it out with `--drop`";
        report.add("leaking-column", Severity::Warning, what, groups, advice);
    }
}

/// The targets of `rows`, with their names.
fn answers(targets: &Targets, rows: &[usize]) -> Vec<(String, Answer)> {
    let names = targets.names();
    match targets {
        Targets::Classes { values, .. } => {
            let of = rows.iter().map(|&row| values[row] as usize).collect();
            vec![("the class".to_owned(), Answer::Classes { of, n: names.len() })]
        }
        Targets::Labels { values, .. } => {
            let of = |at: usize| rows.iter().map(|&row| usize::from(values[row * names.len() + at])).collect();
            names.iter().enumerate().map(|(at, name)| (name.clone(), Answer::Classes { of: of(at), n: 2 })).collect()
        }
        Targets::Values { values, .. } => {
            let of = |at: usize| rows.iter().map(|&row| f64::from(values[row * names.len() + at])).collect();
            names.iter().enumerate().map(|(at, name)| (name.clone(), Answer::Numbers(of(at)))).collect()
        }
    }
}

/// What stands in each row, as a small number; `None` where nearly every row differs and nothing could be learned by heart.
fn codes(table: &Prepared, rows: &[usize], position: usize) -> Option<Vec<usize>> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut numbers = Vec::with_capacity(rows.len());
    let mut codes = Vec::with_capacity(rows.len());
    for &row in rows {
        let text = match table.value(row, position) {
            Cell::Missing => "",
            Cell::Number(number) => {
                numbers.push(number);
                table.text(row, position)
            }
            Cell::Text(text) => text,
        };
        let next = known.len();
        codes.push(*known.entry(text).or_insert(next));
    }
    if known.len() <= QUANTILES.min(rows.len() / 8) {
        return Some(codes);
    }
    // Numbers throughout; gaps are a value of their own.
    let missing = codes.iter().filter(|code| known.get("") == Some(code)).count();
    if numbers.len() + missing < rows.len() {
        return (known.len() * 2 <= rows.len()).then_some(codes);
    }
    numbers.sort_by(f64::total_cmp);
    let cuts = QUANTILES.min(rows.len() / ROWS_OF_A_QUANTILE).max(2);
    let edges: Vec<f64> = (1..cuts).map(|cut| numbers[numbers.len() * cut / cuts]).collect();
    let code = |&row: &usize| match table.value(row, position) {
        Cell::Number(number) => 1 + edges.partition_point(|edge| *edge <= number),
        _ => 0,
    };
    Some(rows.iter().map(code).collect())
}

/// Mean recall of the classes `of`, each half of the rows answered by what the other half says.
fn recall(codes: &[usize], of: &[usize], n: usize) -> f64 {
    let width = codes.iter().max().map_or(0, |max| max + 1);
    let (mut right, mut all) = (vec![0_u64; n], vec![0_u64; n]);
    for half in 0..2 {
        let mut seen: Vec<HashMap<usize, u32>> = vec![HashMap::new(); width];
        let mut overall = vec![0_u32; n];
        for at in (half..codes.len()).step_by(2) {
            *seen[codes[at]].entry(of[at]).or_default() += 1;
            overall[of[at]] += 1;
        }
        let usual = (0..n).max_by_key(|&class| overall[class]).unwrap_or(0);
        let most = |counts: &HashMap<usize, u32>| {
            counts.iter().max_by_key(|(class, count)| (**count, n - **class)).map(|(class, _)| *class)
        };
        let answers: Vec<usize> = seen.iter().map(|counts| most(counts).unwrap_or(usual)).collect();
        for at in (1 - half..codes.len()).step_by(2) {
            all[of[at]] += 1;
            right[of[at]] += u64::from(answers[codes[at]] == of[at]);
        }
    }
    let recalls: Vec<f64> =
        (0..n).filter(|&class| all[class] >= CLASS_ROWS).map(|class| right[class] as f64 / all[class] as f64).collect();
    // One class alone is predicted by anything.
    if recalls.len() < 2 { 0.0 } else { recalls.iter().sum::<f64>() / recalls.len() as f64 }
}

/// The share of the variance of `of` that the codes explain, each half of the rows answered by what the other half says.
fn r2(codes: &[usize], of: &[f64]) -> f64 {
    let width = codes.iter().max().map_or(0, |max| max + 1);
    let mean = of.iter().sum::<f64>() / of.len() as f64;
    let (mut left, mut total) = (0.0, 0.0);
    for half in 0..2 {
        let mut sums = vec![(0.0, 0.0); width];
        for at in (half..codes.len()).step_by(2) {
            let (sum, n) = &mut sums[codes[at]];
            (*sum, *n) = (*sum + of[at], *n + 1.0);
        }
        for at in (1 - half..codes.len()).step_by(2) {
            let (sum, n) = sums[codes[at]];
            let answer = if n > 0.0 { sum / n } else { mean };
            left += (of[at] - answer).powi(2);
            total += (of[at] - mean).powi(2);
        }
    }
    if total > 0.0 { 1.0 - left / total } else { 0.0 }
}
