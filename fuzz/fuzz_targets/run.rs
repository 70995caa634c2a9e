//! The files of a run that are read again: the first byte says which of them is the input; the others are right.
#![no_main]

use data::OpenOptions;
use libfuzzer_sys::fuzz_target;
use trainer::{Known, Provenance, RunFolder};

const RUN: &[u8] = include_bytes!("../seeds/run/run");
const RESULTS: &[u8] = include_bytes!("../seeds/run/results");
const METRICS: &[u8] = include_bytes!("../seeds/run/metrics");
const SPLIT: &[u8] = include_bytes!("../seeds/run/split");
const EXCLUDE: &[u8] = include_bytes!("../seeds/run/exclude");
/// What is split: twelve rows.
const TABLE: &[u8] = b"a,y\n1,p\n2,q\n3,p\n4,q\n5,p\n6,q\n7,p\n8,q\n9,p\n10,q\n11,p\n12,q\n";

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let mut files = [
        ("run.json", &RUN[1..]),
        ("results.csv", &RESULTS[1..]),
        ("metrics.json", &METRICS[1..]),
        ("split.csv", &SPLIT[1..]),
        ("exclude.csv", &EXCLUDE[1..]),
    ];
    let chosen = usize::from(*choice) % files.len();
    files[chosen].1 = bytes;
    let args = fuzz::write("r/args.toml", b"epochs = 3\n");
    for (name, bytes) in files {
        fuzz::write(&format!("r/{name}"), bytes);
    }
    let run = RunFolder::open(args.parent().expect("a folder")).expect("a run");
    if let 3 | 4 = chosen {
        let split = (chosen == 3).then(|| run.split());
        let exclude = (chosen == 4).then(|| run.path().join("exclude.csv"));
        let table = fuzz::write("table.csv", TABLE);
        let options = OpenOptions { split, exclude, label: vec!["y".into()], ..OpenOptions::default() };
        let _ = data::open(&table, &options);
        return;
    }
    let _ = Provenance::read(&run);
    let _ = trainer::recorded_weights(&run);
    trainer::write_report(&run, Known::default()).expect("a report is made of whatever there is");
});
