//! `infer export`: what ONNX Runtime answers is what `infer` answers. Where `PEERS_PYTHON` names a Python with onnx and onnxruntime, the peers
//! check and run every file; elsewhere the files have to be, byte for byte, those that they checked and ran (`export/golden.json`, which
//! `GOLDEN=write PEERS_PYTHON=... cargo test` writes again).

#[path = "export/case.rs"]
mod case;
#[path = "export/formula.rs"]
mod formula;
#[path = "export/made.rs"]
mod made;
#[path = "export/peers.rs"]
mod peers;
#[path = "export/real.rs"]
mod real;
mod scratch;

use std::collections::BTreeMap;

use case::Case;
use data::InputSpec;
use formula::picture;
use made::{networks, resizes, tasks};
use peers::Peer;
use real::{digits, flowers, photographs, rows};
use scratch::{Scratch, classes};
use serde_json::{Value, json};

const PEER: Peer = Peer { imports: "onnx, onnxruntime", script: "peer.py", golden: "golden.json", tolerance: 1e-4 };

#[test]
fn onnx_runtime_answers_the_same_and_the_files_are_those_that_it_ran() {
    let scratch = Scratch::new();
    let cases = networks().into_iter().chain(tasks()).chain(resizes());
    PEER.check_golden(&scratch, cases.map(|case| (case.name.clone(), case.onnx(&scratch))).collect());
}

/// 1,000 digits, flowers and rows, through every preset and every task.
#[test]
fn onnx_runtime_answers_the_same_on_real_samples() {
    let Some(python) = PEER.python() else { return };
    let scratch = Scratch::new();
    let cases = digits().into_iter().chain(flowers()).chain(rows());
    PEER.check(&python, &scratch, &cases.map(|case| (case.name.clone(), case.onnx(&scratch))).collect());
}

/// Photographs in their own size: resizing is the graph's work.
#[test]
fn onnx_runtime_resizes_real_pictures_as_we_do() {
    let Some(python) = PEER.python() else { return };
    let scratch = Scratch::new();
    let cases = photographs().into_iter().map(|case| (case.name.clone(), case.onnx(&scratch)));
    PEER.check(&python, &scratch, &cases.collect());
}

#[test]
fn the_program_says_what_it_wrote_and_what_goes_in_and_out() {
    let scratch = Scratch::new();
    scratch.model("w/m.safetensors", InputSpec::Image(picture(3, 9, 8)), &classes(&["it's", "b"]));
    let done = scratch.infer(&["export", "w/m.safetensors", "--onnx"]);
    assert_eq!((done.code, done.out.as_str()), (0, "w/m.onnx\n"), "{done:?}");
    for said in [
        "`image`: decoded pictures as bytes [batch, 3, 9, 8], red, green, blue",
        "resized: the middle",
        "`probabilities`",
    ] {
        assert!(done.err.contains(said), "{done:?}");
    }
    let first = std::fs::read(scratch.path().join("w/m.onnx")).unwrap();
    let json = &scratch.infer(&["export", "w/m.safetensors", "--onnx", "m.onnx", "--format", "json"]).json()[0];
    assert_eq!(
        (&json["v"], &json["onnx"]["file"], &json["onnx"]["bytes"]),
        (&1.into(), &"m.onnx".into(), &first.len().into())
    );
    assert_eq!(json["onnx"]["outputs"][0]["name"], "probabilities");
    assert_eq!(std::fs::read(scratch.path().join("m.onnx")).unwrap(), first, "equal models give equal files");

    // Its own file is written over; the network takes other pictures then.
    let resizing = scratch.infer(&["export", "w/m.safetensors", "--onnx", "m.onnx", "--resize"]);
    assert!(resizing.code == 0 && resizing.err.contains("[batch, 3, height, width]"), "{resizing:?}");
    assert_ne!(std::fs::read(scratch.path().join("m.onnx")).unwrap(), first);
}

#[test]
fn metadata_names_what_goes_in_and_what_comes_out() {
    let Some(python) = PEER.python() else { return };
    let scratch = Scratch::new();
    let cases: Vec<Case> = tasks();
    let asked: BTreeMap<String, Value> =
        cases.iter().map(|case| (case.name.clone(), case.onnx(&scratch).case)).collect();
    let found = PEER.ask(&python, &scratch, &asked);
    for case in &cases {
        let metadata = &found[&case.name]["metadata"];
        let json = |key: &str| serde_json::from_str::<Value>(metadata[key].as_str().unwrap()).unwrap();
        let names = ["classes", "labels", "targets"].iter().find_map(|key| case.file.task.get(key)).unwrap();
        assert_eq!(&json("names"), names, "{}", case.name);
        assert_eq!(metadata["task"], case.file.task["task"], "{}", case.name);
        assert_eq!(json("input"), serde_json::to_value(case.file.model.input()).unwrap());
        if case.name.starts_with("table") {
            let columns = json!({"numbers": ["size", "age", "speed", "weight"], "categories": ["colour", "'); drop"]});
            assert_eq!(json("columns"), columns);
        }
    }
}
