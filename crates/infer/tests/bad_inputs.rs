//! Bad inputs of every kind, given to the real `infer`: the tables in `bad_inputs/` say the exact exit code and message of each. How they are
//! written and run stands in `crates/trainer/tests/bad_inputs`, which the trainer's tables share.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(all(target_os = "linux", feature = "flex"))]

#[path = "../../trainer/tests/bad_inputs/edits.rs"]
mod edits;
#[path = "../../trainer/tests/bad_inputs/harness.rs"]
mod harness;
mod scratch;
#[path = "../../trainer/tests/bad_inputs/tensors.rs"]
mod tensors;

use std::path::Path;

use scratch::{Scratch, classes, labels, pgm, pictures, rows, values};

#[test]
fn every_bad_input_gets_its_exit_code_and_its_message() {
    let tables = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bad_inputs");
    let rows = harness::check(&harness::Program { binary: env!("CARGO_BIN_EXE_infer"), tables, base });
    assert!(rows >= 210, "{rows} rows");
}

/// What a row's folder begins with, by name.
fn base(name: &str, folder: &Path) {
    let scratch = Scratch::new();
    match name {
        "pictures" => {
            let model = scratch.model("m.safetensors", pictures(), &classes(&["cat", "dog", "emu"]));
            edits::copy(&model, &folder.join("m.safetensors"));
            edits::make(&folder.join("a.pgm"), &pgm(1)).unwrap();
        }
        "labels" => {
            let model = scratch.model("l.safetensors", pictures(), &labels(&["wet", "cold"]));
            edits::copy(&model, &folder.join("l.safetensors"));
        }
        "rows" => {
            let model = scratch.model("t.safetensors", rows(), &values(&["price"]));
            edits::copy(&model, &folder.join("t.safetensors"));
        }
        _ => panic!("no base `{name}`"),
    }
}
