//! The library: predictions are those of the network, in order, whatever the batches.

mod scratch;

use burn::tensor::{Tensor, TensorData};
use infer::{Error, Prediction, Predictor, Sample};
use models::{ModelFile, Pass};
use scratch::{Scratch, classes, device, pgm, pictures, pixels, rows, values};

fn probabilities(predictions: &[Prediction]) -> Vec<Vec<f32>> {
    let in_order = |prediction: &Prediction| {
        let Prediction::Class { ranked, .. } = prediction else { panic!("{prediction:?}") };
        let mut by_index: Vec<(usize, f32)> = ranked.iter().map(|class| (class.index, class.probability)).collect();
        by_index.sort_by_key(|(index, _)| *index);
        by_index.into_iter().map(|(_, probability)| probability).collect()
    };
    predictions.iter().map(in_order).collect()
}

#[test]
fn predictions_are_the_networks_own() {
    let scratch = Scratch::new();
    let path = scratch.picture_model();
    let files: Vec<_> = (0..5).map(|seed| scratch.write(&format!("{seed}.pgm"), pgm(seed))).collect();
    let predicted = Predictor::load(&path, &device()).unwrap().predict_files(&files).unwrap();

    let model = ModelFile::load(&path, &device()).unwrap().model;
    let inputs: Vec<f32> = (0..5).flat_map(pixels).map(|pixel| f32::from(pixel) / 255.0).collect();
    let inputs = Tensor::<4>::from_data(TensorData::new(inputs, [5, 1, 8, 8]), &device());
    let outputs = burn::tensor::activation::softmax(model.forward(inputs, Pass::Predict), 1);
    let expected = outputs.into_data().try_into_vec::<f32>().unwrap();
    for (row, expected) in probabilities(&predicted).iter().zip(expected.chunks(3)) {
        for (found, expected) in row.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{row:?} {expected:?}");
        }
    }
}

#[test]
fn batches_do_not_change_predictions() {
    let scratch = Scratch::new();
    let path = scratch.picture_model();
    let samples: Vec<Sample> = (0..10).map(|seed| Sample::pixels(pixels(seed))).collect();
    let with = |batch| {
        let predictor = Predictor::load(&path, &device()).unwrap().with_batch(batch);
        probabilities(&predictor.predict(&samples).unwrap())
    };
    let whole = with(10);
    for batch in [0, 1, 3, 64] {
        for (one, other) in with(batch).iter().flatten().zip(whole.iter().flatten()) {
            assert!((one - other).abs() < 1e-6, "batch {batch}");
        }
    }
    assert!(Predictor::load(&path, &device()).unwrap().predict(&[]).unwrap().is_empty());
}

#[test]
fn samples_of_another_model_are_refused() {
    let scratch = Scratch::new();
    let predictor = Predictor::load(&scratch.picture_model(), &device()).unwrap();
    for samples in [vec![Sample::pixels(vec![0; 63])], vec![Sample::pixels(vec![0; 32]), Sample::pixels(vec![0; 96])]] {
        assert!(matches!(predictor.predict(&samples), Err(Error::Input { .. })));
    }
    let mixed = [Sample::pixels(vec![0; 64]), Sample::features(vec![0.0; 64])];
    assert!(matches!(predictor.predict(&mixed), Err(Error::Input { .. })));

    let path = scratch.model("rows.safetensors", rows(), &values(&["price"]));
    let predictor = Predictor::load(&path, &device()).unwrap();
    let error = predictor.predict_files(&[scratch.write("a.pgm", pgm(1))]).unwrap_err();
    assert_eq!(error.to_string(), "this model takes rows of a table, found an image");
}

#[test]
fn a_task_that_does_not_fit_its_network_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.model("model.safetensors", pictures(), &classes(&["a", "b", "c"]));
    let mut file = ModelFile::load(&path, &device()).unwrap();
    file.task["classes"] = serde_json::json!(["a", "b"]);
    file.save(&path).unwrap();
    let error = Predictor::load(&path, &device()).unwrap_err();
    assert!(error.exit_code() == 4 && error.to_string().contains("names 2 outputs, the network has 3"), "{error}");
    file.task = serde_json::json!({"task": "levitation"});
    file.save(&path).unwrap();
    let error = Predictor::load(&path, &device()).unwrap_err();
    assert!(error.exit_code() == 4 && error.to_string().contains("metadata `task`"), "{error}");
}
