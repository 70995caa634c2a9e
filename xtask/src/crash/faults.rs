//! The system refuses: every call of a kind in turn, once, and every write from some call on, as where a disk is full. The run goes on
//! and comes to the same bits, or ends with 7, and then is resumed to them.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Chance;
use super::lab::{Lab, ends, said};

/// Steps between saves.
const STEPS: usize = 60;
/// ENOSPC and EIO on Linux.
const ERRORS: [i32; 2] = [28, 5];
/// Where refusing begins for good, as parts of all writes.
const FROM: usize = 24;

/// Every call of every kind; `most` of them, as chance has it, if there are more.
///
/// # Errors
/// If one of them ends in a panic, another exit code, or other bits.
pub(super) fn run(lab: &Lab, most: usize, seed: u64) -> Result<Value> {
    let counts = count(lab)?;
    let mut refusals = all(&counts);
    let mut chance = Chance::new(seed);
    while refusals.len() > most {
        refusals.swap_remove(chance.below(refusals.len()));
    }
    let mut ended = 0;
    for (number, refusal) in refusals.iter().enumerate() {
        ended += usize::from(refuse(lab, refusal)?);
        eprint!("\r{} of {} refusals, {refusal}      ", number + 1, refusals.len());
    }
    eprintln!();
    let once = refusals.iter().filter(|refusal| refusal.ends_with("once")).count();
    let ever = refusals.len() - once;
    Ok(json!({
        "calls": counts, "refused_once": once, "refused_for_good": ever, "ended_by_it": ended, "lost": 0,
    }))
}

/// Each call once, and from some calls on for good, in the shim's words.
fn all(counts: &BTreeMap<String, usize>) -> Vec<String> {
    let mut refusals = Vec::new();
    for (call, &count) in counts {
        for error in ERRORS {
            refusals.extend((1..=count).map(|at| format!("{call}:{at}:{error}:once")));
            refusals.extend((1..=count).step_by((count / FROM).max(1)).map(|at| format!("{call}:{at}:{error}:ever")));
        }
    }
    refusals
}

/// How often the run makes each call.
fn count(lab: &Lab) -> Result<BTreeMap<String, usize>> {
    let (run, file) = (lab.run("counted"), lab.folder().join("counts"));
    let mut command = lab.shimmed(lab.train("counted", STEPS), &run)?;
    command.env("SHIM_COUNT", &file);
    ends(command, &[0])?;
    lab.compare(&run)?;
    let text = fs::read_to_string(&file).context("the calls were not counted")?;
    let counts: BTreeMap<String, usize> = text
        .lines()
        .filter_map(|line| line.split_once(' ').and_then(|(call, count)| Some((call.to_owned(), count.parse().ok()?))))
        .collect();
    ensure!(counts.get("fsync").is_some_and(|&count| count > 10), "the calls were not seen: {counts:?}");
    Ok(counts)
}

/// One run with a refusal: whether it ended by it.
fn refuse(lab: &Lab, what: &str) -> Result<bool> {
    let run = lab.run("refused");
    let _ = fs::remove_dir_all(&run);
    let mut command = lab.shimmed(lab.train("refused", STEPS), &run)?;
    command.env("SHIM_FAIL", what);
    // 1: the system refused before there was a run to save. 5: it refused to show what the run would go back to.
    let codes: &[i32] = if lab.goes_back() { &[0, 1, 5, 7] } else { &[0, 1, 7] };
    let output = ends(command, codes).with_context(|| format!("SHIM_FAIL={what}"))?;
    let resumed = || -> Result<()> {
        if output.status.success() {
            return lab.compare(&run);
        }
        ensure!(said(&output).lines().filter(|line| line.starts_with("error")).count() == 1, "{}", said(&output));
        if !run.join("args.toml").exists() {
            return Ok(());
        }
        ensure!(output.status.code() != Some(1), "a run that was begun ended with 1: {}", said(&output));
        let again = ends(lab.resume(&run), &[0])?;
        ensure!(!said(&again).contains("falling back"), "a checkpoint was damaged: {}", said(&again));
        lab.compare(&run)
    };
    resumed().with_context(|| format!("SHIM_FAIL={what}"))?;
    Ok(!output.status.success())
}
