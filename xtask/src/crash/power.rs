//! A loss of power at a random moment of a run: all that the run did to its folder is written down, and disks as that moment might have
//! left them are built from it. Each must hold a whole checkpoint, from the first one on, and the run must be resumed to the same bits.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Chance;
use super::disk::{Change, Disk, Mood, read};
use super::lab::{Lab, committed, ends, newest, said};

/// Steps between saves.
const STEPS: usize = 8;

/// Builds and resumes `states` disks.
///
/// # Errors
/// If one of them has lost a checkpoint, or comes to other bits.
pub(super) fn run(lab: &Lab, states: usize, seed: u64) -> Result<Value> {
    let (runs, trace) = (lab.folder().join("runs"), lab.folder().join("trace"));
    fs::create_dir_all(&runs)?;
    let mut command = lab.shimmed(lab.train("traced", STEPS), &runs)?;
    command.env("SHIM_TRACE", &trace);
    ends(command, &[0])?;
    lab.compare(&lab.run("traced"))?;
    let data = fs::read(lab.folder().join("trace.data"))?;
    let changes = read(&fs::read_to_string(&trace)?, &data, &runs.to_string_lossy())?;
    let syncs = changes.iter().filter(|change| matches!(change, Change::Sync { .. })).count();
    ensure!(syncs > 10, "the trace of {} changes has only {syncs} syncs", changes.len());

    let (mut chance, mut tally) = (Chance::new(seed), Tally::default());
    let mut moments: Vec<usize> = (0..states).map(|_| chance.below(changes.len() + 1)).collect();
    moments.sort_unstable();
    let (mut disk, mut done) = (Disk::new(), 0);
    for (number, moment) in moments.into_iter().enumerate() {
        for change in &changes[done..moment] {
            disk.apply(change)?;
        }
        done = moment;
        let mood = Mood::by(&mut chance);
        state(lab, &disk, mood, &mut chance, &mut tally)
            .with_context(|| format!("disk {number} of --seed {seed}, after {moment} changes, {mood:?}"))?;
        eprint!("\r{} disks", number + 1);
    }
    eprintln!();
    Ok(json!({
        "disks": states, "changes": changes.len(), "syncs": syncs, "with_a_checkpoint": tally.resumed,
        "before_the_first_checkpoint": tally.fresh, "checkpoints_lost": 0,
    }))
}

#[derive(Default)]
struct Tally {
    resumed: usize,
    fresh: usize,
}

fn state(lab: &Lab, disk: &Disk, mood: Mood, chance: &mut Chance, tally: &mut Tally) -> Result<()> {
    let crashed = lab.folder().join("crashed");
    let _ = fs::remove_dir_all(&crashed);
    disk.crash(&crashed, mood, chance)?;
    let run = crashed.join("traced");
    let (safe, found) = (committed(disk.safe("traced/checkpoints")), newest(&run));
    // Nothing that was synced may be lost; what a run goes back to may be older than what it leaves.
    let lost = if lab.goes_back() { safe.is_some() && found.is_none() } else { found < safe };
    ensure!(!lost, "checkpoint {safe:?} was synced and is lost: the newest is {found:?}");
    if found.is_none() {
        tally.fresh += 1;
        // Nothing to go on with; what there is must still be read without a fault.
        let output = ends(lab.resume(&run), &[0, 2, 4])?;
        return if output.status.success() { lab.compare(&run) } else { Ok(()) };
    }
    let output = ends(lab.resume(&run), &[0])?;
    ensure!(!said(&output).contains("falling back"), "a checkpoint was damaged: {}", said(&output));
    tally.resumed += 1;
    lab.compare(&run)
}
