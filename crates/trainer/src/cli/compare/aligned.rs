//! The answers of several runs to the samples that all of them answered, in one order, and the metrics of any drawing of these samples.
//! Refuses what cannot be compared.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Result, anyhow};

use super::predictions::{Kind, Predictions, Row};
use crate::cli::failure::{Failure, code};

/// Answers to the same samples.
pub(super) struct Aligned {
    pub(super) kind: Kind,
    pub(super) sources: Vec<String>,
    /// The truth of each sample, for people.
    pub(super) truths: Vec<String>,
    /// Numbers that the classes and labels go by.
    outputs: usize,
    /// The truth of each sample: the classes or labels that it is, or its values.
    is: Cells,
    pub(super) runs: Vec<Answers>,
}

/// What one run answered.
pub(super) struct Answers {
    /// For people.
    pub(super) words: Vec<String>,
    said: Cells,
    /// Whether each sample is answered rightly; of numbers nothing.
    pub(super) right: Vec<bool>,
    /// The error of each sample: the mean over the targets of |predicted - true| in standard deviations of the truth. Of classes nothing.
    pub(super) error: Vec<f64>,
}

/// A list for each sample.
enum Cells {
    Names(Vec<Vec<u32>>),
    Numbers(Vec<Vec<f64>>),
}

impl Aligned {
    /// Takes the samples that all of `runs` (a name and its predictions) have, in the order of the first.
    ///
    /// # Errors
    /// Runs of different tasks, classes or truths, or without a sample in common.
    pub(super) fn of(runs: Vec<(String, Predictions)>) -> Result<Self> {
        let Some(((first, head), others)) = runs.split_first() else {
            return Err(Failure::usage(anyhow!("expected at least two runs")));
        };
        for (name, other) in others {
            same_task((first, head), (name, other))?;
        }
        let places: Vec<HashMap<(&str, usize), usize>> = runs.iter().map(|(_, one)| places(&one.rows)).collect();
        let mut keys: Vec<_> =
            places[0].iter().filter(|(key, _)| places.iter().all(|all| all.contains_key(*key))).collect();
        keys.sort_by_key(|(_, at)| **at);
        if keys.is_empty() {
            return Err(Failure::with(
                code::DATA,
                anyhow!(
                    "`{first}` and the others have no sample in common, by their names in the predictions; train them with one --split"
                ),
            ));
        }
        let rows: Vec<Vec<&Row>> = runs
            .iter()
            .zip(&places)
            .map(|((_, one), all)| keys.iter().map(|(key, _)| &one.rows[all[*key]]).collect())
            .collect();
        for ((name, _), rows_of_other) in runs.iter().zip(&rows).skip(1) {
            same_truth((first, &rows[0]), (name, rows_of_other), head.kind)?;
        }
        let mut names = Names::default();
        let (kind, truth) = (head.kind, |row: &&Row| row.truth.clone());
        let is = cells(kind, rows[0].iter().map(truth), &mut names).map_err(|what| damaged(first, &what))?;
        let scales = match &is {
            Cells::Numbers(values) => deviations(values),
            Cells::Names(_) => Vec::new(),
        };
        let mut all = Vec::new();
        for ((name, _), rows) in runs.iter().zip(&rows) {
            let said = cells(kind, rows.iter().map(|row| row.answer.clone()), &mut names);
            let said = said.map_err(|what| damaged(name, &what))?;
            let words = rows.iter().map(|row| row.answer.join(", ")).collect();
            let (right, error) = judged(&is, &said, &scales);
            all.push(Answers { words, said, right, error });
        }
        let sources = rows[0].iter().map(|row| row.source.clone()).collect();
        let truths = rows[0].iter().map(|row| row.truth.join(", ")).collect();
        Ok(Self { kind, sources, truths, outputs: names.0.len(), is, runs: all })
    }

    /// Names of the metrics, those that people ask first in front.
    pub(super) fn metrics(&self) -> [&'static str; 3] {
        match self.kind {
            Kind::Classes => ["accuracy", "macro_f1", "macro_recall"],
            Kind::Labels => ["exact_match", "micro_f1", "macro_f1"],
            Kind::Values => ["mae", "rmse", "r2"],
        }
    }

    /// The metrics of a run over the samples at `drawn`, in the order of [`metrics`](Self::metrics), as `tasks` defines them; NaN where one is
    /// undefined.
    pub(super) fn measure(&self, run: usize, drawn: &[u32]) -> [f64; 3] {
        let answers = &self.runs[run];
        match (&self.is, &answers.said) {
            (Cells::Names(is), Cells::Names(said)) => {
                // Of each class or label: how often it is, was said, and was said rightly.
                let mut counts = vec![[0u64; 3]; self.outputs];
                let mut right = 0;
                for &at in drawn {
                    let at = at as usize;
                    right += u64::from(answers.right[at]);
                    is[at].iter().for_each(|&name| counts[name as usize][0] += 1);
                    for &name in &said[at] {
                        counts[name as usize][1] += 1;
                        counts[name as usize][2] += u64::from(is[at].contains(&name));
                    }
                }
                let share = right as f64 / drawn.len() as f64;
                let f1 = |[is, said, both]: [u64; 3]| 2.0 * both as f64 / (is + said) as f64;
                let macro_f1 = mean_of_defined(counts.iter().map(|&count| f1(count)));
                match self.kind {
                    Kind::Labels => {
                        let sum = counts.iter().fold([0; 3], |sum, count| [0, 1, 2].map(|at| sum[at] + count[at]));
                        [share, f1(sum), macro_f1]
                    }
                    _ => {
                        [share, macro_f1, mean_of_defined(counts.iter().map(|&[is, _, both]| both as f64 / is as f64))]
                    }
                }
            }
            (Cells::Numbers(is), Cells::Numbers(said)) => errors(is, said, drawn),
            _ => [f64::NAN; 3],
        }
    }
}

/// Where each sample stands; of several with one name, each by its turn.
fn places(rows: &[Row]) -> HashMap<(&str, usize), usize> {
    let mut turns: HashMap<&str, usize> = HashMap::new();
    let mut all = HashMap::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let turn = turns.entry(&row.source).or_default();
        all.insert((row.source.as_str(), *turn), at);
        *turn += 1;
    }
    all
}

fn damaged(run: &str, what: &str) -> anyhow::Error {
    let advice = "write its predictions again with `trainer report`";
    Failure::with(code::MODEL, anyhow!("`{run}`: its predictions are not what a run writes: {what}; {advice}"))
}

fn same_task((first, one): (&str, &Predictions), (name, other): (&str, &Predictions)) -> Result<()> {
    let refused =
        |what: String| Err(Failure::with(code::MODEL, anyhow!("`{first}` and `{name}` cannot be compared: {what}")));
    if one.kind != other.kind {
        return refused(format!("the one is {}, the other {}", one.kind.name(), other.kind.name()));
    }
    // Runs that haven't ended don't name all.
    if one.names.is_empty() || other.names.is_empty() {
        return Ok(());
    }
    let sets = [&one.names, &other.names].map(|names| names.iter().collect::<BTreeSet<_>>());
    let [mine, others] = &sets;
    match mine.symmetric_difference(others).next() {
        None => Ok(()),
        Some(name) => {
            let which = if mine.contains(name) { "first" } else { "second" };
            let noun = if one.kind == Kind::Values { "targets" } else { "classes" };
            refused(format!("their {noun} differ: only the {which} knows `{name}`"))
        }
    }
}

fn same_truth((first, one): (&str, &[&Row]), (name, other): (&str, &[&Row]), kind: Kind) -> Result<()> {
    let set = |row: &Row| match kind {
        Kind::Labels => row.truth.iter().flat_map(|cell| cell.split(';')).map(str::to_owned).collect::<BTreeSet<_>>(),
        _ => row.truth.iter().cloned().collect(),
    };
    let same = |(a, b): &(&&Row, &&Row)| a.truth == b.truth || (kind == Kind::Labels && set(a) == set(b));
    match one.iter().zip(other).find(|pair| !same(pair)) {
        None => Ok(()),
        Some((a, b)) => Err(Failure::with(
            code::DATA,
            anyhow!(
                "`{}` is `{}` in `{first}` and `{}` in `{name}`: they were not tested on the same data",
                a.source,
                a.truth.join(", "),
                b.truth.join(", ")
            ),
        )),
    }
}

/// Numbers for names, in the order of their coming.
#[derive(Default)]
struct Names(HashMap<String, u32>);

impl Names {
    fn of(&mut self, name: &str) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(name.to_owned()).or_insert(next)
    }
}

fn cells(kind: Kind, rows: impl Iterator<Item = Vec<String>>, names: &mut Names) -> Result<Cells, String> {
    Ok(match kind {
        Kind::Classes => Cells::Names(rows.map(|row| row.iter().map(|name| names.of(name)).collect()).collect()),
        Kind::Labels => {
            let labels = |row: Vec<String>| -> Vec<u32> {
                let labels = row.iter().flat_map(|cell| cell.split(';')).filter(|label| !label.is_empty());
                let set: BTreeSet<u32> = labels.map(|label| names.of(label)).collect();
                set.into_iter().collect()
            };
            Cells::Names(rows.map(labels).collect())
        }
        Kind::Values => {
            let number = |cell: &String| cell.parse::<f64>().map_err(|_| format!("`{cell}` is no number"));
            let rows: Result<Vec<Vec<f64>>, String> = rows.map(|row| row.iter().map(number).collect()).collect();
            Cells::Numbers(rows?)
        }
    })
}

/// Which answers are right, or how far each is off.
fn judged(is: &Cells, said: &Cells, scales: &[f64]) -> (Vec<bool>, Vec<f64>) {
    match (is, said) {
        (Cells::Names(is), Cells::Names(said)) => {
            (is.iter().zip(said).map(|(is, said)| is == said).collect(), Vec::new())
        }
        (Cells::Numbers(is), Cells::Numbers(said)) => {
            let error = |(is, said): (&Vec<f64>, &Vec<f64>)| {
                let parts = is.iter().zip(said).zip(scales).map(|((is, said), scale)| (said - is).abs() / scale);
                parts.sum::<f64>() / scales.len() as f64
            };
            (Vec::new(), is.iter().zip(said).map(error).collect())
        }
        _ => (Vec::new(), Vec::new()),
    }
}

/// The standard deviation of each column; 1 where it is constant.
fn deviations(rows: &[Vec<f64>]) -> Vec<f64> {
    let columns = rows.first().map_or(0, Vec::len);
    let column = |at: usize| rows.iter().map(move |row| row[at]);
    let deviation = |at: usize| {
        let middle = mean(column(at));
        let square = mean(column(at).map(|value| (value - middle).powi(2)));
        if square > 0.0 { square.sqrt() } else { 1.0 }
    };
    (0..columns).map(deviation).collect()
}

/// Mean absolute error, root of the mean squared error and R2, each the mean over the targets.
fn errors(is: &[Vec<f64>], said: &[Vec<f64>], drawn: &[u32]) -> [f64; 3] {
    let columns = is.first().map_or(0, Vec::len);
    let each = |column: usize| {
        let pairs = || drawn.iter().map(move |&at| (is[at as usize][column], said[at as usize][column]));
        let middle = mean(pairs().map(|(is, _)| is));
        let square = mean(pairs().map(|(is, said)| (said - is).powi(2)));
        let spread = mean(pairs().map(|(is, _)| (is - middle).powi(2)));
        let r2 = if spread > 0.0 { 1.0 - square / spread } else { f64::NAN };
        [mean(pairs().map(|(is, said)| (said - is).abs())), square.sqrt(), r2]
    };
    let all: Vec<[f64; 3]> = (0..columns).map(each).collect();
    // The R2 of a constant target is undefined, and its errors are not.
    let r2 = mean_of_defined(all.iter().map(|all| all[2]));
    [mean(all.iter().map(|all| all[0])), mean(all.iter().map(|all| all[1])), r2]
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

fn mean_of_defined(values: impl Iterator<Item = f64>) -> f64 {
    mean(values.filter(|value| !value.is_nan()))
}
