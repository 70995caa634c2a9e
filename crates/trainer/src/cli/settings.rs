//! What decides the weights of a run, by name: kept in every checkpoint, and compared when a run goes on. What may differ, and what a
//! difference means, is `resume`'s.

use std::path::PathBuf;

use anyhow::Result;
use sha2::{Digest, Sha256};
use trainer::{RunFolder, Settings};

use super::options::Options;

/// Options that change no weight: where things lie, the data while it is learned from among them, how many threads make batches, when the state is saved, what is written for onlookers. Data, and the file of
/// the first weights, are known by their content, not by their path.
const FREE: [&str; 12] = [
    "data",
    "data_on",
    "init_from",
    "test",
    "split",
    "exclude",
    "runs",
    "name",
    "workers",
    "checkpoint_minutes",
    "checkpoint_steps",
    "tensorboard",
];

/// Bytes that `split.csv` has at most: it is hashed in pieces.
const MOST_SPLIT: u64 = 1 << 34;

/// The settings of `run`, whose `split.csv` is written, on `device`.
pub(crate) fn of(options: &Options, run: &RunFolder, device: &str) -> Result<Settings> {
    let mut settings = without_split(options, device)?;
    let mut hash = Sha256::new();
    data::open_regular(&run.split(), MOST_SPLIT)
        .and_then(|mut split| std::io::copy(&mut split, &mut hash))
        .map_err(unreadable(run))?;
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    settings.insert("split.csv".to_owned(), format!("sha256 {hash}"));
    Ok(settings)
}

/// The same, but for the split.
pub(crate) fn without_split(options: &Options, device: &str) -> Result<Settings> {
    let table = toml::Table::try_from(options)?;
    let decisive = table.iter().filter(|(name, _)| !FREE.contains(&name.as_str()));
    let mut settings: Settings = decisive.map(|(name, value)| (name.clone(), value.to_string())).collect();
    settings.insert("device".to_owned(), device.to_owned());
    // As it is written on a command line, for what is said when it is given anew.
    settings.extend(options.precision.clone().map(|precision| ("precision".to_owned(), precision)));
    Ok(settings)
}

/// The split file of `run`.
///
/// # Errors
/// It isn't there, or no file: that is wrong with the run, whatever is right for other split files.
pub(crate) fn split(run: &RunFolder) -> Result<PathBuf> {
    data::open_regular(&run.split(), MOST_SPLIT).map_err(unreadable(run))?;
    Ok(run.split())
}

fn unreadable(run: &RunFolder) -> impl FnOnce(std::io::Error) -> trainer::Error {
    let path = run.split();
    move |source| trainer::Error::Io { doing: "read", path, source }
}

/// The names under which two settings differ, each with both values.
pub(crate) fn differences(was: &Settings, now: &Settings) -> Vec<(String, String, String)> {
    let value = |settings: &Settings, name: &str| settings.get(name).cloned().unwrap_or_else(|| "not set".to_owned());
    let names: std::collections::BTreeSet<&String> = was.keys().chain(now.keys()).collect();
    let both = names.into_iter().map(|name| (name.clone(), value(was, name), value(now, name)));
    both.filter(|(_, was, now)| was != now).collect()
}
