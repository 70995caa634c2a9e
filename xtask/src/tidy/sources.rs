//! Rules for every `.rs` file: it opens with what it owns, stays readable in one go, has an honest name, and a library names no
//! backend, prints nothing, exits nowhere and touches no network.

use crate::workspace::File;

const LINES: usize = 400;

/// Files that may be longer, and why.
const LONG: [(&str, &str); 1] =
    [("crates/models/tests/model_file.rs", "one hostile file after another, made by the same few lines at its top")];

/// Names that say nothing about what a file owns.
const EMPTY_NAMES: [&str; 10] =
    ["util", "utils", "helper", "helpers", "common", "manager", "managers", "misc", "stuff", "shared"];

/// What names a backend. Code outside `device` and `kernels` takes a `Device` and never makes one.
const BACKENDS: [&str; 10] = [
    "Device::flex(",
    "Device::ndarray(",
    "Device::wgpu",
    "Device::vulkan(",
    "Device::metal(",
    "Device::cuda(",
    "Device::rocm(",
    "Device::cpu(",
    "Device::libtorch",
    "burn::backend::",
];

/// What makes Burn choose a device by itself, which panics on a machine without the hardware.
const DEFAULT_DEVICES: [&str; 3] = ["Device::default()", "&Default::default()", "ModuleOptimizer"];

/// What only a binary may do.
const BINARY_ONLY: [&str; 7] =
    ["println!(", "eprintln!(", "print!(", "eprint!(", "process::exit(", "ureq::", "device::select("];

/// What breaks them.
pub(crate) fn broken(files: &[File]) -> Vec<String> {
    let mut broken = in_sources(files);
    for (path, _) in LONG {
        if !files.iter().any(|file| file.path == path && file.text.lines().count() > LINES) {
            broken.push(format!("{path}: on tidy's list of long files, but isn't long any more"));
        }
    }
    broken
}

/// What breaks them in these files, whatever others there are.
fn in_sources(files: &[File]) -> Vec<String> {
    let sources: Vec<&File> = files.iter().filter(|file| file.path.ends_with(".rs")).collect();
    let mut broken: Vec<String> = sources.iter().flat_map(|file| shape(file)).collect();
    let binaries = binary_files(&sources);
    for file in sources.iter().filter(|file| file.path.starts_with("crates/") && is_shipped(&file.path)) {
        broken.extend(words(file, binaries.iter().any(|path| is_or_holds(path, &file.path))));
    }
    broken
}

fn shape(file: &File) -> Vec<String> {
    let (path, text) = (&file.path, &file.text);
    let mut broken = Vec::new();
    if !text.starts_with("//!") {
        broken.push(format!("{path}:1: open with `//!`: what the file owns, and what it leaves to others"));
    }
    let length = text.lines().count();
    if length > LINES && !LONG.iter().any(|(long, _)| long == path) {
        broken
            .push(format!("{path}: {length} lines; split it, or list it in xtask/src/tidy/sources.rs with the reason"));
    }
    let parts = path.trim_end_matches(".rs").split('/');
    for part in parts.filter(|part| EMPTY_NAMES.contains(part)) {
        broken.push(format!("{path}: `{part}` says nothing; name it after the noun that it owns"));
    }
    for (at, line) in text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("fn test_")) {
        broken.push(format!("{path}:{}: a test's name is a claim, without test_: {}", at + 1, line.trim()));
    }
    broken
}

/// Tests and examples may do what they like, modules of tests in `tests.rs` and `tests/` too.
fn is_shipped(path: &str) -> bool {
    path.contains("/src/") && !path.ends_with("/tests.rs") && !path.contains("/tests/")
}

/// Each package's `src/main.rs` and the modules that it declares itself, without ending.
fn binary_files(sources: &[&File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources.iter().filter(|file| file.path.ends_with("/src/main.rs")) {
        let folder = file.path.trim_end_matches("main.rs");
        let modules = file.text.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
        found.extend(modules.chain(["main"]).map(|module| format!("{folder}{module}")));
    }
    found
}

/// Whether `file` is the module `module`, or a part of it.
fn is_or_holds(module: &str, file: &str) -> bool {
    file.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn words(file: &File, binary: bool) -> Vec<String> {
    let path = file.path.as_str();
    let names_backends = ["crates/device/", "crates/kernels/"].iter().any(|home| path.starts_with(home));
    let mut broken = Vec::new();
    for (at, line) in code(&file.text) {
        let mut report = |word: &str, why: &str| broken.push(format!("{path}:{at}: `{word}`: {why}"));
        if let Some(word) = BACKENDS.iter().find(|word| line.contains(**word)).filter(|_| !names_backends) {
            report(word, "only crates/device and crates/kernels name a backend; take a Device");
        }
        if let Some(word) = DEFAULT_DEVICES.iter().find(|word| line.contains(**word)) {
            report(word, "lets Burn choose a device by compiled features; pass the selected one");
        }
        if let Some(word) = BINARY_ONLY.iter().find(|word| has_word(line, word)).filter(|_| !binary) {
            report(word, "libraries don't print, exit, pick a device or touch the network; return it to the binary");
        }
    }
    broken
}

/// Whether `word` stands in `line` and isn't the end of a longer name: `println!(` also contains `print` letters of others.
fn has_word(line: &str, word: &str) -> bool {
    let begins = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| begins(at))
}

/// Numbered lines that run in the product: comments are left out, and so is everything from the tests at the end of a file on.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let is_test = |line: &str| ["#[cfg(test)]", "#[cfg(all(test,"].iter().any(|begin| line.starts_with(begin));
    let shipped = lines.take_while(move |(_, line)| !is_test(line.trim()));
    shipped.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<String> {
        in_sources(&[File { path: path.to_owned(), text: text.to_owned() }])
    }

    #[test]
    fn a_file_opens_with_what_it_owns() {
        assert!(rules("crates/a/src/x.rs", "//! Owns x.\n").is_empty());
        assert_eq!(rules("crates/a/src/x.rs", "use std::fs;\n").len(), 1);
    }

    #[test]
    fn a_long_file_needs_a_reason() {
        let text = |lines: usize| format!("//! x\n{}", "// line\n".repeat(lines - 1));
        assert!(rules("crates/a/src/x.rs", &text(400)).is_empty());
        assert_eq!(rules("crates/a/src/x.rs", &text(401)).len(), 1);
    }

    #[test]
    fn empty_names_are_refused_for_files_and_folders() {
        for path in ["crates/a/src/utils.rs", "crates/a/src/helpers/x.rs", "crates/a/tests/common/mod.rs"] {
            assert_eq!(rules(path, "//! x\n").len(), 1, "{path}");
        }
    }

    #[test]
    fn libraries_name_no_backend_and_print_nothing() {
        for line in
            ["let d = Device::flex();", "println!(\"x\");", "let d = Device::default();", "std::process::exit(1);"]
        {
            let text = format!("//! x\n{line}\n");
            assert_eq!(rules("crates/models/src/x.rs", &text).len(), 1, "{line}");
        }
    }

    #[test]
    fn tests_comments_and_binaries_may() {
        for test in ["#[cfg(test)]", "#[cfg(all(test, feature = \"flex\"))]"] {
            let text = format!("//! x\n// println!(\n{test}\nmod t {{ Device::flex() }}\n");
            assert!(rules("crates/models/src/x.rs", &text).is_empty(), "{test}");
        }
        assert!(rules("crates/models/tests/x.rs", "//! x\nDevice::flex()\n").is_empty());
        assert!(rules("crates/infer/src/main.rs", "//! x\nprintln!();\n").is_empty());
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let main = || file("crates/infer/src/main.rs", "//! x\nmod cli;\n");
        let print = |path: &str| in_sources(&[main(), file(path, "//! x\nprintln!();\n")]).len();
        assert_eq!((print("crates/infer/src/cli.rs"), print("crates/infer/src/cli/table.rs")), (0, 0));
        assert_eq!((print("crates/infer/src/client.rs"), print("crates/trainer/src/cli.rs")), (1, 1));
        assert!(rules("crates/device/src/x.rs", "//! x\nDevice::flex()\n").is_empty());
    }

    #[test]
    fn a_claim_has_no_prefix() {
        assert_eq!(rules("crates/a/tests/x.rs", "//! x\n    fn test_it() {}\n").len(), 1);
    }
}
