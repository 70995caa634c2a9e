//! No two everyday commands may build Burn twice. Cargo adds up features over the packages that a command selects, so a crate below
//! Burn that gets one more feature from, say, the trainer's progress bar would be another crate for `infer`, and everything above it too.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::workspace;

/// The commands of every day, as `cargo tree` sees them; the first is what the others must agree with.
const COMMANDS: [(&str, &[&str]); 7] = [
    ("cargo test --workspace", &["--workspace", "-e", "normal,build,dev"]),
    ("cargo run -p trainer", &["-p", "trainer", "-e", "normal,build"]),
    ("cargo test -p trainer", &["-p", "trainer", "-e", "normal,build,dev"]),
    ("cargo run -p infer", &["-p", "infer", "-e", "normal,build"]),
    ("cargo test -p infer", &["-p", "infer", "-e", "normal,build,dev"]),
    ("cargo test -p kernels", &["-p", "kernels", "-e", "normal,build,dev"]),
    ("cargo test -p models", &["-p", "models", "-e", "normal,build,dev"]),
];

/// Below the device crate lies Burn with its default backend, and little else.
const BELOW: &[&str] = &["-p", "device", "-e", "normal,build"];

/// Crates below Burn whose features differ between two commands.
pub(crate) fn broken() -> Result<Vec<String>> {
    // Procedural macros are built for themselves, with features of their own: a crate below Burn may be below some macro that Burn
    // doesn't use, too. Those below Burn's macros alone are looked at with them.
    let mut linked = tree(BELOW, "{p}", "no-proc-macro")?;
    // Of the workspace's own crates, which lie at a path, only what they ask of Burn matters: they themselves are built for each command.
    let is_ours = |package: &String| package.ends_with(')');
    linked.retain(|package| !is_ours(package));
    let mut expanding = tree(BELOW, "{p}", "")?;
    expanding.retain(|package| !linked.contains(package) && !is_ours(package));
    let mut resolved = Vec::new();
    for (command, arguments) in COMMANDS {
        let mut lines = BTreeSet::new();
        for (below, without) in [(&linked, "no-proc-macro"), (&expanding, "")] {
            let all = tree(arguments, "{p}|{f}", without)?.into_iter();
            lines.extend(all.filter(|line| line.split('|').next().is_some_and(|package| below.contains(package))));
        }
        resolved.push((command, lines));
    }
    Ok(differences(&resolved))
}

fn differences(resolved: &[(&str, BTreeSet<String>)]) -> Vec<String> {
    let Some(((first, expected), others)) = resolved.split_first() else { return Vec::new() };
    let mut broken = Vec::new();
    for (command, found) in others {
        for line in expected.symmetric_difference(found) {
            let (package, features) = line.split_once('|').unwrap_or((line, ""));
            let owner = if found.contains(line) { command } else { first };
            broken.push(format!(
                "Cargo.toml: Burn is built twice by `{first}` and `{command}`: {package} has features [{features}] in `{owner}` only; pin them \
                 in [workspace.dependencies] and name the crate in crates/data"
            ));
        }
    }
    broken
}

/// Lines of `cargo tree`, of whose edges those of `without` are left out.
fn tree(arguments: &[&str], format: &str, without: &str) -> Result<BTreeSet<String>> {
    let mut all = vec!["tree", "--prefix", "none", "-f", format];
    all.extend(arguments);
    if !without.is_empty() {
        all.extend(["-e", without]);
    }
    let text = workspace::output(&mut workspace::cargo(&all))?;
    // `(*)` marks a repetition; the workspace's own crates and headings of sections are no concern of Burn's.
    let lines = text.lines().map(|line| line.replace(" (*)", "").replace(" (proc-macro)", ""));
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('[')).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(lines: &[&str]) -> BTreeSet<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn one_more_feature_below_burn_is_reported() {
        let same = [("a", set(&["half v2|std"])), ("b", set(&["half v2|std"]))];
        assert!(differences(&same).is_empty());
        let found = differences(&[("a", set(&["half v2|std"])), ("b", set(&["half v2|default,std"]))]);
        assert!(found.iter().any(|line| line.contains("half v2 has features [default,std] in `b` only")), "{found:?}");
    }
}
