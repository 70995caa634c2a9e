//! All that resuming needs, in one committed step: a folder that is complete or absent. Written aside, flushed to disk, renamed, read
//! back; a manifest holds the hash of every file, and the previous checkpoint stays until the new one is verified. When to save, and
//! what else is written beside it, is the keeper's.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::TensorData;
use data::failpoint::failpoint;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::provenance::hex;
use crate::run_folder::{MOST_TEXT, make};
use crate::{Error, Progress};

mod shelf;
mod tensors;

use shelf::{is_newer, list};
pub(crate) use tensors::{pack, unpack};

/// Tensors by name.
pub(crate) type Tensors = Vec<(String, TensorData)>;

/// What a run is trained by, in its caller's words: the value of each option, and hashes of what else decides the weights.
pub type Settings = BTreeMap<String, String>;

/// A whole model file in memory.
pub(crate) type ModelBytes = Arc<Vec<u8>>;

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
    /// The model file of the best epoch. `None` before there is one, and in checkpoints of earlier builds.
    pub best: Option<ModelBytes>,
    /// The model file of the last epoch; `None` as above.
    pub last: Option<ModelBytes>,
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

/// The format that is written, and the newest that is read. The first had neither results nor settings; model files may always be missing.
const FORMAT: u32 = 2;
/// Bytes that tensors of a checkpoint have at most: an optimizer keeps two numbers for each of a model, whose file has up to 16 GiB.
const MOST_TENSORS: u64 = 1 << 36;

impl Checkpoint {
    /// Writes the checkpoint below `folder`, a new folder whatever is there, and reads it back. Nothing else is touched but what earlier
    /// saves left unfinished, as far as it can be removed; older checkpoints go by [`Checkpoint::prune`].
    ///
    /// # Errors
    /// If the system refuses, or what comes back isn't what was written. There is then no new checkpoint.
    pub fn save(&self, folder: &Path) -> Result<PathBuf, Error> {
        reach("checkpoint::begin", folder)?;
        if make(folder)? {
            folder.parent().map_or(Ok(()), sync)?;
        }
        // What stays is told of when older checkpoints are removed.
        let _ = shelf::clean(folder);
        let done = shelf::free(folder, self.progress.step)?;
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

    /// Removes every checkpoint below `folder` but those in `kept` and those of a newer format, and what saves left unfinished. What
    /// cannot be removed keeps nothing else from going.
    ///
    /// # Errors
    /// The system's first refusal.
    pub fn prune(folder: &Path, kept: &[&Path]) -> Result<(), Error> {
        shelf::prune(folder, kept)
    }

    fn write_into(&self, folder: &Path) -> Result<(), Error> {
        let json = |value: serde_json::Result<Vec<u8>>| value.map_err(|error| Error::checkpoint(folder, error));
        let mut files: Vec<(&str, Cow<'_, [u8]>)> = vec![
            ("progress.json", json(serde_json::to_vec_pretty(&self.progress))?.into()),
            ("settings.json", json(serde_json::to_vec_pretty(&self.settings))?.into()),
            ("results.csv", self.results.as_bytes().into()),
            ("model.safetensors", pack(&self.model, folder)?.into()),
            ("optimizer.safetensors", pack(&self.optimizer, folder)?.into()),
        ];
        if let Some(ema) = &self.ema {
            files.push(("ema.safetensors", pack(ema, folder)?.into()));
        }
        // Whole copies, not other names of one file: what damages one checkpoint must not damage the one before.
        files.extend(self.best.iter().map(|bytes| ("best.safetensors", bytes.as_slice().into())));
        let last = self.last.iter().filter(|last| self.best.as_ref() != Some(last));
        files.extend(last.map(|bytes| ("last.safetensors", bytes.as_slice().into())));
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
    /// If none is whole, or a newer build wrote one that is newer than those: going back behind it would be another run.
    pub fn load_newest(folder: &Path) -> Result<(Self, Vec<String>), Error> {
        let mut warnings = Vec::new();
        for path in list(folder)?.into_iter().rev() {
            match Self::load(&path) {
                Ok(checkpoint) => return Ok((checkpoint, warnings)),
                Err(error) if is_newer(&path) => return Err(error),
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
        let model_file =
            |name: &str| manifest.sha256.contains_key(name).then(|| verified(name).map(Arc::new)).transpose();
        let best = model_file("best.safetensors")?;
        Ok(Self {
            progress,
            model: tensors("model.safetensors")?,
            optimizer: tensors("optimizer.safetensors")?,
            ema: manifest.sha256.contains_key("ema.safetensors").then(|| tensors("ema.safetensors")).transpose()?,
            results,
            settings,
            // The last epoch is the best one where only that is there.
            last: model_file("last.safetensors")?.or(best.clone()),
            best,
            path: Some(path.to_owned()),
        })
    }
}

impl Manifest {
    fn read(path: &Path) -> Result<Self, Error> {
        let file = path.join("manifest.json");
        let bytes = data::read_regular(&file, MOST_TEXT).map_err(Error::io("read", &file))?;
        // Its other fields may be others.
        if let Some(newer) = format(path).filter(|&format| format > u64::from(FORMAT)) {
            let what =
                format!("checkpoint format {newer}, this build reads formats up to {FORMAT}; go on with a newer build");
            return Err(Error::checkpoint(path, what));
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| Error::checkpoint(&file, error))?;
        match manifest.format {
            0 => Err(Error::checkpoint(path, format!("checkpoint format 0, expected 1 to {FORMAT}"))),
            _ => Ok(manifest),
        }
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

/// The format of the checkpoint at `path`, if its manifest names one.
fn format(path: &Path) -> Option<u64> {
    let manifest: serde_json::Value =
        serde_json::from_slice(&data::read_regular(&path.join("manifest.json"), MOST_TEXT).ok()?).ok()?;
    manifest.get("format")?.as_u64()
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
