//! Where things are, and how to ask cargo about them. Judges nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The folder of the root `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map(Path::to_owned).unwrap_or(manifest)
}

/// A cargo command in the workspace's root, by the cargo that runs us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs `command` and returns its stdout as text.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command.output().with_context(|| format!("cannot start {shown}"))?;
    if !output.status.success() {
        bail!("{shown} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown} printed something that is no text"))
}

/// Builds what `selection` names and says where the program called `name` lies.
pub(crate) fn build(selection: &[&str], name: &str) -> Result<PathBuf> {
    eprintln!("building {name}");
    let mut command = cargo(&["build", "--quiet", "--message-format", "json-render-diagnostics"]);
    let text = output(command.args(selection).stderr(Stdio::inherit()))?;
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter(|message| message["target"]["name"] == name);
    let found = programs.find_map(|message| message["executable"].as_str().map(PathBuf::from));
    let found = found.with_context(|| format!("cargo built no program {name}"))?;
    if !Path::new(&found).exists() {
        bail!("cargo says {name} is {}, and there is nothing", found.display());
    }
    Ok(found)
}

/// A folder for files that nobody needs afterwards.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    /// A new one, its name ending in `purpose`.
    pub(crate) fn new(purpose: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("striate-{}-{purpose}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: a scratch folder left behind harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A file of the tree: its path from the root, with `/` between the parts, and its text.
pub(crate) struct File {
    /// Such as `crates/data/src/lib.rs`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

/// Every text file under `folder` whose name ends in one of `endings`; build output, runs and downloads aside. In order of path.
pub(crate) fn files(folder: &Path, endings: &[&str]) -> Result<Vec<File>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type()?.is_dir() {
                if !["target", "runs", ".git"].contains(&name.as_str()) {
                    open.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let inside = path.strip_prefix(folder).unwrap_or(&path);
                found.push(File { path: inside.to_string_lossy().replace('\\', "/"), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
