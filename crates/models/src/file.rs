//! The model file: a network with all that predicting needs, in one safetensors file specified in `docs/formats.md`.
//!
//! Owns what the metadata says and that it fits the weights. Bytes and atomic writing are in [`container`]; what `task`,
//! `provenance`, `metrics` and `calibration` mean is known to the crates above, so they stay JSON here.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use burn::tensor::{Device, TensorData};
use data::InputSpec;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::container::{self, Header};
use crate::{Error, Golden, Model, ModelConfig, load_tensors, named_tensors, summary};

/// Where a run keeps the model file of its best epoch, in its folder.
pub const BEST: &str = "weights/best.safetensors";
/// Value of the metadata's `format`.
pub const FORMAT: &str = "striate";
/// The version that is written, and the newest that is read.
pub const VERSION: u32 = 1;

/// A trained network with all that predicting needs.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// The network with its architecture, preprocessing recipe and weights.
    pub model: Model,
    /// What the outputs mean: the `Task` of `crates/tasks`.
    pub task: Value,
    /// What the weights were trained from and with. No clock, run name, host or path: equal runs give equal files.
    pub provenance: Value,
    /// How good they were on which split.
    pub metrics: Value,
    /// How sure the answers may be said to be: the `Calibration` of `crates/tasks`. `None` without held-out samples.
    pub calibration: Option<Value>,
    /// What it answered to made-up inputs where it was trained. `None` where there are none for its inputs.
    pub golden: Option<Golden>,
}

/// What a model file says without its weights.
#[derive(Clone, Debug, Serialize)]
pub struct ModelHeader {
    /// The architecture.
    pub model: ModelConfig,
    /// The preprocessing recipe.
    pub input: InputSpec,
    /// Numbers that the network answers for one input.
    pub outputs: usize,
    /// What the outputs mean: the `Task` of `crates/tasks`.
    pub task: Value,
    /// What the weights were trained from and with.
    pub provenance: Value,
    /// How good they were on which split.
    pub metrics: Value,
    /// How sure the answers may be said to be: the `Calibration` of `crates/tasks`, if there is one.
    pub calibration: Option<Value>,
    /// What it answered to made-up inputs where it was trained, if the file says so.
    pub golden: Option<Golden>,
    /// Names and shapes of the tensors, in the order of the file (by name).
    pub tensors: Vec<(String, Vec<usize>)>,
}

impl ModelFile {
    /// Writes the file whole or not at all; what stood at `path` is replaced only by a complete file. Equal content gives equal bytes.
    ///
    /// # Errors
    /// If the system refuses to write, or a weight is NaN or infinite.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let bytes = self.pack(path)?;
        data::replace(path, |file| file.write_all(&bytes)).map_err(|source| Error::write(path, source))
    }

    /// The bytes of the file, to be written later: whatever happens to the network meanwhile, they are of now. Errors name `path`.
    ///
    /// # Errors
    /// If a weight is NaN or infinite.
    pub fn pack(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let tensors: BTreeMap<String, TensorData> =
            named_tensors(&self.model).into_iter().map(|tensor| (tensor.name, tensor.data)).collect();
        for (name, data) in &tensors {
            if data.as_slice::<f32>().is_ok_and(|numbers| numbers.iter().any(|number| !number.is_finite())) {
                return Err(Error::file(
                    path,
                    format!("not written: tensor `{name}` holds numbers that are not finite"),
                ));
            }
        }
        let mut metadata = BTreeMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("version".to_owned(), VERSION.to_string()),
            ("model".to_owned(), json(self.model.config(), path)?),
            ("input".to_owned(), json(self.model.input(), path)?),
            ("outputs".to_owned(), self.model.outputs().to_string()),
            ("task".to_owned(), self.task.to_string()),
            ("provenance".to_owned(), self.provenance.to_string()),
            ("metrics".to_owned(), self.metrics.to_string()),
        ]);
        metadata.extend(self.calibration.iter().map(|section| ("calibration".to_owned(), section.to_string())));
        if let Some(golden) = &self.golden {
            metadata.insert("golden".to_owned(), json(golden, path)?);
        }
        container::pack(path, &metadata, &tensors)
    }

    /// Reads the file at `path` and puts its weights on `device`.
    ///
    /// # Errors
    /// If the file is not a whole striate model of a known version, or its weights are not the ones that its architecture asks for.
    /// Nothing is allocated that the file doesn't hold.
    pub fn load(path: &Path, device: &Device) -> Result<Self, Error> {
        let (mut file, header) = container::open(path)?;
        let about = ModelHeader::parse(&header, path)?;
        about.fits(path)?;
        let golden = about.golden.iter().try_for_each(|golden| golden.check(about.outputs));
        golden.map_err(|what| Error::file(path, format!("metadata `golden`: {what}")))?;
        let model = about.model.blank(&about.input, about.outputs, device).map_err(|error| Error::file(path, error))?;
        let mut tensors = HashMap::new();
        for entry in &header.tensors {
            tensors.insert(entry.name.clone(), container::tensor(&mut file, &header, entry, path)?);
        }
        let model = load_tensors(model, tensors).map_err(|error| Error::file(path, error))?;
        Ok(Self {
            model,
            task: about.task,
            provenance: about.provenance,
            metrics: about.metrics,
            calibration: about.calibration,
            golden: about.golden,
        })
    }

    /// Reads everything but the weights.
    ///
    /// # Errors
    /// If the file is not a whole striate model of a known version.
    pub fn header(path: &Path) -> Result<ModelHeader, Error> {
        let (_, header) = container::open(path)?;
        ModelHeader::parse(&header, path)
    }
}

impl ModelHeader {
    pub(crate) fn parse(header: &Header, path: &Path) -> Result<Self, Error> {
        match header.metadata.get("format").map(String::as_str) {
            Some(FORMAT) => {}
            Some(other) => {
                let what = format!("is not a striate model: its metadata's format is `{other}`, expected `{FORMAT}`");
                return Err(Error::file(path, what));
            }
            None => {
                let what = "is not a striate model: a safetensors file without the metadata that describes the network; train one with `trainer`";
                return Err(Error::file(path, what));
            }
        }
        let version = header.metadata.get("version").map_or("", String::as_str);
        match version.parse::<u32>() {
            Ok(1..=VERSION) => {}
            Ok(newer) if newer > VERSION => {
                let what = format!(
                    "is of version {newer}; this program reads versions up to {VERSION}, a newer one is needed"
                );
                return Err(Error::file(path, what));
            }
            _ => {
                return Err(Error::file(
                    path,
                    format!("metadata `version`: expected a whole number from 1, found `{version}`"),
                ));
            }
        }
        Ok(Self {
            model: field(header, "model", path)?,
            input: field(header, "input", path)?,
            outputs: field(header, "outputs", path)?,
            task: field(header, "task", path)?,
            provenance: field(header, "provenance", path)?,
            metrics: field(header, "metrics", path)?,
            calibration: optional(header, "calibration", path)?,
            golden: optional(header, "golden", path)?,
            tensors: header.tensors.iter().map(|entry| (entry.name.clone(), entry.shape.clone())).collect(),
        })
    }

    /// Compares how many parameters the architecture asks for with how many the file holds, so that a hostile one is refused before its network is built.
    fn fits(&self, path: &Path) -> Result<(), Error> {
        let refused = |error: Error| Error::file(path, format!("its architecture cannot be built: {error}"));
        // A network may have any; a picture has these. None at all is the summary's to refuse.
        let channels = self.input.shape()[0];
        if matches!(self.input, InputSpec::Image(_)) && !matches!(channels, 0 | 1 | 3) {
            let what = format!("channels must be 1 (gray) or 3 (RGB), not {channels}");
            return Err(refused(Error::config("input", what)));
        }
        let layers = summary(&self.model, &self.input, self.outputs).map_err(refused)?;
        let asked = layers.iter().fold(0_u64, |sum, layer| sum.saturating_add(layer.parameters));
        // The container has checked these products against the length of the file.
        let held: u64 = self.tensors.iter().map(|(_, shape)| shape.iter().product::<usize>() as u64).sum();
        if asked > held {
            return Err(Error::file(
                path,
                format!("its architecture asks for {asked} parameters, its tensors hold {held}"),
            ));
        }
        Ok(())
    }
}

fn field<T: DeserializeOwned>(header: &Header, key: &str, path: &Path) -> Result<T, Error> {
    let text = header.metadata.get(key).ok_or_else(|| Error::file(path, format!("metadata `{key}` is missing")))?;
    serde_json::from_str(text).map_err(|error| {
        let what = if error.is_data() { "" } else { "expected JSON, found something else: " };
        Error::file(path, format!("metadata `{key}`: {what}{error}"))
    })
}

fn optional<T: DeserializeOwned>(header: &Header, key: &str, path: &Path) -> Result<Option<T>, Error> {
    header.metadata.contains_key(key).then(|| field(header, key, path)).transpose()
}

fn json(value: &impl Serialize, path: &Path) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::file(path, format!("not written: {error}")))
}
