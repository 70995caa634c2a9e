//! Making, storing and asking a task: options, the model file's JSON, predictions, goals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use data::{BatchTargets, Outputs, Targets};
use serde_json::json;
use tasks::{ClassWeights, LossOptions, Prediction, Reading, Task};

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn animals() -> Targets {
    Targets::Classes { names: strings(&["cat", "dog", "owl"]), values: vec![0, 1, 2, 0] }
}

fn attributes() -> Targets {
    Targets::Labels { names: strings(&["wet", "old"]), values: vec![1, 0, 0, 1, 1, 1, 0, 0] }
}

fn houses() -> Targets {
    Targets::Values {
        names: strings(&["price", "rooms"]),
        values: vec![100.0, 1.0, 300.0, 3.0, 200.0, 2.0, 400.0, 7.0],
    }
}

const TRAIN: [u32; 4] = [0, 1, 2, 3];

fn made(targets: &Targets) -> Task {
    Task::for_targets(targets, &TRAIN, &LossOptions::default()).unwrap()
}

fn with(edit: impl FnOnce(&mut LossOptions)) -> LossOptions {
    let mut options = LossOptions::default();
    edit(&mut options);
    options
}

#[test]
fn a_task_survives_the_model_file() {
    let options = with(|options| {
        options.label_smoothing = 0.1;
        options.class_weights = ClassWeights::Auto;
    });
    let huber = with(|options| options.loss = Some("huber:0.7".into()));
    let tasks = [
        Task::for_targets(&animals(), &TRAIN, &options).unwrap(),
        Task::for_targets(&attributes(), &TRAIN, &options).unwrap(),
        Task::for_targets(&houses(), &TRAIN, &huber).unwrap(),
    ];
    for (task, kind) in tasks.into_iter().zip(["classification", "multi-label", "regression"]) {
        let value = serde_json::to_value(&task).unwrap();
        assert_eq!(value["task"], kind);
        assert_eq!(task.name(), kind);
        let text = serde_json::to_string(&task).unwrap();
        let again: Task = serde_json::from_str(&text).unwrap();
        assert_eq!(again, task);
        assert_eq!(serde_json::from_value::<Task>(value).unwrap(), task);
        assert_eq!(serde_json::to_string(&again).unwrap(), text, "equal tasks give equal bytes");
    }
}

#[test]
fn a_stored_task_that_contradicts_itself_is_refused() {
    let wrong = [
        json!({"task": "classification", "classes": []}),
        json!({"task": "classification", "classes": ["a", "b"], "class_weights": [1.0]}),
        json!({"task": "classification", "classes": ["a", "b"], "class_weights": [1.0, -1.0]}),
        json!({"task": "classification", "classes": ["a", "b"], "label_smoothing": 1.0}),
        json!({"task": "classification", "classes": ["a", "b"], "smoothing": 0.1}),
        json!({"task": "multi-label", "labels": ["a"], "positive_weights": [0.0]}),
        json!({"task": "multi-label", "labels": ["a"], "thresholds": [0.5, 0.5]}),
        json!({"task": "multi-label", "labels": ["a"], "thresholds": [1.0]}),
        json!({"task": "regression", "targets": ["a"], "mean": [0.0], "std": [0.0], "loss": "mse"}),
        json!({"task": "regression", "targets": ["a"], "mean": [], "std": [1.0], "loss": "mse"}),
        json!({"task": "regression", "targets": ["a"], "mean": [0.0], "std": [1.0], "loss": "huber:-1"}),
        json!({"task": "segmentation", "classes": ["a"]}),
    ];
    for value in wrong {
        assert!(serde_json::from_value::<Task>(value.clone()).is_err(), "{value}");
    }
}

#[test]
fn options_that_make_no_sense_are_usage_errors_that_name_the_flag() {
    let cases = [
        (animals(), with(|o| o.label_smoothing = 1.0), "--label-smoothing"),
        (animals(), with(|o| o.label_smoothing = f32::NAN), "--label-smoothing"),
        (animals(), with(|o| o.class_weights = ClassWeights::Given(vec![1.0])), "cat, dog, owl"),
        (animals(), with(|o| o.class_weights = ClassWeights::Given(vec![1.0, 0.0, 2.0])), "--class-weights"),
        (animals(), with(|o| o.loss = Some("mse".into())), "cross-entropy"),
        (attributes(), with(|o| o.loss = Some("cross-entropy".into())), "bce"),
        (attributes(), with(|o| o.thresholds = Some(vec![0.1, 0.2, 0.3])), "one for each of wet, old"),
        (attributes(), with(|o| o.thresholds = Some(vec![1.0])), "between 0 and 1, found 1"),
        (attributes(), with(|o| o.thresholds = Some(vec![0.5, f32::NAN])), "between 0 and 1, found NaN"),
        (animals(), with(|o| o.thresholds = Some(vec![0.5])), "--threshold"),
        (houses(), with(|o| o.loss = Some("l3".into())), "huber:DELTA"),
        (houses(), with(|o| o.loss = Some("huber:0".into())), "above zero"),
        (houses(), with(|o| o.loss = Some("huber:inf".into())), "above zero"),
        (houses(), with(|o| o.label_smoothing = 0.1), "--label-smoothing"),
        (houses(), with(|o| o.class_weights = ClassWeights::Auto), "--class-weights"),
    ];
    for (targets, options, part) in cases {
        let error = Task::for_targets(&targets, &TRAIN, &options).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(part), "{error}");
    }
}

#[test]
fn each_label_applies_from_its_threshold_on_wherever_it_is_decided() {
    let options = with(|options| options.thresholds = Some(vec![0.3, 0.8]));
    let task = Task::for_targets(&attributes(), &TRAIN, &options).unwrap();
    // Probabilities 0.4 and 0.7 at temperature 1; 0.45 and 0.6 at 2; 0.17 and 0.97 at 1/4.
    let outputs: [f32; 2] = [(0.4_f32 / 0.6).ln(), (0.7_f32 / 0.3).ln()];
    let truth = BatchTargets::Dense { width: 2, values: vec![1.0, 0.0] };
    for (temperature, applies) in [(1.0, vec!["wet"]), (2.0, vec!["wet"]), (0.25, vec!["old"])] {
        let prediction = task.decode_as(&outputs, &Reading { temperature, limits: None });
        assert_eq!(prediction.labels().iter().map(|label| label.name.as_str()).collect::<Vec<_>>(), applies);
        assert_eq!(task.row("", &outputs, temperature, None, 0)[2], applies.join(";"));
        let mut metrics = task.metrics_at(temperature);
        metrics.update(&outputs, &truth).unwrap();
        let exact = if applies == ["wet"] { 1.0 } else { 0.0 };
        assert_eq!(metrics.get("exact_match"), Some(exact), "at temperature {temperature}");
    }
    let one = with(|options| options.thresholds = Some(vec![0.9]));
    let Task::MultiLabel(one) = Task::for_targets(&attributes(), &TRAIN, &one).unwrap() else { panic!() };
    assert_eq!(one.thresholds(), [0.9, 0.9]);
    let old: Task = serde_json::from_value(json!({"task": "multi-label", "labels": ["wet", "old"]})).unwrap();
    assert_eq!(old.decode(&[-0.1, 0.1]).labels().len(), 1, "files without thresholds mean a half");
}

#[test]
fn targets_that_teach_nothing_are_refused() {
    let constant = Targets::Values { names: strings(&["price"]), values: vec![7.0, 7.0, 7.0, 9.0] };
    let infinite = Targets::Values { names: strings(&["price"]), values: vec![7.0, f32::INFINITY] };
    let unnamed = Targets::Classes { names: strings(&["a", "b"]), values: vec![0, 1, 5] };
    let cases: [(Targets, &[u32], &str); 7] = [
        (animals(), &[0, 3], "of class `cat`"),
        (animals(), &[], "no training samples"),
        (animals(), &[0, 99], "sample 99"),
        (unnamed, &[0, 1, 2], "class 5"),
        (constant, &[0, 1, 2], "`price` is 7 in all 3"),
        (infinite, &[0, 1], "finite"),
        (attributes(), &[0], "every label"),
    ];
    for (targets, train, part) in cases {
        let error = Task::for_targets(&targets, train, &LossOptions::default()).unwrap_err();
        assert!(!error.is_usage() && error.to_string().contains(part), "{error}");
    }
}

#[test]
fn classes_are_ranked_by_probability_and_sum_to_one() {
    let task = made(&animals());
    let Prediction::Class { ranked, .. } = task.decode(&[1.0, 3.0, 1.0]) else { panic!() };
    assert_eq!(ranked.iter().map(|class| class.name.as_str()).collect::<Vec<_>>(), ["dog", "cat", "owl"]);
    assert!((ranked.iter().map(|class| class.probability).sum::<f32>() - 1.0).abs() < 1e-6);
    let expected = 1.0 / (1.0 + 2.0 * (-2.0_f32).exp());
    assert!((ranked[0].probability - expected).abs() < 1e-6);
    assert_eq!(task.outputs_kind(), Outputs::Classes(strings(&["cat", "dog", "owl"])));
}

#[test]
fn extreme_outputs_are_decoded_to_probabilities() {
    let task = made(&animals());
    for outputs in [[f32::INFINITY, f32::INFINITY, 0.0], [f32::NEG_INFINITY; 3], [f32::NAN, 1e38, -1e38], [f32::NAN; 3]]
    {
        let Prediction::Class { ranked, .. } = task.decode(&outputs) else { panic!() };
        let total: f32 = ranked.iter().map(|class| class.probability).sum();
        assert!((total - 1.0).abs() < 1e-6, "{outputs:?}: {ranked:?}");
    }
    let Prediction::Labels { scored, .. } = made(&attributes()).decode(&[f32::INFINITY, f32::NEG_INFINITY]) else {
        panic!()
    };
    assert_eq!((scored[0].probability, scored[1].probability), (1.0, 0.0));
}

#[test]
fn labels_apply_from_a_half_on_and_values_are_in_the_users_units() {
    let prediction = made(&attributes()).decode(&[0.0, -0.1]);
    assert_eq!(prediction.labels().iter().map(|label| label.name.as_str()).collect::<Vec<_>>(), ["wet"]);
    let Prediction::Values { values, .. } = made(&houses()).decode(&[0.0, 0.0]) else { panic!() };
    assert_eq!(values, [("price".to_owned(), 250.0), ("rooms".to_owned(), 3.25)]);
}

#[test]
fn plain_numbers_are_those_of_the_decoded_answer_in_the_order_of_the_names() {
    let (task, outputs) = (made(&animals()), [1.0, 3.0, f32::NAN]);
    let Prediction::Class { ranked, .. } = task.decode(&outputs) else { panic!() };
    let numbers = task.numbers(&outputs, 1.0);
    assert!(ranked.iter().all(|class| numbers[class.index] as f32 == class.probability), "{numbers:?} {ranked:?}");
    assert_eq!(made(&attributes()).numbers(&[0.0, f32::INFINITY], 1.0), [0.5, 1.0]);
    assert_eq!(made(&houses()).numbers(&[0.0, 0.0], 1.0), [250.0, 3.25]);
}

#[test]
fn predictions_serialise_with_their_kind() {
    let value = serde_json::to_value(made(&houses()).decode(&[0.0, 0.0])).unwrap();
    assert_eq!(value, json!({"kind": "values", "values": [["price", 250.0], ["rooms", 3.25]]}));
    let value = serde_json::to_value(made(&attributes()).decode(&[0.0, 0.0])).unwrap();
    assert_eq!(value["thresholds"], json!([0.5, 0.5]));
    assert_eq!(value["scored"][1], json!({"index": 1, "name": "old", "probability": 0.5}));
}

#[test]
fn rows_of_predictions_fit_their_header() {
    let dense = BatchTargets::Dense { width: 2, values: vec![1.0, 0.0, 1.0, 1.0] };
    type Case = (Task, BatchTargets, [f32; 3], &'static [&'static str], &'static [&'static str]);
    let cases: [Case; 3] = [
        (
            made(&animals()),
            BatchTargets::Classes(vec![0, 2]),
            [0.0, 0.0, 0.0],
            &["source", "true", "predicted", "p_cat", "p_dog", "p_owl"],
            &["x.png", "owl", "cat", "0.33333334", "0.33333334", "0.33333334"],
        ),
        (
            made(&attributes()),
            dense.clone(),
            [0.0, -90.0, 0.0],
            &["source", "true", "predicted", "p_wet", "p_old"],
            &["x.png", "wet;old", "wet", "0.5", "0"],
        ),
        (
            made(&houses()),
            dense,
            [0.0, 0.0, 0.0],
            &["source", "true_price", "predicted_price", "true_rooms", "predicted_rooms"],
            &["x.png", "1", "250", "1", "3.25"],
        ),
    ];
    for (task, targets, outputs, header, row) in cases {
        assert_eq!(task.header(), header);
        let found = task.row("x.png", &outputs[..task.outputs()], 1.0, Some(&targets), 1);
        let close = |(a, b): (&String, &&str)| {
            a == b || (b.parse::<f32>().is_ok_and(|b| (a.parse::<f32>().unwrap() - b).abs() < 1e-6))
        };
        assert!(found.len() == row.len() && found.iter().zip(row).all(close), "{found:?}");
        assert_eq!(task.row("x.png", &outputs[..task.outputs()], 1.0, None, 1)[1], "");
    }
}

#[test]
fn goals_are_read_and_reached() {
    let task = made(&animals());
    let goal = task.goal("accuracy=0.5").unwrap();
    assert_eq!(goal, task.goal(" Accuracy = 50% ").unwrap());
    assert_eq!(goal.to_string(), "accuracy >= 0.5");
    let mut metrics = task.metrics();
    assert!(!goal.reached(&metrics), "nothing is reached before anything is measured");
    metrics.update(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], &BatchTargets::Classes(vec![0, 1])).unwrap();
    assert!(goal.reached(&metrics));
    assert!(!task.goal("accuracy=0.51").unwrap().reached(&metrics));
    assert!(!task.goal("loss=0.5").unwrap().reached(&metrics));
    assert!(task.goal("loss=2").unwrap().reached(&metrics));
    assert!(made(&houses()).goal("r2=0.78").unwrap().higher_is_better);
    assert!(!made(&houses()).goal("rmse=100").unwrap().higher_is_better);
}

#[test]
fn a_goal_that_cannot_be_meant_is_refused_with_the_nearest_name() {
    let cases = [
        (animals(), "acuracy=0.9", "did you mean `accuracy`"),
        (animals(), "accuracy", "accuracy=0.99"),
        (animals(), "accuracy=99", "from 0 to 1"),
        (animals(), "accuracy=high", "from 0 to 1"),
        (animals(), "loss=-1", "at least 0"),
        (animals(), "r2=0.5", "this task has loss, accuracy"),
        (animals(), "top5=0.5", "this task has"),
        (houses(), "accuracy=0.9", "this task has loss, mae, rmse, r2"),
        (houses(), "r2=NaN", "up to 1"),
    ];
    for (targets, text, part) in cases {
        let error = made(&targets).goal(text).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(part), "{text}: {error}");
    }
}

#[test]
fn rankings_can_be_goals() {
    assert!(made(&animals()).goal("auroc=0.9").is_ok());
    assert!(made(&attributes()).goal("map=0.9").is_ok());
}

#[test]
fn the_monitored_metric_is_one_of_the_scalars() {
    for targets in [animals(), attributes(), houses()] {
        let task = made(&targets);
        assert!(task.metric_names().contains(&task.monitor().0), "{}", task.name());
    }
}
