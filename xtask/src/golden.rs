//! Reruns the scripts that made the golden numbers and compares what they make now with what is in the tree.
//!
//! A script is a `.py` file in a folder named `golden`. It writes beside itself, or prints one file, which then bears the script's
//! name and the ending `.json`. The scripts of a folder run on a copy of it, so that the tree stays as it is; what they made together is
//! compared with all that the folder has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::workspace::{self, File};

/// Golden numbers are of single precision, and another processor sums in another order.
const TOLERANCE: f64 = 1e-4;

/// Every script; an error if one fails or makes other numbers.
pub(crate) fn run() -> Result<()> {
    let python = python()?;
    let crates = workspace::root().join("crates");
    let scripts = workspace::files(&crates, &[".py"])?;
    let mut homes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for script in &scripts {
        if let Some((home, name)) = script.path.rsplit_once('/').filter(|(home, _)| home.ends_with("/golden")) {
            homes.entry(home).or_default().push(name);
        }
    }
    let mut broken = 0;
    for (home, scripts) in homes {
        let found = compare(&python, &crates.join(home), &scripts)?;
        let said = if found.is_empty() { "the same".to_owned() } else { found.join("; ") };
        eprintln!("{home} by {}: {said}", scripts.join(", "));
        broken += found.len();
    }
    match broken {
        0 => Ok(()),
        count => bail!("{count} golden file(s) differ"),
    }
}

fn python() -> Result<String> {
    let named = std::env::var("PYTHON").ok();
    let candidates = named.map_or_else(|| vec!["python3".to_owned(), "python".to_owned()], |named| vec![named]);
    for candidate in &candidates {
        let asked =
            Command::new(candidate).args(["-c", "import numpy, scipy, sklearn, timm, torch, torchvision"]).output();
        if asked.is_ok_and(|answer| answer.status.success()) {
            return Ok(candidate.clone());
        }
    }
    bail!(
        "no Python with torch, torchvision, timm, numpy, scikit-learn and scipy ({} tried); `python3 -m venv target/peers && target/peers/bin/pip \
         install -r xtask/peers/requirements.txt`, then `PYTHON=target/peers/bin/python cargo xtask golden`",
        candidates.join(", ")
    )
}

fn compare(python: &str, home: &Path, scripts: &[&str]) -> Result<Vec<String>> {
    let scratch = Scratch::copy_of(home)?;
    for script in scripts {
        let script = scratch.0.join(script);
        let printed = workspace::output(Command::new(python).arg(&script).current_dir(&scratch.0))?;
        if serde_json::from_str::<Value>(&printed).is_ok() {
            std::fs::write(script.with_extension("json"), printed)?;
        }
    }
    let mut broken = Vec::new();
    for File { path, text } in workspace::files(home, &[".json", ".csv"])? {
        let made = std::fs::read_to_string(scratch.0.join(&path)).unwrap_or_default();
        if let Some(difference) = difference(&text, &made) {
            broken.push(format!("{path}: {difference}"));
        }
    }
    Ok(broken)
}

/// Where two texts differ by more than rounding; JSON is compared by value, the versions that made it aside.
fn difference(kept: &str, made: &str) -> Option<String> {
    match (serde_json::from_str::<Value>(kept), serde_json::from_str::<Value>(made)) {
        (Ok(kept), Ok(made)) => unequal(&kept, &made, "$"),
        _ => (kept != made).then(|| "differs".to_owned()),
    }
}

fn unequal(kept: &Value, made: &Value, at: &str) -> Option<String> {
    match (kept, made) {
        (Value::Number(kept), Value::Number(made)) => {
            let (kept, made) = (kept.as_f64()?, made.as_f64()?);
            let bound = TOLERANCE * kept.abs().max(1.0);
            ((kept - made).abs() > bound).then(|| format!("{at}: kept {kept}, made {made}"))
        }
        (Value::Array(kept), Value::Array(made)) if kept.len() == made.len() => {
            kept.iter().zip(made).enumerate().find_map(|(i, (kept, made))| unequal(kept, made, &format!("{at}[{i}]")))
        }
        (Value::Object(kept), Value::Object(made)) if kept.keys().eq(made.keys()) => kept
            .iter()
            .filter(|(key, _)| *key != "made_with")
            .find_map(|(key, value)| unequal(value, &made[key], &format!("{at}.{key}"))),
        _ => (kept != made).then(|| format!("{at}: differs in kind or length")),
    }
}

/// A copy of a folder of golden files that goes when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn copy_of(home: &Path) -> Result<Self> {
        let place = home.to_string_lossy().replace(['/', '\\', ':'], "-");
        let scratch = Self(std::env::temp_dir().join(format!("striate-golden-{}{place}", std::process::id())));
        std::fs::create_dir_all(&scratch.0)?;
        for entry in std::fs::read_dir(home)? {
            let entry = entry?;
            if entry.file_type()?.is_file() && entry.path().extension().is_some_and(|ending| ending == "py") {
                std::fs::copy(entry.path(), scratch.0.join(entry.file_name()))?;
            }
        }
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: a scratch folder left behind harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_no_difference_but_a_number_is() {
        assert_eq!(difference(r#"{"a": [1.0, 100.0]}"#, r#"{"a": [1.00005, 100.001]}"#), None);
        assert_eq!(
            difference(r#"{"a": [1.0, 2.0]}"#, r#"{"a": [1.0, 2.1]}"#),
            Some("$.a[1]: kept 2, made 2.1".to_owned())
        );
        assert!(difference(r#"{"a": [1.0]}"#, r#"{"a": [1.0, 1.0]}"#).is_some());
        assert!(difference(r#"{"a": 1}"#, r#"{"b": 1}"#).is_some());
        assert_eq!(difference(r#"{"made_with": 1}"#, r#"{"made_with": 2}"#), None);
        assert!(difference("x,y\n1,2\n", "x,y\n1,3\n").is_some());
    }

    #[test]
    fn what_the_scripts_of_a_folder_made_together_is_compared() {
        let home = std::env::temp_dir().join(format!("striate-goldens-{}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        let home = Scratch(home);
        let put = |name: &str, text: &str| std::fs::write(home.0.join(name), text).unwrap();
        put("a.py", "echo '[1]'");
        put("b.py", "echo '[2]' > c.json");
        put("a.json", "[1]");
        put("c.json", "[2]");
        let found = || compare("sh", &home.0, &["a.py", "b.py"]).unwrap();
        assert!(found().is_empty(), "{:?}", found());
        put("c.json", "[3]");
        assert_eq!(found(), ["c.json: $[0]: kept 3, made 2"]);
        put("b.py", "true");
        assert_eq!(found(), ["c.json: differs"], "it isn't there");
    }
}
