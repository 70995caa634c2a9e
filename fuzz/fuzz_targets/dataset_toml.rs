//! A `dataset.toml`: parsed, and its names and sizes asked for.
#![no_main]

#[path = "../src/program.rs"]
mod program;

use libfuzzer_sys::fuzz_target;
use program::{cli, fetch, manifest};

fuzz_target!(|text: &str| {
    let Ok(manifest) = toml::from_str::<manifest::Manifest>(text) else { return };
    let _ = (manifest.bytes(), manifest.is_in(fuzz::scratch()));
    for file in &manifest.files {
        let _ = (file.name(), file.members.iter().map(manifest::Member::name).collect::<Vec<_>>());
    }
});
