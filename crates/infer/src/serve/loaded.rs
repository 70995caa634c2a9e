//! The model that is served: its file read, its predictor made, its costs measured. When it is read again is `watch`'s matter.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use burn::tensor::Device;
use data::InputSpec;
use infer::{Exif, Predictor, Sample};
use models::{ModelFile, ModelHeader};
use serde_json::{Value, json};

use crate::answer::Json;
use crate::failure::Failure;
use crate::runs;

/// A network that takes longer for one input isn't run more often to measure it.
const SLOW: Duration = Duration::from_millis(100);

/// Where a model comes from, and how it is to answer.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) device: Device,
    pub(crate) batch: usize,
    pub(crate) top: usize,
    pub(crate) coverage: Option<f64>,
    pub(crate) calibrated: bool,
    pub(crate) exif: Exif,
}

/// A model that is being served.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) predictor: Predictor,
    pub(crate) json: Json,
    /// The first letters of the file's SHA-256.
    pub(crate) version: String,
    /// What a run of the network costs beside its inputs: so long it pays to wait for another input.
    pub(crate) overhead: Duration,
    /// The file as it was when it was read.
    pub(crate) stamp: Stamp,
    about: Value,
}

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let about = std::fs::metadata(path)?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&about);
        #[cfg(not(unix))]
        let inode = 0;
        Ok(Self { modified: about.modified().ok(), len: about.len(), inode })
    }
}

impl Origin {
    /// Reads the file and makes it ready to answer.
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        let stamp = || {
            let stamp = Stamp::of(&self.path);
            stamp.with_context(|| format!("cannot read `{}`", self.path.display())).map_err(Failure::model)
        };
        let before = stamp()?;
        let mut predictor = Predictor::load(&self.path, &self.device)?.with_batch(self.batch);
        if !self.calibrated {
            predictor = predictor.without_calibration();
        }
        if let Some(coverage) = self.coverage {
            predictor = predictor.with_coverage(coverage)?;
        }
        let header = ModelFile::header(&self.path).map_err(infer::Error::from)?;
        let version = runs::version(&self.path)?;
        if before != stamp()? {
            return Err(Failure::model(anyhow::anyhow!("`{}` changed while it was read", self.path.display())));
        }
        let overhead = overhead(&predictor)?;
        let json = Json::new(self.top, predictor.task()).covering(self.coverage);
        let about = self.about(&predictor, &header, &version);
        Ok(Loaded { predictor, json, version, overhead, stamp: before, about })
    }

    fn about(&self, predictor: &Predictor, header: &ModelHeader, version: &str) -> Value {
        let input = match predictor.input() {
            InputSpec::Image(spec) => json!({
                "kind": "image", "channels": spec.channels, "height": spec.height, "width": spec.width, "fit": spec.fit,
                "exif": if self.exif == Exif::Applied { "applied" } else { "ignored" },
            }),
            InputSpec::Table(spec) => json!({
                "kind": "table",
                "columns": spec.columns.iter().map(|column| match &column.kind {
                    data::ColumnKind::Numeric { fill, .. } => {
                        json!({ "name": column.name, "type": "numeric", "if_missing": fill })
                    }
                    data::ColumnKind::Categorical { categories } => {
                        json!({ "name": column.name, "type": "categorical", "categories": categories })
                    }
                }).collect::<Vec<_>>(),
                "targets": spec.targets.iter().map(|target| &target.name).collect::<Vec<_>>(),
            }),
        };
        let parameters: usize = header.tensors.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        json!({
            "v": 1,
            "name": self.name,
            "version": version,
            "task": predictor.task().name(),
            "names": predictor.task().names(),
            "input": input,
            "architecture": header.model,
            "numbers": parameters,
            "temperature": predictor.reading().temperature,
            "coverage": self.coverage,
            "metrics": header.metrics,
        })
    }
}

impl Loaded {
    /// What clients may know of it.
    pub(crate) fn about(&self) -> &Value {
        &self.about
    }
}

/// Times the network for one and for several inputs, which also warms it up.
fn overhead(predictor: &Predictor) -> Result<Duration, infer::Error> {
    let blank = match predictor.input() {
        InputSpec::Image(_) => Sample::pixels(vec![0; predictor.input().len()]),
        InputSpec::Table(_) => Sample::features(vec![0.0; predictor.input().len()]),
    };
    let several = vec![blank; predictor.batch().min(8)];
    let time = |samples: &[Sample]| {
        let mut least = Duration::MAX;
        for _ in 0..5 {
            let started = Instant::now();
            predictor.predict(samples)?;
            least = least.min(started.elapsed());
            if least > SLOW {
                break;
            }
        }
        Ok::<_, infer::Error>(least)
    };
    let one = time(&several[..1])?;
    if several.len() < 2 || one > SLOW {
        return Ok(Duration::ZERO);
    }
    let each = time(&several)?.saturating_sub(one) / (several.len() as u32 - 1);
    Ok(one.saturating_sub(each))
}
