//! A validation at a glance, for whoever looks on while training goes on: which classes are found, and the worst answers.

use std::sync::Arc;

use data::Dataset;
use report::Shown;
use tasks::Task;

use super::answered::Answered;
use super::shown;
use crate::Answers;

/// The longest side of a picture.
const SIDE: usize = 64;

/// What a validation says at a glance.
#[derive(Clone, Debug, Default)]
pub struct Glance {
    /// The classes or labels that have samples, the least found first. Of a regression none.
    pub classes: Vec<Found>,
    /// The worst answers, the worst first: wrong and sure of it, or far off. Samples that cannot be read any more are named and not shown.
    pub mistakes: Vec<Shown>,
}

/// A class or label.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Samples that are it and were found to be.
    pub found: u64,
    /// Samples that are it.
    pub of: u64,
}

impl Glance {
    /// Of `answers`, which must be of the samples of `dataset`, read at `temperature`; with `most` mistakes. Reads as many samples.
    pub fn of(answers: &Answers, task: &Task, dataset: &Arc<Dataset>, temperature: f64, most: usize) -> Self {
        let answered = Answered::new(task, dataset, answers, temperature);
        let names = task.names().iter().cloned().zip(answered.found());
        let mut classes: Vec<Found> = names.map(|(name, [found, of])| Found { name, found, of }).collect();
        classes.retain(|class| class.of > 0);
        // Shares are compared without being divided; equal ones stay in the order of the classes.
        classes
            .sort_by_key(|class| ((u128::from(class.found) << 64) / u128::from(class.of), std::cmp::Reverse(class.of)));
        // Whoever looks on sees that a sample is named only.
        let mut mistakes = shown::load(answered.worst(most), dataset, &mut Vec::new());
        for shown in &mut mistakes {
            shown.picture = shown.picture.take().and_then(|picture| picture.shrunk(SIDE));
        }
        Self { classes, mistakes }
    }
}

#[cfg(test)]
mod tests {
    use data::{InputSpec, Samples, Sources, Split, TableSpec, Targets};

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// What is said of rows, all of them validated, for which a network put out `outputs`.
    fn glance(targets: Targets, outputs: &[f32]) -> Glance {
        let rows = targets.len();
        let indices: Vec<u32> = (0..rows as u32).collect();
        let task = Task::for_targets(&targets, &indices, &Default::default()).unwrap();
        let dataset = Dataset {
            found: Default::default(),
            input: InputSpec::Table(TableSpec::default()),
            samples: Samples::Features(Vec::new()),
            targets,
            sources: Sources::Rows((0..rows as u64).map(|row| ("rows.csv".into(), row + 2)).collect()),
            split: Split { train: indices.clone(), val: indices.clone(), test: Vec::new() },
        };
        let answers = Answers { split: "val", indices, outputs: outputs.to_vec() };
        Glance::of(&answers, &task, &Arc::new(dataset), 1.0, 2)
    }

    fn classes(glance: &Glance) -> Vec<(&str, u64, u64)> {
        glance.classes.iter().map(|class| (class.name.as_str(), class.found, class.of)).collect()
    }

    fn mistakes(glance: &Glance) -> Vec<[&str; 3]> {
        glance.mistakes.iter().map(|shown| [shown.source.as_str(), &shown.truth, &shown.answer]).collect()
    }

    #[test]
    fn classes_that_are_found_least_and_the_surest_mistakes_come_first() {
        let targets = Targets::Classes { names: names(&["a", "b", "none", "c"]), values: vec![0, 0, 1, 3, 3, 3] };
        // The rows but the first are taken for b, the third rightly.
        let mut outputs = [[0.0, 3.0, 0.0, 0.0]; 6];
        (outputs[0], outputs[4]) = ([9.0, 0.0, 0.0, 0.0], [0.0, 9.0, 0.0, 0.0]);
        let glance = glance(targets, outputs.as_flattened());
        assert_eq!(
            classes(&glance),
            [("c", 0, 3), ("a", 1, 2), ("b", 1, 1)],
            "what has no samples is not found or missed"
        );
        assert_eq!(mistakes(&glance), [["rows.csv:6", "c", "b (100 %)"], ["rows.csv:3", "a", "b (87 %)"]]);
    }

    #[test]
    fn labels_are_found_one_by_one() {
        let targets = Targets::Labels { names: names(&["x", "y"]), values: vec![1, 0, 1, 1, 0, 1] };
        let glance = glance(targets, &[4.0, -4.0, 4.0, -2.0, 3.0, 4.0]);
        assert_eq!(classes(&glance), [("y", 1, 2), ("x", 2, 2)]);
        assert_eq!(mistakes(&glance).len(), 2);
        assert_eq!(mistakes(&glance)[0], ["rows.csv:4", "y", "x (95.3 %), y (98.2 %)"]);
    }

    #[test]
    fn numbers_have_no_classes_and_the_largest_errors_come_first() {
        let targets = Targets::Values { names: names(&["price"]), values: vec![0.0, 2.0, 4.0, 6.0] };
        let glance = glance(targets, &[0.0; 4]);
        assert_eq!(classes(&glance), []);
        assert_eq!(
            mistakes(&glance).iter().map(|[row, truth, _]| [*row, *truth]).collect::<Vec<_>>(),
            [["rows.csv:2", "0"], ["rows.csv:5", "6"]]
        );
    }
}
