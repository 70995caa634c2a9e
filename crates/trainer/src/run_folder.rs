//! The folder of one run: which files it has, that it is never overwritten, and that one process at a time writes into it.
//! `docs/formats.md` specifies it.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Error;
use crate::lock::Lock;

/// Bytes that a text in a run's folder has at most: a million epochs take a fifth of it.
pub(crate) const MOST_TEXT: u64 = 1 << 30;

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Held by whoever may write.
    lock: Option<Arc<Lock>>,
}

impl RunFolder {
    /// Makes a new folder `runs/name`, or `runs/name-2` and so on where that exists, and holds it.
    ///
    /// # Errors
    /// If `runs` cannot be created or written, or `name` would leave it.
    pub fn create(runs: &Path, name: &str) -> Result<Self, Error> {
        let run = Self { path: make_numbered(runs, name)?, lock: None }.held()?;
        fs::create_dir(run.weights()).map_err(Error::io("create", &run.weights()))?;
        // Whatever is flushed inside is lost with a folder that is not.
        for folder in [&run.path, runs] {
            data::sync_folder(folder).map_err(Error::io("flush", folder))?;
        }
        Ok(run)
    }

    /// An existing run, to read from.
    ///
    /// # Errors
    /// If `path` is not the folder of a run.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let run = Self { path: path.to_owned(), lock: None };
        if !run.args().is_file() {
            return Err(Error::checkpoint(
                path,
                "not the folder of a run: it has no args.toml; start one with `trainer train`",
            ));
        }
        Ok(run)
    }

    /// That of a rank that doesn't write: another process has it, perhaps on another machine.
    pub fn elsewhere() -> Self {
        Self { path: PathBuf::from("the run of rank 0"), lock: None }
    }

    /// The same run, held until the last copy of this goes: nobody else writes into it meanwhile.
    ///
    /// # Errors
    /// If another process holds it, or a pipe or a device is in the place of a file.
    pub fn held(&self) -> Result<Self, Error> {
        let lock = match &self.lock {
            Some(lock) => lock.clone(),
            None => {
                self.check_places()?;
                Arc::new(Lock::take(&self.path)?)
            }
        };
        Ok(Self { path: self.path.clone(), lock: Some(lock) })
    }

    /// Refuses pipes and devices before anything is computed.
    fn check_places(&self) -> Result<(), Error> {
        let read = [self.path.join("lock"), self.args(), self.split(), self.provenance(), self.results()];
        let written =
            [self.metrics(), self.report(), self.per_class(), self.predictions("test"), self.predictions("val")];
        let all = read.into_iter().chain(written).chain([self.best(), self.last()]);
        all.into_iter().try_for_each(|path| check_place(&path))
    }

    /// What its user should know about how it came to be held, in a line.
    pub fn lock_note(&self) -> Option<&str> {
        self.lock.as_ref()?.note()
    }

    /// Whether a trainer is at work on the run in `path`. Takes no lock away from it, whatever else is wrong with the folder.
    pub fn is_held(path: &Path) -> bool {
        Lock::is_held(path)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The effective configuration.
    pub fn args(&self) -> PathBuf {
        self.path.join("args.toml")
    }

    /// Which sample went to which split.
    pub fn split(&self) -> PathBuf {
        self.path.join("split.csv")
    }

    /// What the run is made from.
    pub fn provenance(&self) -> PathBuf {
        self.path.join("run.json")
    }

    /// A row for each epoch.
    pub fn results(&self) -> PathBuf {
        self.path.join("results.csv")
    }

    /// The final metrics.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.json")
    }

    /// What people look at after a run.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// A row for each class or label.
    pub fn per_class(&self) -> PathBuf {
        self.path.join("per_class.csv")
    }

    /// A row for each sample of `split`, which is `test` or `val`.
    pub fn predictions(&self, split: &str) -> PathBuf {
        self.path.join(format!("predictions_{split}.csv"))
    }

    /// The folder of the model files.
    pub(crate) fn weights(&self) -> PathBuf {
        self.path.join("weights")
    }

    /// The model file of the best epoch.
    pub fn best(&self) -> PathBuf {
        self.path.join(models::BEST)
    }

    /// The model file of the last epoch.
    pub fn last(&self) -> PathBuf {
        self.weights().join("last.safetensors")
    }

    /// The folder of the resumable checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Writes `contents` to `path` so that a reader sees the old file or the new one, never a part.
    ///
    /// # Errors
    /// If the system refuses, or a pipe or a device is there; the old file is then still there.
    pub fn write(path: &Path, contents: &[u8]) -> Result<(), Error> {
        check_place(path)?;
        data::replace(path, |file| file.write_all(contents)).map_err(Error::io("write", path))
    }

    /// Writes a model file, as [`RunFolder::write`] does, into its folder, which somebody may have deleted; but not the run's own.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn write_model(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        make(&self.weights())?;
        Self::write(path, bytes)
    }

    /// Writes a model file where another one is in its place, or none.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn restore_model(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        match read_model(path).is_some_and(|there| *there == bytes) {
            true => Ok(()),
            false => self.write_model(path, bytes),
        }
    }

    /// Removes what was begun by writers of this run's files that were killed. Only for who holds the run.
    pub(crate) fn sweep(&self) {
        [self.best(), self.last(), self.results()].iter().for_each(|path| data::remove_scratch(path));
    }

    /// What a refusal to write comes from: `error` itself, or that the run's folder is gone.
    pub fn lost(&self, error: Error) -> Error {
        if self.path.is_dir() {
            return error;
        }
        let what = format!("`{}` is gone: was it deleted while training? ({error})", self.path.display());
        Error::Unsaved(format!("{what}; nothing is left to resume, train again"))
    }

    /// What `metrics.json` holds; nothing where the run hasn't ended.
    ///
    /// # Errors
    /// If it cannot be read, or isn't JSON.
    pub fn read_metrics(&self) -> Result<Option<serde_json::Value>, Error> {
        let path = self.metrics();
        match data::read_regular(&path, MOST_TEXT) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path)(error)),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::checkpoint(&path, format!("not what a run writes there: {error}"))),
        }
    }

    /// The text of `results.csv`; empty where there is none yet.
    pub(crate) fn read_results(&self) -> Result<String, Error> {
        match data::open_regular(&self.results(), MOST_TEXT).and_then(std::io::read_to_string) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            read => read.map_err(Error::io("read", &self.results())),
        }
    }
}

/// Makes a new folder `runs/name`, or `runs/name-2` and so on where that exists.
pub(crate) fn make_numbered(runs: &Path, name: &str) -> Result<PathBuf, Error> {
    let mut parts = Path::new(name).components();
    let plain = matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(_)), None));
    if !plain {
        return Err(Error::Config(format!("--name: expected a folder name, found `{name}`")));
    }
    fs::create_dir_all(runs).map_err(refused(runs))?;
    // Where this may not be read it was there before.
    let above = runs.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = data::sync_folder(above);
    for number in 1.. {
        let path = runs.join(if number == 1 { name.to_owned() } else { format!("{name}-{number}") });
        // create_dir, not exists(): two runs that start together must not share a folder.
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(refused(&path)(error)),
        }
    }
    Err(Error::Config(format!("no free name for `{name}` in `{}`", runs.display())))
}

/// Makes a folder in one that exists (where a whole run was deleted, nothing of it must come back to life); false if it is there.
pub(crate) fn make(folder: &Path) -> Result<bool, Error> {
    match fs::create_dir(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(false),
        Err(error) => Err(Error::io("create", folder)(error)),
    }
}

/// Refuses a pipe or a device where a file is to be written: opening it waits. A folder only is in the way, which whoever writes says.
fn check_place(path: &Path) -> Result<(), Error> {
    match path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        true => Err(Error::checkpoint(path, "expected a regular file; remove what is there")),
        false => Ok(()),
    }
}

/// The bytes of a model file, if it is there.
pub(crate) fn read_model(path: &Path) -> Option<Arc<Vec<u8>>> {
    data::read_regular(path, models::container::MAX_FILE).ok().map(Arc::new)
}

/// Where there is no place for a folder, `--runs` is at fault; a disk that is full or read-only is the machine's.
fn refused(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| {
        let exhausted = data::is_exhausted(&source);
        match Error::io("create", path)(source) {
            error if exhausted => error,
            error => Error::Config(format!("--runs: {error}; name a folder that you may write to")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_folder_is_never_reused() {
        let scratch = tempfile::tempdir().unwrap();
        let names: Vec<_> = (0..3)
            .map(|_| RunFolder::create(scratch.path(), "digits").unwrap().path().file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["digits", "digits-2", "digits-3"]);
    }

    #[test]
    fn a_name_cannot_leave_the_runs_folder() {
        let scratch = tempfile::tempdir().unwrap();
        for name in ["../x", "", "/tmp/x", "a/b", "."] {
            assert!(RunFolder::create(scratch.path(), name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_runs_folder_that_cannot_be_is_an_error_of_usage() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = RunFolder::create(&file.path().join("runs"), "r").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().starts_with("--runs: cannot create `"), "{error}");
    }

    #[test]
    fn a_refusal_where_the_runs_folder_is_gone_is_7_and_says_so() {
        let scratch = tempfile::tempdir().unwrap();
        let run = RunFolder::create(scratch.path(), "run").unwrap();
        let refused = || RunFolder::write(&run.path().join("no/such"), b"{}").unwrap_err();
        assert_eq!(run.lost(refused()).exit_code(), 1, "the folder is there");
        fs::remove_dir_all(run.path()).unwrap();
        let error = run.lost(refused());
        assert!(error.exit_code() == 7 && error.to_string().contains("is gone: was it deleted"), "{error}");
    }
}
