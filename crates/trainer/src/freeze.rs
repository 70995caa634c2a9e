//! Which parameters stay as they are: patterns over their names (`stages.*`), and what they match; and how the others learn, the head by a rate
//! of its own. What a frozen batch normalisation does is in `models`.

use std::collections::{HashMap, HashSet};

use burn::module::ParamId;
use models::{Kind, is_head};

use crate::Error;
use crate::optimizer::ParameterInfo;

/// Whether `pattern` is `name`, or a module that it is in: `*` stands for any characters, `?` for one.
fn matches(pattern: &str, name: &str) -> bool {
    let ends = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
    ends.into_iter().any(|end| is_like(pattern.as_bytes(), &name.as_bytes()[..end]))
}

/// Whether all of `name` is like the pattern; takes as many steps as both are long, multiplied, and no more.
fn is_like(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => (p, n) = (p + 1, n + 1),
            // The last star takes one character more.
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// The ids of the parameters that `patterns` freeze, with the running statistics of every batch normalisation all of which they freeze.
///
/// # Errors
/// [`Error::Config`] for a pattern that matches nothing, with the nearest names, and where nothing is left to train.
pub(crate) fn frozen(
    parameters: &HashMap<ParamId, (String, Kind)>,
    patterns: &[String],
) -> Result<HashSet<ParamId>, Error> {
    let trained = || parameters.iter().filter(|(_, (_, kind))| *kind != Kind::Running);
    let mut frozen = HashSet::new();
    for pattern in patterns {
        let found: Vec<ParamId> =
            trained().filter(|(_, (name, _))| matches(pattern, name)).map(|(id, _)| *id).collect();
        if found.is_empty() {
            let hint = nearest(pattern, trained().map(|(_, (name, _))| name.as_str()).collect());
            return Err(Error::Config(format!("--freeze {pattern}: no parameter has such a name; {hint}")));
        }
        frozen.extend(found);
    }
    if !patterns.is_empty() && trained().all(|(id, _)| frozen.contains(id)) {
        let what = "nothing is left to train; freeze less, such as the stages without the head (`stages.*`)";
        return Err(Error::Config(format!("--freeze {}: {what}", patterns.join(" --freeze "))));
    }
    let module = |name: &str| name.rsplit_once('.').map_or("", |(module, _)| module).to_owned();
    let moved: HashSet<String> =
        trained().filter(|(id, _)| !frozen.contains(*id)).map(|(_, (name, _))| module(name)).collect();
    let running =
        parameters.iter().filter(|(_, (name, kind))| *kind == Kind::Running && !moved.contains(&module(name)));
    let running: Vec<ParamId> = running.map(|(id, _)| *id).collect();
    frozen.extend(running);
    Ok(frozen)
}

/// Names that may have been meant.
fn nearest(pattern: &str, mut names: Vec<&str>) -> String {
    names.sort_unstable();
    let modules: std::collections::BTreeSet<&str> =
        names.iter().flat_map(|name| name.match_indices('.').map(|(at, _)| &name[..at])).collect();
    let bare = pattern.trim_end_matches(['*', '.', '?']);
    match data::near(bare, modules.iter().copied().chain(names.iter().copied())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let top: std::collections::BTreeSet<&str> =
                names.iter().filter_map(|name| name.split('.').next()).collect();
            let top: Vec<String> = top.into_iter().map(|name| format!("`{name}.*`")).collect();
            format!("there are {}; `trainer inspect` lists the layers", top.join(", "))
        }
    }
}

/// How each parameter learns: weights decay, and the rate of the head's is multiplied by `head`.
pub(crate) fn learning(parameters: HashMap<ParamId, (String, Kind)>, head: f64) -> HashMap<ParamId, ParameterInfo> {
    let learns = |(name, kind): (String, Kind)| {
        let rate = if is_head(&name) { head } else { 1.0 };
        ParameterInfo { name, decays: kind == Kind::Weight, rate }
    };
    parameters.into_iter().map(|(id, parameter)| (id, learns(parameter))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_and_the_modules_that_they_are_in() {
        let name = "stages.1.blocks.0.conv1.weight";
        for pattern in
            ["stages.*", "stages", "stages.1", "*", "*.conv?.weight", "stages.?.blocks.*", name, "*conv1*", "s*s.1"]
        {
            assert!(matches(pattern, name), "{pattern}");
        }
        for pattern in ["stage", "stages.10", "stages.1.block", "conv1", "*.bias", "", "stages.?", "weight"] {
            assert!(!matches(pattern, "stages.12.blocks.0.conv1.weight"), "{pattern}");
        }
        // As many steps as both are long, multiplied: a pattern that asks for more is soon answered too.
        assert!(!matches(&"*a".repeat(2000), &"a".repeat(1000)));
    }
}
