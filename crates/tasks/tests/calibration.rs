//! Temperatures and limits against SciPy's and numpy's numbers (`golden/generate.py`), what sets and intervals hold on samples drawn as the
//! held-out ones were, and what a model file may not say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use data::BatchTargets;
use proptest::prelude::*;
use serde_json::{Value, json};
use tasks::{
    Calibration, CalibrationFit, Classification, MultiLabel, Prediction, Reading, Regression, RegressionLoss, Task,
};

fn names(k: usize) -> Vec<String> {
    (0..k).map(|index| format!("n{index}")).collect()
}

fn classes(k: usize) -> Task {
    Task::Classification(Classification { classes: names(k), label_smoothing: 0.0, class_weights: None })
}

fn labels(k: usize) -> Task {
    Task::MultiLabel(MultiLabel { labels: names(k), label_smoothing: 0.0, positive_weights: None, thresholds: None })
}

fn values(k: usize) -> Task {
    Task::Regression(Regression {
        targets: names(k),
        mean: vec![10.0; k],
        std: vec![2.0; k],
        loss: RegressionLoss::Mse,
    })
}

/// Fitted batch by batch, of 7 samples each.
fn fitted(task: &Task, outputs: &[f32], targets: &BatchTargets) -> Calibration {
    let k = task.outputs();
    let mut fit = CalibrationFit::new(task);
    for (at, part) in outputs.chunks(7 * k).enumerate() {
        let rows = at * 7..at * 7 + part.len() / k;
        let targets = match targets {
            BatchTargets::Classes(classes) => BatchTargets::Classes(classes[rows].to_vec()),
            BatchTargets::Dense { width, values } => {
                BatchTargets::Dense { width: *width, values: values[rows.start * width..rows.end * width].to_vec() }
            }
        };
        fit.add(part, &targets).unwrap();
    }
    fit.finish()
}

/// Even numbers from 0 to below 1, the same in every run.
fn uniform(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Samples of `k` classes whose logits are too large by `factor`: the true class is drawn by the softmax of what they should be.
fn overconfident(n: usize, k: usize, factor: f64, seed: u64) -> (Vec<f32>, Vec<u32>) {
    let mut next = uniform(seed);
    let (mut outputs, mut truths) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let honest: Vec<f64> = (0..k).map(|_| 6.0 * next()).collect();
        let sum: f64 = honest.iter().map(|x| x.exp()).sum();
        let mut left = next() * sum;
        let truth = honest.iter().position(|x| {
            left -= x.exp();
            left < 0.0
        });
        truths.push(truth.unwrap_or(k - 1) as u32);
        outputs.extend(honest.iter().map(|x| (factor * x) as f32));
    }
    (outputs, truths)
}

fn floats(value: &Value) -> Vec<f32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|x| x.as_f64().unwrap() as f32)
        .collect()
}

#[test]
fn temperatures_and_limits_are_scipys() {
    let golden: Value = serde_json::from_str(include_str!("golden/calibration.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 7);
    for case in cases {
        let (k, outputs) = (case["k"].as_u64().unwrap() as usize, floats(&case["outputs"]));
        let (task, targets) = match case["task"].as_str().unwrap() {
            "classification" => {
                let truths = case["classes"].as_array().unwrap().iter().map(|class| class.as_u64().unwrap() as u32);
                (classes(k), BatchTargets::Classes(truths.collect()))
            }
            _ => (labels(k), BatchTargets::Dense { width: k, values: floats(&case["dense"]) }),
        };
        let found = fitted(&task, &outputs, &targets);
        let expected = case["temperature"].as_f64().unwrap();
        // Four decimals are kept.
        assert!((found.temperature() - expected).abs() <= 0.5e-4 + 1e-7, "{} for {expected}", found.temperature());
        assert_eq!((found.samples() as usize, found.note()), (outputs.len() / k, None));
        let loss = |temperature| {
            let rows = outputs.chunks(k).enumerate();
            let losses: Vec<f64> = rows.flat_map(|(at, row)| task.scores(row, &targets, at, temperature)).collect();
            losses.iter().sum::<f64>() / losses.len() as f64
        };
        for (at, temperature) in [1.0, found.temperature()].into_iter().enumerate() {
            let expected = case["loss"][at].as_f64().unwrap();
            assert!(
                (loss(temperature) - expected).abs() < 1e-6 * expected.max(1.0),
                "{} for {expected}",
                loss(temperature)
            );
        }
        for (coverage, limit) in case["limits"].as_object().into_iter().flatten() {
            let limit = limit.as_f64().unwrap();
            let kept = found.limits(coverage.parse().unwrap()).unwrap().score(0);
            // Rounded up to four digits, at a temperature of four decimals.
            assert!(kept >= limit * (1.0 - 1e-3) && kept <= limit * 1.003, "{coverage}: {kept} for {limit}");
        }
    }
}

#[test]
fn a_temperature_undoes_too_much_confidence_and_leaves_the_order_of_classes() {
    let task = classes(4);
    for factor in [0.4, 1.0, 5.0] {
        let (outputs, truths) = overconfident(4000, 4, factor, 3);
        let found = fitted(&task, &outputs, &BatchTargets::Classes(truths));
        assert!((found.temperature() / factor - 1.0).abs() < 0.06, "{} for {factor}", found.temperature());
        let reading = Reading { temperature: found.temperature(), limits: None };
        for row in outputs.chunks(4).take(500) {
            let order = |prediction| match prediction {
                Prediction::Class { ranked, .. } => ranked.into_iter().map(|class| class.index).collect::<Vec<_>>(),
                _ => panic!(),
            };
            assert_eq!(order(task.decode(row)), order(task.decode_as(row, &reading)));
        }
    }
}

#[test]
fn a_temperature_of_one_changes_no_bit() {
    let (outputs, _) = overconfident(300, 5, 9.0, 4);
    for task in [classes(5), labels(5), values(5)] {
        for row in outputs.chunks(5) {
            assert_eq!(task.decode(row), task.decode_as(row, &Reading { temperature: 1.0, limits: None }));
        }
    }
}

#[test]
fn where_no_temperature_fits_it_is_one_and_that_is_said() {
    let of = |outputs: &[f32], truths: &[u32]| fitted(&classes(2), outputs, &BatchTargets::Classes(truths.to_vec()));
    // 24 samples of which a third is wrong.
    let few = of(&[3.0, 1.0].repeat(24), &[0, 0, 1].repeat(8));
    assert_eq!((few.temperature(), few.note()), (1.0, Some("25 validation samples are needed to fit one")));
    let enough = of(&[3.0, 1.0].repeat(27), &[0, 0, 1].repeat(9));
    assert!((enough.temperature() - 2.0 / 2f64.ln()).abs() < 1e-4 && enough.note().is_none(), "{enough:?}");
    let separated = of(&[3.0, 1.0, 1.0, 3.0].repeat(20), &[0, 1].repeat(20));
    assert_eq!(separated.temperature(), 1.0);
    assert!(separated.note().unwrap().contains("every validation answer is right"));
    // More often wrong than right: the flatter, the likelier.
    let wrong = of(&[3.0, 1.0].repeat(30), &[0, 1, 1].repeat(10));
    assert_eq!((wrong.temperature(), wrong.note()), (20.0, Some("the one that fits best is beyond 20")));
    // Hardly ever wrong, by hardly anything.
    let sharp = of(&[2e-6, 1e-6].repeat(100), &[[0; 99].as_slice(), &[1]].concat());
    assert_eq!(sharp.temperature(), 0.05);
    assert!(sharp.note().is_some());
    let nothing = CalibrationFit::new(&classes(2)).finish();
    assert_eq!((nothing.temperature(), nothing.has_scores()), (1.0, false));
    let extreme = of(&[f32::INFINITY, f32::NAN, f32::NEG_INFINITY, f32::MAX].repeat(20), &[1, 0].repeat(20));
    assert!(extreme.temperature().is_finite() && extreme.limits(0.9).is_ok(), "{extreme:?}");
}

#[test]
fn sets_of_classes_hold_the_truth_as_often_as_asked() {
    let task = classes(6);
    for (n, coverage) in [(199, 0.9), (500, 0.8), (3000, 0.95)] {
        let (mut covered, mut size, mut measured) = (0.0, 0.0, 0.0);
        for seed in 0..20 {
            let (outputs, truths) = overconfident(n + 1000, 6, 2.0, 100 + seed);
            let found = fitted(&task, &outputs[..n * 6], &BatchTargets::Classes(truths[..n].to_vec()));
            let reading = Reading { temperature: found.temperature(), limits: Some(found.limits(coverage).unwrap()) };
            for (row, &truth) in outputs[n * 6..].chunks(6).zip(&truths[n..]) {
                let Prediction::Class { ranked, set } = task.decode_as(row, &reading) else { panic!() };
                let set = set.unwrap();
                covered += f64::from(u8::from(ranked[..set].iter().any(|class| class.index == truth as usize)));
                size += set as f64;
                measured += 1.0;
            }
        }
        // 20,000 samples and 20 calibrations: three standard errors are below 0.015.
        let share = covered / measured;
        assert!((share - coverage).abs() < 0.02, "{share} for {coverage} by {n}");
        assert!(size / measured < 5.0, "sets of {}", size / measured);
    }
}

#[test]
fn intervals_hold_the_truth_as_often_as_asked_target_by_target() {
    let task = values(2);
    let mut covered = [0.0; 2];
    for seed in 0..20 {
        let mut next = uniform(500 + seed);
        let outputs: Vec<f32> = (0..2 * 1500).map(|_| next() as f32).collect();
        // The second target is off by ten times as much.
        let truths: Vec<f32> = outputs
            .iter()
            .enumerate()
            .map(|(at, x)| 10.0 + 2.0 * x + (next() - 0.5) as f32 * [1.0, 10.0][at % 2])
            .collect();
        let found = fitted(&task, &outputs[..1000], &BatchTargets::Dense { width: 2, values: truths[..1000].to_vec() });
        let limits = found.limits(0.9).unwrap();
        assert!((limits.score(1) / limits.score(0) / 10.0 - 1.0).abs() < 0.2, "{limits:?}");
        let reading = Reading { temperature: 1.0, limits: Some(limits) };
        for (row, truth) in outputs[1000..].chunks(2).zip(truths[1000..].chunks(2)) {
            let Prediction::Values { values, margins } = task.decode_as(row, &reading) else { panic!() };
            for (target, margin) in margins.unwrap().into_iter().enumerate() {
                covered[target] += f64::from(u8::from((values[target].1 - f64::from(truth[target])).abs() <= margin));
            }
        }
    }
    for covered in covered {
        let share = covered / (20.0 * 1000.0);
        assert!((share - 0.9).abs() < 0.02, "{share}");
    }
}

#[test]
fn too_few_samples_for_a_coverage_give_everything() {
    let (outputs, truths) = overconfident(18, 3, 1.0, 9);
    let found = fitted(&classes(3), &outputs, &BatchTargets::Classes(truths));
    assert!(found.limits(0.95).unwrap().is_unbounded());
    let reading = Reading { temperature: 1.0, limits: Some(found.limits(0.95).unwrap()) };
    let Prediction::Class { set, .. } = classes(3).decode_as(&[90.0, 0.0, -90.0], &reading) else { panic!() };
    assert_eq!((set, Calibration::needed(0.95), Calibration::needed(0.9)), (Some(3), 19, 9));
    // 19 are enough: the largest score is the limit.
    let (outputs, truths) = overconfident(19, 3, 1.0, 9);
    assert!(!fitted(&classes(3), &outputs, &BatchTargets::Classes(truths)).limits(0.95).unwrap().is_unbounded());
    for wrong in [0.0, 1.0, -0.5, f64::NAN, 95.0] {
        assert!(found.limits(wrong).unwrap_err().to_string().starts_with("--coverage: expected a number"));
    }
}

#[test]
fn what_a_fit_never_stores_is_refused() {
    let (outputs, truths) = overconfident(40, 3, 2.0, 5);
    let good = serde_json::to_value(fitted(&classes(3), &outputs, &BatchTargets::Classes(truths))).unwrap();
    assert!(Calibration::stored(good.clone(), &classes(3)).is_ok());
    let many: Vec<u32> = (0..1001).collect();
    let cases = [
        ("temperature", json!(0), "temperature: expected 0.05 to 20, found 0"),
        ("temperature", json!(-1.5), "temperature: expected 0.05 to 20, found -1.5"),
        ("temperature", json!(1e300), "temperature: expected 0.05 to 20"),
        ("temperature", json!("NaN"), "invalid type"),
        ("temperature", json!(null), "temperature: expected a number, found none"),
        ("samples", json!(-1), "invalid value"),
        ("samples", json!(12), "scores: expected 1 to 12 of 12 samples, found 40"),
        ("samples", json!(null), "invalid type"),
        ("scores", json!([[]]), "scores: expected 1 to 40 of 40 samples, found 0"),
        ("scores", json!([[2, 1]]), "in ascending order"),
        ("scores", json!([[-1, 1]]), "from 0 on"),
        ("scores", json!([[1], [1]]), "number of lists in scores: expected 1, found 2"),
        ("scores", json!([many]), "found 1001"),
        ("scores", json!([[null]]), "invalid type"),
        ("scores", json!({"a": 1}), "invalid type"),
    ];
    for (key, value, part) in cases {
        let mut bad = good.clone();
        bad[key] = value;
        let error = Calibration::stored(bad, &classes(3)).unwrap_err();
        assert!(error.contains(part) && !error.contains('\n'), "{error}");
    }
    assert!(Calibration::stored(json!({"samples": 3, "temperature": 1}), &values(2)).is_err());
    assert!(Calibration::stored(json!({"samples": 3, "temperature": 1, "scores": [[1]]}), &labels(1)).is_err());
    assert!(Calibration::stored(Value::Null, &classes(3)).is_err());
}

proptest! {
    /// Any scores and coverage: the limit is a score of at least the rank that the coverage asks for, or there is none.
    #[test]
    fn a_limit_lies_at_or_above_its_rank(errors in prop::collection::vec(0.0..1e6_f32, 1..2500), coverage in 0.001..0.9999_f64) {
        let task = values(1);
        let truths = errors.iter().map(|error| 10.0 + error).collect();
        let outputs = vec![0.0; errors.len()];
        let found = fitted(&task, &outputs, &BatchTargets::Dense { width: 1, values: truths });
        let again = Calibration::stored(serde_json::to_value(&found).unwrap(), &task).unwrap();
        prop_assert_eq!(&again, &found);
        let mut exact: Vec<f64> = errors.iter().map(|error| (f64::from(10.0 + error) - 10.0).abs()).collect();
        exact.sort_by(f64::total_cmp);
        let rank = ((errors.len() + 1) as f64 * coverage - 1e-9).ceil().max(1.0) as usize;
        let limit = found.limits(coverage).unwrap().score(0);
        match exact.get(rank - 1) {
            None => prop_assert!(limit.is_infinite()),
            Some(score) => {
                prop_assert!(limit >= *score, "{} for {}", limit, score);
                // Of at most 1,000 stored ones the next is less than 0.1 % of the ranks further on.
                let beyond = exact[(rank - 1 + errors.len() / 1000 + 1).min(exact.len() - 1)];
                prop_assert!(limit <= beyond * 1.0011 + 1e-30, "{} for {}", limit, beyond);
            }
        }
    }
}
