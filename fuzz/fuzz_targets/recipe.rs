//! A recipe: parsed, filled in for the digits, every setting of the run checked, and its network planned.
#![no_main]

#[path = "../src/program.rs"]
mod program;

use std::sync::OnceLock;

use cli::options::Options;
use cli::settle;
use data::Dataset;
use libfuzzer_sys::fuzz_target;
use program::{cli, fetch, manifest};

static DIGITS: OnceLock<Dataset> = OnceLock::new();

fuzz_target!(|text: &str| {
    let digits = || data::open("digits".as_ref(), &data::OpenOptions::default()).expect("the digits");
    let digits = DIGITS.get_or_init(digits);
    let Ok(options) = Options::parse(text, "r.toml") else { return };
    let Ok(options) = Options::default().over(options) else { return };
    let _ = settle::open_options(&options);
    let Ok(options) = settle::fill(options, digits) else { return };
    let text = options.to_toml().expect("what was read can be written");
    assert!(Options::parse(&text, "args.toml").is_ok(), "a recipe that was taken is not taken again: {text}");
    let Ok(config) = settle::config(&options, digits) else { return };
    if config.check().is_ok() {
        let _ = models::summary(&config.model, &digits.input, 10);
    }
});
