//! The library explains what it answers: by the same network, in the user's units, for every task, and refuses the rest.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod scratch;

use data::InputSpec;
use infer::{
    Attribution, Baseline, Contribution, Error, Evidence, Explain, Explanation, Heat, Prediction, Predictor, Sample,
};
use models::{ModelConfig, ModelFile};
use scratch::{Scratch, classes, device, labels, pictures, pixels, rows, values};

fn load(path: &std::path::Path) -> Predictor {
    Predictor::load(path, &device()).unwrap()
}

fn heat(explanation: &Explanation) -> &Heat {
    let Evidence::Heat(heat) = &explanation.evidence else { panic!("{explanation:?}") };
    heat
}

fn columns(explanation: &Explanation) -> &[Contribution] {
    let Evidence::Columns(columns) = &explanation.evidence else { panic!("{explanation:?}") };
    columns
}

/// A network with convolutions in the place of the perceptron that the model file `path` holds.
fn with_convolutions(scratch: &Scratch, preset: &str) -> Predictor {
    let path = scratch.picture_model();
    let mut file = ModelFile::load(&path, &device()).unwrap();
    file.model = ModelConfig::preset(preset).unwrap().init(&pictures(), 3, 4, &device()).unwrap();
    file.save(&path).unwrap();
    load(&path)
}

#[test]
fn a_network_with_convolutions_is_explained_by_every_method() {
    let scratch = Scratch::new();
    for preset in ["cnn", "resnet20"] {
        let predictor = with_convolutions(&scratch, preset);
        let sample = Sample::pixels(pixels(3));
        let prediction = predictor.predict(std::slice::from_ref(&sample)).unwrap().remove(0);
        for method in Attribution::ALL.iter().copied() {
            let explained =
                predictor.explain(&sample, &Explain { method: Some(method), ..Explain::default() }).unwrap();
            let heat = heat(&explained);
            assert_eq!((heat.height, heat.width, heat.values.len()), (8, 8, 64), "{preset}, {method}");
            assert_eq!(heat.signed, method != Attribution::GradCam);
            assert!(heat.values.iter().all(|value| value.is_finite() && (heat.signed || *value >= 0.0)), "{method}");
            let top = prediction.top().unwrap();
            assert_eq!((explained.explained.index, explained.explained.prob), (top.index, Some(top.probability)));
            assert_eq!((explained.how.method, &explained.prediction), (method, &prediction));
        }
        // The last maps, of 4x4 and 2x2 places, are too coarse for Grad-CAM.
        assert_eq!(predictor.usual_method(), Attribution::Occlusion);
    }
}

#[test]
fn integrated_gradients_of_a_picture_add_up_to_its_score() {
    let scratch = Scratch::new();
    let predictor = load(&scratch.picture_model());
    for (output, baseline) in [(0, Baseline::Mean), (1, Baseline::Black), (2, Baseline::Black)] {
        let options = Explain {
            method: Some(Attribution::IntegratedGradients),
            output: Some(output),
            baseline: Some(baseline),
            steps: 200,
            ..Explain::default()
        };
        let found = predictor.explain(&Sample::pixels(pixels(5)), &options).unwrap();
        let sum: f64 = heat(&found).values.iter().map(|value| f64::from(*value)).sum();
        let change = found.explained.score - found.how.baseline_score.unwrap();
        assert!((sum - change - found.how.gap.unwrap()).abs() < 1e-5, "{found:?}");
        assert!(found.how.gap.unwrap().abs() < 0.02 * change.abs().max(0.01), "{found:?}");
        assert_eq!((found.explained.index, found.how.baseline, found.how.steps), (output, Some(baseline), Some(200)));
        // The baseline's score is what the network says of that picture.
        if baseline == Baseline::Black {
            let black = predictor.explain(&Sample::pixels(vec![0; 64]), &options).unwrap();
            assert!((black.explained.score - found.how.baseline_score.unwrap()).abs() < 1e-5);
        }
    }
}

#[test]
fn what_occlusion_says_of_a_column_is_what_is_predicted_of_a_row_without_it() {
    let scratch = Scratch::new();
    let predictor = load(&scratch.model("rows.safetensors", rows(), &values(&["price"])));
    let InputSpec::Table(table) = predictor.input().clone() else { panic!() };
    let header = ["size".to_owned(), "colour".to_owned()];
    let value = |row: [&str; 2]| {
        let sample = Sample::features(table.encode(Some(&header), &row).unwrap());
        match predictor.predict(&[sample]).unwrap().remove(0) {
            Prediction::Values { values, .. } => values[0].1,
            other => panic!("{other:?}"),
        }
    };
    let sample = Sample::features(table.encode(Some(&header), &["7.5", "red"]).unwrap());
    let found = predictor.explain(&sample, &Explain::default()).unwrap();
    assert_eq!((found.how.method, found.how.baseline), (Attribution::Occlusion, Some(Baseline::Absent)));
    assert!((found.explained.score - value(["7.5", "red"])).abs() < 1e-5 && found.explained.prob.is_none());
    let [size, colour] = columns(&found) else { panic!("{found:?}") };
    assert_eq!(
        [(&*size.column, &*size.value), (&*colour.column, &*colour.value)],
        [("size", "7.5"), ("colour", "red")]
    );
    for (column, row) in [(size, ["", "red"]), (colour, ["7.5", ""])] {
        let without = value(row);
        assert!((column.without.unwrap() - without).abs() < 1e-5, "{column:?} {without}");
        assert!((column.contribution - (found.explained.score - without)).abs() < 1e-5, "{column:?}");
    }
    let mean = Explain { baseline: Some(Baseline::Mean), ..Explain::default() };
    let found = predictor.explain(&sample, &mean).unwrap();
    assert!((columns(&found)[0].without.unwrap() - value(["2", "red"])).abs() < 1e-5, "{found:?}");
}

#[test]
fn integrated_gradients_of_a_row_add_up_in_the_users_units() {
    let scratch = Scratch::new();
    let predictor = load(&scratch.model("rows.safetensors", rows(), &values(&["price", "rent"])));
    let options =
        Explain { method: Some(Attribution::IntegratedGradients), output: Some(1), steps: 300, ..Explain::default() };
    let found = predictor.explain(&Sample::features(vec![9.0, 0.0, 1.0]), &options).unwrap();
    assert_eq!((found.explained.name.as_str(), found.explained.index), ("rent", 1));
    let Prediction::Values { values, .. } = &found.prediction else { panic!() };
    assert!((found.explained.score - values[1].1).abs() < 1e-6);
    let sum: f64 = columns(&found).iter().map(|column| column.contribution).sum();
    let change = found.explained.score - found.how.baseline_score.unwrap();
    assert!(
        (sum - change - found.how.gap.unwrap()).abs() < 1e-5 && (sum - change).abs() < 0.02 * change.abs().max(0.01)
    );
}

#[test]
fn hiding_patches_of_a_picture_lowers_the_score_as_predicted() {
    let scratch = Scratch::new();
    let predictor = load(&scratch.picture_model());
    let explain = |patch, pixels: Vec<u8>| {
        let baseline = Some(Baseline::Black);
        predictor.explain(&Sample::pixels(pixels), &Explain { output: Some(1), baseline, patch, ..Explain::default() })
    };
    let found = explain(Some(8), pixels(6)).unwrap();
    let black = explain(Some(8), vec![0; 64]).unwrap();
    assert_eq!(found.how.patch, Some([8, 8]));
    let drop = found.explained.score - black.explained.score;
    assert!(heat(&found).values.iter().all(|value| (f64::from(*value) - drop).abs() < 1e-5), "{found:?} {drop}");
    let one = explain(Some(1), pixels(6)).unwrap();
    let mut hidden = pixels(6);
    hidden[3 * 8 + 4] = 0;
    let drop = one.explained.score - explain(Some(1), hidden).unwrap().explained.score;
    assert!((f64::from(heat(&one).values[3 * 8 + 4]) - drop).abs() < 1e-5);
}

#[test]
fn outputs_are_chosen_by_name_or_position_and_labels_by_their_probability() {
    let scratch = Scratch::new();
    let predictor = load(&scratch.picture_model());
    assert_eq!([predictor.output_called("emu"), predictor.output_called("1")].map(Result::unwrap), [2, 1]);
    let unknown = predictor.output_called("em").unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "class: this model knows none called `em`; did you mean `emu`? There are cat, dog, emu"
    );
    assert_eq!(unknown.exit_code(), 2);
    assert!(predictor.output_called("3").is_err() && predictor.output_called("").is_err());
    let beyond = Explain { output: Some(3), ..Explain::default() };
    assert!(predictor.explain(&Sample::pixels(pixels(1)), &beyond).is_err());

    let path = scratch.model("labels.safetensors", pictures(), &labels(&["wet", "cold"]));
    let found = load(&path).explain(&Sample::pixels(pixels(1)), &Explain::default()).unwrap();
    let Prediction::Labels { scored, .. } = &found.prediction else { panic!() };
    let best = scored.iter().map(|label| label.probability).fold(0.0, f32::max);
    assert_eq!(found.explained.prob, Some(best));
    let digits = scratch.model("digits.safetensors", pictures(), &classes(&["2", "0", "1"]));
    assert_eq!(load(&digits).output_called("2").unwrap(), 0, "a name comes before a position");
}

#[test]
fn what_a_method_is_not_for_is_refused_with_what_is() {
    let scratch = Scratch::new();
    let table = load(&scratch.model("rows.safetensors", rows(), &values(&["price"])));
    let row = Sample::features(vec![1.0, 0.0, 1.0]);
    let perceptron = load(&scratch.picture_model());
    let picture = Sample::pixels(pixels(1));
    let with = |method, baseline, patch| Explain { method, baseline, patch, ..Explain::default() };
    let (cam, ig) = (Some(Attribution::GradCam), Some(Attribution::IntegratedGradients));
    for (predictor, sample, options, expected) in [
        (&table, &row, with(cam, None, None), "rows of a table have no places"),
        (&perceptron, &picture, with(cam, None, None), "a perceptron has no convolution"),
        (&table, &row, with(ig, Some(Baseline::Black), None), "`black` is for pictures"),
        (&perceptron, &picture, with(None, Some(Baseline::Absent), None), "`absent` is for rows"),
        (&perceptron, &picture, with(None, None, Some(0)), "expected 1 to 8 pixels, found 0"),
        (&perceptron, &picture, with(None, None, Some(9)), "expected 1 to 8 pixels, found 9"),
        (&perceptron, &picture, Explain { steps: 0, method: ig, ..Explain::default() }, "steps: expected 1 or more"),
    ] {
        let error = predictor.explain(sample, &options).unwrap_err();
        assert!(error.to_string().contains(expected) && error.exit_code() == 2, "{error}");
    }
    assert!(matches!(perceptron.explain(&row, &Explain::default()), Err(Error::Input { .. })));
}
