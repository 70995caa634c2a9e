//! `cargo xtask check --gpu`: the same code on a GPU, or on a driver in software where there is none. Says what is missing before it builds,
//! for that takes long. What is compared are tests: `gpu.rs` of `trainer` and `infer`, and `device`'s `select.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace;

/// One choice of packages for all that is built: any other would resolve to other features below Burn, and build its GPU side again.
const CHOICE: [&str; 11] =
    ["--locked", "--profile", "gpu-check", "--features", "wgpu", "-p", "device", "-p", "trainer", "-p", "infer"];
/// Their tests that ask for a device.
const TESTS: [&str; 4] = ["--test", "select", "--test", "gpu"];

/// Where the loader of Vulkan looks for drivers on Linux, below the root and below the user's folder.
const DRIVERS: [&str; 3] = ["usr/share/vulkan/icd.d", "usr/local/share/vulkan/icd.d", "etc/vulkan/icd.d"];
const OWN_DRIVERS: &str = ".local/share/vulkan/icd.d";

/// Refuses to begin without a driver.
pub(crate) fn driver() -> Result<()> {
    if !cfg!(target_os = "linux") {
        // macOS has Metal, Windows Direct3D: parts of the system.
        return Ok(());
    }
    let set = |key| std::env::var_os(key).map(PathBuf::from);
    let named = set("VK_DRIVER_FILES").or_else(|| set("VK_ICD_FILENAMES"));
    match missing(Path::new("/"), set("HOME").as_deref(), named.as_deref()) {
        None => Ok(()),
        Some(what) => bail!("{what}"),
    }
}

/// What a Linux lacks that wgpu needs, and how to get it. `named` is a list of drivers that takes the place of the folders.
fn missing(root: &Path, home: Option<&Path>, named: Option<&Path>) -> Option<String> {
    const INSTALL: &str = "the GPU's own driver brings one; where there is no GPU, one in software does: apt-get install mesa-vulkan-drivers";
    if let Some(named) = named {
        let lacking = std::env::split_paths(named).find(|file| !file.is_file())?;
        return Some(format!(
            "VK_DRIVER_FILES or VK_ICD_FILENAMES names `{}`, and there is no such file",
            lacking.display()
        ));
    }
    let folders = DRIVERS.iter().map(|folder| root.join(folder)).chain(home.map(|home| home.join(OWN_DRIVERS)));
    let has_driver = |folder: PathBuf| {
        let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.any(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
    };
    if !folders.into_iter().any(has_driver) {
        return Some(format!("this machine has no Vulkan driver: {INSTALL}"));
    }
    None
}

/// Builds with `wgpu`, and says what it sees.
pub(crate) fn build() -> Result<()> {
    let trainer = workspace::build(&[&CHOICE[..], &["--bins"]].concat(), "trainer")?;
    let listed = workspace::output(Command::new(&trainer).args(["devices", "--format", "json"]))?;
    let listed: Value = serde_json::from_str(&listed).context("`trainer devices` printed no JSON")?;
    let rows = listed["devices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(row) = rows.iter().find(|row| row["backend"] == "wgpu") else {
        bail!("`trainer devices` doesn't list wgpu: {listed}");
    };
    if row["usable"] != true {
        bail!(
            "wgpu is not usable on this machine: {}; `vulkaninfo --summary` (apt-get install vulkan-tools) says more",
            row["reason"]
        );
    }
    eprintln!("wgpu: {}, {}, driver {}", row["hardware"], row["card"]["kind"], row["card"]["driver"]);
    Ok(())
}

/// The tests, with as little tuning as there is: on a driver in software it takes longer than what it gains.
pub(crate) fn tests() -> Command {
    let mut command = workspace::cargo(&["test"]);
    command.args(CHOICE).args(TESTS).args(["--", "--nocapture", "--test-threads", "1"]);
    command.env("CUBECL_AUTOTUNE_LEVEL", "minimal");
    command
}

/// Compiles what no driver in software runs, as far as any Linux can. CUDA's own build fetches an LLVM to link with, which compiling alone
/// needs as little as documentation does. Metal's code is for macOS.
pub(crate) fn others() -> Command {
    let mut command = workspace::cargo(&["check"]);
    command.args(["--locked", "--profile", "gpu-check", "-p", "trainer", "-p", "infer"]);
    command.args(["--features", "cuda,vulkan,persistence"]).env("DOCS_RS", "1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_driver_is_told_what_to_install() {
        let scratch = workspace::Scratch::new("drivers").unwrap();
        let (root, home) = (&scratch.0, scratch.0.join("home/me"));
        let says = |named: Option<&Path>| missing(root, Some(&home), named);
        assert!(says(None).unwrap().contains("apt-get install mesa-vulkan-drivers"));
        let folder = home.join(OWN_DRIVERS);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("README"), "").unwrap();
        assert!(says(None).is_some(), "a folder without drivers");
        let driver = folder.join("lvp_icd.x86_64.json");
        std::fs::write(&driver, "{}").unwrap();
        assert_eq!(says(None), None);
        assert_eq!(says(Some(&driver)), None);
        let gone = says(Some(&folder.join("gone.json"))).unwrap();
        assert!(gone.contains("gone.json`, and there is no such file"), "{gone}");
    }
}
