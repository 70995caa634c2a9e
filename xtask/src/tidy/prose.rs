//! Rules for what people read: the README names every folder, the architecture stays a page that one can read at a sitting.

use std::path::Path;

use anyhow::Result;

use crate::workspace::File;

const ARCHITECTURE_LINES: usize = 120;
const EXPECTED: [&str; 3] = ["README.md", "CHANGELOG.md", "docs/architecture.md"];

/// The folders that the README should speak of: those at the top and each crate.
pub(crate) fn folders(root: &Path) -> Result<Vec<String>> {
    let mut folders = Vec::new();
    for (parent, prefix) in [(root.to_owned(), ""), (root.join("crates"), "crates/")] {
        for entry in std::fs::read_dir(parent)? {
            let (entry, ignored) = (entry?, [".git", "target", "runs"]);
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() && !ignored.contains(&name.as_str()) {
                folders.push(format!("{prefix}{name}"));
            }
        }
    }
    folders.sort();
    Ok(folders)
}

/// What breaks them.
pub(crate) fn broken(files: &[File], folders: &[String]) -> Vec<String> {
    let text_of = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let missing = EXPECTED.iter().filter(|path| text_of(path).is_none());
    let mut broken: Vec<String> = missing.map(|path| format!("{path}: missing")).collect();
    let readme = text_of("README.md").unwrap_or_default();
    let unnamed = folders.iter().filter(|folder| !readme.contains(&format!("`{folder}")));
    broken.extend(unnamed.map(|folder| format!("README.md: say in one line what `{folder}` is for")));
    let length = text_of("docs/architecture.md").unwrap_or_default().lines().count();
    if length > ARCHITECTURE_LINES {
        broken.push(format!("docs/architecture.md: {length} lines, at most {ARCHITECTURE_LINES}"));
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_names_folders_and_the_architecture_stays_short() {
        let file = |path: &str, text: String| File { path: path.to_owned(), text };
        let mut files = vec![
            file("README.md", "`crates/data` reads".to_owned()),
            file("CHANGELOG.md", String::new()),
            file("docs/architecture.md", "line\n".repeat(120)),
        ];
        let folders = ["crates".to_owned(), "crates/data".to_owned()];
        assert!(broken(&files, &folders).is_empty());
        files.pop();
        files.push(file("docs/architecture.md", "line\n".repeat(121)));
        let found = broken(&files, &["xtask".to_owned()]);
        assert_eq!(
            found,
            ["README.md: say in one line what `xtask` is for", "docs/architecture.md: 121 lines, at most 120"]
        );
    }
}
