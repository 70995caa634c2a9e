//! The weights that a run begins with, where a file has them: taken into a network, and the record of what was taken and what wasn't, which
//! `run.json` keeps. Reading the file is `models`' business, saying what it came to the binary's.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, TensorData};
use models::{Kind, Misfit, Model, ModelConfig, Pretrained};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::provenance::hex;
use crate::{Error, TrainConfig, freeze};

/// Weights to begin with.
#[derive(Clone)]
pub struct Initial(Arc<HashMap<String, TensorData>>);

impl fmt::Debug for Initial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Initial({} tensors)", self.0.len())
    }
}

/// Where the first weights came from: by the file's content, never by its path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// SHA-256 of the file.
    pub sha256: String,
    /// `striate`, `safetensors` or `pytorch`.
    pub format: String,
    /// Tensors that were taken, by their names in the network.
    pub taken: Vec<String>,
    /// Those of them that were made for images of other channels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapted: Vec<String>,
    /// Tensors that were drawn as in any run, and why.
    pub drawn: Vec<Drawn>,
    /// Tensors of the file that the network doesn't have, by their names there.
    pub unused: Vec<String>,
}

/// A tensor that the file didn't give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    /// Its name in the network.
    pub name: String,
    /// Why not.
    pub why: String,
}

/// What to begin with, and how.
pub struct Wanted<'a> {
    /// The file.
    pub path: &'a Path,
    /// What its SHA-256 must be, where that is known.
    pub sha256: Option<&'a str>,
    /// Whether whatever doesn't fit may stay as it was drawn.
    pub partial: bool,
    /// Why the output layer stays as it was drawn even where it fits, if it does: its classes are others, say.
    pub redraw: Option<&'a str>,
}

impl Initial {
    /// Reads what the network of `model`, for `input` and `outputs`, takes from a file; nothing is put on `device` but a blank network.
    ///
    /// # Errors
    /// If the file cannot be read, isn't the one that was named by its hash, isn't whole, or has weights of another network.
    pub fn read(
        wanted: &Wanted<'_>,
        file: &mut Pretrained,
        (model, input, outputs): (&ModelConfig, &data::InputSpec, usize),
        device: &Device,
    ) -> Result<(Self, Origin), Error> {
        let sha256 = hash_of(wanted.path)?;
        if let Some(expected) = wanted.sha256.filter(|expected| !expected.eq_ignore_ascii_case(&sha256)) {
            let what = format!(
                "has the SHA-256 {sha256}, but the run began with {expected}; give the file that it began with"
            );
            return Err(models::Error::File { path: wanted.path.to_owned(), what }.into());
        }
        let network = model.blank(input, outputs, device)?;
        let fit = file.fit(&network, wanted.redraw.is_some());
        file.check(&fit, wanted.partial)?;
        let tensors = file.read(&fit)?;
        let why = |misfit: &Misfit| format!("{:?} in the file, {:?} here", misfit.found, misfit.expected);
        let replaced = fit.replaced.iter().map(|misfit| {
            let why =
                wanted.redraw.filter(|_| misfit.found == misfit.expected).map_or_else(|| why(misfit), str::to_owned);
            Drawn { name: misfit.name.clone(), why }
        });
        let different = fit.different.iter().map(|misfit| Drawn { name: misfit.name.clone(), why: why(misfit) });
        let missing = fit.missing.iter().map(|name| Drawn { name: name.clone(), why: "not in the file".to_owned() });
        let origin = Origin {
            sha256,
            format: file.format().to_owned(),
            taken: fit.taken.iter().map(|taken| taken.name.clone()).collect(),
            adapted: fit
                .taken
                .iter()
                .filter(|taken| taken.channels.is_some())
                .map(|taken| taken.name.clone())
                .collect(),
            drawn: replaced.chain(different).chain(missing).collect(),
            unused: fit.unused,
        };
        Ok((Self(Arc::new(tensors)), origin))
    }

    /// `model` with these weights where they are its own.
    pub(crate) fn put(&self, model: Model) -> Result<Model, Error> {
        Ok(models::replace_tensors(model, HashMap::clone(&self.0))?)
    }
}

/// How many numbers stay as they are, of how many that could be trained.
pub struct Frozen {
    /// Those that stay.
    pub frozen: u64,
    /// All of them.
    pub all: u64,
}

/// What the patterns of `config` freeze in its network for `input` and `outputs`; where there are any, a blank one is put on `device`.
///
/// # Errors
/// If a pattern matches no parameter, or they leave nothing to train.
pub fn frozen(config: &TrainConfig, input: &data::InputSpec, outputs: usize, device: &Device) -> Result<Frozen, Error> {
    if config.freeze.is_empty() {
        return Ok(Frozen { frozen: 0, all: models::footprint(&config.model, input, outputs)?.parameters });
    }
    let network = config.model.blank(input, outputs, device)?;
    let ids = freeze::frozen(&models::parameter_kinds(&network), &config.freeze)?;
    let mut frozen = Frozen { frozen: 0, all: 0 };
    for (id, kind, numbers) in models::parameter_sizes(&network) {
        if kind != Kind::Running {
            frozen.all += numbers;
            frozen.frozen += if ids.contains(&id) { numbers } else { 0 };
        }
    }
    Ok(frozen)
}

/// The SHA-256 of a file, read in pieces.
///
/// # Errors
/// If it cannot be read.
pub fn hash_of(path: &Path) -> Result<String, Error> {
    let mut hash = Sha256::new();
    let copied = data::open_regular(path, u64::MAX).and_then(|mut file| std::io::copy(&mut file, &mut hash));
    copied.map_err(|source| models::Error::Io { verb: "read", path: path.to_owned(), source })?;
    Ok(hex(&hash.finalize()))
}
