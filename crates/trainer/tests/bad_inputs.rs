//! Bad inputs of every kind, given to the real `trainer`: the tables in `bad_inputs/` say the exact exit code and message of each.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(all(target_os = "linux", feature = "flex"))]

#[path = "bad_inputs/edits.rs"]
mod edits;
#[path = "bad_inputs/harness.rs"]
mod harness;
#[path = "bad_inputs/tensors.rs"]
mod tensors;

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn every_bad_input_gets_its_exit_code_and_its_message() {
    let tables = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bad_inputs");
    let rows = harness::check(&harness::Program { binary: env!("CARGO_BIN_EXE_trainer"), tables, base });
    assert!(rows >= 800, "{rows} rows");
}

/// What a row's folder begins with, by name.
fn base(name: &str, folder: &Path) {
    match name {
        "idx" => idx(&folder.join("idx")),
        "cifar" => cifar(&folder.join("cifar")),
        "cifar100" => cifar100(&folder.join("c100")),
        "pics" => pics(folder),
        "list" => list(folder),
        "table" => write(&folder.join("t.csv"), table("a,b,colour,y")),
        "run" => run(folder),
        // With one checkpoint, `c`, so that there is none to fall back to.
        "checkpoint" => {
            run(folder);
            fs::remove_dir_all(folder.join("r/checkpoints/step-0000000002")).unwrap();
        }
        _ => panic!("no base `{name}`"),
    }
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    edits::make(path, bytes.as_ref()).unwrap();
}

/// 30 training and 6 test images of 4x4 in three classes.
fn idx(folder: &Path) {
    for (name, n) in [("train", 30_u8), ("t10k", 6)] {
        let head = |magic: u8, dims: &[u8]| {
            let dims = dims.iter().flat_map(|dim| [0, 0, 0, *dim]);
            [0, 0, 8, magic].into_iter().chain(dims).collect::<Vec<u8>>()
        };
        let images: Vec<u8> = (0..n).flat_map(|image| (0..16).map(move |at| image.wrapping_mul(at))).collect();
        write(&folder.join(format!("{name}-images-idx3-ubyte")), [head(3, &[n, 4, 4]), images].concat());
        let labels: Vec<u8> = (0..n).map(|image| image % 3).collect();
        write(&folder.join(format!("{name}-labels-idx1-ubyte")), [head(1, &[n]), labels].concat());
    }
}

/// Records whose labels go round; `fine` puts a coarse label before each.
fn records(n: u8, classes: u8, fine: bool) -> Vec<u8> {
    let record = |at: u8| {
        let labels = if fine { vec![0, at % classes] } else { vec![at % classes] };
        [labels, vec![at; 3072]].concat()
    };
    (0..n).flat_map(record).collect()
}

fn cifar(folder: &Path) {
    for batch in 1..=5 {
        write(&folder.join(format!("data_batch_{batch}.bin")), records(10, 10, false));
    }
    write(&folder.join("test_batch.bin"), records(10, 10, false));
    let names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
    write(&folder.join("batches.meta.txt"), names.join("\n"));
}

fn cifar100(folder: &Path) {
    write(&folder.join("train.bin"), records(200, 100, true));
    write(&folder.join("test.bin"), records(100, 100, true));
    let names: Vec<String> = (0..100).map(|class| format!("class{class}")).collect();
    write(&folder.join("fine_label_names.txt"), names.join("\n"));
}

/// Ten gray pictures of 8x8 for each of three classes.
fn pics(folder: &Path) {
    for class in ["cat", "dog", "emu"] {
        for number in 0..10 {
            edits::apply(&format!("picture pics/{class}/{number}.png l8 8x8"), folder).unwrap();
        }
    }
}

fn list(folder: &Path) {
    pics(folder);
    let rows = (0..30).map(|at| {
        let class = ["cat", "dog", "emu"][at % 3];
        format!("pics/{class}/{}.png,{class}\n", at / 3)
    });
    write(&folder.join("list.csv"), format!("path,label\n{}", rows.collect::<String>()));
}

fn table(header: &str) -> String {
    let rows =
        (0..40).map(|at| format!("{},{},{},{}\n", at, at * 7 % 11, ["red", "blue"][at % 2], ["no", "yes"][at / 3 % 2]));
    format!("{header}\n{}", rows.collect::<String>())
}

/// Two epochs of a small network on a part of the digits, and its model file beside it.
fn run(folder: &Path) {
    let arguments = "train digits --model mlp --hidden 4 --limit 100 --epochs 2 --ema 0.9 --name r --runs . --quiet";
    let output = Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args(arguments.split(' '))
        .current_dir(folder)
        .env_remove("STRIATE_DATA")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // What differs between processors and sittings would shift the places that messages name.
    let checkpoints = ["r/checkpoints/step-0000000002", "r/checkpoints/step-0000000004"].map(|path| {
        let progress = format!("jsonfile {path}/progress.json");
        vec![format!("{progress} /best/loss \"1\""), format!("{progress} /seconds 1"), format!("rehash {path}")]
    });
    let metrics = ["metrics {}", "calibration", "golden"].map(|part| format!("meta r/weights/best.safetensors {part}"));
    for edit in checkpoints.into_iter().flatten().chain(metrics) {
        edits::apply(&edit, folder).unwrap();
    }
    fs::copy(folder.join("r/weights/best.safetensors"), folder.join("m.safetensors")).unwrap();
}
