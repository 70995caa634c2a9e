//! Files of every version of the format that a release wrote (`released/v1`, and so on) still load, and still answer as they did.
//!
//! A new version of the format gets a folder with files that the release before it wrote, made by: `trainer train digits --model cnn
//! --filters 4,8 --hidden 16 --norm batch --epochs 30`; penguins with `--model mlp --hidden 8`; California housing with the same.

mod scratch;

use std::path::Path;

use infer::{Prediction, Predictor, Sample};
use scratch::device;

#[test]
fn files_of_every_version_load_and_answer_as_they_did() {
    for version in 1..=models::VERSION {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/released/v{version}"));
        let mut files = 0;
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let predictor = Predictor::load(&path, &device()).unwrap();
            let checked = predictor.self_test().unwrap().unwrap();
            assert!(!checked.is_empty() && checked.iter().all(|one| one.agrees()), "{}: {checked:?}", path.display());
            assert!(predictor.calibration().is_some(), "{}", path.display());
            files += 1;
        }
        assert!(files >= 3, "{}", folder.display());
    }
}

#[test]
fn what_they_say_of_a_digit_is_still_what_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released/v1/digits.safetensors");
    let predictor = Predictor::load(&path, &device()).unwrap();
    // A one, drawn on the digits' 8x8.
    let mut picture = vec![0; 64];
    for row in 0..8 {
        picture[8 * row + 3] = 200;
        picture[8 * row + 4] = 255;
    }
    let answers = predictor.predict(&[Sample::pixels(picture)]).unwrap();
    let Prediction::Class { ranked, .. } = &answers[0] else { panic!("{answers:?}") };
    assert_eq!(ranked[0].name, "1", "{ranked:?}");
}
