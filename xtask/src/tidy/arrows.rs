//! Which crate of ours may depend on which. The drawing is in docs/architecture.md; this is the same in code.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::workspace;

/// All arrows. A crate that isn't here may depend on none of ours.
const ALLOWED: [(&str, &[&str]); 6] = [
    ("trainer", &["tasks", "models", "kernels", "data", "device", "report"]),
    ("infer", &["tasks", "models", "data", "device", "report"]),
    ("models", &["kernels", "data"]),
    ("tasks", &["kernels", "data"]),
    ("device", &["kernels"]),
    ("xtask", &[]),
];

/// The only crate with a network client, whose binary fetches data sets.
const NETWORK: (&str, &str) = ("ureq", "trainer");

/// `cargo metadata` of the workspace's own packages.
pub(crate) fn read() -> Result<Value> {
    let text = workspace::output(&mut workspace::cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str(&text).context("cargo metadata is no JSON")
}

/// Arrows that are not drawn.
pub(crate) fn broken(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ours: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut broken = Vec::new();
    for package in packages {
        let from = package["name"].as_str().unwrap_or_default();
        let allowed = ALLOWED.iter().find(|(name, _)| *name == from).map_or(&[] as &[&str], |(_, allowed)| allowed);
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            // Tests of any crate may run on any device.
            let for_tests = dependency["kind"] == "dev" && to == "device" && from != "xtask";
            if ours.contains(&to) && !allowed.contains(&to) && !for_tests {
                broken.push(format!("crates/{from}: depends on {to}, an arrow that docs/architecture.md doesn't draw"));
            }
            if to == NETWORK.0 && from != NETWORK.1 {
                broken.push(format!(
                    "crates/{from}: depends on {to}; only the {} binary may touch the network",
                    NETWORK.1
                ));
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree(from: &str, to: &str, kind: Value) -> Value {
        json!({"packages": [
            {"name": from, "dependencies": [{"name": to, "kind": kind}]},
            {"name": to, "dependencies": []},
        ]})
    }

    #[test]
    fn a_drawn_arrow_is_fine() {
        assert!(broken(&tree("trainer", "models", Value::Null)).is_empty());
        assert!(broken(&tree("models", "device", json!("dev"))).is_empty());
    }

    #[test]
    fn any_other_arrow_is_reported() {
        for (from, to) in
            [("data", "models"), ("infer", "trainer"), ("models", "tasks"), ("xtask", "data"), ("new", "data")]
        {
            assert_eq!(broken(&tree(from, to, Value::Null)).len(), 1, "{from} -> {to}");
        }
    }

    #[test]
    fn a_network_client_belongs_to_the_trainer() {
        let found = broken(&json!({"packages": [{"name": "data", "dependencies": [{"name": "ureq", "kind": null}]}]}));
        assert_eq!(found.len(), 1);
    }
}
