//! All that resuming needs, in one committed step: a folder that is complete or absent. Written aside, flushed to disk, renamed;
//! a manifest holds the hash of every file, and the previous checkpoint stays until the new one is in place.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Progress};

/// Tensors by name.
pub(crate) type Tensors = Vec<(String, TensorData)>;

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
}

/// The hash of every file of a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    sha256: BTreeMap<String, String>,
}

const FORMAT: u32 = 1;
/// Checkpoints that are kept: the newest, and the one before in case the newest is damaged.
const KEPT: usize = 2;

impl Checkpoint {
    /// Writes the checkpoint below `folder` and removes older ones, but for the one before.
    ///
    /// # Errors
    /// If the system refuses. Earlier checkpoints are then untouched.
    pub fn save(&self, folder: &Path) -> Result<PathBuf, Error> {
        let done = folder.join(format!("step-{:010}", self.progress.step));
        let aside = done.with_extension("partial");
        let _ = fs::remove_dir_all(&aside);
        fs::create_dir_all(&aside).map_err(Error::io("create", &aside))?;
        let written = self.write_into(&aside).and_then(|()| {
            // The same step again, after an interrupt without progress: the new one replaces it.
            let _ = fs::remove_dir_all(&done);
            fs::rename(&aside, &done).map_err(Error::io("write", &done))?;
            sync(folder)
        });
        if let Err(error) = written {
            let _ = fs::remove_dir_all(&aside);
            return Err(error);
        }
        for old in list(folder)?.iter().rev().skip(KEPT) {
            fs::remove_dir_all(old).map_err(Error::io("remove", old))?;
        }
        Ok(done)
    }

    fn write_into(&self, folder: &Path) -> Result<(), Error> {
        let progress = serde_json::to_vec_pretty(&self.progress).map_err(|error| Error::checkpoint(folder, error))?;
        let mut files = vec![
            ("progress.json", progress),
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
        let manifest = serde_json::to_vec_pretty(&manifest).map_err(|error| Error::checkpoint(folder, error))?;
        write_synced(&folder.join("manifest.json"), &manifest)?;
        sync(folder)
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

    /// Reads and verifies one checkpoint.
    ///
    /// # Errors
    /// If a file is missing, damaged or not listed.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let file = path.join(name);
            fs::read(&file).map_err(Error::io("read", &file))
        };
        let manifest: Manifest = serde_json::from_slice(&read("manifest.json")?)
            .map_err(|error| Error::checkpoint(&path.join("manifest.json"), error))?;
        if manifest.format != FORMAT {
            let what = format!("checkpoint format {}, this build reads {FORMAT}", manifest.format);
            return Err(Error::checkpoint(path, what));
        }
        let verified = |name: &str| -> Result<Vec<u8>, Error> {
            let bytes = read(name)?;
            match manifest.sha256.get(name) {
                Some(expected) if *expected == hash(&bytes) => Ok(bytes),
                Some(_) => Err(Error::checkpoint(&path.join(name), "damaged: its hash is not the manifest's")),
                None => Err(Error::checkpoint(&path.join(name), "not in the manifest")),
            }
        };
        let progress = serde_json::from_slice(&verified("progress.json")?)
            .map_err(|error| Error::checkpoint(&path.join("progress.json"), error))?;
        let tensors = |name: &str| unpack(&verified(name)?, &path.join(name));
        Ok(Self {
            progress,
            model: tensors("model.safetensors")?,
            optimizer: tensors("optimizer.safetensors")?,
            ema: manifest.sha256.contains_key("ema.safetensors").then(|| tensors("ema.safetensors")).transpose()?,
        })
    }
}

/// The committed checkpoints below `folder`, oldest first.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(Error::io("read", folder))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.strip_prefix("step-").is_some_and(|step| step.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .collect();
    found.sort();
    Ok(found)
}

fn pack(tensors: &Tensors, folder: &Path) -> Result<Vec<u8>, Error> {
    let mut views = Vec::with_capacity(tensors.len());
    for (name, data) in tensors {
        let dtype = match data.dtype() {
            DType::F32 => Dtype::F32,
            DType::U64 => Dtype::U64,
            other => {
                return Err(Error::checkpoint(folder, format!("tensor `{name}` is {other:?}, expected f32 or u64")));
            }
        };
        let view = TensorView::new(dtype, data.shape().to_vec(), data.as_bytes())
            .map_err(|error| Error::checkpoint(folder, format!("tensor `{name}`: {error}")))?;
        views.push((name.as_str(), view));
    }
    safetensors::serialize(views, None).map_err(|error| Error::checkpoint(folder, error))
}

fn unpack(bytes: &[u8], path: &Path) -> Result<Tensors, Error> {
    let file = safetensors::SafeTensors::deserialize(bytes).map_err(|error| Error::checkpoint(path, error))?;
    let mut tensors = Vec::new();
    for (name, view) in file.iter() {
        let shape = view.shape().to_vec();
        let data = match view.dtype() {
            Dtype::F32 => TensorData::new(words(view.data(), f32::from_le_bytes), shape),
            Dtype::U64 => TensorData::new(words(view.data(), u64::from_le_bytes), shape),
            other => return Err(Error::checkpoint(path, format!("tensor `{name}` is {other:?}, expected f32 or u64"))),
        };
        tensors.push((name.to_owned(), data));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(tensors)
}

fn words<const N: usize, T>(bytes: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|word| read(*word)).collect()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || -> std::io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(Error::io("write", path))
}

fn sync(folder: &Path) -> Result<(), Error> {
    data::sync_folder(folder).map_err(Error::io("flush", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(step: u64) -> Checkpoint {
        let tensor = |value: f32| vec![("a.weight".to_owned(), TensorData::new(vec![value; 6], [2, 3]))];
        Checkpoint {
            progress: Progress { step, epoch: step as usize, ..Progress::default() },
            model: tensor(step as f32),
            optimizer: tensor(-1.0),
            ema: Some(tensor(0.5)),
        }
    }

    #[test]
    fn a_checkpoint_comes_back_as_it_was() {
        let scratch = tempfile::tempdir().unwrap();
        checkpoint(7).save(scratch.path()).unwrap();
        let (loaded, warnings) = Checkpoint::load_newest(scratch.path()).unwrap();
        assert_eq!(loaded.progress, checkpoint(7).progress);
        assert_eq!((loaded.model, loaded.optimizer, loaded.ema), {
            let saved = checkpoint(7);
            (saved.model, saved.optimizer, saved.ema)
        });
        assert!(warnings.is_empty());
    }

    #[test]
    fn a_damaged_checkpoint_falls_back_to_the_one_before() {
        let scratch = tempfile::tempdir().unwrap();
        for step in 1..=3 {
            checkpoint(step).save(scratch.path()).unwrap();
        }
        assert_eq!(list(scratch.path()).unwrap().len(), KEPT);
        let newest = scratch.path().join("step-0000000003").join("model.safetensors");
        let mut bytes = fs::read(&newest).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&newest, bytes).unwrap();
        let (loaded, warnings) = Checkpoint::load_newest(scratch.path()).unwrap();
        assert_eq!(loaded.progress.step, 2);
        assert!(warnings[0].contains("damaged"), "{warnings:?}");
    }

    #[test]
    fn an_unfinished_checkpoint_is_not_seen() {
        let scratch = tempfile::tempdir().unwrap();
        checkpoint(1).save(scratch.path()).unwrap();
        fs::create_dir(scratch.path().join("step-0000000002.partial")).unwrap();
        assert_eq!(Checkpoint::load_newest(scratch.path()).unwrap().0.progress.step, 1);
    }
}
