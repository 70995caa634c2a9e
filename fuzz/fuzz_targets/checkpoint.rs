//! A checkpoint: its manifest or one of its files, as the first byte says; the manifest of the latter is right, so that what is behind the
//! hashes is reached. Format 1 had neither results nor settings, and is read too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

/// A safetensors file of nothing.
const EMPTY: &[u8] = b"\x08\0\0\0\0\0\0\0{}      ";
const PROGRESS: &[u8] = include_bytes!("../seeds/checkpoint/progress");

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let mut files = [
        ("progress.json", &PROGRESS[1..]),
        ("model.safetensors", EMPTY),
        ("optimizer.safetensors", EMPTY),
        ("ema.safetensors", EMPTY),
        ("settings.json", b"{}".as_slice()),
        ("results.csv", b"".as_slice()),
    ];
    // The low bits choose the file, the highest one the format.
    let chosen = usize::from(choice & 7);
    if let Some((_, contents)) = chosen.checked_sub(1).and_then(|at| files.get_mut(at)) {
        *contents = bytes;
    }
    let format = if choice & 128 == 0 { 2 } else { 1 };
    let hash = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hashes: serde_json::Map<_, _> =
        files.iter().map(|(name, bytes)| ((*name).to_owned(), hash(bytes).into())).collect();
    let manifest = serde_json::json!({ "format": format, "sha256": hashes }).to_string();
    let folder = "checkpoints/step-0000000003";
    for (name, bytes) in files {
        fuzz::write(&format!("{folder}/{name}"), bytes);
    }
    let whole = chosen != 0;
    let path = fuzz::write(&format!("{folder}/manifest.json"), if whole { manifest.as_bytes() } else { bytes });
    let path = path.parent().expect("a folder");
    let Ok(read) = trainer::Checkpoint::load(path) else { return };
    if whole && format == 2 {
        // What was taken is written again, and comes back.
        let again = read.save(&fuzz::scratch().join("again")).expect("what was read can be written");
        let again_read = trainer::Checkpoint::load(&again).expect("what was written can be read");
        assert_eq!((&again_read.settings, &again_read.results), (&read.settings, &read.results));
        std::fs::remove_dir_all(again).expect("a scratch folder");
    }
});
