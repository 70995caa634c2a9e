//! How the benchmarks of `trainer` and `infer` talk with `cargo xtask bench`: a command a line on stdin, a line of JSON on stdout for each.
//! The protocol is that of `xtask/peers/server.py`, which says it in full. Included by both; owns the clock too.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// What to measure, such as `train cnn 64 ours`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Case {
    /// `train`, `predict` or `sgemm`.
    pub(crate) what: String,
    /// A network's name.
    pub(crate) model: String,
    /// Images in a step.
    pub(crate) batch: usize,
    /// Who computes.
    pub(crate) variant: String,
}

/// Runs for about so many seconds and returns the seconds of each step.
pub(crate) type Runner = Box<dyn FnMut(f64) -> Result<Vec<f64>>>;

/// A case ready to run, and its operations in a step where they are known.
pub(crate) struct Built {
    /// What runs it.
    pub(crate) runner: Runner,
    /// Floating-point operations in a step: two for each multiplication with addition.
    pub(crate) flop: Option<u64>,
}

/// Steps that aren't counted go on for this part of the time.
const WARM_PART: f64 = 0.15;

/// Calls `step` until the time is over, after some calls that don't count.
pub(crate) fn stepwise(mut step: impl FnMut() -> Result<()> + 'static) -> Runner {
    Box::new(move |seconds| {
        let start = Instant::now();
        step()?;
        while start.elapsed().as_secs_f64() < seconds * WARM_PART {
            step()?;
        }
        let (start, mut times) = (Instant::now(), Vec::new());
        let mut before = 0.0;
        while before < seconds || times.len() < 2 {
            step()?;
            let now = start.elapsed().as_secs_f64();
            times.push(now - before);
            before = now;
        }
        Ok(times)
    })
}

/// Answers commands until stdin ends.
pub(crate) fn serve(variants: &Value, device: &str, mut build: impl FnMut(&Case) -> Result<Built>) -> Result<()> {
    let start = peak_bytes();
    let mut built = BTreeMap::new();
    say(&json!({"peer": "striate", "version": env!("CARGO_PKG_VERSION"), "device": device, "variants": variants}))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let answer = match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["memory"] => Ok(json!({"peak_bytes": peak_bytes(), "start_bytes": start})),
            ["forget"] => {
                built.clear();
                Ok(json!({}))
            }
            words => case(words).and_then(|(case, seconds)| {
                if !built.contains_key(&case) {
                    built.insert(case.clone(), build(&case)?);
                }
                let found = built.get_mut(&case).context("just built")?;
                measure(found, seconds)
            }),
        };
        say(&answer.unwrap_or_else(|error| json!({"error": format!("{error:#}")})))?;
    }
    Ok(())
}

fn case(words: &[&str]) -> Result<(Case, f64)> {
    let [what, model, batch, variant, seconds] = words else { bail!("expected WHAT MODEL BATCH VARIANT SECONDS") };
    let (what, model, variant) = (what.to_string(), model.to_string(), variant.to_string());
    Ok((Case { what, model, batch: batch.parse()?, variant }, seconds.parse()?))
}

fn measure(built: &mut Built, seconds: f64) -> Result<Value> {
    let mut times = (built.runner)(seconds)?;
    let (all, steps) = (times.iter().sum::<f64>(), times.len());
    times.sort_by(f64::total_cmp);
    let (Some(best), Some(middle)) = (times.first(), times.get(steps / 2)) else { bail!("no step was timed") };
    Ok(json!({"step_s": all / steps as f64, "p50_s": middle, "best_s": best, "steps": steps, "flop": built.flop}))
}

fn say(answer: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}")?;
    Ok(out.flush()?)
}

/// The process's high-water mark of memory, where there is a /proc.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
