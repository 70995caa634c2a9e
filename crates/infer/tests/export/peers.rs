//! Programs of others that answer what a model was exported for, and their answers as they are kept.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::case::Exported;
use crate::scratch::Scratch;

/// A script beside this file that asks a peer.
pub(crate) struct Peer {
    /// What the Python that `PEERS_PYTHON` names has to have.
    pub(crate) imports: &'static str,
    pub(crate) script: &'static str,
    /// Its answers, beside it.
    pub(crate) golden: &'static str,
    /// By how much a number may differ from ours, as [`distance`] counts.
    pub(crate) tolerance: f64,
}

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/export");

impl Peer {
    /// The Python with the peer, if there is one.
    pub(crate) fn python(&self) -> Option<String> {
        let python = std::env::var("PEERS_PYTHON").ok();
        let import = format!("import {}", self.imports);
        let has = |python: &String| Command::new(python).args(["-c", &import]).output().unwrap().status.success();
        let python = python.filter(has);
        if python.is_none() {
            eprintln!("not run by the peer: PEERS_PYTHON names no Python with {}", self.imports);
        }
        python
    }

    /// What the peer says of `cases`, by name.
    pub(crate) fn ask(&self, python: &str, scratch: &Scratch, cases: &BTreeMap<String, Value>) -> Value {
        scratch.write("cases.json", json!(cases).to_string());
        let script = Path::new(FOLDER).join(self.script);
        let output = Command::new(python).arg("-B").arg(script).arg(scratch.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The peer answers each case as we do.
    pub(crate) fn check(&self, python: &str, scratch: &Scratch, cases: &BTreeMap<String, Exported>) -> Value {
        let asked = cases.iter().map(|(name, exported)| (name.clone(), exported.case.clone())).collect();
        let found = self.ask(python, scratch, &asked);
        let mut wrong = Vec::new();
        for (name, exported) in cases {
            let distance = distance(&found[name], exported);
            eprintln!("{name}: {} numbers, {distance:.1e}", exported.expected.len());
            wrong.extend((distance > self.tolerance).then_some((name, distance)));
        }
        assert!(wrong.is_empty(), "the peer's answers differ: {wrong:?}");
        found
    }

    /// The same, and its answers and the files are those that are kept; with nobody to ask, those that are kept are answered as we do.
    pub(crate) fn check_golden(&self, scratch: &Scratch, cases: BTreeMap<String, Exported>) {
        let place = Path::new(FOLDER).join(self.golden);
        if let Some(python) = self.python() {
            let found = self.check(&python, scratch, &cases);
            if std::env::var("GOLDEN").is_ok_and(|what| what == "write") {
                std::fs::write(&place, kept(&found, &cases)).unwrap();
            }
        }
        let golden: Value = serde_json::from_slice(&std::fs::read(&place).unwrap()).unwrap();
        let again =
            format!("let {} check the files again: GOLDEN=write PEERS_PYTHON=... cargo test -p infer", self.imports);
        assert_eq!(golden.as_object().unwrap().len(), cases.len(), "{again}");
        for (name, exported) in &cases {
            assert_eq!(golden[name]["sha256"], exported.sha256, "{name} isn't what the peer checked; {again}");
            let distance = distance(&golden[name], exported);
            assert!(distance <= self.tolerance, "{name}: the peer's answers that are kept differ by {distance:e}");
        }
    }
}

/// The largest difference between what the peer found and what is expected, beside 1, the standard deviation of the number's targets, or the
/// largest number of the sample, whichever is the largest.
fn distance(found: &Value, exported: &Exported) -> f64 {
    let outputs = found["outputs"].as_object().unwrap();
    let found = outputs.get("probabilities").or(outputs.get("values")).unwrap().as_array().unwrap();
    let found: Vec<f64> = found.iter().map(|number| number.as_f64().unwrap()).collect();
    assert_eq!(found.len(), exported.expected.len());
    let samples = found.chunks(exported.width).zip(exported.expected.chunks(exported.width));
    let of = |(found, expected): (&[f64], &[f32])| {
        let largest = expected.iter().fold(1.0_f32, |most, number| most.max(number.abs()));
        let pairs = found.iter().zip(expected).zip(&exported.units);
        let apart =
            pairs.map(|((found, expected), unit)| (found - f64::from(*expected)).abs() / f64::from(largest.max(*unit)));
        apart.fold(0.0, f64::max)
    };
    samples.map(of).fold(0.0, f64::max)
}

/// The peer's answers, rounded, a line for each case, with the hash of what it was given.
fn kept(found: &Value, cases: &BTreeMap<String, Exported>) -> String {
    let round = |number: &Value| json!((number.as_f64().unwrap() * 1e7).round() / 1e7);
    let line = |(name, answers): (&String, &Value)| {
        let outputs = answers["outputs"].as_object().unwrap().iter().filter(|(name, _)| *name != "logits");
        let outputs: Map<String, Value> = outputs
            .map(|(name, numbers)| (name.clone(), numbers.as_array().unwrap().iter().map(round).collect()))
            .collect();
        format!("{}: {}", json!(name), json!({"outputs": outputs, "sha256": cases[name].sha256}))
    };
    format!("{{\n{}\n}}\n", found.as_object().unwrap().iter().map(line).collect::<Vec<_>>().join(",\n"))
}
