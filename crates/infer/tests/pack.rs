//! `infer pack`: a program with a model inside it, on a machine that has neither.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(unix)]

mod scratch;

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use scratch::{Done, Scratch, pgm};

/// Runs the packed program alone: in a folder of its own, without any variable of this one.
fn run(program: &Path, arguments: &[&str]) -> Done {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(program.parent().unwrap()).env_clear().stdin(Stdio::null());
    // A program that another test starts just now may hold the file that this one has written, until it is that program.
    let output = loop {
        match command.output() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            output => break output.unwrap(),
        }
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn a_packed_program_predicts_tests_itself_and_packs_itself_again() {
    let scratch = Scratch::new();
    scratch.picture_model();
    scratch.golden("model.safetensors");
    scratch.write("a.pgm", pgm(1));
    let expected = scratch.infer(&["predict", "model.safetensors", "a.pgm", "--format", "jsonl"]);
    let done = scratch.infer(&["pack", "model.safetensors", "-o", "away/reader"]);
    assert!(done.code == 2 && done.err.contains("cannot write `away/reader`"), "{done:?}");
    std::fs::create_dir(scratch.path().join("away")).unwrap();
    let done = scratch.infer(&["pack", "model.safetensors", "-o", "away/reader"]);
    assert!(done.code == 0 && done.err.contains("try away/reader self-test"), "{done:?}");

    let reader = scratch.path().join("away/reader");
    scratch.write("away/a.pgm", pgm(1));
    for arguments in [&["a.pgm", "--format", "jsonl"][..], &["predict", "--format", "jsonl", "a.pgm"]] {
        let done = run(&reader, arguments);
        assert_eq!((done.code, &done.out), (0, &expected.out), "{done:?}");
    }
    assert_eq!(run(&reader, &["self-test"]).code, 0);
    let help = run(&reader, &["predict", "--help"]).out;
    assert!(help.contains("Usage: reader predict [OPTIONS] [INPUTS]...") && !help.contains("MODEL"), "{help}");
    let help = run(&reader, &["--help"]).out;
    assert!(help.contains("reader [OPTIONS] INPUTS...") && !help.contains("--runs"), "{help}");

    // Whoever reads model files reads it, too.
    let other = scratch.infer(&["predict", "away/reader", "a.pgm", "--format", "jsonl"]);
    assert_eq!(other.out, expected.out, "{other:?}");
    let again = run(&reader, &["pack", "-o", "again"]);
    assert_eq!(again.code, 0, "{again:?}");
    let same = std::fs::read(&reader).unwrap() == std::fs::read(scratch.path().join("away/again")).unwrap();
    assert!(same, "packed twice is packed once");
}

#[test]
fn what_cannot_be_packed_is_told_and_nothing_is_overwritten() {
    let scratch = Scratch::new();
    scratch.picture_model();
    scratch.write("notes.txt", "mine");
    let done = scratch.infer(&["pack", "model.safetensors", "-o", "notes.txt"]);
    assert!(done.code == 2 && done.err.contains("is there already and no packed program"), "{done:?}");
    let done = scratch.infer(&["pack", "notes.txt", "-o", "reader"]);
    assert!(done.code == 4 && !scratch.path().join("reader").exists(), "{done:?}");
    let done = scratch.infer(&["pack", "absent", "-o", "reader"]);
    assert!(done.code == 4 && done.err.contains("absent"), "{done:?}");
}

#[test]
fn a_damaged_program_says_so() {
    let scratch = Scratch::new();
    scratch.picture_model();
    assert_eq!(scratch.infer(&["pack", "model.safetensors", "-o", "reader"]).code, 0);
    let path = scratch.path().join("reader");
    let mut bytes = std::fs::read(&path).unwrap();
    // The length of the model, in the mark at the end.
    let at = bytes.len() - 24;
    bytes[at] ^= 1;
    let damaged = scratch.write("damaged", &bytes);
    std::fs::set_permissions(&damaged, std::fs::metadata(&path).unwrap().permissions()).unwrap();
    let done = run(&damaged, &["self-test"]);
    assert!(done.code == 4 && done.err.contains("is damaged"), "{done:?}");
}
