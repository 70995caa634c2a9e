//! Targets in doubt against confident learning's definition in numpy, which cleanlab confirmed (`golden/generate.py`); planted errors.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use data::BatchTargets;
use serde_json::Value;
use tasks::{Classification, Contradiction, Doubt, Doubts, MultiLabel, Regression, RegressionLoss, Task};

fn task(kind: &str, k: usize) -> Task {
    let names = (0..k).map(|index| format!("n{index}")).collect();
    match kind {
        "classification" => {
            Task::Classification(Classification { classes: names, label_smoothing: 0.0, class_weights: None })
        }
        "multi-label" => Task::MultiLabel(MultiLabel {
            labels: names,
            label_smoothing: 0.0,
            positive_weights: None,
            thresholds: None,
        }),
        _ => Task::Regression(Regression {
            targets: names,
            mean: vec![10.0; k],
            std: vec![2.0; k],
            loss: RegressionLoss::Mse,
        }),
    }
}

fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}

/// Added in batches of 7 samples.
fn doubts(task: &Task, temperature: f64, outputs: &[f32], targets: &[f32]) -> Vec<Doubt> {
    let k = task.outputs();
    let width = targets.len() * k / outputs.len();
    let mut doubts = Doubts::new(task, temperature);
    for (outputs, targets) in outputs.chunks(7 * k).zip(targets.chunks(7 * width)) {
        let targets = match task {
            Task::Classification(_) => BatchTargets::Classes(targets.iter().map(|&class| class as u32).collect()),
            _ => BatchTargets::Dense { width, values: targets.to_vec() },
        };
        doubts.add(outputs, &targets).unwrap();
    }
    assert_eq!(doubts.samples(), outputs.len() / k);
    doubts.finish()
}

#[test]
fn the_classes_and_labels_in_doubt_are_those_of_confident_learning() {
    let golden: Value = serde_json::from_str(include_str!("golden/doubts.json")).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let (kind, k) = (case["task"].as_str().unwrap(), case["k"].as_u64().unwrap() as usize);
        let targets = numbers(if kind == "classification" { &case["classes"] } else { &case["dense"] });
        let found = doubts(&task(kind, k), case["temperature"].as_f64().unwrap(), &numbers(&case["outputs"]), &targets);
        assert!(found.is_sorted_by(|a, b| a.strength >= b.strength), "{kind} {k}: the strongest first");
        let mut found: Vec<(usize, usize, f64)> = found
            .into_iter()
            .map(|doubt| match doubt.contradiction {
                Contradiction::Class { likely, .. } => (doubt.sample, likely, doubt.strength),
                Contradiction::Label { label, .. } => (doubt.sample, label, doubt.strength),
                Contradiction::Value { .. } => unreachable!(),
            })
            .collect();
        found.sort_by_key(|(sample, what, _)| (*sample, *what));
        let mut expected: Vec<Vec<f32>> = case["doubts"].as_array().unwrap().iter().map(numbers).collect();
        expected.sort_by_key(|doubt| (doubt[0] as usize, doubt[1] as usize));
        assert_eq!(found.len(), expected.len(), "{kind} {k}");
        for ((sample, what, strength), expected) in found.into_iter().zip(expected) {
            assert_eq!([sample, what], [expected[0] as usize, expected[1] as usize], "{kind} {k}");
            assert!((strength - f64::from(expected[2])).abs() < 1e-6, "{kind} {k}: {strength} {}", expected[2]);
        }
    }
}

#[test]
fn a_class_that_no_sample_is_given_is_nobodys_and_numbers_that_are_not_finite_raise_no_doubt_of_their_own() {
    // The third class is the most probable everywhere, but there is nothing to be confident of.
    let outputs = [1.0, 0.0, 9.0].repeat(30);
    assert_eq!(doubts(&task("classification", 3), 1.0, &outputs, &[0.0; 30]), []);
    // Where all outputs are NaN, no class is more probable than another.
    assert_eq!(doubts(&task("classification", 3), 1.0, &[f32::NAN; 90], &[0.0; 30]), []);
    assert_eq!(doubts(&task("regression", 1), 1.0, &[f32::NAN; 30], &[0.0; 30]), []);
    assert_eq!(Doubts::new(&task("regression", 1), 1.0).finish(), []);
}

#[test]
fn numbers_far_outside_of_the_errors_quartiles_are_in_doubt_and_others_are_not() {
    // Predictions 10 and 12; errors of -1.5 to 1.5 in the first column, thirds of that in the second.
    let outputs: Vec<f32> = (0..60).flat_map(|at| [0.0, (at % 2) as f32]).collect();
    let error = |at: usize| (at % 7) as f32 / 2.0 - 1.5;
    let mut targets: Vec<f32> =
        (0..60).flat_map(|at| [10.0 - error(at), 10.0 + 2.0 * (at % 2) as f32 - error(at) / 3.0]).collect();
    assert_eq!(doubts(&task("regression", 2), 1.0, &outputs, &targets), []);
    // The same distance is far in the narrow column only.
    targets[2 * 20] -= 4.0;
    targets[2 * 41 + 1] += 4.0;
    let found = doubts(&task("regression", 2), 1.0, &outputs, &targets);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].sample, 41);
    let Contradiction::Value { target: 1, given, predicted } = found[0].contradiction else { panic!("{found:?}") };
    assert_eq!((given as f32, predicted), (targets[83], 12.0));
    assert!(found[0].strength > 3.0);
}
