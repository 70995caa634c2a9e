//! What the tests of this crate share: model files, pictures and tables in a scratch folder, and the program itself.
#![allow(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use burn::tensor::Device;
use data::{Batch, Filter, Fit, ImageSpec, InputSpec, Targets};
use models::{Golden, ModelConfig, ModelFile, Pass};
use serde_json::{Value, json};
use tasks::{LossOptions, Task};

/// The CPU backend that this build has.
pub(crate) fn device() -> Device {
    device::select("cpu").unwrap().device
}

pub(crate) mod browser;
pub(crate) mod server;

pub(crate) struct Scratch {
    folder: tempfile::TempDir,
}

/// What the program did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// The lines of standard output as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// The field `source` of each line.
    pub(crate) fn sources(&self) -> Vec<String> {
        self.json().iter().map(|line| line["source"].as_str().unwrap().to_owned()).collect()
    }
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Saves an untrained MLP with `input` for `targets` as `name`.
    pub(crate) fn model(&self, name: &str, input: InputSpec, targets: &Targets) -> PathBuf {
        self.calibrated(name, input, targets, None)
    }

    /// The same with what validation is to have said.
    pub(crate) fn calibrated(
        &self,
        name: &str,
        input: InputSpec,
        targets: &Targets,
        calibration: Option<Value>,
    ) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let train: Vec<u32> = (0..targets.len() as u32).collect();
        let task = Task::for_targets(targets, &train, &LossOptions::default()).unwrap();
        let config = ModelConfig::preset("mlp").unwrap();
        let file = ModelFile {
            model: config.init(&input, task.outputs(), 7, &device()).unwrap(),
            task: serde_json::to_value(&task).unwrap(),
            provenance: json!({"options": {"seed": 0}}),
            metrics: json!({}),
            calibration,
            golden: None,
        };
        file.save(&path).unwrap();
        path
    }

    /// Gives the model file `name` golden inputs, answered by the network's own forward pass.
    pub(crate) fn golden(&self, name: &str) -> Golden {
        let path = self.path().join(name);
        let mut file = ModelFile::load(&path, &device()).unwrap();
        let [channels, height, width] = file.model.input().shape();
        let answer = |inputs| {
            let batch = Batch { indices: Vec::new(), shape: [1, channels, height, width], inputs, targets: None };
            let outputs = file.model.forward(batch.into_tensors(&device()).0, Pass::Predict);
            Ok::<_, ()>(outputs.into_data().iter::<f32>().collect())
        };
        let golden = Golden::of(file.model.input(), answer).unwrap().unwrap();
        file.golden = Some(golden.clone());
        file.save(&path).unwrap();
        golden
    }

    /// Saves a model of three classes of gray 8x8 pictures.
    pub(crate) fn picture_model(&self) -> PathBuf {
        self.model("model.safetensors", pictures(), &classes(&["cat", "dog", "emu"]))
    }

    /// Runs the program in the scratch folder.
    pub(crate) fn infer(&self, arguments: &[&str]) -> Done {
        self.infer_with(arguments, b"")
    }

    /// Runs the program in the scratch folder with `input` on its standard input.
    pub(crate) fn infer_with(&self, arguments: &[&str], input: &[u8]) -> Done {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // It may end without reading all of it.
        let _ = child.stdin.take().unwrap().write_all(input);
        done(child.wait_with_output().unwrap())
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_infer"));
        command.args(arguments).current_dir(self.path());
        for variable in ["NO_COLOR", "COLORTERM", "CARGO", "STRIATE_DEVICE", "STRIATE_RUNS"] {
            command.env_remove(variable);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

fn done(output: Output) -> Done {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let done = Done { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) };
    assert!(!done.err.contains("panicked"), "{}", done.err);
    done
}

/// Gray pictures of 8x8.
pub(crate) fn pictures() -> InputSpec {
    InputSpec::Image(ImageSpec {
        channels: 1,
        height: 8,
        width: 8,
        fit: Fit::Crop,
        filter: Filter::Triangle,
        mean: vec![0.3],
        std: vec![0.4],
    })
}

/// Rows with a number `size` and a category `colour`, and a target `price` that may be absent.
pub(crate) fn rows() -> InputSpec {
    let recipe = json!({
        "kind": "table",
        "columns": [
            {"name": "size", "position": 0, "kind": {"type": "numeric", "fill": 1.0, "mean": 2.0, "std": 1.5, "indicator": false}},
            {"name": "colour", "position": 1, "kind": {"type": "categorical", "categories": ["blue", "red"]}},
        ],
        "targets": [{"name": "price", "position": 2}],
        "width": 3,
        "header": true,
    });
    serde_json::from_value(recipe).unwrap()
}

pub(crate) fn classes(names: &[&str]) -> Targets {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    Targets::Classes { values: (0..names.len() as u32).collect(), names }
}

pub(crate) fn labels(names: &[&str]) -> Targets {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    Targets::Labels { values: [vec![0; names.len()], vec![1; names.len()]].concat(), names }
}

pub(crate) fn values(names: &[&str]) -> Targets {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let rows = (0..4).flat_map(|row| (0..names.len()).map(move |column| (row * (column + 1)) as f32));
    Targets::Values { values: rows.collect(), names }
}

/// An 8x8 picture in the PGM format, another for each `seed`.
pub(crate) fn pgm(seed: u8) -> Vec<u8> {
    let pixels: Vec<u8> = (0..64_u8).map(|place| place.wrapping_mul(seed.wrapping_add(3)).wrapping_add(seed)).collect();
    [b"P5\n8 8\n255\n".to_vec(), pixels].concat()
}

/// The pixels of [`pgm`].
pub(crate) fn pixels(seed: u8) -> Vec<u8> {
    pgm(seed)[11..].to_vec()
}
