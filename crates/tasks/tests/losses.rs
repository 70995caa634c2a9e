//! Losses and their gradients: against PyTorch's numbers (`golden/generate.py`), and against finite differences.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use burn::tensor::{Device, Int, Tensor, TensorData};
use data::{BatchTargets, Target, Targets};
use serde_json::Value;
use tasks::{ClassWeights, Classification, LossOptions, MultiLabel, Regression, Task};

fn floats(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(floats).collect(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("n{index}")).collect()
}

fn rows(case: &Value) -> [usize; 2] {
    [case["outputs"].as_array().unwrap().len(), case["outputs"][0].as_array().unwrap().len()]
}

fn task(case: &Value, k: usize) -> Task {
    let name = case["loss_name"].as_str().unwrap();
    let weights = (!case["weights"].is_null()).then(|| floats(&case["weights"]));
    let smoothing = case["smoothing"].as_f64().unwrap_or_default() as f32;
    match name {
        "cross-entropy" => Task::Classification(Classification {
            classes: names(k),
            label_smoothing: smoothing,
            class_weights: weights,
        }),
        "bce" => Task::MultiLabel(MultiLabel {
            labels: names(k),
            label_smoothing: smoothing,
            positive_weights: weights,
            thresholds: None,
        }),
        loss => Task::Regression(Regression {
            targets: names(k),
            mean: floats(&case["mean"]),
            std: floats(&case["std"]),
            loss: loss.parse().unwrap(),
        }),
    }
}

fn target(case: &Value, device: &Device) -> Target {
    let [n, k] = rows(case);
    if case["classes"].is_null() {
        return Target::Dense(Tensor::from_data(TensorData::new(floats(&case["dense"]), [n, k]), device));
    }
    let classes: Vec<i32> = floats(&case["classes"]).iter().map(|&class| class as i32).collect();
    Target::Classes(Tensor::<1, Int>::from_data(TensorData::new(classes, [n]), device))
}

/// Loss and gradient with respect to the outputs.
fn measured(task: &Task, outputs: Vec<f32>, shape: [usize; 2], target: &Target) -> (f32, Vec<f32>) {
    let device = Device::default().autodiff();
    let outputs = Tensor::<2>::from_data(TensorData::new(outputs, shape), &device).require_grad();
    let loss = task.loss(outputs.clone(), target);
    assert_eq!(loss.dims(), [1]);
    let gradients = loss.backward();
    let gradient = outputs.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
    (loss.into_scalar::<f32>(), gradient)
}

#[test]
fn losses_and_gradients_are_those_of_pytorch() {
    let golden: Value = serde_json::from_str(include_str!("golden/losses.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 20);
    for case in cases {
        let shape = rows(case);
        let task = task(case, shape[1]);
        let label = format!("{} smoothing {} weights {}", case["loss_name"], case["smoothing"], case["weights"]);
        let (loss, gradient) =
            measured(&task, floats(&case["outputs"]), shape, &target(case, &Device::default().autodiff()));
        let expected = case["loss"].as_f64().unwrap() as f32;
        assert!((loss - expected).abs() <= 2e-6 * expected.abs().max(1.0), "{label}: {loss} instead of {expected}");
        for (index, (&found, &expected)) in gradient.iter().zip(&floats(&case["gradient"])).enumerate() {
            assert!((found - expected).abs() <= 1e-6, "{label}, gradient {index}: {found} instead of {expected}");
        }
    }
}

#[test]
fn a_batch_made_into_tensors_feeds_every_loss() {
    let device = Device::default().autodiff();
    let batch = |targets| data::Batch {
        indices: vec![],
        shape: [2, 1, 1, 1],
        inputs: data::Inputs::Floats(vec![0.0; 2]),
        targets: Some(targets),
    };
    let dense = BatchTargets::Dense { width: 2, values: vec![1.0, 0.0, 0.0, 1.0] };
    let classes = BatchTargets::Classes(vec![0, 1]);
    let classification = Classification { classes: names(2), label_smoothing: 0.0, class_weights: None };
    let labels = MultiLabel { labels: names(2), label_smoothing: 0.0, positive_weights: None, thresholds: None };
    // A class is a share of 1 and one label: the same loss whichever way it is written.
    for task in [Task::Classification(classification), Task::MultiLabel(labels)] {
        let loss = |targets: &BatchTargets, device: &Device| {
            let (_, target) = batch(targets.clone()).into_tensors(device);
            measured(&task, vec![0.5, -1.0, 2.0, 0.3], [2, 2], &target.unwrap())
        };
        let a = loss(&classes, &device);
        for b in [loss(&dense, &device), loss(&classes, &Device::default()), loss(&dense, &Device::default())] {
            assert!((a.0 - b.0).abs() < 1e-6, "{a:?} {b:?}");
            assert!(a.1.iter().zip(&b.1).all(|(a, b)| (a - b).abs() < 1e-6), "{a:?} {b:?}");
        }
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let golden: Value = serde_json::from_str(include_str!("golden/losses.json")).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let [n, k] = rows(case);
        let task = task(case, k);
        let target = target(case, &Device::default().autodiff());
        // Away from the kinks at zero error, and small enough for f32 differences to mean something.
        let outputs: Vec<f32> = (0..n * k).map(|index| ((index * 37 % 23) as f32 - 11.0) / 5.3).collect();
        let (_, gradient) = measured(&task, outputs.clone(), [n, k], &target);
        for index in (0..n * k).step_by(4) {
            let at = |step: f32| {
                let mut moved = outputs.clone();
                moved[index] += step;
                measured(&task, moved, [n, k], &target).0
            };
            let slope = (at(0.005) - at(-0.005)) / 0.01;
            let tolerance = 1e-3 + 0.02 * gradient[index].abs();
            assert!((slope - gradient[index]).abs() < tolerance, "{task:?} {index}: {slope} and {}", gradient[index]);
        }
    }
}

#[test]
fn huge_logits_give_finite_losses_and_gradients() {
    let device = Device::default().autodiff();
    let outputs = vec![1e38, -1e38, 0.0, 1e30];
    let tasks = [
        Task::Classification(Classification { classes: names(2), label_smoothing: 0.0, class_weights: None }),
        Task::MultiLabel(MultiLabel {
            labels: names(2),
            label_smoothing: 0.0,
            positive_weights: None,
            thresholds: None,
        }),
    ];
    for task in tasks {
        let target = Target::Dense(Tensor::from_data(TensorData::new(vec![1.0, 0.0, 0.0, 1.0], [2, 2]), &device));
        let (loss, gradient) = measured(&task, outputs.clone(), [2, 2], &target);
        assert!(loss.is_finite() && loss >= 0.0 && gradient.iter().all(|g| g.is_finite()), "{loss} {gradient:?}");
    }
}

#[test]
fn a_last_layer_of_zeros_is_pulled_in_the_right_direction() {
    let device = Device::default().autodiff();
    let task = Task::MultiLabel(MultiLabel {
        labels: names(2),
        label_smoothing: 0.0,
        positive_weights: None,
        thresholds: None,
    });
    let target = Target::Dense(Tensor::from_data(TensorData::new(vec![1.0, 0.0], [1, 2]), &device));
    let (loss, gradient) = measured(&task, vec![0.0, 0.0], [1, 2], &target);
    assert!((loss - std::f32::consts::LN_2).abs() < 1e-6);
    assert_eq!(gradient, [-0.25, 0.25]);
}

#[test]
fn automatic_weights_are_scikit_learns_balanced_ones() {
    // compute_class_weight("balanced", classes=[0, 1, 2], y=[0]*6 + [1]*3 + [2]*1) = [0.5556, 1.1111, 3.3333]
    let values = [vec![0; 6], vec![1; 3], vec![2; 1], vec![2; 50]].concat();
    let targets = Targets::Classes { names: names(3), values };
    let options = LossOptions { class_weights: ClassWeights::Auto, ..Default::default() };
    let train: Vec<u32> = (0..10).collect();
    let Task::Classification(task) = Task::for_targets(&targets, &train, &options).unwrap() else { panic!() };
    let weights = task.class_weights.unwrap();
    for (weight, expected) in weights.iter().zip([10.0 / 18.0, 10.0 / 9.0, 10.0 / 3.0]) {
        assert!((weight - expected).abs() < 1e-6, "{weights:?}");
    }
}

#[test]
fn regression_is_standardised_by_the_training_split_alone() {
    let targets = Targets::Values { names: names(1), values: vec![1.0, 3.0, 1e6, 5.0] };
    let Task::Regression(task) = Task::for_targets(&targets, &[0, 1, 3], &LossOptions::default()).unwrap() else {
        panic!()
    };
    assert_eq!(task.mean, [3.0]);
    assert!((task.std[0] - (8.0_f32 / 3.0).sqrt()).abs() < 1e-6);
}

#[test]
fn hits_are_counted_on_the_device_as_accuracy_counts_them() {
    let task = Task::Classification(Classification { classes: names(3), label_smoothing: 0.0, class_weights: None });
    let rows = [0.1, 2.0, 0.3, 5.0, 5.0, 1.0, -1.0, -2.0, -0.5, 0.0, 1.0, 0.0];
    let shares = [0.0, 0.6, 0.4, 1.0, 0.0, 0.0, 0.9, 0.0, 0.1, 0.0, 0.2, 0.8];
    let plain = Device::default();
    for device in [plain.clone(), plain.autodiff()] {
        let outputs = || Tensor::<2>::from_data(TensorData::new(rows.to_vec(), [4, 3]), &device);
        let classes = Tensor::<1, Int>::from_data(TensorData::new(vec![1, 0, 2, 0], [4]), &device);
        let dense = Tensor::<2>::from_data(TensorData::new(shares.to_vec(), [4, 3]), &device);
        let count = |target| task.hits(outputs(), &target).unwrap().into_scalar::<f32>();
        // Of equal outputs the first counts.
        assert_eq!(count(Target::Classes(classes)), 3.0);
        assert_eq!(count(Target::Dense(dense)), 2.0);
    }
}
