//! The answers of the best model as the report takes them: classes, labels or numbers. Their table is `predictions`'s.

use std::sync::Arc;

use data::{Dataset, Targets};
use report::{Answer, Calibration, ClassRow, Curve, HeldOut, Outcome, Share, TargetRow, isolated};
use tasks::{Metrics, THRESHOLD, Task};

use super::shown::{self, Words};
use crate::Answers;

/// Samples that are shown of each kind.
const SHOWN: usize = 24;

/// Answers with what they mean.
pub(super) struct Answered<'a> {
    pub(super) task: &'a Task,
    pub(super) answers: &'a Answers,
    pub(super) targets: &'a Targets,
    /// Probabilities, or values in the user's units: `[samples, outputs]`.
    numbers: Vec<f64>,
}

impl<'a> Answered<'a> {
    /// `answers` must be of the samples of `dataset`; they are read at `temperature`.
    pub(super) fn new(task: &'a Task, dataset: &'a Dataset, answers: &'a Answers, temperature: f64) -> Self {
        let rows = answers.outputs.chunks(task.outputs().max(1));
        let numbers = rows.flat_map(|outputs| task.numbers(outputs, temperature)).collect();
        Self { task, answers, targets: &dataset.targets, numbers }
    }

    /// Positions in the data set with their numbers, in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, &[f64])> {
        let rows = self.numbers.chunks(self.task.outputs().max(1));
        self.answers.indices.iter().map(|&index| index as usize).zip(rows)
    }

    /// All of it for the page. Samples that cannot be read are noted and not shown.
    pub(super) fn held_out(&self, metrics: &Metrics, dataset: &Arc<Dataset>, notes: &mut Vec<String>) -> HeldOut {
        let outcome = match self.targets {
            Targets::Classes { values, .. } => self.classes(values, metrics, dataset, notes),
            Targets::Labels { values, .. } => self.labels(values, metrics, dataset, notes),
            Targets::Values { values, .. } => self.values(values, metrics, dataset, notes),
        };
        HeldOut {
            split: self.answers.split,
            samples: metrics.samples(),
            metrics: metrics.values().into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            outcome,
        }
    }

    fn classes(&self, truths: &[u32], metrics: &Metrics, dataset: &Arc<Dataset>, notes: &mut Vec<String>) -> Outcome {
        let names = self.task.names();
        let answers = self.class_answers(truths);
        let mut counts = vec![(0, 0); names.len()];
        for answer in &answers {
            counts[answer.predicted].0 += u64::from(answer.predicted == answer.truth);
            counts[answer.predicted].1 += 1;
        }
        let words = |at: usize| {
            let Answer { truth, predicted, confidence, second, runner_up } = answers[at];
            let said = |class: usize, share: f64| format!("{} ({:.1} %)", isolated(&names[class]), share * 100.0);
            let mut answer = said(predicted, confidence);
            if second != predicted {
                answer = format!("{answer}, then {}", said(second, runner_up));
            }
            Words { index: self.answers.indices[at], truth: names[truth].clone(), answer }
        };
        let mut show = |at: Vec<usize>| shown::load(at.into_iter().map(words).collect(), dataset, notes);
        let mistakes = show(report::confident_mistakes(&answers, SHOWN));
        let doubts = show(report::least_certain(&answers, SHOWN));
        let rows = class_rows(metrics, &counts);
        // The curves of two classes are each other's mirror: the second is what is looked for.
        let curves = curves(metrics, &rows, if rows.len() == 2 { 1 } else { 0 });
        Outcome::Classes { rows, curves, answers, mistakes, doubts }
    }

    /// How far above the threshold of its label a probability is; it applies from 0 on.
    pub(super) fn beyond(&self, label: usize, probability: f64) -> f64 {
        let threshold = match self.task {
            Task::MultiLabel(task) => task.threshold(label),
            Task::Classification(_) | Task::Regression(_) => THRESHOLD,
        };
        f64::from(probability as f32) - f64::from(threshold)
    }

    fn labels(&self, truths: &[u8], metrics: &Metrics, dataset: &Arc<Dataset>, notes: &mut Vec<String>) -> Outcome {
        let names = self.task.names();
        let (mut calibration, mut counts) = (Calibration::default(), vec![(0, 0); names.len()]);
        // Of each sample: how near its least certain label is to the threshold.
        let mut nearest = Vec::new();
        for (at, (index, numbers)) in self.rows().enumerate() {
            let mut near = f64::INFINITY;
            for (label, (&probability, count)) in numbers.iter().zip(&mut counts).enumerate() {
                let beyond = self.beyond(label, probability);
                let (applies, predicted) = (truths[index * names.len() + label] == 1, beyond >= 0.0);
                calibration.add(probability, applies);
                count.0 += u64::from(applies && predicted);
                count.1 += u64::from(predicted);
                near = near.min(beyond.abs());
            }
            nearest.push((near, at));
        }
        let words = |at: usize| self.label_words(truths, at);
        let mut show = |at: Vec<usize>| shown::load(at.into_iter().map(words).collect(), dataset, notes);
        let (mistakes, doubts) = (show(self.label_mistakes(truths, SHOWN)), show(least(nearest, SHOWN)));
        let rows = class_rows(metrics, &counts);
        let curves = curves(metrics, &rows, 0);
        Outcome::Labels { rows, curves, calibration, mistakes, doubts }
    }

    fn values(&self, truths: &[f32], metrics: &Metrics, dataset: &Arc<Dataset>, notes: &mut Vec<String>) -> Outcome {
        let width = self.task.names().len();
        let measured = metrics.report().per_target;
        let mut rows: Vec<TargetRow> = measured
            .iter()
            .map(|one| TargetRow {
                name: one.name.clone(),
                mae: one.mae,
                rmse: one.rmse,
                r2: one.r2,
                pairs: Vec::new(),
            })
            .collect();
        for (index, numbers) in self.rows() {
            for (column, row) in rows.iter_mut().enumerate() {
                row.pairs.push((f64::from(truths[index * width + column]), numbers[column]));
            }
        }
        let usual: Vec<Option<f64>> = rows.iter().map(|row| row.rmse).collect();
        let words = |at: usize| self.value_words(truths, at);
        let errors = self.largest_errors(truths, &usual, SHOWN);
        let mistakes = shown::load(errors.into_iter().map(words).collect(), dataset, notes);
        Outcome::Values { rows, mistakes }
    }

    /// At most `most` samples with what they are and what they were taken for, at even distances: they may lie class by class.
    pub(super) fn spread(&self, most: usize) -> Vec<Words> {
        let names = self.task.names();
        let words = |at: usize| {
            let (index, numbers) = (self.answers.indices[at], self.numbers_of(at));
            let said = |class: usize| format!("{} ({:.0} %)", isolated(&names[class]), numbers[class] * 100.0);
            let (truth, answer) = match self.targets {
                Targets::Classes { values, .. } => {
                    let answer = answer(values[index as usize] as usize, numbers);
                    (names[answer.truth].clone(), said(answer.predicted))
                }
                Targets::Labels { values, .. } => {
                    let truth = self.true_labels(values, index as usize).map(|label| names[label].clone());
                    let answer = (0..names.len()).filter(|&label| self.beyond(label, numbers[label]) >= 0.0).map(said);
                    (or_none(joined(truth, ", ")), or_none(joined(answer, ", ")))
                }
                Targets::Values { values, .. } => {
                    let truth = (0..names.len()).map(|at| values[index as usize * names.len() + at].to_string());
                    (joined(truth, ", "), joined(numbers.iter().map(|&number| (number as f32).to_string()), ", "))
                }
            };
            Words { index, truth, answer }
        };
        let (all, most) = (self.answers.indices.len(), most.min(self.answers.indices.len()));
        (0..most).map(|at| words(at * all / most)).collect()
    }

    /// The output that the answer to sample `index` is about: the most probable class or label, the first number.
    pub(super) fn output(&self, index: u32) -> usize {
        let at = self.answers.indices.iter().position(|own| *own == index);
        match (self.targets, at) {
            (Targets::Classes { .. } | Targets::Labels { .. }, Some(at)) => answer(0, self.numbers_of(at)).predicted,
            _ => 0,
        }
    }

    fn numbers_of(&self, at: usize) -> &[f64] {
        let width = self.task.outputs();
        &self.numbers[at * width..][..width]
    }

    pub(super) fn true_labels(&self, truths: &'a [u8], index: usize) -> impl Iterator<Item = usize> + use<'a> {
        let width = self.task.outputs();
        (0..width).filter(move |label| truths[index * width + label] == 1)
    }

    fn class_answers(&self, truths: &[u32]) -> Vec<Answer> {
        self.rows().map(|(index, numbers)| answer(truths[index] as usize, numbers)).collect()
    }

    /// Of each class or label how many of its samples were found to be it, and how many there are. Of numbers nothing.
    pub(super) fn found(&self) -> Vec<[u64; 2]> {
        let mut counts = vec![[0, 0]; self.task.names().len()];
        for (index, numbers) in self.rows() {
            let mut count = |label: usize, found: bool| {
                counts[label][0] += u64::from(found);
                counts[label][1] += 1;
            };
            match self.targets {
                Targets::Classes { values, .. } => {
                    let answer = answer(values[index] as usize, numbers);
                    count(answer.truth, answer.predicted == answer.truth);
                }
                Targets::Labels { values, .. } => {
                    self.true_labels(values, index)
                        .for_each(|label| count(label, self.beyond(label, numbers[label]) >= 0.0));
                }
                Targets::Values { .. } => return Vec::new(),
            }
        }
        counts
    }

    /// The worst answers, at most `most`, the worst first, in few words.
    pub(super) fn worst(&self, most: usize) -> Vec<Words> {
        match self.targets {
            Targets::Classes { values, .. } => {
                let (answers, names) = (self.class_answers(values), self.task.names());
                let words = |at: usize| {
                    let Answer { truth, predicted, confidence, .. } = answers[at];
                    let answer = format!("{} ({:.0} %)", names[predicted], confidence * 100.0);
                    Words { index: self.answers.indices[at], truth: names[truth].clone(), answer }
                };
                report::confident_mistakes(&answers, most).into_iter().map(words).collect()
            }
            Targets::Labels { values, .. } => {
                self.label_mistakes(values, most).into_iter().map(|at| self.label_words(values, at)).collect()
            }
            Targets::Values { values, .. } => {
                let errors = self.largest_errors(values, &self.usual_errors(values), most);
                errors.into_iter().map(|at| self.value_words(values, at)).collect()
            }
        }
    }

    /// Samples with wrong labels, those first whose worst label is surest.
    fn label_mistakes(&self, truths: &[u8], most: usize) -> Vec<usize> {
        let mut worst = Vec::new();
        for (at, (index, numbers)) in self.rows().enumerate() {
            let beyond =
                numbers.iter().enumerate().map(|(label, &probability)| (label, self.beyond(label, probability)));
            let wrong =
                beyond.filter(|(label, beyond)| (truths[index * numbers.len() + label] == 1) != (*beyond >= 0.0));
            let sure = wrong.map(|(_, beyond)| beyond.abs()).fold(0.0, f64::max);
            worst.extend((!self.is_exact(truths, index, numbers)).then_some((-sure, at)));
        }
        least(worst, most)
    }

    fn label_words(&self, truths: &[u8], at: usize) -> Words {
        let (names, index, numbers) = (self.task.names(), self.answers.indices[at], self.numbers_of(at));
        let said = |label: usize| format!("{} ({:.1} %)", isolated(&names[label]), numbers[label] * 100.0);
        let answer =
            joined((0..names.len()).filter(|&label| self.beyond(label, numbers[label]) >= 0.0).map(said), ", ");
        let truth = joined(self.true_labels(truths, index as usize).map(|label| names[label].clone()), ", ");
        Words { index, truth: or_none(truth), answer: or_none(answer) }
    }

    /// Samples by their errors, each target's in units of its usual error, the largest first.
    fn largest_errors(&self, truths: &[f32], usual: &[Option<f64>], most: usize) -> Vec<usize> {
        let error = |(index, numbers): (usize, &[f64])| {
            let errors = numbers.iter().zip(usual).enumerate().map(|(column, (number, usual))| {
                let error = (number - f64::from(truths[index * numbers.len() + column])).abs();
                error / usual.filter(|usual| *usual > 0.0).unwrap_or(1.0)
            });
            errors.sum::<f64>()
        };
        least(self.rows().map(|row| -error(row)).enumerate().map(|(at, error)| (error, at)).collect(), most)
    }

    /// The root of the mean squared error of each target.
    fn usual_errors(&self, truths: &[f32]) -> Vec<Option<f64>> {
        let width = self.task.names().len();
        let mut sums = vec![0.0; width];
        for (index, numbers) in self.rows() {
            for (column, sum) in sums.iter_mut().enumerate() {
                *sum += (numbers[column] - f64::from(truths[index * width + column])).powi(2);
            }
        }
        let samples = self.answers.indices.len().max(1) as f64;
        sums.into_iter().map(|sum: f64| Some((sum / samples).sqrt())).collect()
    }

    fn value_words(&self, truths: &[f32], at: usize) -> Words {
        let (names, index) = (self.task.names(), self.answers.indices[at]);
        let named = |column: usize, value: f64| match names.len() {
            1 => value.to_string(),
            _ => format!("{} {value}", names[column]),
        };
        let columns = 0..names.len();
        let truth = |column: usize| named(column, f64::from(truths[index as usize * names.len() + column]));
        let answer = |column: usize| named(column, f64::from(self.numbers_of(at)[column] as f32));
        Words { index, truth: joined(columns.clone().map(truth), ", "), answer: joined(columns.map(answer), ", ") }
    }

    fn is_exact(&self, truths: &[u8], index: usize, numbers: &[f64]) -> bool {
        let truths = &truths[index * numbers.len()..][..numbers.len()];
        let mut labels = truths.iter().zip(numbers).enumerate();
        labels.all(|(label, (truth, &number))| (*truth == 1) == (self.beyond(label, number) >= 0.0))
    }
}

/// Positions by their numbers, the least first; of equals the first.
fn least(mut numbers: Vec<(f64, usize)>, most: usize) -> Vec<usize> {
    numbers.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    numbers.truncate(most);
    numbers.into_iter().map(|(_, at)| at).collect()
}

/// The first and second choice; of equals the first.
pub(super) fn answer(truth: usize, numbers: &[f64]) -> Answer {
    let best = |but: Option<usize>| {
        let others = (0..numbers.len()).filter(|&class| Some(class) != but);
        others.reduce(|best, class| if numbers[class] > numbers[best] { class } else { best })
    };
    let predicted = best(None).unwrap_or(0);
    let second = best(Some(predicted)).unwrap_or(predicted);
    let share = |class: usize| numbers.get(class).copied().unwrap_or(f64::NAN);
    let runner_up = if second == predicted { 0.0 } else { share(second) };
    Answer { truth, predicted, confidence: share(predicted), second, runner_up }
}

/// The curves of the classes or labels from `first` on, of those that have some.
fn curves(metrics: &Metrics, rows: &[ClassRow], first: usize) -> Vec<Curve> {
    let of = |(index, row): (usize, &ClassRow)| {
        let tasks::Curves { roc, precision_recall } = metrics.curves(index)?;
        Some(Curve { name: row.name.clone(), auroc: row.auroc?, roc, precision_recall })
    };
    rows.iter().enumerate().skip(first).filter_map(of).collect()
}

/// The rows of the table of classes or labels; `counts` are how often each was predicted rightly, and predicted.
fn class_rows(metrics: &Metrics, counts: &[(u64, u64)]) -> Vec<ClassRow> {
    let share = |right: u64, of: u64| {
        tasks::wilson(right, of).map(|[low, high]| Share { value: right as f64 / of as f64, low, high })
    };
    let row = |(class, &(right, predicted)): (tasks::ClassReport, &(u64, u64))| ClassRow {
        precision: share(right, predicted),
        recall: share(right, class.support),
        f1: class.f1,
        support: class.support,
        predicted,
        auroc: class.auroc,
        average_precision: class.average_precision,
        name: class.name,
    };
    metrics.report().per_class.into_iter().zip(counts).map(row).collect()
}

pub(super) fn joined(parts: impl Iterator<Item = String>, by: &str) -> String {
    parts.collect::<Vec<_>>().join(by)
}

fn or_none(list: String) -> String {
    if list.is_empty() { "(none)".to_owned() } else { list }
}
