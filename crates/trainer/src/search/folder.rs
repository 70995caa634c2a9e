//! The folder of a search: which files it has, and that one process at a time writes into it. `docs/formats.md` specifies it.

use std::path::{Path, PathBuf};

use crate::lock::Lock;
use crate::run_folder::make_numbered;
use crate::{Error, RunFolder};

/// A search's folder, held as long as this lives.
#[derive(Debug)]
pub struct SearchFolder {
    path: PathBuf,
    _lock: Lock,
}

impl SearchFolder {
    /// Makes a new folder `runs/name`, or `runs/name-2` and so on where that exists.
    ///
    /// # Errors
    /// As [`RunFolder::create`].
    pub fn create(runs: &Path, name: &str) -> Result<Self, Error> {
        let path = make_numbered(runs, name)?;
        data::sync_folder(runs).map_err(Error::io("flush", runs))?;
        Ok(Self { _lock: Lock::take(&path)?, path })
    }

    /// The folder of a search that was begun.
    ///
    /// # Errors
    /// If it is none, or another process holds it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !Self::is_one(path) {
            return Err(Error::checkpoint(path, "not the folder of a search: it has no tune.json"));
        }
        Ok(Self { path: path.to_owned(), _lock: Lock::take(path)? })
    }

    /// Whether `path` is the folder of a search.
    pub fn is_one(path: &Path) -> bool {
        path.join("tune.json").is_file()
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the search has come to.
    pub fn record(&self) -> PathBuf {
        self.path.join("tune.json")
    }

    /// The best recipe.
    pub fn best(&self) -> PathBuf {
        self.path.join("best.toml")
    }

    /// What people look at.
    pub fn page(&self) -> PathBuf {
        self.path.join("tune.html")
    }

    /// The folder of a trial's run, which may not be there yet.
    pub fn trial(&self, trial: u32) -> PathBuf {
        self.path.join(Self::name(trial))
    }

    /// A trial's name.
    pub fn name(trial: u32) -> String {
        format!("trial-{trial:03}")
    }

    /// The run of a trial that was begun; of one that was killed before its options were written, nothing is left.
    ///
    /// # Errors
    /// If what is left cannot be removed.
    pub fn begun(&self, trial: u32) -> Result<Option<RunFolder>, Error> {
        let path = self.trial(trial);
        match RunFolder::open(&path) {
            Ok(run) => Ok(Some(run)),
            Err(_) if path.symlink_metadata().is_err() => Ok(None),
            // Somebody took its options away.
            Err(error) if path.join("checkpoints").exists() => Err(error),
            Err(_) => {
                std::fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_held_by_one_process_and_what_was_hardly_begun_is_begun_again() {
        let scratch = tempfile::tempdir().unwrap();
        let search = SearchFolder::create(scratch.path(), "tune").unwrap();
        assert!(SearchFolder::open(search.path()).unwrap_err().to_string().contains("no tune.json"));
        std::fs::write(search.record(), "{}").unwrap();
        assert!(SearchFolder::open(search.path()).is_err(), "it is held");
        let name = SearchFolder::name(3);
        assert!(name == "trial-003" && search.begun(3).unwrap().is_none());
        drop(RunFolder::create(search.path(), &name).unwrap());
        assert!(search.begun(3).unwrap().is_none() && !search.trial(3).exists());
        drop(RunFolder::create(search.path(), &name).unwrap());
        std::fs::write(search.trial(3).join("args.toml"), "").unwrap();
        assert!(search.begun(3).unwrap().is_some());
    }
}
