//! `infer predict` from outside: inputs, order, formats, exit codes.

mod scratch;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use scratch::{Scratch, classes, labels, pgm, pictures, rows, values};
use serde_json::Value;

#[test]
fn files_folders_and_patterns_are_predicted_in_order() {
    let scratch = Scratch::new();
    scratch.picture_model();
    for (name, seed) in
        [("b.pgm", 1), ("a.pgm", 2), ("more/x.pgm", 3), ("more/deep/y.pgm", 4), ("p1.pgm", 5), ("p2.pgm", 6)]
    {
        scratch.write(name, pgm(seed));
    }
    scratch.write("more/readme.txt", "not a picture");
    let done =
        scratch.infer(&["predict", "model.safetensors", "b.pgm", "more", "a.pgm", "p?.pgm", "--format", "jsonl"]);
    assert_eq!(done.code, 0, "{done:?}");
    let slashes = |name: &String| name.replace('\\', "/");
    let sources: Vec<String> = done.sources().iter().map(slashes).collect();
    assert_eq!(sources, ["b.pgm", "more/deep/y.pgm", "more/x.pgm", "a.pgm", "p1.pgm", "p2.pgm"]);
    assert!(done.err.contains("6 predicted"), "{}", done.err);
}

#[test]
fn a_line_of_json_says_all_that_its_schema_promises() {
    let scratch = Scratch::new();
    scratch.picture_model();
    scratch.write("a.pgm", pgm(1));
    let done = scratch.infer(&["predict", "model.safetensors", "a.pgm", "--format", "jsonl", "--top-k", "2"]);
    assert!(done.out.starts_with(r#"{"v":1,"source":"a.pgm","label":""#), "{}", done.out);
    let line = &done.json()[0];
    let topk = line["topk"].as_array().unwrap();
    assert_eq!(topk.len(), 2);
    for key in ["label", "index", "prob"] {
        assert_eq!(line[key], topk[0][key]);
    }
    assert_eq!(line["label"], ["cat", "dog", "emu"][line["index"].as_u64().unwrap() as usize]);
    assert!(topk[0]["prob"].as_f64() >= topk[1]["prob"].as_f64());
    let all = scratch.infer(&["predict", "model.safetensors", "a.pgm", "--format", "jsonl", "--top-k", "99"]);
    let sum: f64 = all.json()[0]["topk"].as_array().unwrap().iter().map(|class| class["prob"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
}

#[test]
fn one_bad_file_is_reported_in_its_place_and_the_others_are_predicted() {
    let scratch = Scratch::new();
    scratch.picture_model();
    scratch.write("a.pgm", pgm(1));
    scratch.write("bad.pgm", "P5\n8 8\n255\nshort");
    scratch.write("c.pgm", pgm(3));
    let inputs = ["predict", "model.safetensors", "a.pgm", "bad.pgm", "absent.pgm", "none*", "c.pgm"];
    let done = scratch.infer(&[&inputs[..], &["--format", "jsonl"]].concat());
    assert_eq!(done.code, 3, "{done:?}");
    assert_eq!(done.sources(), ["a.pgm", "bad.pgm", "absent.pgm", "none*", "c.pgm"]);
    let is_error: Vec<bool> = done.json().iter().map(|line| line["error"].is_string()).collect();
    assert_eq!(is_error, [false, true, true, true, false]);
    assert!(done.json()[2]["error"].as_str().unwrap().contains("absent.pgm"));
    assert!(done.err.contains("error: 3 of 5 inputs could not be predicted"), "{}", done.err);
    for format in ["table", "csv", "json"] {
        let done = scratch.infer(&[&inputs[..], &["--format", format]].concat());
        assert_eq!(done.code, 3);
        assert!(done.out.contains("bad.pgm") && done.out.contains("c.pgm"), "{}", done.out);
    }
}

#[test]
fn all_formats_agree() {
    let scratch = Scratch::new();
    scratch.picture_model();
    for seed in 0..4 {
        scratch.write(&format!("{seed}.pgm"), pgm(seed));
    }
    let with = |format| scratch.infer(&["predict", "model.safetensors", ".", "--format", format, "--top-k", "2"]);
    let lines = with("jsonl").json();
    let array: Value = serde_json::from_str(&with("json").out).unwrap();
    assert_eq!(array.as_array().unwrap(), &lines);
    let text = with("csv").out;
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(csv.headers().unwrap(), vec!["source", "label", "index", "prob", "label2", "prob2", "error"]);
    let table = with("table").out;
    assert_eq!(table.lines().count(), 1 + lines.len());
    for ((row, line), shown) in csv.records().zip(&lines).zip(table.lines().skip(1)) {
        let row = row.unwrap();
        assert_eq!(&row[0], line["source"].as_str().unwrap());
        assert_eq!(&row[1], line["label"].as_str().unwrap());
        assert_eq!(row[3].parse::<f32>().unwrap(), line["prob"].as_f64().unwrap() as f32);
        assert_eq!(&row[4], line["topk"][1]["label"].as_str().unwrap());
        let percent = format!("{:.1}%", 100.0 * line["prob"].as_f64().unwrap());
        assert!(shown.contains(&row[0]) && shown.contains(&row[1]) && shown.contains(&percent), "{shown}");
    }
}

#[test]
fn standard_input_is_a_picture() {
    let scratch = Scratch::new();
    scratch.picture_model();
    scratch.write("a.pgm", pgm(9));
    let piped = scratch.infer_with(&["predict", "model.safetensors", "-", "--format", "jsonl"], &pgm(9));
    let named = scratch.infer(&["predict", "model.safetensors", "a.pgm", "--format", "jsonl"]);
    assert_eq!((piped.code, piped.sources()), (0, vec!["-".to_owned()]));
    assert_eq!(piped.json()[0]["topk"], named.json()[0]["topk"]);
    assert_eq!(scratch.infer_with(&["predict", "model.safetensors", "-"], b"noise").code, 3);
    assert_eq!(scratch.infer_with(&["predict", "model.safetensors", "-"], b"").code, 3);
}

#[test]
fn a_runs_folder_stands_for_its_best_weights() {
    let scratch = Scratch::new();
    scratch.model("runs/first/weights/best.safetensors", pictures(), &classes(&["a", "b"]));
    scratch.write("a.pgm", pgm(1));
    assert_eq!(scratch.infer(&["predict", "runs/first", "a.pgm"]).code, 0);
    let done = scratch.infer(&["predict", "runs", "a.pgm"]);
    assert_eq!(done.code, 4);
    assert!(done.err.contains("weights/best.safetensors"), "{}", done.err);
}

#[test]
fn several_labels_are_listed_with_all_probabilities() {
    let scratch = Scratch::new();
    scratch.model("model.safetensors", pictures(), &labels(&["sky", "sea"]));
    scratch.write("a.pgm", pgm(1));
    let done = scratch.infer(&["predict", "model.safetensors", "a.pgm", "--format", "jsonl"]);
    let line = &done.json()[0];
    let applies = |name: &str| line["probs"][name].as_f64().unwrap() >= 0.5;
    let expected: Vec<&str> = ["sky", "sea"].into_iter().filter(|name| applies(name)).collect();
    assert_eq!(line["labels"], serde_json::json!(expected));
    assert!(done.out.find("sky") < done.out.find("sea"), "not in the order of the labels: {}", done.out);
    let csv = scratch.infer(&["predict", "model.safetensors", "a.pgm", "--format", "csv"]).out;
    assert!(csv.starts_with("source,labels,p_sky,p_sea,error\na.pgm,"), "{csv}");
    assert_eq!(scratch.infer(&["predict", "model.safetensors", "a.pgm"]).out.lines().count(), 2);
}

#[test]
fn rows_of_a_table_are_predicted_by_name_and_bad_ones_in_their_place() {
    let scratch = Scratch::new();
    scratch.model("model.safetensors", rows(), &values(&["price", "weight"]));
    scratch.write("rows.csv", "colour,size\nred,1.5\nblue,large\ngreen,3\nred,1.5\n");
    let done = scratch.infer(&["predict", "model.safetensors", "rows.csv", "--format", "jsonl"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert_eq!(done.sources(), ["rows.csv:2", "rows.csv:3", "rows.csv:4", "rows.csv:5"]);
    let lines = done.json();
    assert!(lines[1]["error"].as_str().unwrap().contains("size"), "{}", lines[1]);
    assert!(lines[0]["values"]["price"].is_f64() && lines[0]["values"]["weight"].is_f64());
    assert_eq!(lines[0]["values"], lines[3]["values"]);
    assert_ne!(lines[0]["values"], lines[2]["values"]);
    let csv = scratch.infer(&["predict", "model.safetensors", "rows.csv", "--format", "csv"]).out;
    assert!(csv.starts_with("source,price,weight,error\nrows.csv:2,"), "{csv}");

    // By position, with and without the target; from standard input, and a pipe that stays open gets its answers.
    let piped =
        scratch.infer_with(&["predict", "model.safetensors", "-", "--format", "jsonl"], b"1.5,red,9\n2,blue,9\n");
    assert_eq!((piped.code, piped.sources()), (0, vec!["-:1".to_owned(), "-:2".to_owned()]));
    assert_eq!(piped.json()[0]["values"], lines[0]["values"]);
    let short = scratch.infer_with(&["predict", "model.safetensors", "-", "--format", "jsonl"], b"1.5,red\n");
    assert_eq!(short.json()[0]["values"], lines[0]["values"]);
    let table = scratch.infer(&["predict", "model.safetensors", "rows.csv"]).out;
    assert!(table.lines().next().unwrap().contains("price") && table.contains("error: "), "{table}");
}

#[test]
fn a_table_that_lacks_a_column_is_refused_by_its_name() {
    let scratch = Scratch::new();
    scratch.model("model.safetensors", rows(), &values(&["price"]));
    scratch.write("rows.csv", "size,color\n1,red\n");
    let done = scratch.infer(&["predict", "model.safetensors", "rows.csv", "absent.csv", "--format", "jsonl"]);
    assert_eq!((done.code, done.sources()), (3, vec!["rows.csv".to_owned(), "absent.csv".to_owned()]));
    assert!(done.json()[0]["error"].as_str().unwrap().contains("colour"), "{}", done.out);
}

#[test]
fn a_pipe_that_stays_open_is_answered_batch_by_batch() {
    use std::io::Write;
    let scratch = Scratch::new();
    scratch.model("model.safetensors", rows(), &values(&["price"]));
    let mut command = scratch.command(&["predict", "model.safetensors", "-", "--format", "jsonl", "--batch", "1"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for row in 1..=3 {
        input.write_all(b"1.5,red\n").unwrap();
        input.flush().unwrap();
        let line: Value = serde_json::from_str(&output.next().unwrap().unwrap()).unwrap();
        assert_eq!(line["source"], format!("-:{row}"));
    }
    drop(input);
    assert!(output.next().is_none() && child.wait().unwrap().success());
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let scratch = Scratch::new();
    scratch.model("model.safetensors", rows(), &values(&["price"]));
    scratch.write("rows.csv", "1.5,red\n".repeat(50_000));
    let mut command = scratch.command(&["predict", "model.safetensors", "rows.csv", "--format", "jsonl", "--quiet"]);
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    drop(output);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(child.wait().unwrap().success(), "{err}");
    assert_eq!(err, "");
}

#[test]
fn many_inputs_stay_in_order_over_batches_and_threads() {
    let scratch = Scratch::new();
    scratch.picture_model();
    for seed in 0..150 {
        scratch.write(&format!("{seed:03}.pgm"), if seed % 40 == 7 { b"bad".to_vec() } else { pgm(seed) });
    }
    let done = scratch.infer(&["predict", "model.safetensors", ".", "--format", "jsonl", "--batch", "16"]);
    let names: Vec<String> = (0..150).map(|seed| format!("{seed:03}.pgm")).collect();
    let found: Vec<String> = done.sources().iter().map(|name| name.trim_start_matches("./").to_owned()).collect();
    assert_eq!(found, names);
    let bad: Vec<usize> =
        done.json().iter().enumerate().filter(|(_, line)| line["error"].is_string()).map(|(at, _)| at).collect();
    assert_eq!(bad, [7, 47, 87, 127]);
}

#[test]
fn exit_codes_tell_usage_from_model_from_data() {
    let scratch = Scratch::new();
    scratch.picture_model();
    scratch.write("a.pgm", pgm(1));
    scratch.write("plain.safetensors", [&2_u64.to_le_bytes()[..], b"{}"].concat());
    let code = |arguments: &[&str]| {
        let done = scratch.infer(arguments);
        assert!(done.code == 0 || done.err.contains("error: "), "{done:?}");
        done.code
    };
    assert_eq!(code(&["predict"]), 2);
    assert_eq!(code(&["predict", "model.safetensors"]), 2);
    assert_eq!(code(&["predict", "model.safetensors", "a.pgm", "--top-k", "0"]), 2);
    assert_eq!(code(&["predict", "model.safetensors", "a.pgm", "--device", "abacus"]), 2);
    assert_eq!(code(&["predict", "absent.safetensors", "a.pgm"]), 4);
    assert_eq!(code(&["predict", "plain.safetensors", "a.pgm"]), 4);
    assert_eq!(code(&["predict", "a.pgm", "a.pgm"]), 4);
    assert_eq!(code(&["predict", "model.safetensors", "absent.pgm"]), 3);
    assert_eq!(code(&["predict", "model.safetensors", "a.pgm"]), 0);
    assert_eq!(code(&["--version"]), 0);
}

#[test]
fn quiet_says_nothing_that_is_no_error() {
    let scratch = Scratch::new();
    scratch.picture_model();
    scratch.write("a.pgm", pgm(1));
    let done = scratch.infer(&["predict", "model.safetensors", "a.pgm", "--quiet"]);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
}

#[test]
fn completions_are_printed_for_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let done = Scratch::new().infer(&["completions", shell]);
        assert!(done.code == 0 && done.out.contains("predict") && done.out.contains("top-k"), "{shell}: {}", done.err);
    }
}

#[test]
fn probabilities_are_calibrated_unless_that_is_not_wanted() {
    let scratch = Scratch::new();
    let names = classes(&["cat", "dog", "emu"]);
    scratch.picture_model();
    let calibration = serde_json::json!({ "samples": 3, "temperature": 4.0 });
    scratch.calibrated("warm.safetensors", pictures(), &names, Some(calibration));
    scratch.write("a.pgm", pgm(1));
    let ask = |model: &str, more: &[&str]| {
        let done = scratch.infer(&[&["predict", model, "a.pgm", "--format", "jsonl"], more].concat());
        assert_eq!(done.code, 0, "{done:?}");
        done.json().remove(0)
    };
    let (plain, warm) = (ask("model.safetensors", &[]), ask("warm.safetensors", &[]));
    assert_eq!(ask("warm.safetensors", &["--no-calibration"]), plain);
    let logs = |line: &Value| -> Vec<f64> {
        line["topk"].as_array().unwrap().iter().map(|class| class["prob"].as_f64().unwrap().ln()).collect()
    };
    let (before, after) = (logs(&plain), logs(&warm));
    assert!(((before[0] - before[2]) / (after[0] - after[2]) - 4.0).abs() < 1e-4, "{plain} {warm}");
    assert_eq!(plain["label"], warm["label"]);
    assert!(warm.get("set").is_none() && warm.get("coverage").is_none());
}

#[test]
fn sets_and_intervals_are_those_of_the_stored_scores_in_every_format() {
    let scratch = Scratch::new();
    let names = classes(&["cat", "dog", "emu"]);
    // An untrained network says about a third of each: -ln is about 1.1.
    let scores: Vec<f64> = (1..=39).map(|score| if score <= 20 { 1e-3 } else { 90.0 }).collect();
    let calibration = serde_json::json!({ "samples": 39, "temperature": 1.0, "scores": [scores] });
    scratch.calibrated("m.safetensors", pictures(), &names, Some(calibration));
    scratch.write("a.pgm", pgm(1));
    let ask = |coverage: &str, format: &str| {
        let done = scratch.infer(&["predict", "m.safetensors", "a.pgm", "--coverage", coverage, "--format", format]);
        assert_eq!(done.code, 0, "{done:?}");
        done
    };
    // Rank 20 of 39: the best class alone, though it is less probable than the limit asks.
    let (half, most) = (ask("0.5", "jsonl").json().remove(0), ask("0.9", "jsonl").json().remove(0));
    assert_eq!((half["set"].as_array().unwrap().len(), &half["coverage"]), (1, &serde_json::json!(0.5)));
    assert_eq!(half["set"][0], half["topk"][0]);
    assert_eq!(most["set"], most["topk"]);
    let table = ask("0.9", "table").out;
    assert!(table.contains("prob  set") && ["cat", "dog", "emu"].iter().all(|name| table.contains(name)), "{table}");
    let csv = ask("0.5", "csv").out;
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("source,label,index,prob,label2,prob2,label3,prob3,set,error"));
    assert!(lines.next().unwrap().ends_with(&format!(",{},", half["label"].as_str().unwrap())), "{csv}");
    // 39 samples are one too few for 98 %.
    let few = ask("0.98", "jsonl");
    assert_eq!(few.json()[0]["set"].as_array().unwrap().len(), 3);
    assert!(few.err.contains("--coverage 0.98 needs 49 validation samples, the model has 39"), "{}", few.err);

    let calibration = serde_json::json!({ "samples": 9, "scores": [[1, 2, 3, 4, 5, 6, 7, 8, 9], [10, 20, 30, 40, 50, 60, 70, 80, 90]] });
    scratch.calibrated("t.safetensors", rows(), &values(&["price", "age"]), Some(calibration));
    scratch.write("rows.csv", "size,colour\n1,red\nbad,red\n");
    let ask = |more: &[&str]| scratch.infer(&[&["predict", "t.safetensors", "rows.csv"], more].concat());
    let done = ask(&["--coverage", "0.5", "--format", "jsonl"]);
    assert_eq!(done.code, 3);
    let line = &done.json()[0];
    for (name, margin) in [("price", 5.0), ("age", 50.0)] {
        let [value, low, high] = ["values", "low", "high"].map(|key| line[key][name].as_f64().unwrap());
        assert!((value - low - margin).abs() < 1e-9 && (high - value - margin).abs() < 1e-9, "{line}");
    }
    assert!(done.json()[1].get("coverage").is_none());
    let csv = ask(&["--coverage", "0.5", "--format", "csv"]).out;
    assert!(csv.starts_with("source,price,age,low_price,high_price,low_age,high_age,error\n"), "{csv}");
    assert!(csv.lines().take(2).all(|line| line.matches(',').count() == 7), "{csv}");
    let open = ask(&["--coverage", "0.95", "--format", "jsonl"]);
    assert!(open.json()[0]["low"]["price"].is_null() && open.json()[0]["high"]["age"].is_null(), "{}", open.out);
    assert!(ask(&["--coverage", "0.5"]).out.contains("[50 % interval]"));
}
