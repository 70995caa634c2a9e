//! `infer self-test`: a model that answers as it did, and what makes it answer otherwise.

mod scratch;

use data::{Fit, InputSpec};
use models::ModelFile;
use scratch::{Scratch, classes, device, pictures, rows, values};

#[test]
fn a_model_that_answers_as_it_did_passes_with_pictures_and_with_rows() {
    let scratch = Scratch::new();
    scratch.model("p.safetensors", pictures(), &classes(&["cat", "dog", "emu"]));
    scratch.model("t.safetensors", rows(), &values(&["price", "age"]));
    for (name, outputs) in [("p.safetensors", 3), ("t.safetensors", 2)] {
        let golden = scratch.golden(name);
        let done = scratch.infer(&["self-test", name, "--device", "cpu"]);
        assert_eq!(done.code, 0, "{done:?}");
        assert_eq!(done.out.lines().filter(|line| line.contains("the same")).count(), 3, "{done:?}");
        let json = &scratch.infer(&["self-test", name, "--format", "json"]).json()[0];
        assert_eq!((&json["v"], &json["agrees"]), (&1.into(), &true.into()));
        let inputs = json["inputs"].as_array().unwrap();
        assert_eq!(inputs.len(), 3);
        assert_eq!(inputs[1]["expected"].as_array().unwrap().len(), outputs);
        assert_eq!(inputs[1]["expected"][0].as_f64().unwrap() as f32, golden.outputs[1][0]);
    }
}

#[test]
fn another_weight_another_recipe_and_another_answer_are_told() {
    let scratch = Scratch::new();
    scratch.picture_model();
    scratch.golden("model.safetensors");
    let path = scratch.path().join("model.safetensors");
    let file = || ModelFile::load(&path, &device()).unwrap();
    let differs = |file: ModelFile| {
        file.save(&scratch.path().join("other.safetensors")).unwrap();
        let done = scratch.infer(&["self-test", "other.safetensors"]);
        assert_eq!(done.code, 6, "{done:?}");
        assert!(done.err.contains("are answered otherwise on"), "{done:?}");
        done.out
    };

    let mut answered = file();
    answered.golden.as_mut().unwrap().outputs[1][2] += 0.01;
    let told = differs(answered);
    assert_eq!(told.lines().filter(|line| line.contains("the same")).count(), 2, "{told}");
    assert!(told.lines().nth(1).unwrap().starts_with("input 2: differs by "), "{told}");

    // The pictures are higher than wide: another way to fit them shows other pixels to the network.
    let InputSpec::Image(mut spec) = pictures() else { panic!("pictures") };
    spec.fit = Fit::Stretch;
    scratch.model("stretched.safetensors", InputSpec::Image(spec), &classes(&["cat", "dog", "emu"]));
    let stretched = ModelFile::load(&scratch.path().join("stretched.safetensors"), &device()).unwrap();
    differs(ModelFile { golden: file().golden, ..stretched });

    // One weight of many, a little.
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 4;
    let weight = f32::from_le_bytes(bytes[last..].try_into().unwrap());
    bytes[last..].copy_from_slice(&(weight + 0.05).to_le_bytes());
    scratch.write("touched.safetensors", bytes);
    differs(ModelFile::load(&scratch.path().join("touched.safetensors"), &device()).unwrap());
}

#[test]
fn without_golden_inputs_or_with_others_there_is_nothing_to_compare() {
    let scratch = Scratch::new();
    let path = scratch.picture_model();
    let none = scratch.infer(&["self-test", "model.safetensors"]);
    assert_eq!(none.code, 4);
    assert!(none.err.contains("holds no golden inputs"), "{none:?}");
    scratch.golden("model.safetensors");
    let mut file = ModelFile::load(&path, &device()).unwrap();
    file.golden.as_mut().unwrap().inputs[2] = data::Example::Picture("P3 9999999 9999999 255".into());
    file.save(&path).unwrap();
    let bomb = scratch.infer(&["self-test", "model.safetensors"]);
    assert_eq!(bomb.code, 4);
    assert!(bomb.err.contains("metadata `golden`, input 2"), "{bomb:?}");
    // Who only predicts doesn't look at them.
    scratch.write("a.pgm", b"P5 8 8 255\n0123456701234567012345670123456701234567012345670123456701234567");
    assert_eq!(scratch.infer(&["predict", "model.safetensors", "a.pgm"]).code, 0);
}
