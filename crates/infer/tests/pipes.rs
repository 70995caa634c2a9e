//! `infer predict` between other programs: names and rows on standard input, folders that are watched, shards, and files to go on with.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod scratch;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use scratch::{Done, Scratch, pgm, pixels, rows, values};
use serde_json::Value;

const JSONL: [&str; 2] = ["--format", "jsonl"];

/// Pictures `pictures/0.pgm` and so on, and a model of them.
fn pictures(count: u8) -> Scratch {
    let scratch = Scratch::new();
    scratch.picture_model();
    for seed in 0..count {
        scratch.write(&format!("pictures/{seed}.pgm"), pgm(seed));
    }
    scratch
}

fn predict(scratch: &Scratch, arguments: &[&str], input: &[u8]) -> Done {
    scratch.infer_with(&[&["predict", "model.safetensors"], arguments].concat(), input)
}

/// Each source's line, without what differs from run to run.
fn answers(text: &str) -> BTreeMap<String, Value> {
    let mut answers = BTreeMap::new();
    for line in text.lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("model");
        let source = line["source"].as_str().unwrap().to_owned();
        assert!(answers.insert(source.clone(), line).is_none(), "{source} twice");
    }
    answers
}

#[test]
fn names_on_standard_input_are_predicted_whatever_is_in_them() {
    let scratch = pictures(2);
    scratch.write("pictures/a name with\na line end.pgm", pgm(7));
    let list = b"pictures/0.pgm\0\0pictures/a name with\na line end.pgm\0pictures/[x].pgm\0pictures/1.pgm";
    let done = predict(&scratch, &[&["--stdin0"][..], &JSONL].concat(), list);
    assert_eq!(done.code, 3, "one isn't there: {done:?}");
    let expected = ["pictures/0.pgm", "pictures/a name with\na line end.pgm", "pictures/[x].pgm", "pictures/1.pgm"];
    assert_eq!(done.sources(), expected);
    assert!(done.json()[2]["error"].as_str().unwrap().contains("No such file"), "a name is no pattern");
    let alone = predict(&scratch, &[&["pictures/1.pgm"][..], &JSONL].concat(), b"");
    assert_eq!(alone.json()[0], done.json()[3]);

    for list in [&b"pictures/0.pgm\npictures/1.pgm\n"[..], &[b'x'; 70_000]] {
        let done = predict(&scratch, &[&["--stdin0"][..], &JSONL].concat(), list);
        assert_eq!((done.code, done.sources()), (3, vec!["-".to_owned()]));
        assert!(done.json()[0]["error"].as_str().unwrap().contains("find -print0"), "{done:?}");
    }
}

#[test]
fn rows_of_pixels_are_pictures() {
    let scratch = pictures(3);
    let row = |seed| pixels(seed).iter().map(u8::to_string).collect::<Vec<_>>();
    let text = format!("{}\n{}\n1,2,3\n\n{}", row(0).join(","), row(1).join(" "), row(2).join("\t"));
    let done = predict(&scratch, &[&["--rows", "-"][..], &JSONL].concat(), text.as_bytes());
    assert_eq!(done.code, 3);
    assert_eq!(done.sources(), ["-:1", "-:2", "-:3", "-:5"]);
    assert!(done.json()[2]["error"].as_str().unwrap().contains("expected 64 numbers"), "{done:?}");
    let files = predict(&scratch, &[&["pictures"][..], &JSONL].concat(), b"").json();
    for (row, file) in [(0, 0), (1, 1), (3, 2)] {
        assert_eq!(done.json()[row]["topk"], files[file]["topk"]);
    }
    scratch.write("rows.csv", text);
    let file = predict(&scratch, &[&["--rows", "rows.csv"][..], &JSONL].concat(), b"");
    assert_eq!(file.sources()[3], "rows.csv:5");
}

#[test]
fn a_slow_pipe_is_answered_as_it_speaks() {
    let scratch = Scratch::new();
    scratch.model("model.safetensors", rows(), &values(&["price"]));
    let mut child = scratch
        .command(&["predict", "model.safetensors", "-", "--format", "jsonl"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut lines = BufReader::new(output).lines();
    input.write_all(b"size,colour\n").unwrap();
    for line in 2..5 {
        input.write_all(b"1,red\n").unwrap();
        let answer: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["source"], format!("-:{line}"));
    }
    drop(input);
    assert!(lines.next().is_none() && child.wait().unwrap().success());
}

#[test]
fn shards_have_every_input_once() {
    let scratch = pictures(20);
    let all = predict(&scratch, &[&["pictures", "none.pgm"][..], &JSONL].concat(), b"");
    let parts = [1, 2, 3].map(|part| {
        let shard = format!("{part}/3");
        predict(&scratch, &[&["none.pgm", "pictures", "--shard", &shard][..], &JSONL].concat(), b"").out
    });
    assert!(parts.iter().all(|part| !part.is_empty()), "{parts:?}");
    assert_eq!(answers(&parts.concat()), answers(&all.out));
}

#[test]
fn what_stands_for_many_inputs_is_told_by_every_part_and_every_time() {
    let scratch = Scratch::new();
    scratch.picture_model();
    std::fs::create_dir(scratch.path().join("empty")).unwrap();
    for part in ["1/3", "2/3", "3/3"] {
        for _ in 0..2 {
            let done = predict(&scratch, &["empty", "--shard", part, "-o", "out.jsonl", "--resume"], b"");
            assert!(done.code == 3 && done.err.contains("in `out.jsonl`"), "{done:?}");
        }
    }
    assert_eq!(std::fs::read_to_string(scratch.path().join("out.jsonl")).unwrap().lines().count(), 6);
    let full = predict(&scratch, &["empty", "-o", "/dev/full"], b"");
    assert!(full.code == 7 && full.err.contains("cannot write `/dev/full`"), "{full:?}");
}

#[test]
fn killed_shards_go_on_and_nothing_is_lost_or_doubled() {
    let scratch = pictures(200);
    scratch.write("pictures/bad.pgm", "no picture");
    let expected = answers(&predict(&scratch, &[&["pictures"][..], &JSONL].concat(), b"").out);
    let out = scratch.path().join("out");
    std::fs::create_dir(&out).unwrap();
    for part in ["1/2", "2/2"] {
        let file = out.join(part.replace('/', "-")).with_extension("jsonl");
        let name = file.display().to_string();
        let arguments = ["predict", "model.safetensors", "pictures", "--batch", "1", "--shard", part, "-o", &name];
        // Killed as soon as so many bytes are there: within a line as well as between two.
        for bytes in [1, 500, 2000, 5000] {
            let mut child = scratch.command(&[&arguments[..], &["--resume"]].concat()).spawn().unwrap();
            wait(&mut child, || std::fs::metadata(&file).is_ok_and(|about| about.len() >= bytes));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let torn = std::fs::read(&file).unwrap();
        std::fs::write(&file, &torn[..torn.len() - torn.len().min(7)]).unwrap();
        let done = scratch.infer(&[&arguments[..], &["--resume"]].concat());
        let bad = std::fs::read_to_string(&file).unwrap().contains("\"error\"");
        assert_eq!(done.code, if bad { 3 } else { 0 }, "{done:?}");
        let again = scratch.infer(&[&arguments[..], &["--resume"]].concat());
        assert!(again.err.contains("0 predicted") && again.code == done.code, "{again:?}");
    }
    let parts: Vec<String> =
        ["1-2.jsonl", "2-2.jsonl"].iter().map(|name| std::fs::read_to_string(out.join(name)).unwrap()).collect();
    assert_eq!(answers(&parts.concat()), expected);
}

#[test]
fn a_file_that_is_no_output_of_this_model_is_left_alone() {
    let scratch = pictures(2);
    scratch.write("diary.jsonl", "dear diary\n");
    let done = predict(&scratch, &["pictures", "-o", "diary.jsonl"], b"");
    assert!(done.code == 2 && done.err.contains("--resume goes on with it"), "{done:?}");
    let done = predict(&scratch, &["pictures", "-o", "diary.jsonl", "--resume"], b"");
    assert!(done.code == 3 && done.err.contains("line 1"), "{done:?}");
    assert_eq!(std::fs::read_to_string(scratch.path().join("diary.jsonl")).unwrap(), "dear diary\n");

    assert_eq!(predict(&scratch, &["pictures", "-o", "a.jsonl"], b"").code, 0);
    scratch.model("other.safetensors", scratch::pictures(), &scratch::classes(&["x", "y", "z"]));
    let other = scratch.infer(&["predict", "other.safetensors", "pictures", "-o", "a.jsonl", "--resume"]);
    assert!(other.code == 3 && other.err.contains("is an answer of the model"), "{other:?}");
    let csv = predict(&scratch, &["pictures", "-o", "a.csv", "--resume"], b"");
    assert!(csv.code == 2 && csv.err.contains("lines of JSON"), "{csv:?}");
    let nowhere = predict(&scratch, &["pictures", "-o", "no/such/folder.jsonl"], b"");
    assert!(nowhere.code == 2 && nowhere.err.contains("cannot write"), "{nowhere:?}");
}

#[test]
fn the_ending_of_the_output_says_its_format() {
    let scratch = pictures(2);
    for (name, start) in [("a.jsonl", "{\"v\":1"), ("a.json", "[\n{"), ("a.csv", "source,label"), ("a.txt", "source ")]
    {
        let done = predict(&scratch, &["pictures", "-o", name], b"");
        assert!(done.code == 0 && done.out.is_empty(), "{done:?}");
        let text = std::fs::read_to_string(scratch.path().join(name)).unwrap();
        assert!(text.starts_with(start), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_watched_folder_is_predicted_as_it_fills() {
    let scratch = pictures(1);
    let mut child = scratch
        .command(&["predict", "model.safetensors", "pictures", "--watch=0.05", "--format", "jsonl"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let rename = |from, to| std::fs::rename(scratch.path().join(from), scratch.path().join(to)).unwrap();
    assert_eq!(next()["source"], "pictures/0.pgm");
    scratch.write("pictures/deep/being.written", pgm(3));
    rename("pictures/deep/being.written", "pictures/deep/new.pgm");
    assert_eq!(next()["source"], "pictures/deep/new.pgm");
    scratch.write("pictures/being.written", "broken now");
    rename("pictures/being.written", "pictures/0.pgm");
    assert!(next()["error"].is_string());
    let stopped = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert_eq!(child.wait().unwrap().code(), Some(3), "one could not be predicted");
    let file = predict(&scratch, &["pictures/0.pgm", "--watch"], b"");
    assert!(file.code == 2 && file.err.contains("looks into folders"), "{file:?}");
}

/// Waits until `done`, or the child has ended.
fn wait(child: &mut Child, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() && child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing happens");
        std::thread::sleep(Duration::from_millis(1));
    }
}
