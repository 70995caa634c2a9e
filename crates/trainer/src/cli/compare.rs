//! `trainer compare RUN RUN...`: what runs answer to the same samples, side by side; whether the differences are more than chance; which
//! samples flipped. Each part is in the file of its name.

mod aligned;
mod cost;
mod judged;
mod predictions;
mod shown;

use std::path::Path;

use anyhow::{Result, anyhow};
use trainer::RunFolder;

use super::failure::{Failure, code};
use super::{Compare, Format, chosen, stream};
use aligned::Aligned;
use cost::Cost;
use judged::{Judged, Verdict};
use predictions::Predictions;

/// All that is found.
pub(super) struct Compared {
    /// `test` or `val`.
    split: &'static str,
    names: Vec<String>,
    paths: Vec<String>,
    /// Samples of each run, before those in common were taken.
    samples: Vec<usize>,
    aligned: Aligned,
    judged: Vec<Judged>,
    costs: Vec<Cost>,
    notes: Vec<String>,
}

/// Compares the runs.
pub(crate) fn run(arguments: &Compare) -> Result<u8> {
    if let Some(page) = &arguments.page {
        data::check_place("--page", page, &["html", "htm"], &[b"<!DOCTYPE html"])?;
    }
    let found = compare(arguments)?;
    if let Some(page) = &arguments.page {
        RunFolder::write(page, shown::page(&found).html().as_bytes())?;
    }
    match arguments.output.format {
        Format::Json => stream::print(shown::json(&found))?,
        Format::Text => stream::print(shown::text(&found, arguments.page.as_deref()))?,
    }
    let worse = |(judged, _): &(&Judged, &String)| {
        judged.against.as_ref().is_some_and(|against| against.verdict == Verdict::Worse)
    };
    let worse: Vec<&str> = found.judged.iter().zip(&found.paths).filter(worse).map(|(_, path)| path.as_str()).collect();
    match arguments.fail_on_regression && !worse.is_empty() {
        true => Err(Failure::with(
            code::TARGET_MISSED,
            anyhow!("significantly worse than `{}`: `{}`", found.paths[0], worse.join("`, `")),
        )),
        false => Ok(0),
    }
}

fn compare(arguments: &Compare) -> Result<Compared> {
    let paths: Vec<String> = arguments.runs.iter().map(|run| run.to_string_lossy().into_owned()).collect();
    let (split, all) = read(&arguments.runs)?;
    let samples: Vec<usize> = all.iter().map(|one| one.rows.len()).collect();
    let aligned = Aligned::of(paths.iter().cloned().zip(all).collect())?;
    let mut notes = Vec::new();
    let common = aligned.sources.len();
    if let Some(most) = samples.iter().max().filter(|most| **most > common) {
        notes.push(format!("{common} samples are in common, of up to {most}: only these are compared"));
    }
    if split == "val" {
        notes.push("on validation samples, which chose each run's best epoch: on others all may fare worse".to_owned());
    }
    let judged = judged::judge(&aligned);
    let device = chosen::device(&arguments.device)?;
    let names = names(&arguments.runs);
    let cost = |(run, name): (&std::path::PathBuf, &String)| {
        let mut told = Vec::new();
        let cost = Cost::of(run, &device.device, &mut told);
        notes.extend(told.into_iter().map(|note| format!("{name}: {note}")));
        cost
    };
    let costs = arguments.runs.iter().zip(&names).map(cost).collect();
    Ok(Compared { split, names, paths, samples, aligned, judged, costs, notes })
}

/// The predictions of all runs on the test split, or, where one has none, on the validation split.
fn read(runs: &[std::path::PathBuf]) -> Result<(&'static str, Vec<Predictions>)> {
    let mut lacking = Vec::new();
    for split in ["test", "val"] {
        let mut all = Vec::new();
        for run in runs {
            RunFolder::open(run)?;
            let wrong = |what: String| {
                let advice = "write it again with `trainer report`";
                Failure::with(code::MODEL, anyhow!("`{}`: {what}; {advice}", run.display()))
            };
            match Predictions::read(run, split).map_err(wrong)? {
                Some(one) => all.push(one),
                None => {
                    lacking.push((run, split));
                    break;
                }
            }
        }
        if all.len() == runs.len() {
            return Ok((split, all));
        }
    }
    let said: Vec<String> =
        lacking.iter().map(|(run, split)| format!("`{}` has no predictions_{split}.csv", run.display())).collect();
    Err(Failure::with(
        code::MODEL,
        anyhow!("no split that all runs have answers for: {}; `trainer report RUN` writes them", said.join(", ")),
    ))
}

/// The folders' names; where two are the same, their paths.
fn names(runs: &[std::path::PathBuf]) -> Vec<String> {
    let name = |run: &Path| {
        let whole = std::fs::canonicalize(run).unwrap_or_else(|_| run.to_owned());
        whole.file_name().unwrap_or_default().to_string_lossy().into_owned()
    };
    let names: Vec<String> = runs.iter().map(|run| name(run)).collect();
    let twice = |at: usize| names.iter().filter(|name| **name == names[at]).count() > 1;
    (0..runs.len()).map(|at| if twice(at) { runs[at].display().to_string() } else { names[at].clone() }).collect()
}
