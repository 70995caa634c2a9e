//! Runs the benchmarks, which are examples of `trainer` and `infer`: this one links none of our crates, so it only starts them and
//! puts what they print together. A benchmark and never a test: nothing fails by time.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::workspace;

const EXAMPLES: [(&str, &str); 2] = [("trainer", "bench_train"), ("infer", "bench_predict")];

/// `options` are `--json` (for programs) and `--quick` (fewer repeats). Tables or JSON on stdout, progress on stderr.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    if let Some(unknown) = options.iter().find(|option| !["--json", "--quick"].contains(option)) {
        bail!("bench: unknown option {unknown}; expected --json or --quick");
    }
    let mut rows = Vec::new();
    for (package, example) in EXAMPLES {
        eprintln!("== {example}");
        let mut command = workspace::cargo(&["run", "--quiet", "-p", package, "--example", example, "--", "--json"]);
        command.args(options.iter().filter(|option| **option == "--quick")).stderr(Stdio::inherit());
        let text = workspace::output(&mut command)?;
        let found: Value = serde_json::from_str(&text).with_context(|| format!("{example} printed no JSON"))?;
        rows.extend(found.as_array().cloned().unwrap_or_default());
    }
    if options.contains(&"--json") {
        println!("{}", json!({ "threads": std::thread::available_parallelism().map_or(1, usize::from), "rows": rows }));
    } else {
        print!("{}", table(&rows));
    }
    Ok(())
}

/// Rows are objects with `what`, `model`, `batch`, `images_per_s`, `spread`, `plain_burn`, `ratio`, `note`; a missing one is left empty.
fn table(rows: &[Value]) -> String {
    let head = format!(
        "{:<10} {:<5} {:>5} {:>12} {:>8} {:>12} {:>7}  {}\n",
        "what", "model", "batch", "images/s", "spread", "plain Burn", "ratio", "also"
    );
    let lines = rows.iter().map(|row| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str, digits: usize| row[key].as_f64().map_or_else(String::new, |x| format!("{x:.digits$}"));
        let spread = row["spread"].as_f64().map_or_else(String::new, |x| format!("±{:.1} %", 100.0 * x));
        format!(
            "{:<10} {:<5} {:>5} {:>12} {:>8} {:>12} {:>7}  {}\n",
            text("what"),
            text("model"),
            number("batch", 0),
            number("images_per_s", 0),
            spread,
            number("plain_burn", 0),
            number("ratio", 2),
            text("note"),
        )
    });
    std::iter::once(head).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_speed_spread_and_ratio() {
        let rows = [
            json!({"what": "train", "model": "cnn", "batch": 64, "images_per_s": 1234.4, "spread": 0.021, "plain_burn": 1000.0, "ratio": 1.2344}),
        ];
        let line = table(&rows).lines().nth(1).unwrap_or_default().to_owned();
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>(),
            ["train", "cnn", "64", "1234", "±2.1", "%", "1000", "1.23"]
        );
    }

    #[test]
    fn an_unknown_option_is_refused() {
        assert!(run(&["--fast"]).unwrap_err().to_string().contains("--fast"));
    }
}
