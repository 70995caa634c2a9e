//! Several processes that train one model, as `mpirun` starts them: how they find each other, that they are of one
//! mind, and who speaks. What they tell each other while they train is the library's.

#[cfg(feature = "mpi")]
mod world;

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};
use trainer::{Provenance, Ranks, Settings};

use super::failure::{Failure, code, exit_code};
use super::options::{Batch, Options};
use super::{Watch, one_line, settings, stream};

/// Does `work` with the other processes that `mpirun` has started, if it has. Of several, rank 0 tells what went wrong, on whichever of them,
/// and all end with that exit code.
pub(crate) fn together(work: impl FnOnce(&Ranks) -> Result<u8>) -> Result<u8> {
    let ranks = join()?;
    let outcome = work(&ranks);
    if ranks.size() == 1 {
        return outcome;
    }
    let (code, words) = match &outcome {
        Ok(_) => (code::OK, String::new()),
        Err(error) => (exit_code(error), one_line(error)),
    };
    let others = ranks.conclude(code, &words);
    let outcome = outcome.and_then(|code| others.map(|()| code).map_err(Into::into));
    Ok(outcome.unwrap_or_else(|error| {
        // Before the others can leave: once one has failed, mpirun ends the rest.
        if ranks.is_first() {
            stream::tell(format_args!("error: {}", one_line(&error)));
        }
        exit_code(&error)
    }))
}

/// Which of the processes on this machine this one is.
pub(super) fn local() -> usize {
    number(&["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"]).unwrap_or(0)
}

/// How many processes `mpirun` has started with this one.
fn launched() -> usize {
    number(&["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"]).unwrap_or(1)
}

/// The first of these variables that is set to a number.
fn number(names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| std::env::var(name).ok()?.parse().ok())
}

fn join() -> Result<Ranks> {
    match launched() {
        0 | 1 => Ok(Ranks::alone()),
        #[cfg(feature = "mpi")]
        _ => world::join(),
        #[cfg(not(feature = "mpi"))]
        launched if number(&["OMPI_COMM_WORLD_RANK", "PMI_RANK"]).unwrap_or(0) == 0 => Err(Failure::usage(anyhow!(
            "mpirun started {launched} processes, and this build knows nothing of each other's: build one that does, with \
             `cargo build --release -p trainer --features mpi`, or start it without mpirun"
        ))),
        #[cfg(not(feature = "mpi"))]
        _ => Err(Failure::with(code::OK, anyhow!("rank 0 says it"))),
    }
}

/// What a command says that one process does.
pub(super) fn refused(ranks: &Ranks) -> anyhow::Error {
    let started = ranks.size();
    Failure::usage(anyhow!(
        "mpirun started {started} processes, but only `train` and `resume` of a run work together; leave it out"
    ))
}

/// Refuses options that mean nothing to several processes.
pub(super) fn check(options: &Options, ranks: &Ranks) -> Result<()> {
    match options.batch {
        Some(Batch::Auto(_)) if ranks.size() > 1 => {
            let what = "--batch auto: a batch is shared by all ranks, whose machines may differ; give --batch N";
            Err(Failure::usage(anyhow!(what)))
        }
        _ => Ok(()),
    }
}

/// How much this one shows: rank 0 speaks for all.
pub(super) fn watch(watch: Watch, ranks: &Ranks) -> Watch {
    if ranks.is_first() { watch } else { Watch { quiet: true, tui: false } }
}

/// `settings` with the number of ranks, where there are several: sums are taken in another order then.
pub(super) fn counted(mut settings: Settings, ranks: &Ranks) -> Settings {
    if ranks.size() > 1 {
        settings.insert("ranks".to_owned(), ranks.size().to_string());
    }
    settings
}

/// What every rank must have as rank 0 has it.
#[derive(Serialize, Deserialize)]
struct Mind {
    made_from: Provenance,
    settings: Settings,
}

/// Compares what the ranks are about to do, before anything is written.
///
/// # Errors
/// The first difference, with both values: exit 3 for data, 2 for all else.
pub(super) fn compare(ranks: &Ranks, made_from: &Provenance, settings: Settings) -> Result<()> {
    if ranks.size() == 1 {
        return Ok(());
    }
    let mine = serde_json::to_vec(&Mind { made_from: made_from.clone(), settings })?;
    let all = ranks.gather(Ok(mine))?;
    let first: Mind = serde_json::from_slice(&all[0])?;
    for (rank, other) in all.iter().enumerate().skip(1) {
        // What another program would say may not be readable, and is all the same told as that.
        let other: Mind = serde_json::from_slice(other)?;
        if let Some((code, what)) = difference(&first, &other, rank) {
            return Err(Failure::with(code, anyhow!("rank {rank} is not of one mind with rank 0: {what}")));
        }
    }
    Ok(())
}

fn difference(first: &Mind, other: &Mind, rank: usize) -> Option<(u8, String)> {
    let (one, two) = (&first.made_from, &other.made_from);
    let both = |what: &str, one: &str, two: &str, advice: &str| {
        (one != two).then(|| (code::USAGE, format!("{what} is {one} on rank 0, {two} on rank {rank}; {advice}")))
    };
    let program = "start the same file on every machine";
    let changed = || settings::differences(&first.settings, &other.settings).into_iter().next();
    let machine = |what, one: &str, two: &str, variable: &str| {
        both(what, one, two, &format!("the weights would drift apart: give all ranks the same {variable}"))
    };
    both("the SHA-256 of the program", &one.binary_sha256, &two.binary_sha256, program)
        .or_else(|| both("the SHA-256 of its Cargo.lock", &one.lock_sha256, &two.lock_sha256, program))
        .or_else(|| {
            let (name, one, two) = changed()?;
            both(&format!("`{name}`"), &one, &two, "give all ranks the same flags, recipe and STRIATE_ variables")
        })
        .or_else(|| Some((code::DATA, format!("the data that it found: {}", one.data.difference(&two.data)?))))
        .or_else(|| {
            let hash =
                |made: &Provenance| made.initial.as_ref().map_or("none".to_owned(), |origin| format!("{origin:?}"));
            both("the file of the first weights", &hash(one), &hash(two), "give all ranks the same --init-from")
        })
        .or_else(|| machine("the processor", &one.machine.vectors, &two.machine.vectors, "STRIATE_SIMD"))
        .or_else(|| {
            let [one, two] = [one, two].map(|made| made.machine.threads.to_string());
            machine("the number of compute threads", &one, &two, "RAYON_NUM_THREADS")
        })
}
