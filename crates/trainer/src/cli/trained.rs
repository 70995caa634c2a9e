//! A trained model as `eval`, `inspect` and `doctor` take it: a model file, or the folder of a run, whose own data it knows.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use burn::tensor::Device;
use data::Like;
use models::ModelFile;
use tasks::{Calibration, Task};
use trainer::RunFolder;

use super::failure::{Failure, code};
use super::options::Options;
use super::settings;

/// A model file that was loaded, with its metadata read.
pub(crate) struct Trained {
    pub(crate) path: PathBuf,
    pub(crate) file: ModelFile,
    pub(crate) task: Task,
    pub(crate) calibration: Option<Calibration>,
}

impl Trained {
    /// Loads the model file `path`, or the best one of the run `path`.
    pub(crate) fn load(path: &Path, device: &Device) -> Result<Self> {
        let path = model_path(path)?;
        let file = ModelFile::load(&path, device)?;
        let bad = |key: &str, what: String| {
            Failure::with(code::MODEL, anyhow!("`{}` metadata `{key}`: {what}", path.display()))
        };
        let task = Task::stored(file.task.clone(), file.model.outputs()).map_err(|what| bad("task", what))?;
        let calibration = file.calibration.clone().map(|section| Calibration::stored(section, &task)).transpose();
        let calibration = calibration.map_err(|what| bad("calibration", what))?;
        Ok(Self { path, file, task, calibration })
    }

    /// How it reads data.
    pub(crate) fn like(&self) -> Like {
        Like { input: self.file.model.input().clone(), outputs: self.task.outputs_kind() }
    }

    /// What its outputs are divided by before they become probabilities.
    pub(crate) fn temperature(&self) -> f64 {
        self.calibration.as_ref().map_or(1.0, Calibration::temperature)
    }

    /// Cuts data as for its training, where `options` don't say how: none of the training samples is then measured as a test.
    pub(crate) fn cut_as_trained(&self, options: &mut Options) {
        let made = |pointer| self.file.provenance.pointer(pointer);
        options.seed = options.seed.or_else(|| made("/options/seed")?.as_u64());
        options.val = options.val.or_else(|| made("/options/val")?.as_f64());
    }
}

/// The model file itself, or the best one of a run.
pub(crate) fn model_path(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let best = RunFolder::open(path)?.best();
    match best.is_file() {
        true => Ok(best),
        false => Err(Failure::with(
            code::MODEL,
            anyhow!("`{}` has no weights yet: no epoch of the run has ended", path.display()),
        )),
    }
}

/// The options by which the run `model` opened its data, with the split that it recorded.
///
/// # Errors
/// `model` isn't a run's folder: a model file doesn't know its data.
pub(crate) fn own_data(model: &Path) -> Result<Options> {
    if !model.is_dir() {
        return Err(Failure::usage(anyhow!(
            "DATA is missing: a model file doesn't know its data; give a path, or the folder of a run"
        )));
    }
    let run = RunFolder::open(model)?;
    let mut options = Options::from_run(&run.args())?;
    options.split = Some(settings::split(&run)?);
    // Samples that were left out are `unused` in it.
    options.exclude = None;
    Ok(options)
}
