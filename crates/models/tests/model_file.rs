//! The model file, good and hostile. Each hostile file is made from a good one by one change, and gets one line that names it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use data::{Filter, Fit, ImageSpec, InputSpec};
use models::{ModelConfig, ModelFile, Pass, named_tensors};
use serde_json::{Value, json};

fn input() -> InputSpec {
    InputSpec::Image(ImageSpec {
        channels: 1,
        height: 8,
        width: 8,
        fit: Fit::Crop,
        filter: Filter::Triangle,
        mean: vec![0.3],
        std: vec![0.37],
    })
}

fn model_file(preset: &str, seed: u64) -> ModelFile {
    let config = ModelConfig::preset(preset).unwrap();
    ModelFile {
        model: config.init(&input(), 10, seed, &Device::flex()).unwrap(),
        task: json!({"task": "classification", "classes": ["a", "b"]}),
        provenance: json!({"seed": seed, "data": "digits"}),
        metrics: json!({"test": {"accuracy": 0.123456789012345}}),
        calibration: None,
        golden: None,
    }
}

/// A scratch folder with a good file in it.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        let scratch = Self { folder: tempfile::tempdir().unwrap() };
        model_file("mlp", 1).save(&scratch.path()).unwrap();
        scratch
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("model.safetensors")
    }

    /// Writes `bytes` over the file and returns what loading says of it.
    fn refusal(&self, bytes: &[u8]) -> String {
        fs::write(self.path(), bytes).unwrap();
        self.loading()
    }

    fn loading(&self) -> String {
        let message = ModelFile::load(&self.path(), &Device::flex()).unwrap_err().to_string();
        assert!(message.contains("model.safetensors"), "names no file: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.len() < 600, "too long: {message}");
        message
    }

    /// Changes the header, leaves the tensors' bytes as they are, and returns what loading says.
    fn with_header(&self, change: impl FnOnce(&mut Value)) -> String {
        let (mut header, data) = parts(&self.path());
        change(&mut header);
        self.refusal(&joined(header.to_string().as_bytes(), &data))
    }
}

fn parts(path: &Path) -> (Value, Vec<u8>) {
    let bytes = fs::read(path).unwrap();
    let size = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..8 + size]).unwrap(), bytes[8 + size..].to_vec())
}

fn joined(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

/// Name of the first tensor in the header.
fn first(header: &Value) -> String {
    header.as_object().unwrap().iter().find(|(_, value)| value["data_offsets"][0] == 0).unwrap().0.clone()
}

/// Says `{"a": changed}` of the JSON string in metadata `key`.
fn set(header: &mut Value, key: &str, change: impl FnOnce(&mut Value)) {
    let text = header["__metadata__"][key].as_str().unwrap();
    let mut value: Value = serde_json::from_str(text).unwrap();
    change(&mut value);
    header["__metadata__"][key] = value.to_string().into();
}

#[test]
fn a_loaded_model_answers_as_the_saved_one() {
    let folder = tempfile::tempdir().unwrap();
    for preset in ["mlp", "lenet5", "resnet20"] {
        let (path, saved) = (folder.path().join(preset), model_file(preset, 3));
        saved.save(&path).unwrap();
        let loaded = ModelFile::load(&path, &Device::flex()).unwrap();
        let pixels: Vec<f32> = (0..128).map(|i| (i % 17) as f32 / 16.0).collect();
        let answer = |file: &ModelFile| {
            let x = Tensor::<4>::from_data(TensorData::new(pixels.clone(), [2, 1, 8, 8]), &Device::flex());
            file.model.forward(x, Pass::Predict).into_data()
        };
        assert_eq!(answer(&saved), answer(&loaded), "{preset}");
        assert_eq!((&saved.task, &saved.provenance), (&loaded.task, &loaded.provenance));
        assert_eq!(saved.model.input(), loaded.model.input());
        assert_eq!(saved.model.config(), loaded.model.config());
    }
}

#[test]
fn equal_models_give_equal_bytes_and_others_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |name: &str, file: &ModelFile| {
        file.save(&folder.path().join(name)).unwrap();
        fs::read(folder.path().join(name)).unwrap()
    };
    let one = bytes("one", &model_file("cnn", 1));
    assert!(one == bytes("another-name", &model_file("cnn", 1)));
    assert!(one != bytes("third", &model_file("cnn", 2)));
    let loaded = ModelFile::load(&folder.path().join("one"), &Device::flex()).unwrap();
    assert!(one == bytes("again", &loaded), "loading and saving changes the file");
}

#[test]
fn the_header_is_read_without_weights() {
    let scratch = Scratch::new();
    let header = ModelFile::header(&scratch.path()).unwrap();
    assert_eq!((header.outputs, &header.input), (10, &input()));
    assert_eq!(header.provenance["seed"], 1);
    let model = model_file("mlp", 1).model;
    let mut expected: Vec<(String, Vec<usize>)> =
        named_tensors(&model).into_iter().map(|tensor| (tensor.name, tensor.data.shape().to_vec())).collect();
    expected.sort();
    assert_eq!(header.tensors, expected);
}

#[test]
fn the_file_is_plain_safetensors() {
    let scratch = Scratch::new();
    let bytes = fs::read(scratch.path()).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for expected in named_tensors(&model_file("mlp", 1).model) {
        let found = tensors.tensor(&expected.name).unwrap();
        assert_eq!(found.shape(), &expected.data.shape().to_vec()[..], "{}", expected.name);
        let numbers: Vec<u8> = expected.data.iter::<f32>().flat_map(f32::to_le_bytes).collect();
        assert!(found.data() == numbers, "{}", expected.name);
    }
}

#[test]
fn saving_replaces_whole_and_leaves_nothing_beside() {
    let scratch = Scratch::new();
    model_file("mlp", 2).save(&scratch.path()).unwrap();
    assert_eq!(ModelFile::header(&scratch.path()).unwrap().provenance["seed"], 2);
    assert_eq!(fs::read_dir(scratch.folder.path()).unwrap().count(), 1);
}

#[test]
fn saving_that_fails_leaves_the_old_file() {
    let scratch = Scratch::new();
    let before = fs::read(scratch.path()).unwrap();
    let mut broken = model_file("mlp", 2);
    let tensors = named_tensors(&broken.model).into_iter().map(|tensor| {
        let nan = TensorData::new(vec![f32::NAN; tensor.data.num_elements()], tensor.data.shape());
        (tensor.name, nan)
    });
    broken.model = models::load_tensors(broken.model.clone(), tensors.collect()).unwrap();
    let message = broken.save(&scratch.path()).unwrap_err().to_string();
    assert!(message.contains("not finite"), "{message}");
    assert_eq!(before, fs::read(scratch.path()).unwrap());

    let message =
        model_file("mlp", 2).save(&scratch.folder.path().join("absent/model.safetensors")).unwrap_err().to_string();
    assert!(message.contains("cannot write") && message.contains("absent"), "{message}");
    assert_eq!(fs::read_dir(scratch.folder.path()).unwrap().count(), 1);
}

#[test]
fn an_absent_file_is_refused() {
    let scratch = Scratch::new();
    fs::remove_file(scratch.path()).unwrap();
    assert!(scratch.loading().starts_with("cannot read"));
}

#[test]
fn an_empty_file_is_refused() {
    assert!(Scratch::new().refusal(b"").contains("is empty"));
}

#[test]
fn a_folder_is_refused() {
    let scratch = Scratch::new();
    fs::remove_file(scratch.path()).unwrap();
    fs::create_dir(scratch.path()).unwrap();
    assert!(scratch.loading().contains("is a folder"));
}

#[cfg(unix)]
#[test]
fn a_device_is_refused() {
    let message = ModelFile::load(Path::new("/dev/zero"), &Device::flex()).unwrap_err().to_string();
    assert!(message.contains("no regular file"), "{message}");
}

#[test]
fn a_file_of_few_bytes_is_refused() {
    assert!(Scratch::new().refusal(b"model").contains("truncated"));
}

#[test]
fn another_kind_of_file_is_refused() {
    let message = Scratch::new().refusal(b"\x89PNG\r\n\x1a\n and so on and so on and so on");
    assert!(message.contains("no safetensors file"), "{message}");
}

#[test]
fn a_huge_header_is_refused_before_it_is_allocated() {
    let scratch = Scratch::new();
    for size in [u64::MAX, 1 << 40, models::container::MAX_HEADER + 1] {
        let message = scratch.refusal(&[&size.to_le_bytes()[..], b"{\"a\":1}"].concat());
        assert!(message.contains(&size.to_string()), "{message}");
    }
}

#[test]
fn a_file_of_absurd_length_is_refused() {
    let scratch = Scratch::new();
    // A hole: it takes no room on disk.
    fs::File::options().write(true).open(scratch.path()).unwrap().set_len(models::container::MAX_FILE + 1).unwrap();
    assert!(scratch.loading().contains("at most"));
}

#[test]
fn a_header_beyond_the_end_is_refused() {
    let message = Scratch::new().refusal(&[&1000_u64.to_le_bytes()[..], b"{\"a\":1}"].concat());
    assert!(message.contains("truncated") && message.contains("1000"), "{message}");
}

#[test]
fn a_header_that_is_no_json_is_refused() {
    assert!(Scratch::new().refusal(&joined(b"{\"a\": [1, 2", b"")).contains("no valid safetensors header"));
}

#[test]
fn a_header_that_is_no_utf8_is_refused() {
    assert!(Scratch::new().refusal(&joined(b"{\"\xff\xfe\": {}}", b"")).contains("no valid safetensors header"));
}

#[test]
fn a_deeply_nested_header_is_refused() {
    let header = format!("{{\"a\":{}", "[".repeat(1 << 20));
    assert!(Scratch::new().refusal(&joined(header.as_bytes(), b"")).contains("no valid safetensors header"));
}

#[test]
fn a_truncated_file_is_refused_at_every_length() {
    let scratch = Scratch::new();
    let bytes = fs::read(scratch.path()).unwrap();
    for length in [1, 7, 8, 9, 100, bytes.len() / 2, bytes.len() - 4, bytes.len() - 1] {
        assert!(scratch.refusal(&bytes[..length]).contains("truncated"), "{length}");
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let scratch = Scratch::new();
    let bytes = [fs::read(scratch.path()).unwrap(), vec![0; 3]].concat();
    assert!(scratch.refusal(&bytes).contains("belong to no tensor"));
}

#[test]
fn overlapping_tensors_are_refused() {
    let message = Scratch::new().with_header(|header| {
        let offsets = header[first(header)]["data_offsets"].clone();
        let fields = header.as_object_mut().unwrap();
        let other = fields
            .iter()
            .find(|(name, value)| *name != "__metadata__" && value["data_offsets"] != offsets)
            .unwrap()
            .0
            .clone();
        header[other]["data_offsets"] = offsets;
    });
    assert!(message.contains("offset") || message.contains("shape"), "{message}");
}

#[test]
fn tensors_out_of_range_are_refused() {
    let message = Scratch::new().with_header(|header| {
        let name = first(header);
        header[name]["data_offsets"] = json!([u64::MAX - 3, u64::MAX]);
    });
    assert!(message.contains("offset"), "{message}");
}

#[test]
fn tensors_that_end_before_they_start_are_refused() {
    let message = Scratch::new().with_header(|header| {
        let name = first(header);
        header[name]["data_offsets"] = json!([8, 0]);
    });
    assert!(message.contains("offset") || message.contains("shape"), "{message}");
}

#[test]
fn shapes_that_overflow_are_refused() {
    let message = Scratch::new().with_header(|header| {
        let name = first(header);
        header[name]["shape"] = json!([u64::MAX, u64::MAX]);
    });
    assert!(message.contains("overflow"), "{message}");
}

#[test]
fn shapes_that_do_not_match_their_bytes_are_refused() {
    let message = Scratch::new().with_header(|header| {
        let name = first(header);
        header[name]["shape"] = json!([3]);
    });
    assert!(message.contains("shape"), "{message}");
}

#[test]
fn other_number_types_are_refused_by_name() {
    let message = Scratch::new().with_header(|header| {
        let name = first(header);
        header[name]["dtype"] = "I32".into();
    });
    assert!(message.contains("tensor `") && message.contains("F32") && message.contains("I32"), "{message}");
}

#[test]
fn a_renamed_tensor_is_refused_by_name() {
    let message = Scratch::new().with_header(|header| {
        let name = first(header);
        let entry = header.as_object_mut().unwrap().remove(&name).unwrap();
        header["stranger"] = entry;
    });
    assert!(message.contains("tensor `stranger`"), "{message}");
}

#[test]
fn a_missing_tensor_is_refused_by_name() {
    let scratch = Scratch::new();
    let (mut header, data) = parts(&scratch.path());
    let entries = header.as_object_mut().unwrap();
    let end = data.len();
    let last = entries.iter().find(|(_, value)| value["data_offsets"][1] == end).unwrap().0.clone();
    let entry = entries.remove(&last).unwrap();
    // Something else of the same size, so that the number of parameters is right.
    let rest = &data[..entry["data_offsets"][0].as_u64().unwrap() as usize];
    let message = scratch.refusal(&joined(header.to_string().as_bytes(), rest));
    assert!(message.contains("parameters") || message.contains(&last), "{message}");
}

#[test]
fn a_tensor_of_other_shape_is_refused_with_both() {
    let mut shape = String::new();
    let message = Scratch::new().with_header(|header| {
        let name = header.as_object().unwrap().keys().find(|name| name.ends_with("weight")).unwrap().clone();
        let swapped: Vec<Value> = header[&name]["shape"].as_array().unwrap().iter().rev().cloned().collect();
        shape = format!("[{}, {}]", swapped[0], swapped[1]);
        header[&name]["shape"] = swapped.into();
    });
    assert!(message.contains("expected shape") && message.contains(&shape), "{message}");
}

#[test]
fn weights_that_are_not_finite_are_refused_by_name() {
    let scratch = Scratch::new();
    let good = fs::read(scratch.path()).unwrap();
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut bytes = good.clone();
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&number.to_le_bytes());
        let message = scratch.refusal(&bytes);
        assert!(message.contains("tensor `") && message.contains("finite"), "{message}");
    }
}

#[test]
fn a_plain_safetensors_file_is_no_striate_model() {
    let message = Scratch::new().with_header(|header| {
        header.as_object_mut().unwrap().remove("__metadata__");
    });
    assert!(message.contains("is not a striate model"), "{message}");
    let message = Scratch::new().with_header(|header| header["__metadata__"]["format"] = "pt".into());
    assert!(message.contains("is not a striate model") && message.contains("`pt`"), "{message}");
}

#[test]
fn a_newer_version_is_refused_with_both() {
    let message = Scratch::new().with_header(|header| header["__metadata__"]["version"] = "2".into());
    assert!(message.contains("version 2") && message.contains("up to 1"), "{message}");
}

#[test]
fn a_version_that_is_no_number_is_refused() {
    for version in ["", "0", "-1", "1.0", "99999999999999999999"] {
        let message = Scratch::new().with_header(|header| header["__metadata__"]["version"] = version.into());
        assert!(message.contains("version"), "{message}");
    }
}

#[test]
fn missing_and_malformed_metadata_is_refused_by_key() {
    for key in ["model", "input", "outputs", "task", "provenance", "metrics"] {
        let missing = Scratch::new().with_header(|header| {
            header["__metadata__"].as_object_mut().unwrap().remove(key);
        });
        assert!(missing.contains(&format!("metadata `{key}` is missing")), "{missing}");
        let malformed = Scratch::new().with_header(|header| header["__metadata__"][key] = "{".into());
        assert!(malformed.contains(&format!("metadata `{key}`")), "{malformed}");
    }
}

#[test]
fn an_unknown_architecture_is_refused() {
    let message =
        Scratch::new().with_header(|header| set(header, "model", |model| model["arch"] = "transformer".into()));
    assert!(message.contains("metadata `model`") && message.contains("transformer"), "{message}");
}

#[test]
fn absurd_sizes_are_refused_before_they_are_allocated() {
    let huge = [1_u64 << 30, u64::MAX / 2, u64::MAX];
    for size in huge {
        Scratch::new().with_header(|header| set(header, "model", |model| model["hidden"] = json!([size, size])));
        Scratch::new().with_header(|header| set(header, "outputs", |outputs| *outputs = size.into()));
        Scratch::new().with_header(|header| {
            set(header, "input", |input| {
                input["height"] = size.into();
                input["width"] = size.into();
            })
        });
        Scratch::new().with_header(|header| set(header, "input", |input| input["channels"] = size.into()));
    }
}

#[test]
fn an_architecture_larger_than_its_file_is_refused() {
    let message =
        Scratch::new().with_header(|header| set(header, "model", |model| model["hidden"] = json!([4096, 4096])));
    assert!(message.contains("parameters"), "{message}");
}

#[test]
fn a_normalisation_that_does_not_fit_is_refused() {
    for (key, value) in
        [("mean", json!([])), ("mean", json!([0.1, 0.2])), ("std", json!([0.0])), ("std", json!([-1.0]))]
    {
        let message = Scratch::new().with_header(|header| set(header, "input", |input| input[key] = value.clone()));
        assert!(message.contains("normalisation"), "{message}");
    }
}
