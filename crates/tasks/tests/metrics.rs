//! Metrics against scikit-learn's numbers (`golden/generate.py`), and at their edges.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use data::BatchTargets;
use serde_json::Value;
use tasks::{Classification, Metrics, MultiLabel, Regression, RegressionLoss, Task};

fn floats(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(floats).collect(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("n{index}")).collect()
}

fn classification(k: usize) -> Task {
    Task::Classification(Classification { classes: names(k), label_smoothing: 0.1, class_weights: None })
}

fn multi_label(k: usize) -> Task {
    Task::MultiLabel(MultiLabel { labels: names(k), label_smoothing: 0.0, positive_weights: None, thresholds: None })
}

fn regression(mean: Vec<f32>, std: Vec<f32>, loss: &str) -> Task {
    let targets = names(mean.len());
    Task::Regression(Regression { targets, mean, std, loss: loss.parse().unwrap() })
}

fn task(case: &Value) -> Task {
    let k = case["k"].as_u64().unwrap_or_default() as usize;
    match case["task"].as_str().unwrap() {
        "classification" => classification(k),
        "multi-label" => multi_label(k),
        _ => regression(floats(&case["mean"]), floats(&case["std"]), case["loss_name"].as_str().unwrap()),
    }
}

fn targets(case: &Value, width: usize) -> BatchTargets {
    match &case["classes"] {
        Value::Null => BatchTargets::Dense { width, values: floats(&case["dense"]) },
        classes => BatchTargets::Classes(floats(classes).iter().map(|&class| class as u32).collect()),
    }
}

fn measured(task: &Task, outputs: &[f32], targets: &BatchTargets) -> Metrics {
    let mut metrics = task.metrics();
    metrics.update(outputs, targets).unwrap();
    metrics
}

/// Every number of `expected` stands in `found`, what is null there is absent here, and the other way round.
fn assert_same(found: &Value, expected: &Value, at: &str) {
    match expected {
        Value::Object(fields) => {
            let ours = found.as_object().unwrap().keys().filter(|key| *key != "name");
            for key in fields.keys().chain(ours) {
                assert_same(&found[key], &expected[key], &format!("{at}.{key}"));
            }
        }
        Value::Array(items) => {
            assert_eq!(found.as_array().map(Vec::len), Some(items.len()), "{at}");
            items.iter().enumerate().for_each(|(i, item)| assert_same(&found[i], item, &format!("{at}[{i}]")));
        }
        Value::Number(number) => {
            let (expected, value) = (number.as_f64().unwrap(), found.as_f64());
            let close = value.is_some_and(|value| (value - expected).abs() <= 1e-9 * expected.abs().max(1.0));
            assert!(close, "{at}: {found} instead of {expected}");
        }
        other => assert_eq!(found, other, "{at}"),
    }
}

#[test]
fn metrics_are_those_of_scikit_learn() {
    let golden: Value = serde_json::from_str(include_str!("golden/metrics.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 11);
    for (number, case) in cases.iter().enumerate() {
        let task = task(case);
        let metrics = measured(&task, &floats(&case["outputs"]), &targets(case, task.outputs()));
        let report = serde_json::to_value(metrics.report()).unwrap();
        for key in ["values", "per_class", "per_target", "confusion", "accuracy_interval"] {
            assert_same(&report[key], &case[key], &format!("case {number} {key}"));
        }
        assert_eq!(metrics.values().len(), case["values"].as_object().unwrap().len());
    }
}

#[test]
fn empty_metrics_have_no_numbers() {
    for task in [classification(7), multi_label(3), regression(vec![0.0], vec![1.0], "mae")] {
        let metrics = task.metrics();
        assert_eq!(metrics.values(), []);
        assert!(metrics.report().values.is_empty());
        assert!(!metrics.report().table(10).contains("NaN"));
        assert!(task.metric_names().iter().all(|name| metrics.get(name).is_none()));
    }
}

#[test]
fn perfect_predictions_reach_the_best_value_and_inverse_ones_the_worst() {
    let classes = BatchTargets::Classes(vec![0, 1, 1, 0]);
    let outputs = [5.0, -5.0, -5.0, 5.0, -4.0, 4.0, 9.0, 1.0];
    for (sign, best) in [(1.0, 1.0), (-1.0, 0.0)] {
        let metrics = measured(&classification(2), &outputs.map(|x| x * sign), &classes);
        for name in ["accuracy", "macro_precision", "macro_recall", "macro_f1", "auroc"] {
            assert_eq!(metrics.get(name), Some(best), "{name}");
        }
        let labels = BatchTargets::Dense { width: 2, values: vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0] };
        let metrics = measured(&multi_label(2), &outputs.map(|x| x * sign)[..6], &labels);
        for name in ["exact_match", "micro_f1", "macro_precision", "macro_recall", "macro_f1", "auroc"] {
            assert_eq!(metrics.get(name), Some(best), "{name}");
        }
        assert_eq!(metrics.get("map") == Some(1.0), sign > 0.0);
    }
    let values = BatchTargets::Dense { width: 1, values: vec![10.0, 12.0, 8.0] };
    let metrics = measured(&regression(vec![10.0], vec![2.0], "mse"), &[0.0, 1.0, -1.0], &values);
    assert_eq!(metrics.values(), [("loss", 0.0), ("mae", 0.0), ("rmse", 0.0), ("r2", 1.0)]);
}

#[test]
fn scores_that_say_nothing_have_an_auroc_of_a_half() {
    let metrics = measured(&classification(2), &[0.3; 12], &BatchTargets::Classes(vec![0, 1, 0, 0, 1, 0]));
    assert_eq!(metrics.get("auroc"), Some(0.5));
}

/// scikit-learn's `roc_curve(drop_intermediate=False)`, but for the point on a straight line, and `precision_recall_curve`, but for
/// the precision at recall 0, which it sets to 1.
#[test]
fn curves_are_those_of_every_threshold_and_equal_scores_are_one() {
    let truths = [1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
    let scores = [0.9, 0.8, 0.7, 0.7, 0.6, 0.5, 0.5, 0.1];
    let metrics = measured(&multi_label(1), &scores, &BatchTargets::Dense { width: 1, values: truths.to_vec() });
    let curves = metrics.curves(0).unwrap();
    assert_eq!(curves.roc, [[0.0, 0.0], [0.0, 0.5], [0.25, 0.75], [0.5, 0.75], [0.75, 1.0], [1.0, 1.0]]);
    let precision_recall =
        [[0.0, 1.0], [0.25, 1.0], [0.5, 1.0], [0.75, 0.75], [0.75, 0.6], [1.0, 4.0 / 7.0], [1.0, 0.5]];
    assert_eq!(curves.precision_recall, precision_recall);
    let area: f64 = curves.roc.windows(2).map(|two| (two[1][0] - two[0][0]) * (two[0][1] + two[1][1]) / 2.0).sum();
    assert!((area - metrics.get("auroc").unwrap()).abs() < 1e-12);
    let all = measured(&multi_label(1), &scores, &BatchTargets::Dense { width: 1, values: vec![1.0; 8] });
    assert_eq!(all.curves(0), None, "without negatives there is no rate of them");
}

#[test]
fn confident_scores_are_told_apart_where_probabilities_round_to_one() {
    // Both probabilities of class 1 are 1.0 in f32 and f64; the order of the logits still ranks them.
    let outputs = [-60.0, 60.0, -70.0, 70.0];
    let metrics = measured(&classification(2), &outputs, &BatchTargets::Classes(vec![0, 1]));
    assert_eq!(metrics.get("auroc"), Some(1.0));
}

#[test]
fn infinite_and_huge_outputs_give_finite_numbers() {
    let (inf, max) = (f32::INFINITY, f32::MAX);
    let outputs = [inf, -inf, inf, inf, -inf, -inf, max, -max];
    let classes = BatchTargets::Classes(vec![0, 1, 1, 1]);
    let dense = BatchTargets::Dense { width: 2, values: vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0] };
    let wide = regression(vec![1e38, 0.0], vec![1e38, 1.0], "huber:2");
    for (task, targets) in [(classification(2), &classes), (multi_label(2), &dense), (wide, &dense)] {
        let metrics = measured(&task, &outputs, targets);
        assert_eq!(metrics.undefined(), 0);
        for name in task.metrics().names() {
            assert!(metrics.get(name).is_some_and(f64::is_finite), "{name}: {:?}", metrics.get(name));
        }
    }
}

#[test]
fn nan_outputs_count_as_wrong_and_leave_the_loss_undefined() {
    let classes = BatchTargets::Classes(vec![0, 1]);
    let metrics = measured(&classification(2), &[f32::NAN, f32::NAN, 0.0, 1.0], &classes);
    assert_eq!((metrics.undefined(), metrics.get("loss"), metrics.get("accuracy")), (1, None, Some(0.5)));
    let labels = BatchTargets::Dense { width: 1, values: vec![0.0, 1.0] };
    let metrics = measured(&multi_label(1), &[f32::NAN, 1.0], &labels);
    assert_eq!((metrics.get("loss"), metrics.get("exact_match")), (None, Some(0.5)));
    let metrics = measured(&regression(vec![0.0], vec![1.0], "mse"), &[f32::NAN, 1.0], &labels);
    assert_eq!((metrics.undefined(), metrics.values()), (1, vec![]));
    assert!(serde_json::to_string(&metrics.report()).unwrap().contains(r#""undefined":1"#));
}

#[test]
fn mixed_targets_count_against_the_larger_share() {
    let shares = BatchTargets::Dense { width: 3, values: vec![0.7, 0.3, 0.0, 0.0, 0.4, 0.6] };
    let metrics = measured(&classification(3), &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], &shares);
    assert_eq!(metrics.get("accuracy"), Some(0.5));
    let norm = (1_f64.exp() + 2.0).ln();
    let expected = ((norm - 0.7) + (norm - 0.4)) / 2.0;
    assert!((metrics.get("loss").unwrap() - expected).abs() < 1e-7);
}

#[test]
fn training_metrics_keep_no_scores() {
    let task = classification(3);
    let mut metrics = task.training_metrics();
    metrics.update(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], &BatchTargets::Classes(vec![0, 2])).unwrap();
    assert_eq!(metrics.get("auroc"), None);
    assert_eq!(metrics.get("accuracy"), Some(0.5));
    assert_eq!(task.metrics().names(), [metrics.names(), vec!["auroc"]].concat());
}

#[test]
fn what_does_not_fit_is_refused_and_adds_nothing() {
    let mut metrics = classification(3).metrics();
    let wrong = [
        (vec![0.0; 5], BatchTargets::Classes(vec![0, 1])),
        (vec![0.0; 6], BatchTargets::Classes(vec![0, 3])),
        (vec![0.0; 6], BatchTargets::Dense { width: 2, values: vec![0.0; 4] }),
        (vec![], BatchTargets::Classes(vec![1])),
    ];
    for (outputs, targets) in wrong {
        let message = metrics.update(&outputs, &targets).unwrap_err().to_string();
        assert!(message.contains("expected") && message.contains("found"), "{message}");
    }
    assert_eq!(metrics.samples(), 0);
}

#[test]
#[should_panic(expected = "different tasks")]
fn metrics_of_different_tasks_have_no_sum() {
    let _ = classification(2).metrics() + multi_label(2).metrics();
}

#[test]
fn the_table_is_aligned_and_shows_the_worst_of_many() {
    let classes = BatchTargets::Classes(vec![0, 1, 2, 3]);
    let mut outputs = vec![-1.0; 16];
    (0..4).for_each(|row| outputs[row * 4 + if row == 2 { 3 } else { row }] = 1.0);
    let metrics = measured(&classification(4), &outputs, &classes);
    let (report, whole) = (metrics.report(), metrics.table(4));
    assert_eq!(report.confusions(9), [(2, 3, 1)]);
    assert_eq!(whole.lines().last(), Some("most confused: n2 as n3 (1)"));
    assert_eq!(whole.lines().count(), 6, "{whole}");
    let widths: Vec<usize> = whole.lines().take(5).map(str::len).collect();
    assert!(widths.iter().all(|&width| width == widths[0]), "{whole}");
    let worst = report.table(1);
    assert!(worst.contains("n2") && worst.contains("3 more") && !worst.contains("n0"), "{worst}");
}

#[test]
fn the_interval_of_a_perfect_result_still_admits_errors() {
    let report = measured(&classification(2), &[1.0, 0.0].repeat(10), &BatchTargets::Classes(vec![0; 10])).report();
    let [low, high] = report.accuracy_interval.unwrap();
    // Wilson: n / (n + z^2) for a perfect result.
    assert!((low - 10.0 / (10.0 + 1.959_963_984_540_054_f64.powi(2))).abs() < 1e-12);
    assert_eq!(high, 1.0);
}

#[test]
fn huber_of_zero_deviation_and_its_loss_agree_with_the_definition() {
    let values = BatchTargets::Dense { width: 1, values: vec![0.0, 0.0] };
    let metrics = measured(&regression(vec![0.0], vec![1.0], "huber:0.5"), &[0.25, -2.0], &values);
    let expected = (0.5 * 0.0625 + 0.5 * (2.0 - 0.25)) / 2.0;
    assert_eq!(metrics.get("loss"), Some(expected));
    assert_eq!(RegressionLoss::Huber(0.5).to_string(), "huber:0.5");
}
