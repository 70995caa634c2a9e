//! Weights of others' files: what `torch.save` wrote, in both of its formats, hostile ones, and state dicts that torchvision and timm write
//! here and now where `PEERS_PYTHON` names a Python that has them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

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

/// An archive of stored entries, as `torch.save` makes them, or with the compression that an entry claims: checksums of zero are none.
fn archive(entries: &[(&str, &[u8])], method: u16, claimed: u32) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let at = bytes.len() as u32;
        let size = content.len() as u32;
        let mut fields = Vec::new();
        fields.extend([20, 0, 0, 0]);
        fields.extend(method.to_le_bytes());
        fields.extend([0; 8]);
        fields.extend(size.to_le_bytes());
        fields.extend((if claimed > 0 { claimed } else { size }).to_le_bytes());
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend([0, 0]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&fields);
        bytes.extend(name.as_bytes());
        bytes.extend(*content);
        central.extend(b"PK\x01\x02\x14\0");
        central.extend(&fields);
        central.extend([0; 10]);
        central.extend(at.to_le_bytes());
        central.extend(name.as_bytes());
    }
    let (at, size, count) = (bytes.len() as u32, central.len() as u32, entries.len() as u16);
    bytes.extend(central);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    bytes.extend([size.to_le_bytes(), at.to_le_bytes()].concat());
    bytes.extend([0, 0]);
    bytes
}

/// The pickle of a state dict with one tensor: its name, the storage's class, key and length, and its shape.
fn pickle(name: &str, class: &str, key: &str, shape: &[i32], numbers: i32) -> Vec<u8> {
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let int = |number: i32| [b"J", &number.to_le_bytes()[..]].concat();
    let tuple =
        |numbers: Vec<i32>| [b"(".to_vec(), numbers.into_iter().flat_map(int).collect(), b"t".to_vec()].concat();
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = i32::wrapping_mul(strides[axis], shape[axis].max(1));
    }
    let mut bytes = b"\x80\x02}".to_vec();
    bytes.extend(text(name));
    bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    bytes.extend(
        [text("storage"), format!("ctorch\n{class}\n").into_bytes(), text(key), text("cpu"), int(numbers)].concat(),
    );
    bytes.extend(b"tQ");
    bytes.extend([int(0), tuple(shape.to_vec()), tuple(strides)].concat());
    bytes.extend(b"\x89ccollections\nOrderedDict\n)RtRs.");
    bytes
}

fn checkpoint(pickle: &[u8], storage: Option<&[u8]>) -> Vec<u8> {
    let mut entries = vec![("x/data.pkl", pickle), ("x/byteorder", b"little".as_slice())];
    entries.extend(storage.map(|storage| ("x/data/0", storage)));
    archive(&entries, 0, 0)
}

#[track_caller]
fn refused(bytes: &[u8]) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("weights.pt");
    std::fs::write(&path, bytes).unwrap();
    let Err(error) = begin(perceptron(3), &path, true) else { panic!("it was taken") };
    assert_eq!(error.exit_code(), 4, "{error}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("`{}` ", path.display())) && !text.contains('\n'), "{text}");
    text[path.display().to_string().len() + 3..].to_owned()
}

#[test]
fn hostile_files_are_errors_in_one_line() {
    let name = "output.bias";
    let zeros = [0; 12];
    let good = checkpoint(&pickle(name, "FloatStorage", "0", &[3], 3), Some(&zeros));
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("good.pt");
    std::fs::write(&path, &good).unwrap();
    assert_eq!(
        numbers(&begin(perceptron(3), &path, true).unwrap(), name),
        [0.0; 3],
        "the helpers make what torch makes"
    );

    for length in [1, 3, 30, good.len() / 2, good.len() - 1] {
        refused(&good[..length]);
    }
    // An entry that is said to be compressed to almost nothing.
    let entries = [("x/data.pkl", b"\x80\x02}.".as_slice()), ("x/data/0", b"\x03\0".as_slice())];
    assert!(refused(&archive(&entries, 8, u32::MAX - 1)).contains("is compressed, which torch.save never does"));
    assert!(refused(&archive(&entries, 0, u32::MAX - 1)).contains("is compressed"));
    // What a pickle asks to be called is not called; nothing of it is a tensor.
    let marker = scratch.path().join("called");
    let command = format!("touch {}", marker.display());
    let call = [b"\x80\x02cposix\nsystem\nX", &(command.len() as u32).to_le_bytes()[..], command.as_bytes(), b"\x85R."]
        .concat();
    refused(&checkpoint(&call, None));
    let inside = [
        b"\x80\x02}X\x01\0\0\0acposix\nsystem\nX",
        &(command.len() as u32).to_le_bytes()[..],
        command.as_bytes(),
        b"\x85Rs.",
    ];
    refused(&checkpoint(&inside.concat(), None));
    assert!(!marker.exists(), "a pickle was run");

    let whole = refused(&checkpoint(&pickle(name, "IntStorage", "0", &[3], 3), Some(&zeros)));
    assert!(whole.contains("tensor `output.bias`: expected floating-point numbers, found I32"), "{whole}");
    refused(&checkpoint(&pickle(name, "FloatStorage", "0", &[-3], 3), Some(&zeros)));
    refused(&checkpoint(&pickle(name, "FloatStorage", "0", &[i32::MAX, i32::MAX, i32::MAX], 3), Some(&zeros)));
    refused(&checkpoint(&pickle(name, "FloatStorage", "1", &[3], 3), Some(&zeros)));
    refused(&checkpoint(&pickle(name, "FloatStorage", "0", &[3], 3), None));
    refused(&checkpoint(&pickle(name, "FloatStorage", "0", &[3], 3), Some(&zeros[..8])));
    refused(&checkpoint(&pickle(name, "NoStorage", "0", &[3], 3), Some(&zeros)));
    let nan = [f32::NAN.to_le_bytes(), [0; 4], [0; 4]].concat();
    let told = refused(&checkpoint(&pickle(name, "FloatStorage", "0", &[3], 3), Some(&nan)));
    assert!(told.contains("tensor `output.bias`, element 0: expected a finite number, found NaN"), "{told}");
    // Lists in lists, ten thousand deep.
    let deep = [b"\x80\x02".to_vec(), b"]".repeat(10_000), b"a".repeat(9_999), b".".to_vec()].concat();
    refused(&checkpoint(&deep, None));
    assert!(refused(&checkpoint(&vec![b']'; (8 << 20) + 1], None)).contains("at most 8388608 are read"));

    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(refused(&tar).contains("is a tar archive, as PyTorch wrote before version 0.1.10"));
    for other in
        [b"".as_slice(), b"hello, these are no weights", b"\x80\x02}.", b"PK\x05\x06", &[0; 4096], b"\x89PNG\r\n\x1a\n"]
    {
        refused(other);
    }
    let error = Pretrained::open(scratch.path()).err().unwrap();
    assert!(error.to_string().contains("is a folder"), "{error}");
    assert!(Pretrained::open(&scratch.path().join("absent.pt")).is_err());
}

/// Neither a panic nor anything but an error of the file's, whatever is other in it; a panic in the readers of others would be such an error.
#[test]
fn files_that_are_changed_anywhere_are_read_or_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("weights.pt");
    let rounds = std::env::var("STRIATE_MUTATIONS").map_or(300, |rounds| rounds.parse().unwrap());
    let whole: Vec<Vec<u8>> = ["small.pt", "small_legacy.pt"]
        .into_iter()
        .map(|name| std::fs::read(golden(name)).unwrap())
        .chain([checkpoint(&pickle("output.bias", "FloatStorage", "0", &[3], 3), Some(&[0; 12]))])
        .collect();
    let (mut state, mut read) = (1u64, 0);
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    for round in 0..rounds {
        let mut bytes = whole[round % whole.len()].clone();
        for _ in 0..=draw(3) {
            let at = draw(bytes.len());
            match draw(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, draw(256) as u8),
                2 => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff),
                _ => bytes[at] = draw(256) as u8,
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        std::fs::write(&path, bytes).unwrap();
        match begin(perceptron(3), &path, true) {
            Ok(_) => read += 1,
            Err(error) => assert_eq!(error.exit_code(), 4, "{error}"),
        }
    }
    assert!(read > 0 && read < rounds, "{read} of {rounds} were read");
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
