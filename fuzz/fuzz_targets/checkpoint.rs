//! A checkpoint: its manifest, its progress or its tensors, as the first byte says; the manifest of the latter is right, so that what is
//! behind the hashes is reached.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

/// A safetensors file of nothing.
const EMPTY: &[u8] = b"\x08\0\0\0\0\0\0\0{}      ";
const PROGRESS: &[u8] = include_bytes!("../seeds/checkpoint/progress");

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let mut files = [("progress.json", &PROGRESS[1..]), ("model.safetensors", EMPTY), ("optimizer.safetensors", EMPTY)];
    match choice % 3 {
        1 => files[0].1 = bytes,
        2 => files[1].1 = bytes,
        _ => {}
    }
    let hash = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hashes: serde_json::Map<_, _> =
        files.iter().map(|(name, bytes)| ((*name).to_owned(), hash(bytes).into())).collect();
    let manifest = serde_json::json!({ "format": 1, "sha256": hashes }).to_string();
    let folder = "step-0000000003";
    for (name, bytes) in files {
        fuzz::write(&format!("{folder}/{name}"), bytes);
    }
    let manifest = if choice % 3 == 0 { bytes } else { manifest.as_bytes() };
    let path = fuzz::write(&format!("{folder}/manifest.json"), manifest);
    let _ = trainer::Checkpoint::load(path.parent().expect("a folder"));
});
