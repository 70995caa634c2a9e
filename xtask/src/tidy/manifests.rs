//! Rules for every `Cargo.toml`: dependencies are decided once, with a reason, and each crate takes the workspace's lints.

use crate::workspace::File;

/// What breaks them.
pub(crate) fn broken(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        match file.path.as_str() {
            "Cargo.toml" => broken.extend(without_reason(&file.text)),
            // Workspaces of their own, which cannot take anything from ours.
            "fuzz/Cargo.toml" | "xtask/peers/burn_learner/Cargo.toml" => {}
            path => {
                if !file.text.replace(' ', "").contains("[lints]\nworkspace=true") {
                    broken.push(format!("{path}: expected `[lints] workspace = true`"));
                }
                broken.extend(own_versions(path, &file.text));
            }
        }
    }
    broken
}

/// A dependency of the workspace that neither its line nor the line above says the reason of. Paths are our own crates.
fn without_reason(manifest: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let (mut inside, mut above) = (false, "");
    for (at, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        } else if inside && line.contains('=') && !line.starts_with('#') {
            let explained = line.contains("# ") || above.starts_with('#') || line.contains("path =");
            if !explained {
                broken.push(format!("Cargo.toml:{}: say at the end of the line what the dependency is for", at + 1));
            }
        }
        above = line;
    }
    broken
}

/// A dependency whose version is decided in a crate instead of the root.
fn own_versions(path: &str, manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut broken = Vec::new();
    for (at, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside
            && line.contains('=')
            && !line.starts_with('#')
            && !line.replace(' ', "").contains("workspace=true")
        {
            broken.push(format!(
                "{path}:{}: decide the version in the root Cargo.toml and write `workspace = true`",
                at + 1
            ));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_dependency_needs_a_reason() {
        let root = "[workspace.dependencies]\ncsv = \"1\" # tables\n# why\nburn = \"=0.22.1\"\ndata = { path = \"crates/data\" }\n\nglob = \"1\"\n";
        let found = broken(&[file("Cargo.toml", root)]);
        assert_eq!(found, ["Cargo.toml:7: say at the end of the line what the dependency is for"]);
    }

    #[test]
    fn a_crate_takes_lints_and_versions_from_the_workspace() {
        let good = "[dependencies]\ncsv.workspace = true\nburn = { workspace = true, features = [\"flex\"] }\n\n[lints]\nworkspace = true\n";
        assert!(broken(&[file("crates/a/Cargo.toml", good)]).is_empty());
        assert_eq!(broken(&[file("crates/a/Cargo.toml", "[dependencies]\ncsv = \"1\"\n")]).len(), 2);
    }
}
