//! The folder of one run: which files it has, and that it is never overwritten. `docs/formats.md` specifies it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{EpochSummary, Error};

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a new folder `runs/name`, or `runs/name-2` and so on where that exists.
    ///
    /// # Errors
    /// If `runs` cannot be created or written, or `name` would leave it.
    pub fn create(runs: &Path, name: &str) -> Result<Self, Error> {
        let mut parts = Path::new(name).components();
        let plain = matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(_)), None));
        if !plain {
            return Err(Error::Config(format!("--name: expected a folder name, found `{name}`")));
        }
        fs::create_dir_all(runs).map_err(refused(runs))?;
        for number in 1.. {
            let path = runs.join(if number == 1 { name.to_owned() } else { format!("{name}-{number}") });
            // create_dir, not exists(): two runs that start together must not share a folder.
            match fs::create_dir(&path) {
                Ok(()) => {
                    let run = Self { path };
                    let weights = run.path.join("weights");
                    fs::create_dir(&weights).map_err(Error::io("create", &weights))?;
                    return Ok(run);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refused(&path)(error)),
            }
        }
        Err(Error::Config(format!("no free name for `{name}` in `{}`", runs.display())))
    }

    /// An existing run.
    ///
    /// # Errors
    /// If `path` is not the folder of a run.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let run = Self { path: path.to_owned() };
        if !run.args().is_file() {
            return Err(Error::checkpoint(path, "not the folder of a run: it has no args.toml"));
        }
        Ok(run)
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

    /// The model file of the best epoch.
    pub fn best(&self) -> PathBuf {
        self.path.join("weights").join("best.safetensors")
    }

    /// The model file of the last epoch.
    pub fn last(&self) -> PathBuf {
        self.path.join("weights").join("last.safetensors")
    }

    /// The folder of the resumable checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Writes `contents` to `path` so that a reader sees the old file or the new one, never a part.
    ///
    /// # Errors
    /// If the system refuses; the old file is then still there.
    pub fn write(path: &Path, contents: &[u8]) -> Result<(), Error> {
        data::replace(path, |file| file.write_all(contents)).map_err(Error::io("write", path))
    }

    /// Adds a row to `results.csv`, with a header if it is the first.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn append_result(&self, summary: &EpochSummary) -> Result<(), Error> {
        let path = self.results();
        let header = !path.exists();
        let mut file =
            fs::OpenOptions::new().create(true).append(true).open(&path).map_err(Error::io("write", &path))?;
        let columns = columns(summary);
        let mut text = String::new();
        if header {
            text = columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",") + "\n";
        }
        text += &(columns.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(",") + "\n");
        file.write_all(text.as_bytes()).map_err(Error::io("write", &path))
    }

    /// Keeps only the first `epochs` rows of `results.csv`: the rest is about to be trained again.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn truncate_results(&self, epochs: usize) -> Result<(), Error> {
        let path = self.results();
        if !path.exists() {
            return Ok(());
        }
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let kept: String = text.lines().take(epochs + 1).map(|line| format!("{line}\n")).collect();
        Self::write(&path, kept.as_bytes())
    }
}

/// Where there is no place for a folder, `--runs` is at fault; a disk that is full or read-only is the machine's.
fn refused(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| match Error::io("create", path)(source) {
        error if error.exit_code() == 1 => {
            Error::Config(format!("--runs: {error}; name a folder that you may write to"))
        }
        error => error,
    }
}

/// The columns of `results.csv`, under the names that people's scripts already parse.
fn columns(summary: &EpochSummary) -> Vec<(String, String)> {
    let mut columns = vec![
        ("epoch".to_owned(), summary.epoch.to_string()),
        ("time".to_owned(), format!("{:.3}", summary.seconds)),
        ("train/loss".to_owned(), format!("{:.6}", summary.train_loss)),
    ];
    if let Some(accuracy) = summary.train_accuracy {
        columns.push(("train/accuracy_top1".to_owned(), format!("{accuracy:.6}")));
    }
    for (name, value) in &summary.val {
        let name = match name.as_str() {
            "loss" => "val/loss".to_owned(),
            "accuracy" => "metrics/accuracy_top1".to_owned(),
            "top5" => "metrics/accuracy_top5".to_owned(),
            other => format!("metrics/{other}"),
        };
        columns.push((name, value.map_or_else(String::new, |value| format!("{value:.6}"))));
    }
    columns.push(("lr/pg0".to_owned(), format!("{:e}", summary.lr)));
    columns.push(("weights/sha256".to_owned(), summary.weights.clone()));
    columns
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
    fn results_have_a_header_once_and_can_be_truncated() {
        let scratch = tempfile::tempdir().unwrap();
        let run = RunFolder::create(scratch.path(), "r").unwrap();
        for epoch in 1..=3 {
            let summary = EpochSummary {
                epoch,
                seconds: 1.0,
                train_loss: 0.5,
                train_accuracy: Some(0.75),
                // What is undefined in one epoch keeps its column.
                val: vec![("loss".into(), Some(0.25)), ("map".into(), (epoch > 1).then_some(0.5))],
                lr: 0.001,
                best: true,
                weights: "c0ffee".into(),
            };
            run.append_result(&summary).unwrap();
        }
        run.truncate_results(2).unwrap();
        let text = fs::read_to_string(run.results()).unwrap();
        assert_eq!(
            text,
            "epoch,time,train/loss,train/accuracy_top1,val/loss,metrics/map,lr/pg0,weights/sha256\n\
             1,1.000,0.500000,0.750000,0.250000,,1e-3,c0ffee\n\
             2,1.000,0.500000,0.750000,0.250000,0.500000,1e-3,c0ffee\n"
        );
    }
}
