//! Beginning with weights from a file: what is taken and said, what is frozen stays to the bit, the head has a rate of its own, and a run
//! that goes on or is repeated knows the file by its hash.

#![cfg(feature = "flex")]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod program;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use models::{ModelFile, NamedTensor, named_tensors};
use program::{ends, stderr, trainer};
use tempfile::TempDir;

/// A network with everything that has a state, trained for an epoch, as `runs/first`.
const FIRST: [&str; 26] = [
    "train",
    "digits",
    "--limit",
    "400",
    "--model",
    "cnn",
    "--filters",
    "8,8",
    "--norm",
    "batch",
    "--optimizer",
    "sgd",
    "--lr",
    "0.05",
    "--ema",
    "0.9",
    "--batch",
    "16",
    "--epochs",
    "1",
    "--runs",
    "runs",
    "--device",
    "cpu",
    "--name",
    "first",
];

fn first() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    ends(trainer(folder.path(), &FIRST), 0, "");
    folder
}

/// The same again, from the file of the first, under another name.
fn second<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = FIRST.to_vec();
    arguments.truncate(24);
    [&arguments[..], &["--name", "second", "--init-from", "runs/first"], more].concat()
}

fn weights(folder: &Path, run: &str) -> BTreeMap<String, Vec<f32>> {
    let path = folder.join("runs").join(run).join("weights/last.safetensors");
    let model = ModelFile::load(&path, &device::select("cpu").unwrap().device).unwrap().model;
    let vector = |tensor: NamedTensor| (tensor.name, tensor.data.try_into_vec().unwrap());
    named_tensors(&model).into_iter().map(vector).collect()
}

fn json(folder: &Path, file: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.join("runs").join(file)).unwrap()).unwrap()
}

fn train_loss(folder: &Path, run: &str) -> f64 {
    let text = fs::read_to_string(folder.join("runs").join(run).join("results.csv")).unwrap();
    let mut lines = text.lines();
    let column = lines.next().unwrap().split(',').position(|name| name == "train/loss").unwrap();
    lines.next().unwrap().split(',').nth(column).unwrap().trim().parse().unwrap()
}

#[test]
fn a_run_from_anothers_weights_begins_where_that_ended_and_says_so() {
    let folder = first();
    let folder = folder.path();
    let text = ends(trainer(folder, &second(&[])), 0, "");
    assert!(text.contains("init     17 of 17 tensors are `best.safetensors`'s (striate)"), "{text}");
    assert!(train_loss(folder, "second") < 0.7 * train_loss(folder, "first"), "it began anew");
    let run = json(folder, "second/run.json");
    let hash = trainer::initial::hash_of(&folder.join("runs/first/weights/best.safetensors")).unwrap();
    assert_eq!(run["initial"]["sha256"], hash);
    assert_eq!(
        (run["initial"]["taken"].as_array().unwrap().len(), &run["initial"]["drawn"]),
        (17, &serde_json::json!([]))
    );
    assert_eq!(json(folder, "first/run.json").get("initial"), None);
    // The model file knows the weights by their hash, and no path.
    let header = ModelFile::header(&folder.join("runs/second/weights/best.safetensors")).unwrap();
    let provenance = header.provenance.to_string();
    assert!(
        provenance.contains(&hash) && !provenance.contains("init_from") && !provenance.contains("first"),
        "{provenance}"
    );
}

#[test]
fn without_a_model_the_network_is_the_files() {
    let folder = first();
    let folder = folder.path();
    let arguments = [
        "train",
        "digits",
        "--limit",
        "400",
        "--epochs",
        "1",
        "--runs",
        "runs",
        "--name",
        "second",
        "--init-from",
        "runs/first",
    ];
    ends(trainer(folder, &arguments), 0, "17 of 17 tensors");
}

#[test]
fn what_is_frozen_stays_to_the_bit_with_its_running_statistics_and_averages() {
    let folder = first();
    let folder = folder.path();
    let text = ends(trainer(folder, &second(&["--freeze", "stages.0", "--weight-decay", "0.1", "--seed", "3"])), 0, "");
    assert!(text.contains("freeze   88 of "), "{text}");
    let (before, after) = (best(folder, "first"), weights(folder, "second"));
    for (name, values) in &before {
        let same = values == &after[name];
        assert_eq!(same, name.starts_with("stages.0."), "{name} is {}", if same { "the same" } else { "another" });
    }
    // Neither has the optimizer a state of what is frozen.
    let checkpoints = fs::read_dir(folder.join("runs/second/checkpoints")).unwrap();
    let newest = checkpoints
        .map(|entry| entry.unwrap().path())
        .find(|path| path.join("optimizer.safetensors").is_file())
        .unwrap();
    let state = fs::read(newest.join("optimizer.safetensors")).unwrap();
    let has = |name: &str| state.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(has("stages.1.blocks.0.conv1.weight.") && !has("stages.0.blocks.0.conv1.weight."));
}

fn best(folder: &Path, run: &str) -> BTreeMap<String, Vec<f32>> {
    let path = folder.join("runs").join(run).join("weights/best.safetensors");
    let model = ModelFile::load(&path, &device::select("cpu").unwrap().device).unwrap().model;
    named_tensors(&model).into_iter().map(|tensor| (tensor.name, tensor.data.try_into_vec().unwrap())).collect()
}

#[test]
fn patterns_that_freeze_nothing_or_everything_are_refused_before_there_is_a_run() {
    let folder = first();
    let folder = folder.path();
    let refused = |pattern: &str, message: &str| {
        ends(trainer(folder, &second(&["--freeze", pattern])), 2, message);
        assert!(!folder.join("runs/second").exists());
    };
    refused("stage.0", "--freeze stage.0: no parameter has such a name; did you mean `stages.0`?");
    refused("layer1.*", "--freeze layer1.*: no parameter has such a name; there are `head.*`, `stages.*`");
    refused("*.running_mean", "--freeze *.running_mean: no parameter has such a name");
    refused("*", "--freeze *: nothing is left to train");
    refused("stages.*,head", "--freeze stages.* --freeze head: nothing is left to train");
}

#[test]
fn the_head_learns_by_its_own_rate() {
    let folder = first();
    let folder = folder.path();
    let before = best(folder, "first");
    ends(
        trainer(folder, &second(&["--lr", "1e-12", "--head-lr", "0.05", "--schedule", "constant"])),
        0,
        "rate     0.05 for the head, 0.000000000001 for the rest",
    );
    let after = best(folder, "second");
    let moved =
        |name: &str| before[name].iter().zip(&after[name]).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(moved("head.output.weight") > 1e-3 && moved("head.hidden.0.linear.weight") > 1e-3);
    assert!(moved("stages.0.blocks.0.conv1.weight") < 1e-6 && moved("stages.1.blocks.0.norm1.weight") < 1e-6);
    ends(trainer(folder, &second(&["--head-lr", "0"])), 2, "--head-lr: expected a number above 0, found 0");
}

#[test]
fn going_on_needs_no_file_and_repeating_needs_the_same() {
    let folder = first();
    let folder = folder.path();
    let file = folder.join("weights.safetensors");
    fs::rename(folder.join("runs/first/weights/best.safetensors"), &file).unwrap();
    let mut arguments = second(&["--freeze", "stages.0", "--head-lr", "0.1", "--epochs", "2"]);
    let at = arguments.iter().position(|argument| *argument == "runs/first").unwrap();
    arguments[at] = "weights.safetensors";
    ends(trainer(folder, &arguments), 0, "");
    ends(trainer(folder, &["replay", "runs/second", "--quiet"]), 0, "the weights of 2 epochs are the same, to the bit");

    let kept = fs::read(&file).unwrap();
    let mut other = kept.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(&file, other).unwrap();
    ends(trainer(folder, &["replay", "runs/second", "--quiet"]), 4, "but the run began with");
    fs::remove_file(&file).unwrap();
    ends(trainer(folder, &["replay", "runs/second", "--quiet"]), 4, "with which the run begins (SHA-256 ");
    let text = ends(trainer(folder, &["resume", "runs/second", "--epochs", "3"]), 0, "");
    assert!(text.contains("freeze   88 of ") && !text.contains("init     "), "{text}");
    let (before, after) = (best(folder, "second"), weights(folder, "second"));
    assert_eq!(before["stages.0.blocks.0.conv1.weight"], after["stages.0.blocks.0.conv1.weight"]);

    // What is frozen, and the head's rate, are settings: they cannot be others from here on.
    let args = folder.join("runs/second/args.toml");
    let text = fs::read_to_string(&args).unwrap();
    for (old, new) in [("head_lr = 0.1", "head_lr = 0.2"), ("freeze = [\"stages.0\"]", "freeze = [\"stages.1\"]")] {
        assert!(text.contains(old), "{text}");
        fs::write(&args, text.replace(old, new)).unwrap();
        ends(trainer(folder, &["resume", "runs/second", "--epochs", "4"]), 4, "but the run was trained with");
    }
}

#[test]
fn a_head_for_other_classes_is_drawn_anew_and_other_misfits_are_refused() {
    let folder = first();
    let folder = folder.path();
    let table = "a,b,c,d,label\n".to_owned()
        + &(0..60).map(|i| format!("{i},{},{},1,{}\n", i * 2, i % 7, i % 3)).collect::<String>();
    fs::write(folder.join("table.csv"), table).unwrap();
    let arguments = [
        "train",
        "table.csv",
        "--label",
        "label",
        "--task",
        "classification",
        "--epochs",
        "1",
        "--runs",
        "runs",
        "--init-from",
        "runs/first",
    ];
    let output = trainer(folder, &[&arguments[..], &["--model", "mlp"]].concat());
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("0 of its 17 tensors have the name and shape of one"), "{}", stderr(&output));
    let wide: Vec<&str> =
        second(&[]).iter().map(|argument| if *argument == "8,8" { "8,16" } else { argument }).collect();
    ends(trainer(folder, &wide), 4, "or --init-partial to take what fits");
    let text = ends(trainer(folder, &[&wide[..], &["--init-partial"]].concat()), 0, "");
    assert!(
        text.contains("init     11 of 17 tensors are")
            && text.contains("is drawn anew: [8, 8, 3, 3] in the file, [16, 8, 3, 3] here"),
        "{text}"
    );

    // Five of the ten digits: other classes, of which there are also fewer.
    fs::create_dir(folder.join("few")).unwrap();
    for class in ["0", "1"] {
        let place = folder.join("few").join(class);
        fs::create_dir(&place).unwrap();
        for at in 0..20u8 {
            let mut pixels = b"P5\n8 8\n255\n".to_vec();
            pixels
                .extend((0..64u8).map(|pixel| pixel.wrapping_mul(at).wrapping_add(if class == "0" { 0 } else { 99 })));
            fs::write(place.join(format!("{at}.pgm")), pixels).unwrap();
        }
    }
    let few = ["train", "few", "--epochs", "1", "--runs", "runs", "--name", "few", "--init-from", "runs/first"];
    let text = ends(trainer(folder, &few), 0, "");
    assert!(
        text.contains("init     `head.output.weight` is drawn anew: [10, 128] in the file, [2, 128] here"),
        "{text}"
    );
    // As many classes, but others.
    fs::rename(folder.join("few/1"), folder.join("few/one")).unwrap();
    let others = ["train", "few", "--epochs", "1", "--runs", "runs", "--init-from", "runs/few"];
    ends(trainer(folder, &others), 0, "init     `head.output.weight` is drawn anew: other classes");
}

/// A table in FOLDER/`columns`.csv with these columns to be learnt.
fn table(folder: &Path, columns: &str, of: impl Fn(usize) -> String) {
    let rows: String = (0..60).map(|row| format!("{row},{},{}\n", row % 7, of(row))).collect();
    fs::write(folder.join(columns).with_extension("csv"), format!("a,b,{columns}\n{rows}")).unwrap();
}

#[test]
fn a_head_for_as_many_other_labels_or_targets_is_drawn_anew_unless_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let train = |columns: &str, task: &str, name: &str, more: &[&str]| {
        let data = format!("{columns}.csv");
        let what = ["train", &data, "--label", columns, "--task", task, "--name", name];
        let how = ["--model", "mlp", "--epochs", "1", "--runs", "runs"];
        ends(trainer(folder, &[&what[..], &how, more].concat()), 0, "")
    };
    for columns in ["height,width", "price,weight"] {
        table(folder, columns, |row| format!("{},{}", row * 2, 60 - row));
    }
    table(folder, "weather", |row| ["wet;cold", "", "cold"][row % 3].to_owned());
    table(folder, "colours", |row| ["red;blue", "", "blue"][row % 3].to_owned());
    for (task, first, second, what) in [
        ("regression", "height,width", "price,weight", "other targets"),
        ("multi-label", "weather", "colours", "other labels"),
    ] {
        let from = format!("runs/{task}");
        let begin = |columns: &str, name: &str, more: &[&str]| {
            train(columns, task, &format!("{task}-{name}"), &[&["--init-from", from.as_str()], more].concat())
        };
        train(first, task, task, &[]);
        let text = begin(second, "others", &[]);
        let drawn = |why: &str| format!("init     `output.weight` is drawn anew: {why}");
        assert!(text.contains("init     4 of 6 tensors are") && text.contains(&drawn(what)), "{text}");
        let text = begin(second, "taken", &["--init-head", "take"]);
        let taken = format!("init     `output.weight` is taken: it is of {what} (--init-head take)");
        assert!(text.contains("init     6 of 6 tensors are") && text.contains(&taken), "{text}");
        // The same names: it goes on, unless a new one is asked for.
        let text = begin(first, "same", &[]);
        assert!(text.contains("init     6 of 6 tensors are") && !text.contains("`output.weight`"), "{text}");
        let text = begin(first, "drawn", &["--init-head", "draw"]);
        assert!(text.contains(&drawn("--init-head draw")), "{text}");
    }
    let text = train("colours", "multi-label", "task", &["--init-from", "runs/regression"]);
    assert!(text.contains("init     `output.weight` is drawn anew: another task"), "{text}");
    let typed = ["train", "digits", "--init-from", "runs/regression", "--init-head", "drwa"];
    ends(trainer(folder, &typed), 2, "--init-head: expected auto, take or draw, found `drwa`; did you mean `draw`?");
}

#[test]
fn files_that_are_no_weights_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let with = |file: &str| trainer(folder, &["train", "digits", "--epochs", "1", "--init-from", file]);
    ends(with("absent.pt"), 4, "cannot read `absent.pt`: No such file or directory");
    fs::write(folder.join("words.txt"), "these are no weights").unwrap();
    ends(with("words.txt"), 4, "`words.txt` is no safetensors file");
    fs::write(folder.join("half.pt"), b"PK\x03\x04and nothing else").unwrap();
    ends(with("half.pt"), 4, "`half.pt` is no whole file of PyTorch weights");
    ends(with("."), 4, "is a folder; expected a model file");
    let alone = ["train", "digits", "--init-sha256", "00"];
    ends(trainer(folder, &alone), 2, "--init-sha256 is about the file of --init-from, which isn't given");
    let alone = ["train", "digits", "--init-head", "draw"];
    ends(trainer(folder, &alone), 2, "--init-head is about the file of --init-from, which isn't given");
    let odd = ["train", "digits", "--normalise", "imagnet"];
    ends(trainer(folder, &odd), 2, "--normalise: expected data or imagenet, found `imagnet`; did you mean `imagenet`?");
    assert!(!folder.join("runs").exists());
}
