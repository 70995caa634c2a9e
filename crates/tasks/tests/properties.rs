//! What holds for all data: metrics don't depend on the order or grouping of the samples, and stay in their range.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use data::BatchTargets;
use proptest::prelude::*;
use tasks::{Classification, Metrics, MultiLabel, Regression, RegressionLoss, Task};

const K: usize = 3;

fn names() -> Vec<String> {
    (0..K).map(|index| format!("n{index}")).collect()
}

fn tasks() -> [Task; 3] {
    [
        Task::Classification(Classification { classes: names(), label_smoothing: 0.0, class_weights: None }),
        Task::MultiLabel(MultiLabel {
            labels: names(),
            label_smoothing: 0.0,
            positive_weights: None,
            thresholds: None,
        }),
        Task::Regression(Regression {
            targets: names(),
            mean: vec![0.1, 5.0, -3e4],
            std: vec![0.3, 1.0, 7e5],
            loss: RegressionLoss::Mse,
        }),
    ]
}

/// Outputs with many ties and a few extremes, and a class for each sample.
fn samples() -> impl Strategy<Value = Vec<([f32; K], u32)>> {
    let output = prop_oneof![
        8 => (-6..7_i32).prop_map(|x| x as f32 / 2.0),
        4 => -5.0..5.0_f32,
        1 => Just(f32::INFINITY),
        1 => Just(f32::NEG_INFINITY),
        1 => Just(f32::MAX),
    ];
    prop::collection::vec((prop::array::uniform3(output), 0..K as u32), 0..40)
}

fn targets(task: &Task, samples: &[([f32; K], u32)]) -> BatchTargets {
    match task {
        Task::Classification(_) => BatchTargets::Classes(samples.iter().map(|sample| sample.1).collect()),
        // Any function of the sample will do as labels and numbers.
        Task::MultiLabel(_) => BatchTargets::Dense {
            width: K,
            values: samples
                .iter()
                .flat_map(|(_, class)| [class & 1, class >> 1, 1 - (class & 1)])
                .map(|x| x as f32)
                .collect(),
        },
        Task::Regression(_) => BatchTargets::Dense {
            width: K,
            values: samples
                .iter()
                .flat_map(|&(x, class)| [class as f32, x[0].clamp(-9.0, 9.0) * 1.7, 1e6 / 3.0])
                .collect(),
        },
    }
}

fn measured(task: &Task, samples: &[([f32; K], u32)]) -> Metrics {
    let outputs: Vec<f32> = samples.iter().flat_map(|sample| sample.0).collect();
    let mut metrics = task.metrics();
    metrics.update(&outputs, &targets(task, samples)).unwrap();
    metrics
}

proptest! {
    #[test]
    fn any_order_and_grouping_gives_the_same_bits(samples in samples(), cuts in prop::array::uniform2(0..41_usize), turn in 0..40_usize) {
        for task in tasks() {
            let whole = measured(&task, &samples).report();
            let mut turned = samples.clone();
            turned.rotate_left(turn.min(samples.len()));
            turned.reverse();
            let (a, b) = (cuts[0].min(cuts[1]).min(samples.len()), cuts[0].max(cuts[1]).min(samples.len()));
            let parts = [&turned[..a], &turned[a..b], &turned[b..]].map(|part| measured(&task, part));
            let [first, second, third] = parts.clone();
            prop_assert_eq!(&(first + (second + third)).report(), &whole);
            let [first, second, third] = parts;
            prop_assert_eq!(&((third + first) + second).report(), &whole);
        }
    }

    #[test]
    fn every_number_is_finite_and_in_its_range(samples in samples()) {
        for task in tasks() {
            for (name, value) in measured(&task, &samples).values() {
                prop_assert!(value.is_finite(), "{} is {}", name, value);
                match name {
                    "loss" | "mae" | "rmse" => prop_assert!(value >= 0.0, "{} is {}", name, value),
                    "r2" => prop_assert!(value <= 1.0, "{} is {}", name, value),
                    _ => prop_assert!((0.0..=1.0).contains(&value), "{} is {}", name, value),
                }
            }
        }
    }
}
