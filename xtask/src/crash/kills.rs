//! kill -9 at random moments, a good part of them inside of a save, again and again in one run, which must then end as if nothing had
//! happened.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::Chance;
use super::lab::{Lab, ends, newest, said, unfinished};

/// Steps between saves.
const STEPS: usize = 8;
/// Kills in one run, at most.
const IN_A_RUN: usize = 8;
/// Points of a save that a process passes at most before it dies at one.
const POINTS: usize = 400;

#[derive(Default)]
struct Tally {
    kills: usize,
    at_a_point: usize,
    with_unfinished_files: usize,
    before_the_first_checkpoint: usize,
    runs: usize,
}

/// Kills `most` times.
///
/// # Errors
/// As soon as a checkpoint is lost or a run comes to other bits.
pub(super) fn run(lab: &Lab, most: usize, seed: u64) -> Result<Value> {
    let (mut chance, mut tally) = (Chance::new(seed), Tally::default());
    while tally.kills < most {
        let name = format!("kills-{}", tally.runs);
        let kills = (1 + chance.below(IN_A_RUN)).min(most - tally.kills);
        trial(lab, &name, kills, &mut chance, &mut tally).with_context(|| format!("run {name}, --seed {seed}"))?;
        let _ = std::fs::remove_dir_all(lab.run(&name));
        tally.runs += 1;
        eprint!("\r{} kills in {} runs", tally.kills, tally.runs);
    }
    eprintln!();
    let Tally { kills, at_a_point, with_unfinished_files, before_the_first_checkpoint, runs } = tally;
    // Few kills are too few to judge chance by.
    ensure!(kills < 8 || 4 * at_a_point >= kills, "only {at_a_point} of {kills} kills were inside of a save");
    Ok(json!({
        "kills": kills, "at_a_point_of_a_save": at_a_point, "with_unfinished_files": with_unfinished_files, "before_the_first_checkpoint": before_the_first_checkpoint,
        "runs_with_equal_bits": runs, "checkpoints_lost": 0,
    }))
}

/// One run that is killed `kills` times, unless it ends before.
fn trial(lab: &Lab, name: &str, kills: usize, chance: &mut Chance, tally: &mut Tally) -> Result<()> {
    let run = lab.run(name);
    let mut seen = None;
    for _ in 0..kills {
        let command = begin(lab, name, &run)?;
        let Some(at_a_point) = kill(lab, command, chance)? else { break };
        tally.kills += 1;
        tally.at_a_point += usize::from(at_a_point);
        tally.with_unfinished_files += usize::from(unfinished(&run));
        let now = newest(&run);
        let lost = if lab.goes_back() { now.is_none() && seen.is_some() } else { now < seen };
        ensure!(!lost, "checkpoint {seen:?} is lost: the newest is {now:?}");
        tally.before_the_first_checkpoint += usize::from(now.is_none());
        seen = now;
    }
    let output = ends(begin(lab, name, &run)?, &[0])?;
    ensure!(!said(&output).contains("falling back"), "a checkpoint was damaged: {}", said(&output));
    lab.compare(&run)
}

/// The next sitting: the first one where there is nothing to go on with.
fn begin(lab: &Lab, name: &str, run: &Path) -> Result<Command> {
    if run.join("args.toml").exists() {
        return Ok(lab.resume(run));
    }
    // Killed before it had written what it is: nothing was trained.
    ensure!(newest(run).is_none(), "checkpoints of a run without args.toml");
    let _ = std::fs::remove_dir_all(run);
    Ok(lab.train(name, STEPS))
}

/// Kills it at a point of a save or at any moment, as chance has it: whether at a point; `None` if it ended before.
fn kill(lab: &Lab, mut command: Command, chance: &mut Chance) -> Result<Option<bool>> {
    let at_a_point = chance.below(2) == 0;
    if at_a_point {
        // Few points as often as many.
        let scale = chance.below(POINTS);
        command.env("FAILPOINTS", format!("*={}*off->abort", chance.below(scale)));
    }
    let mut child = command.spawn()?;
    if !at_a_point {
        sleep(Duration::from_secs_f64(lab.time.as_secs_f64() * chance.below(1000) as f64 / 1000.0));
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    let text = said(&output);
    ensure!(!text.contains("panicked") && !text.contains("falling back"), "{text}");
    match output.status.code() {
        None => Ok(Some(at_a_point)),
        Some(0) => Ok(None),
        Some(code) => bail!("ended with {code}: {text}"),
    }
}
