//! Where model files stand: in the folders of runs, which the trainer writes.

use std::path::{Path, PathBuf};

use models::BEST;

use crate::failure::Failure;

/// Letters of a version.
const VERSION: usize = 12;

/// The model file that `model` means: a file itself, or the best weights of a run's folder.
pub(crate) fn model_file(model: &Path) -> Result<PathBuf, Failure> {
    if !model.is_dir() {
        return Ok(model.to_owned());
    }
    let best = model.join(BEST);
    if best.is_file() {
        return Ok(best);
    }
    let shown = model.display();
    Err(Failure::model(anyhow::anyhow!(
        "`{shown}` is a folder without {BEST}; expected a model file or the folder of a finished run"
    )))
}

/// What names the model of the file `model` to programs: the first letters of its SHA-256.
pub(crate) fn version(model: &Path) -> Result<String, Failure> {
    let mut digest = models::container::digest(model).map_err(infer::Error::from)?;
    digest.truncate(VERSION);
    Ok(digest)
}

/// The folder of the run under `runs` whose best weights were written last; the last by name where several were at once.
pub(crate) fn newest(runs: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir(runs).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let written = folders.filter_map(|folder| {
        let time = std::fs::metadata(folder.join(BEST)).and_then(|about| about.modified()).ok()?;
        Some((time, folder))
    });
    written.max().map(|(_, folder)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::{Duration, SystemTime};

    #[test]
    fn the_newest_run_is_the_one_whose_weights_are() {
        let runs = tempfile::tempdir().unwrap();
        assert_eq!(newest(&runs.path().join("absent")), None);
        assert_eq!(newest(runs.path()), None);
        for (name, age) in [("a", 30), ("b", 10), ("c", 20)] {
            fs::create_dir_all(runs.path().join(name).join("weights")).unwrap();
            let file = fs::File::create(runs.path().join(name).join(BEST)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        fs::create_dir_all(runs.path().join("unfinished/weights")).unwrap();
        assert_eq!(newest(runs.path()), Some(runs.path().join("b")));
    }
}
