//! Weights of others' files: what `torch.save` wrote, in both of its formats, hostile ones (`pretrained/hostile.rs`), and state dicts that
//! torchvision and timm write here and now where `PEERS_PYTHON` names a Python that has them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[path = "pretrained/hostile.rs"]
mod hostile;

use std::path::{Path, PathBuf};
use std::process::Command;

use burn::tensor::{Device, Tensor, TensorData};
use data::{Filter, Fit, ImageSpec, InputSpec};
use models::{Error, MlpConfig, Model, ModelConfig, Pass, Pretrained, named_tensors, replace_tensors};
use serde::Deserialize;

fn image(channels: usize, side: [usize; 2]) -> InputSpec {
    let (fit, filter) = (Fit::Crop, Filter::Triangle);
    let (mean, std) = (vec![0.0; channels], vec![1.0; channels]);
    InputSpec::Image(ImageSpec { channels, height: side[0], width: side[1], fit, filter, mean, std })
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The perceptron of `pretrained.py`.
fn perceptron(outputs: usize) -> Model {
    ModelConfig::Mlp(MlpConfig::with_hidden([4])).init(&image(1, [2, 3]), outputs, 1, &Device::flex()).unwrap()
}

/// `model` with what it takes of a file.
fn begin(model: Model, path: &Path, partial: bool) -> Result<Model, Error> {
    let mut file = Pretrained::open(path)?;
    let fit = file.fit(&model, false);
    file.check(&fit, partial)?;
    let tensors = file.read(&fit)?;
    replace_tensors(model, tensors)
}

fn numbers(model: &Model, name: &str) -> Vec<f32> {
    let tensor = named_tensors(model).into_iter().find(|tensor| tensor.name == name).unwrap();
    tensor.data.try_into_vec().unwrap()
}

#[test]
fn both_formats_of_torch_are_read_with_all_kinds_of_floats() {
    for name in ["small.pt", "small_legacy.pt"] {
        let file = Pretrained::open(&golden(name)).unwrap();
        // The optimizer's, which is no part of the network.
        assert_eq!((file.format(), file.aside(), file.is_torchvision()), ("pytorch", 1, false), "{name}");
        let model = begin(perceptron(3), &golden(name), false).unwrap();
        let expected = |count: usize| (0..count).map(|at| at as f32 / 8.0 - 1.0).collect::<Vec<_>>();
        assert_eq!(numbers(&model, "hidden.0.linear.weight"), expected(24), "{name}");
        assert_eq!(numbers(&model, "hidden.0.linear.bias"), expected(4), "{name}");
        assert_eq!(numbers(&model, "output.bias"), expected(3), "{name}");
        // Saved as a transposed view.
        let all = expected(12);
        let turned: Vec<f32> =
            (0..3).flat_map(|column| (0..4).map(move |row| 3 * row + column)).map(|at| all[at]).collect();
        assert_eq!(numbers(&model, "output.weight"), turned, "{name}");
    }
}

#[test]
fn an_output_layer_of_other_classes_stays_as_it_was_drawn_and_nothing_else_may_differ() {
    let drawn = perceptron(5);
    let weight = numbers(&drawn, "output.weight");
    let file = Pretrained::open(&golden("small.pt")).unwrap();
    let fit = file.fit(&drawn, false);
    assert_eq!(fit.replaced.iter().map(|misfit| &*misfit.name).collect::<Vec<_>>(), ["output.weight", "output.bias"]);
    let model = begin(drawn, &golden("small.pt"), false).unwrap();
    assert_eq!(numbers(&model, "output.weight"), weight);
    assert_eq!(numbers(&model, "hidden.0.linear.weight")[0], -1.0);

    let wide = || ModelConfig::Mlp(MlpConfig::with_hidden([7])).init(&image(1, [2, 3]), 3, 1, &Device::flex()).unwrap();
    let error = begin(wide(), &golden("small.pt"), false).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    let error = error.to_string();
    assert!(error.contains("1 of its 4 tensors have the name and shape of one, 4 the name of one"), "{error}");
    assert!(
        error.contains("`hidden.0.linear.weight` is [4, 6], expected [7, 6]") && error.contains("--init-partial"),
        "{error}"
    );
    let model = begin(wide(), &golden("small.pt"), true).unwrap();
    assert_eq!(numbers(&model, "output.bias"), [-1.0, -0.875, -0.75]);
    let other = ModelConfig::named("cnn").unwrap().init(&image(1, [28, 28]), 3, 1, &Device::flex()).unwrap();
    let error = begin(other, &golden("small.pt"), true).unwrap_err().to_string();
    assert!(error.contains("0 of its 4 tensors") && !error.contains("--init-partial"), "{error}");
}

#[test]
fn where_fits_are_asked_to_redraw_the_output_layer_stays() {
    let drawn = perceptron(3);
    let file = Pretrained::open(&golden("small.pt")).unwrap();
    let fit = file.fit(&drawn, true);
    assert_eq!((fit.taken.len(), fit.replaced.len()), (2, 2));
}

#[derive(Deserialize)]
struct Names {
    names: std::collections::BTreeMap<
        String,
        std::collections::BTreeMap<String, std::collections::BTreeMap<String, Vec<usize>>>,
    >,
}

/// A safetensors file of zeros in halves, with these names and shapes.
fn zeros(path: &Path, tensors: &std::collections::BTreeMap<String, Vec<usize>>) {
    use std::io::Write;
    let (mut fields, mut start) = (Vec::new(), 0);
    for (name, shape) in tensors {
        let end = start + 2 * shape.iter().product::<usize>();
        fields.push(format!("\"{name}\":{{\"dtype\":\"F16\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}"));
        start = end;
    }
    let header = format!("{{{}}}", fields.join(","));
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len((8 + header.len() + start) as u64).unwrap();
}

#[test]
fn the_names_of_torchvision_and_timm_are_the_presets_own() {
    let names: Names = serde_json::from_str(&std::fs::read_to_string(golden("resnet_names.json")).unwrap()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    for (package, networks) in &names.names {
        for (name, tensors) in networks {
            let path = scratch.path().join(format!("{package}-{name}.safetensors"));
            zeros(&path, tensors);
            let file = Pretrained::open(&path).unwrap();
            assert_eq!(file.looks_like().as_deref(), Some(name.as_str()), "{package}");
            let model = |name: &str, channels: usize, outputs| {
                ModelConfig::named(name).unwrap().blank(&image(channels, [64, 64]), outputs, &Device::flex()).unwrap()
            };
            let fit = file.fit(&model(name, 3, 1000), false);
            file.check(&fit, false).unwrap();
            let ignored = tensors.keys().filter(|name| name.ends_with("num_batches_tracked")).count();
            assert_eq!((fit.taken.len(), file.counters()), (tensors.len() - ignored, ignored), "{package} {name}");
            assert!(fit.replaced.is_empty() && fit.missing.is_empty() && fit.unused.is_empty(), "{package} {name}");
            // Gray images, other classes.
            let fit = file.fit(&model(name, 1, 10), false);
            file.check(&fit, false).unwrap();
            let adapted: Vec<_> =
                fit.taken.iter().filter(|taken| taken.channels == Some(3)).map(|taken| &*taken.name).collect();
            assert_eq!((adapted, fit.replaced.len()), (vec!["stages.0.blocks.0.conv1.weight"], 2));
            // Another network.
            let other = if name == "resnet18" { "resnet50" } else { "resnet18" };
            let fit = file.fit(&model(other, 3, 10), false);
            let error = file.check(&fit, false).unwrap_err().to_string();
            assert!(error.contains(&format!("it looks like torchvision's {name}: use --model {name}")), "{error}");
        }
    }
}

#[test]
fn a_first_convolution_for_colours_answers_gray_images_as_it_answered_three_equal_channels() {
    let config = ModelConfig::named("cnn").unwrap();
    let device = Device::flex();
    let colour = config.init(&image(3, [8, 8]), 4, 5, &device).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("colour.safetensors");
    let tensors = named_tensors(&colour).into_iter().map(|tensor| (tensor.name, tensor.data)).collect();
    std::fs::write(&path, models::container::pack(&path, &Default::default(), &tensors).unwrap()).unwrap();
    let gray = config.init(&image(1, [8, 8]), 4, 6, &device).unwrap();
    let gray = begin(gray, &path, false).unwrap();
    let x = Tensor::<4>::random([2, 1, 8, 8], burn::tensor::Distribution::Uniform(0.0, 1.0), &device);
    let expected = colour.forward(x.clone().repeat_dim(1, 3), Pass::Predict).into_data();
    gray.forward(x, Pass::Predict)
        .into_data()
        .assert_approx_eq::<f32>(&expected, burn::tensor::Tolerance::absolute(1e-5));
}

#[test]
fn a_file_of_torchvision_and_one_of_timm_answer_as_there() {
    let Ok(python) = std::env::var("PEERS_PYTHON") else {
        eprintln!("skipped: PEERS_PYTHON names no Python with torch, torchvision and timm");
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let script = golden("../peers/resnets.py");
    let made = Command::new(python).arg(script).arg(scratch.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let numbers = |file: &str| -> Vec<f32> {
        let bytes = std::fs::read(scratch.path().join(file)).unwrap();
        bytes.as_chunks::<4>().0.iter().map(|quad| f32::from_le_bytes(*quad)).collect()
    };
    let device = Device::flex();
    let x = Tensor::<4>::from_data(TensorData::new(numbers("x.bin"), [2, 3, 96, 96]), &device);
    for package in ["torchvision", "timm"] {
        for name in ["resnet18", "resnet50"] {
            for ending in ["pt", "legacy.pt", "nested.pt", "safetensors"] {
                let path = scratch.path().join(format!("{package}-{name}.{ending}"));
                let model = ModelConfig::named(name).unwrap().init(&image(3, [96, 96]), 12, 1, &device).unwrap();
                let model = begin(model, &path, false).unwrap();
                let found = model.forward(x.clone(), Pass::Predict).into_data().try_into_vec::<f32>().unwrap();
                let expected = numbers(&format!("{package}-{name}.bin"));
                let apart = found.iter().zip(&expected).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
                println!("{package} {name} {ending}: {apart:.1e} apart");
                assert!(found.len() == 24 && apart < 1e-4, "{package} {name} {ending}: {apart:.1e} apart");
            }
        }
    }
}
