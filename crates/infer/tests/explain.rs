//! `infer explain`, `filters` and `features` from outside: pictures, tables, JSON, places, exit codes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod scratch;

use std::path::Path;

use models::{ModelConfig, ModelFile};
use scratch::{Scratch, classes, device, labels, pgm, pictures, rows, values};
use serde_json::Value;

/// A model of pictures with convolutions, `cnn.safetensors`, and pictures.
fn with_pictures() -> Scratch {
    let scratch = Scratch::new();
    let path = scratch.model("cnn.safetensors", pictures(), &classes(&["cat", "dog", "emu"]));
    let mut file = ModelFile::load(&path, &device()).unwrap();
    file.model = ModelConfig::preset("cnn").unwrap().init(&pictures(), 3, 4, &device()).unwrap();
    file.save(&path).unwrap();
    scratch.write("a.pgm", pgm(1));
    scratch.write("more/a.pgm", pgm(2));
    scratch
}

/// Width and height of a PNG.
fn size(bytes: &[u8]) -> [u32; 2] {
    assert!(bytes.starts_with(b"\x89PNG"), "no PNG");
    let decoded = image::load_from_memory(bytes).unwrap();
    [decoded.width(), decoded.height()]
}

fn read(scratch: &Scratch, name: &str) -> Vec<u8> {
    std::fs::read(scratch.path().join(name)).unwrap()
}

#[test]
fn a_picture_is_drawn_beside_the_user_and_several_in_a_folder() {
    let scratch = with_pictures();
    let one = scratch.infer(&["explain", "cnn.safetensors", "a.pgm", "--method", "grad-cam"]);
    assert_eq!(one.code, 0, "{one:?}");
    assert!(one.out.starts_with("a.pgm: ") && one.out.contains("by grad-cam of stages.1.blocks.0, 4x4"), "{}", one.out);
    assert!(one.err.contains("drawn: a.explained.png"), "{}", one.err);
    let [width, height] = size(&read(&scratch, "a.explained.png"));
    assert!(width > 600 && height > 400, "{width}x{height}");

    let many = scratch.infer(&["explain", "cnn.safetensors", "a.pgm", "more", "--class", "emu"]);
    assert!(many.code == 0 && many.out.lines().all(|line| line.contains(": emu, ")), "{many:?}");
    assert!(many.err.contains("drawn: 2 pictures in explained"), "{}", many.err);
    assert_ne!(read(&scratch, "explained/a.explained.png"), read(&scratch, "explained/a-2.explained.png"));
}

#[test]
fn json_has_the_numbers_and_draws_what_it_is_told_to() {
    let scratch = with_pictures();
    // Twice as wide as high: the sides are cut off.
    scratch.write("wide.pgm", [b"P5\n16 8\n255\n".to_vec(), (0..128).collect()].concat());
    let predicted = scratch.infer(&["predict", "cnn.safetensors", "wide.pgm", "--format", "jsonl"]).json().remove(0);
    for method in ["grad-cam", "integrated-gradients", "occlusion"] {
        let done = scratch.infer(&["explain", "cnn.safetensors", "wide.pgm", "--format", "jsonl", "--method", method]);
        assert_eq!((done.code, done.err.contains("drawn")), (0, false), "{done:?}");
        let line = done.json().remove(0);
        for key in ["v", "source", "label", "index", "prob", "topk"] {
            assert_eq!(line[key], predicted[key], "{key}");
        }
        assert_eq!((&line["method"], &line["explained"]["prob"]), (&Value::from(method), &predicted["prob"]));
        assert_eq!(line["heat"]["values"].as_array().unwrap().len(), 64);
        let framing = serde_json::json!(
            {"picture": [8, 16], "start": [0.0, 4.0], "span": [8.0, 8.0], "place": [0, 0], "size": [8, 8]}
        );
        assert_eq!(line["framing"], framing);
        assert_eq!(line["layer"].is_string(), method == "grad-cam");
        assert_eq!(line["gap"].is_number(), method == "integrated-gradients");
        assert_eq!(line["patch"].is_array(), method == "occlusion");
    }
    let drawn = scratch.infer(&["explain", "cnn.safetensors", "wide.pgm", "--format", "json", "-o", "heat.svg"]);
    let all: Value = serde_json::from_str(&drawn.out).unwrap();
    assert_eq!(all[0]["picture"], "heat.svg");
    let svg = String::from_utf8(read(&scratch, "heat.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("the dark part is cut off"), "{svg:.300}");
}

#[test]
fn standard_input_becomes_a_picture_on_standard_output() {
    use std::io::Write;
    let scratch = with_pictures();
    let mut child = scratch
        .command(&["explain", "cnn.safetensors", "-", "-o", "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&pgm(7)).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    size(&done.stdout);
    let bad = scratch.infer_with(&["explain", "cnn.safetensors", "-", "-o", "-"], b"noise");
    assert!(bad.code == 3 && bad.out.is_empty() && bad.err.contains("-: error: `-` first bytes"), "{bad:?}");
    let both = scratch.infer(&["explain", "cnn.safetensors", "a.pgm", "-o", "-", "--format", "json"]);
    assert!(both.code == 2 && both.err.contains("standard output is for the picture"), "{both:?}");
    let two = scratch.infer(&["explain", "cnn.safetensors", "a.pgm", "more/a.pgm", "-o", "-"]);
    assert!(two.code == 2 && two.err.contains("one file for the pictures of 2 inputs"), "{two:?}");
}

#[test]
fn a_row_of_a_table_gets_a_table_of_its_columns() {
    let scratch = Scratch::new();
    scratch.model("t.safetensors", rows(), &values(&["price"]));
    scratch.write("a.csv", "size,colour\n7.5,red\nbig,red\n1,blue\n");
    let text = scratch.infer(&["explain", "t.safetensors", "a.csv"]);
    assert_eq!(text.code, 3, "{text:?}");
    let lines: Vec<&str> = text.out.lines().collect();
    assert!(
        lines[0].starts_with("a.csv:2: price ")
            && lines[0].ends_with("by occlusion: one column at a time becomes absent"),
        "{}",
        text.out
    );
    assert!(lines[1].split_whitespace().eq(["column", "value", "falls", "by", "without", "it"]), "{}", text.out);
    assert!(lines[2..4].iter().any(|line| line.contains("size") && line.contains("7.5")), "{}", text.out);
    assert!(text.out.contains("a.csv:3: error: `a.csv` line 3, column `size`: expected a number, found `big`"));
    assert!(text.err.contains("1 of 3 inputs could not be explained"), "{}", text.err);

    let json = scratch.infer(&["explain", "t.safetensors", "a.csv", "--format", "jsonl"]).json();
    let columns = json[0]["columns"].as_array().unwrap();
    assert_eq!([&columns[0]["column"], &columns[0]["value"], &columns[1]["value"]], ["size", "7.5", "red"]);
    let change = json[0]["explained"]["score"].as_f64().unwrap() - columns[0]["without"].as_f64().unwrap();
    assert!((change - columns[0]["contribution"].as_f64().unwrap()).abs() < 1e-6);
    assert!(json[1]["error"].is_string() && json[1]["columns"].is_null());
    let integrated = ["explain", "t.safetensors", "a.csv", "--method", "integrated-gradients", "--baseline", "mean"];
    let integrated = scratch.infer(&integrated);
    assert!(integrated.out.contains("integrated gradients from the mean in 64 steps"), "{}", integrated.out);
    let drawn = scratch.infer(&["explain", "t.safetensors", "a.csv", "-o", "a.png"]);
    assert!(drawn.code == 2 && drawn.err.contains("a row of a table has no picture"), "{drawn:?}");
}

#[test]
fn one_bad_picture_is_told_in_its_place_and_a_bad_command_stops_at_once() {
    let scratch = with_pictures();
    scratch.model("labels.safetensors", pictures(), &labels(&["wet", "cold"]));
    scratch.write("bad.pgm", "P5\n8 8\n255\nshort");
    let done = scratch.infer(&["explain", "cnn.safetensors", "bad.pgm", "a.pgm", "absent.pgm", "--format", "jsonl"]);
    assert_eq!((done.code, done.sources()), (3, ["bad.pgm", "a.pgm", "absent.pgm"].map(String::from).to_vec()));
    let label = scratch.infer(&["explain", "labels.safetensors", "a.pgm", "--class", "cold", "--format", "jsonl"]);
    assert_eq!((&label.json()[0]["explained"]["name"], label.code), (&Value::from("cold"), 0));
    for (arguments, expected) in [
        (
            &["a.pgm", "--class", "dogg"][..],
            "error: class: this model knows none called `dogg`; did you mean `dog`? There are cat, dog, emu",
        ),
        (&["a.pgm", "--method", "gradcam"], "unknown method `gradcam`; did you mean `grad-cam`?"),
        (&["a.pgm", "--baseline", "absent", "--method", "occlusion"], "`absent` is for rows of a table"),
        (&["a.pgm", "--steps", "0"], "expected a whole number from 1 to 65536"),
        (&["a.pgm", "--patch", "9", "--method", "occlusion"], "patch: expected 1 to 8 pixels, found 9"),
        (&["a.pgm", "-o", "a.pgm"], "expected a name that ends in .png, .svg, found `a.pgm`"),
        (&["a.pgm", "-o", "absent/a.png"], "there is no folder `absent`"),
        (&["a.pgm", "more", "-o", "a.png"], "one file for the pictures of 2 inputs"),
    ] {
        let done = scratch.infer(&[&["explain", "cnn.safetensors"], arguments].concat());
        assert!(done.code == 2 && done.err.contains(expected), "{expected}: {done:?}");
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    }
    let perceptron = scratch.infer(&["explain", "labels.safetensors", "a.pgm", "--method", "grad-cam"]);
    assert!(perceptron.code == 2 && perceptron.err.contains("a perceptron has no convolution"), "{perceptron:?}");
    assert!(!Path::new(&scratch.path().join("a.explained.png")).exists());
}

#[test]
fn filters_and_feature_maps_are_drawn_layer_by_layer() {
    let scratch = with_pictures();
    let done = scratch.infer(&["filters", "cnn.safetensors"]);
    assert!(done.code == 0 && done.err.contains("drawn: filters.png"), "{done:?}");
    size(&read(&scratch, "filters.png"));
    let done = scratch.infer(&["filters", "cnn.safetensors", "-o", "f.svg"]);
    assert_eq!(done.code, 0, "{done:?}");
    let svg = String::from_utf8(read(&scratch, "f.svg")).unwrap();
    for words in [
        "stages.0.blocks.0.conv1: 32 filters of 3×3<",
        "stages.1.blocks.0.conv1: the first 16 of 64 filters of 3×3, of each the first of 32 channels",
    ] {
        assert!(svg.contains(words), "{words}");
    }
    let done = scratch.infer(&["features", "cnn.safetensors", "a.pgm"]);
    assert!(done.code == 0 && done.err.contains("drawn: a.features.png"), "{done:?}");
    size(&read(&scratch, "a.features.png"));
    assert_eq!(scratch.infer(&["features", "cnn.safetensors", "a.pgm", "-o", "f.html"]).code, 0);
    let page = String::from_utf8(read(&scratch, "f.html")).unwrap();
    for layer in ["stages.0.blocks.0", "stages.0.pool", "stages.1.pool", "head.hidden.0", "head.output"] {
        assert!(page.contains(layer), "{layer}");
    }
    scratch.write("notes.svg", "mine");
    scratch.model("t.safetensors", rows(), &values(&["price"]));
    for (arguments, code, expected) in [
        (&["filters", "t.safetensors"][..], 2, "takes rows of a table and has no filters"),
        (&["features", "t.safetensors", "a.pgm"], 2, "takes rows of a table"),
        (&["filters", "cnn.safetensors", "-o", "notes.svg"], 2, "isn't what would be written"),
        (&["features", "cnn.safetensors", "absent.pgm"], 3, "cannot read `absent.pgm`"),
        (&["features", "cnn.safetensors", "."], 2, "expected one picture"),
        (&["filters", "absent.safetensors"], 4, "cannot read `absent.safetensors`"),
    ] {
        let done = scratch.infer(arguments);
        assert!(done.code == code && done.err.contains(expected), "{expected}: {done:?}");
    }
    assert_eq!(read(&scratch, "notes.svg"), b"mine");
}

#[cfg(unix)]
#[test]
fn a_place_that_cannot_be_written_is_7() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = with_pictures();
    let locked = scratch.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    let done = scratch.infer(&["explain", "cnn.safetensors", "a.pgm", "-o", "locked/a.png"]);
    // Root may write everywhere.
    if std::fs::write(locked.join("probe"), "").is_err() {
        assert!(done.code == 7 && done.err.contains("cannot write `locked/a.png`"), "{done:?}");
    }
    let full = scratch.infer(&["explain", "cnn.safetensors", "a.pgm", "-o", "/dev/full.png/x.png"]);
    assert!(full.code == 2 && full.err.contains("there is no folder"), "{full:?}");
}
