//! All that resuming needs, in one committed step: a folder that is complete or absent. Written aside, flushed to disk, renamed, read
//! back; a manifest holds the hash of every file, and the previous checkpoint stays until the new one is verified. When to save, and
//! what else is written beside it, is the keeper's.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use data::failpoint::failpoint;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::provenance::hex;
use crate::run_folder::MOST_TEXT;
use crate::{Error, Progress};

mod tensors;

use tensors::{pack, unpack};

/// Tensors by name.
pub(crate) type Tensors = Vec<(String, TensorData)>;

/// What a run is trained by, in its caller's words: the value of each option, and hashes of what else decides the weights.
pub type Settings = BTreeMap<String, String>;

/// The state of a run between two steps.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Position and decisions.
    pub progress: Progress,
    /// Weights and running statistics, under PyTorch names.
    pub model: Tensors,
    /// Moments of the optimizer.
    pub optimizer: Tensors,
    /// The averaged weights, where `--ema` keeps them.
    pub ema: Option<Tensors>,
    /// `results.csv` as it then is.
    pub results: String,
    /// What the run is trained by. Empty in checkpoints of format 1.
    pub settings: Settings,
    /// The folder that it was read from.
    pub path: Option<PathBuf>,
}

/// The hash of every file of a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    sha256: BTreeMap<String, String>,
}

/// The format that is written, and the newest that is read. The first had neither results nor settings.
const FORMAT: u32 = 2;
/// Bytes that tensors of a checkpoint have at most: an optimizer keeps two numbers for each of a model, whose file has up to 16 GiB.
const MOST_TENSORS: u64 = 1 << 36;

impl Checkpoint {
    /// Writes the checkpoint below `folder`, a new folder whatever is there, and reads it back. Nothing else is touched but what earlier
    /// saves left unfinished; older checkpoints go by [`Checkpoint::prune`].
    ///
    /// # Errors
    /// If the system refuses, or what comes back isn't what was written. There is then no new checkpoint.
    pub fn save(&self, folder: &Path) -> Result<PathBuf, Error> {
        reach("checkpoint::begin", folder)?;
        if make(folder)? {
            folder.parent().map_or(Ok(()), sync)?;
        }
        for unfinished in partial(folder)? {
            fs::remove_dir_all(&unfinished).map_err(Error::io("remove", &unfinished))?;
        }
        let done = self.free_place(folder)?;
        let aside = done.with_extension("partial");
        let written = (|| {
            make(&aside)?;
            reach("checkpoint::created", &aside)?;
            self.write_into(&aside)?;
            reach("checkpoint::synced", &aside)?;
            fs::rename(&aside, &done).map_err(Error::io("write", &done))?;
            reach("checkpoint::renamed", &done)?;
            sync(folder)?;
            reach("checkpoint::committed", &done)?;
            verify(&done)?;
            reach("checkpoint::verified", &done)
        })();
        if let Err(error) = written {
            // What is not known to be whole must not count as the newest.
            let _ = fs::rename(&done, &aside);
            let _ = fs::remove_dir_all(&aside);
            return Err(error);
        }
        Ok(done)
    }

    /// Removes every checkpoint below `folder` but those in `kept`.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn prune(folder: &Path, kept: &[&Path]) -> Result<(), Error> {
        for old in list(folder)?.iter().filter(|path| !kept.contains(&path.as_path())) {
            // A folder that is half removed would look like a damaged checkpoint.
            let aside = old.with_extension("partial");
            fs::rename(old, &aside).map_err(Error::io("remove", old))?;
            reach("checkpoint::pruning", old)?;
            fs::remove_dir_all(&aside).map_err(Error::io("remove", &aside))?;
        }
        // What is gone stays gone, also when the power fails.
        sync(folder)
    }

    /// `step-N`, or `step-N-2` and so on where the same step was saved before: nothing is ever replaced.
    fn free_place(&self, folder: &Path) -> Result<PathBuf, Error> {
        let step = self.progress.step;
        let newest = list(folder)?.iter().filter_map(|path| place(path)).filter(|place| place.0 == step).max();
        Ok(folder.join(match newest {
            None => format!("step-{step:010}"),
            Some((_, number)) => format!("step-{step:010}-{}", number + 1),
        }))
    }

    fn write_into(&self, folder: &Path) -> Result<(), Error> {
        let json = |value: serde_json::Result<Vec<u8>>| value.map_err(|error| Error::checkpoint(folder, error));
        let mut files = vec![
            ("progress.json", json(serde_json::to_vec_pretty(&self.progress))?),
            ("settings.json", json(serde_json::to_vec_pretty(&self.settings))?),
            ("results.csv", self.results.clone().into_bytes()),
            ("model.safetensors", pack(&self.model, folder)?),
            ("optimizer.safetensors", pack(&self.optimizer, folder)?),
        ];
        if let Some(ema) = &self.ema {
            files.push(("ema.safetensors", pack(ema, folder)?));
        }
        let mut manifest = Manifest { format: FORMAT, sha256: BTreeMap::new() };
        for (name, bytes) in &files {
            manifest.sha256.insert((*name).to_owned(), hash(bytes));
            write_synced(&folder.join(name), bytes)?;
        }
        let manifest = json(serde_json::to_vec_pretty(&manifest))?;
        write_synced(&folder.join("manifest.json"), &manifest)?;
        reach("checkpoint::files", folder)?;
        sync(folder)
    }

    /// Whether there is any below `folder`, whole or not.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn any(folder: &Path) -> Result<bool, Error> {
        Ok(!list(folder)?.is_empty())
    }

    /// The newest checkpoint below `folder` that is whole, with a line for each newer one that is not.
    ///
    /// # Errors
    /// If none is whole.
    pub fn load_newest(folder: &Path) -> Result<(Self, Vec<String>), Error> {
        let mut warnings = Vec::new();
        for path in list(folder)?.into_iter().rev() {
            match Self::load(&path) {
                Ok(checkpoint) => return Ok((checkpoint, warnings)),
                Err(error) => warnings.push(format!("{error}; falling back to the checkpoint before it")),
            }
        }
        let seen = if warnings.is_empty() { "there is none".to_owned() } else { warnings.join("; ") };
        Err(Error::checkpoint(
            folder,
            format!("no whole checkpoint to resume from ({seen}); train again with `trainer train`"),
        ))
    }

    /// The newest whole checkpoint below `folder` of the moment before the first step of an epoch, counted from 0, if there is one.
    pub(crate) fn at_beginning_of(epoch: usize, folder: &Path) -> Result<Option<Self>, Error> {
        let begins = |checkpoint: &Self| checkpoint.progress.epoch == epoch && checkpoint.progress.batch == 0;
        Ok(list(folder)?.iter().rev().filter_map(|path| Self::load(path).ok()).find(begins))
    }

    /// Reads and verifies one checkpoint.
    ///
    /// # Errors
    /// If a file is missing, damaged or not listed.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let manifest = Manifest::read(path)?;
        let verified = |name: &str| manifest.verified(path, name);
        let parsed = |name: &str, error: serde_json::Error| Error::checkpoint(&path.join(name), error);
        let progress: Progress =
            serde_json::from_slice(&verified("progress.json")?).map_err(|error| parsed("progress.json", error))?;
        progress.check().map_err(|what| Error::checkpoint(&path.join("progress.json"), what))?;
        let tensors = |name: &str| unpack(&verified(name)?, &path.join(name));
        let (mut results, mut settings) = (String::new(), Settings::new());
        if manifest.format > 1 {
            results = String::from_utf8(verified("results.csv")?)
                .map_err(|error| Error::checkpoint(&path.join("results.csv"), error))?;
            settings =
                serde_json::from_slice(&verified("settings.json")?).map_err(|error| parsed("settings.json", error))?;
        }
        Ok(Self {
            progress,
            model: tensors("model.safetensors")?,
            optimizer: tensors("optimizer.safetensors")?,
            ema: manifest.sha256.contains_key("ema.safetensors").then(|| tensors("ema.safetensors")).transpose()?,
            results,
            settings,
            path: Some(path.to_owned()),
        })
    }
}

impl Manifest {
    fn read(path: &Path) -> Result<Self, Error> {
        let file = path.join("manifest.json");
        let bytes = data::read_regular(&file, MOST_TEXT).map_err(Error::io("read", &file))?;
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| Error::checkpoint(&file, error))?;
        if !(1..=FORMAT).contains(&manifest.format) {
            let what = format!("checkpoint format {}, this build reads formats up to {FORMAT}", manifest.format);
            return Err(Error::checkpoint(path, what));
        }
        Ok(manifest)
    }

    /// The bytes of a file whose hash is the one that is written down.
    fn verified(&self, path: &Path, name: &str) -> Result<Vec<u8>, Error> {
        // Memory is taken for what is known to be right.
        self.verify(path, name)?;
        let file = path.join(name);
        data::read_regular(&file, most(name)).map_err(Error::io("read", &file))
    }

    /// Compares the hash of a file with the one that is written down.
    fn verify(&self, path: &Path, name: &str) -> Result<(), Error> {
        let file = path.join(name);
        let mut hash = Sha256::new();
        data::open_regular(&file, most(name))
            .and_then(|mut bytes| io::copy(&mut bytes, &mut hash))
            .map_err(Error::io("read", &file))?;
        match self.sha256.get(name) {
            Some(expected) if *expected == hex(&hash.finalize()) => Ok(()),
            Some(_) => Err(Error::checkpoint(&file, "damaged: its hash is not the manifest's")),
            None => Err(Error::checkpoint(&file, "not in the manifest")),
        }
    }
}

/// Reads back every file of the checkpoint at `path`.
fn verify(path: &Path) -> Result<(), Error> {
    let manifest = Manifest::read(path)?;
    manifest.sha256.keys().try_for_each(|name| manifest.verify(path, name))
}

/// The committed checkpoints below `folder`, oldest first.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = entries(folder)?;
    found.retain(|path| place(path).is_some());
    found.sort_by_key(|path| place(path));
    Ok(found)
}

/// What saves that were cut off left behind.
fn partial(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = entries(folder)?;
    found.retain(|path| path.extension().is_some_and(|extension| extension == "partial"));
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            entries.map(|entry| entry.map(|entry| entry.path()).map_err(Error::io("read", folder))).collect()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io("read", folder)(error)),
    }
}

/// Step and number of a checkpoint's folder: `step-N` or `step-N-NUMBER`.
fn place(path: &Path) -> Option<(u64, u64)> {
    let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
    let name = path.file_name()?.to_str()?.strip_prefix("step-")?;
    match name.split_once('-') {
        None => Some((number(name)?, 1)),
        Some((step, again)) => Some((number(step)?, number(again)?)),
    }
}

/// Makes a folder in one that exists (where a whole run was deleted, nothing of it must come back to life); false if it is there.
fn make(folder: &Path) -> Result<bool, Error> {
    match fs::create_dir(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(false),
        Err(error) => Err(Error::io("create", folder)(error)),
    }
}

/// Bytes that the file `name` of a checkpoint has at most.
fn most(name: &str) -> u64 {
    if name.ends_with(".safetensors") { MOST_TENSORS } else { MOST_TEXT }
}

pub(crate) fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let mut file = File::create(path)?;
        let (front, back) = bytes.split_at(bytes.len() / 2);
        file.write_all(front)?;
        failpoint("checkpoint::half")?;
        file.write_all(back)?;
        file.sync_all()?;
        failpoint("checkpoint::written")
    };
    write().map_err(Error::io("write", path))
}

fn sync(folder: &Path) -> Result<(), Error> {
    data::sync_folder(folder).map_err(Error::io("flush", folder))
}

fn reach(point: &'static str, path: &Path) -> Result<(), Error> {
    failpoint(point).map_err(Error::io("write", path))
}

#[cfg(test)]
mod tests;
