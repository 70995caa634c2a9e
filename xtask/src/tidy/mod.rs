//! House rules that no compiler knows. Each file here owns some rules and returns what breaks them, one line each, so that a rule is
//! tested on text that breaks it; this one reads the tree and prints.

use anyhow::{Result, bail};

use crate::workspace;

mod arrows;
mod features;
mod manifests;
mod prose;
mod sources;

/// Prints every broken rule to stderr; an error if there is any.
pub(crate) fn run() -> Result<()> {
    let broken = broken_rules()?;
    for line in &broken {
        eprintln!("{line}");
    }
    match broken.len() {
        0 => Ok(()),
        count => bail!("{count} house rule{} broken", if count == 1 { "" } else { "s" }),
    }
}

fn broken_rules() -> Result<Vec<String>> {
    let root = workspace::root();
    let files = workspace::files(&root, &[".rs", ".toml", ".md"])?;
    let mut broken = sources::broken(&files);
    broken.extend(manifests::broken(&files));
    broken.extend(prose::broken(&files, &prose::folders(&root)?));
    broken.extend(arrows::broken(&arrows::read()?));
    broken.extend(features::broken()?);
    Ok(broken)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_keeps_every_house_rule() {
        let broken = super::broken_rules().unwrap();
        assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
    }
}
