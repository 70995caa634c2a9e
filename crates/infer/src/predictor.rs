//! From a model file and inputs to predictions, through the functions that training goes through: [`data::image::decode_file`],
//! [`Model::plan`] or [`Model::forward`], [`Task::decode`]. Printing, devices and walking folders are the caller's.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use data::image::{self, Exif};
use data::{Batch, ImageSpec, InputSpec, Inputs};
use models::{Golden, Model, ModelFile, Pass, Plan};
use tasks::{Calibration, Prediction, Reading, Task};

use crate::Error;

/// Samples that go through the network at once where nothing else is said.
pub const BATCH: usize = 64;

/// Numbers that the inputs of a batch may have together: a model file says how large they are, and may say anything.
const LARGEST_BATCH: usize = 64 << 20;

/// A trained network, ready to answer.
#[derive(Clone, Debug)]
pub struct Predictor {
    model: Model,
    /// The fast way, where the device has one.
    plan: Option<Arc<Plan>>,
    task: Task,
    calibration: Option<Calibration>,
    reading: Reading,
    golden: Option<Golden>,
    device: Device,
    batch: usize,
}

/// One input, decoded: what the network takes, on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample(Inputs);

impl Predictor {
    /// Loads the model file at `path` and puts its weights on `device`.
    ///
    /// # Errors
    /// If the file is no whole striate model, or its task doesn't fit its network.
    pub fn load(path: &Path, device: &Device) -> Result<Self, Error> {
        let file = ModelFile::load(path, device)?;
        let bad = |key| move |what: String| Error::Meaning { path: path.to_owned(), key, what };
        let task = Task::stored(file.task, file.model.outputs()).map_err(bad("task"))?;
        let calibration = file.calibration.map(|section| Calibration::stored(section, &task)).transpose();
        let calibration = calibration.map_err(bad("calibration"))?;
        let temperature = calibration.as_ref().map_or(1.0, Calibration::temperature);
        let reading = Reading { temperature, limits: None };
        let plan = file.model.plan().map(Arc::new);
        let device = device.clone();
        let predictor =
            Self { model: file.model, plan, task, calibration, reading, golden: file.golden, device, batch: BATCH };
        Ok(predictor.with_batch(BATCH))
    }

    /// The same with probabilities as the network was trained to give them: at temperature 1.
    pub fn without_calibration(self) -> Self {
        Self { calibration: None, reading: Reading::default(), ..self }
    }

    /// The same with sets of classes, or intervals of numbers, that hold the truth with a probability of `coverage`: see
    /// [`Calibration::limits`] for what is promised.
    ///
    /// # Errors
    /// If `coverage` isn't between 0 and 1, the model answers by labels, or its file holds no scores of held-out samples.
    pub fn with_coverage(self, coverage: f64) -> Result<Self, Error> {
        if let Task::MultiLabel(_) = self.task {
            let what =
                "this model answers by labels; there are sets for classes and intervals for numbers; leave it out";
            return Err(Error::Coverage { what: what.into(), model: false });
        }
        let Some(calibration) = self.calibration.as_ref().filter(|calibration| calibration.has_scores()) else {
            let what = "the model file holds no scores of validation samples (it is of an older version, was trained without validation, or \
                        has too many outputs); train again, with validation";
            return Err(Error::Coverage { what: what.into(), model: true });
        };
        let limits = calibration.limits(coverage).map_err(|error| match error {
            tasks::Error::Option { what, .. } => Error::Coverage { what, model: false },
            other => Error::Coverage { what: other.to_string(), model: true },
        })?;
        let reading = Reading { limits: Some(limits), ..self.reading };
        Ok(Self { reading, ..self })
    }

    /// How outputs are read.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// What validation said about how sure the answers may be; `None` where the file doesn't know, or it isn't wanted.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// The same with `batch` samples at once (at least 1) instead of [`BATCH`]: more are faster and take more memory. Inputs so large
    /// that a batch would have more than 64 million numbers go through in smaller ones.
    pub fn with_batch(self, batch: usize) -> Self {
        let most = LARGEST_BATCH / self.input().len().max(1);
        Self { batch: batch.min(most).max(1), ..self }
    }

    /// What the outputs mean.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// What the network takes.
    pub fn input(&self) -> &InputSpec {
        self.model.input()
    }

    /// The network itself.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// Where its weights are.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Inputs with what the network answered where it was trained.
    pub(crate) fn golden(&self) -> Option<&Golden> {
        self.golden.as_ref()
    }

    /// Samples that go through the network at once.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Predicts `samples`, any number of them, in their order.
    ///
    /// # Errors
    /// If a sample was decoded for another model, or the device fails.
    pub fn predict(&self, samples: &[Sample]) -> Result<Vec<Prediction>, Error> {
        let mut predictions = Vec::with_capacity(samples.len());
        for part in samples.chunks(self.batch) {
            let outputs = self.outputs(self.gather(part)?)?;
            predictions.extend(outputs.chunks(self.task.outputs()).map(|row| self.task.decode_as(row, &self.reading)));
        }
        Ok(predictions)
    }

    /// Predicts image files, in their order. All of them are decoded before the first is predicted; for many or for streams
    /// decode and [`predict`](Self::predict) part by part.
    ///
    /// # Errors
    /// If one of them is no image, or the model takes rows of a table.
    pub fn predict_files<P: AsRef<Path>>(&self, paths: &[P]) -> Result<Vec<Prediction>, Error> {
        let samples: Result<Vec<Sample>, Error> =
            paths.iter().map(|path| Sample::image_file(path.as_ref(), self.input())).collect();
        self.predict(&samples?)
    }

    /// The network's outputs, `[batch, outputs]`.
    pub(crate) fn outputs(&self, batch: Batch) -> Result<Vec<f32>, Error> {
        match (&self.plan, &batch.inputs) {
            (Some(plan), Inputs::Pixels(values)) => Ok(plan.pixels(values)),
            (Some(plan), Inputs::Floats(values)) => Ok(plan.floats(values)),
            _ => {
                let samples = batch.shape[0];
                self.attended(samples, || {
                    let outputs = self.model.forward(batch.into_tensors(&self.device).0, Pass::Predict);
                    let outputs =
                        outputs.try_into_data_as::<f32>().map_err(|error| Error::Device(format!("{error:?}")))?;
                    outputs.try_into_vec::<f32>().map_err(|error| Error::Device(error.to_string()))
                })
            }
        }
    }

    /// Does `work` with so many samples on the device; one that fails in the middle of it, as the runtimes of GPUs tell by a panic, is an error.
    pub(crate) fn attended<T>(&self, samples: usize, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let outcome = device::attended(&self.device, work).unwrap_or_else(|lost| Err(Error::Device(lost.what)));
        outcome.map_err(|error| match error {
            Error::Device(what) if device::is_memory(&what) => Error::Memory { samples, what: device::one_line(&what) },
            error => error,
        })
    }

    pub(crate) fn gather(&self, samples: &[Sample]) -> Result<Batch, Error> {
        let [channels, height, width] = self.input().shape();
        let len = channels * height * width;
        let wrong =
            |found: usize| Error::Input { expected: format!("{len} numbers"), found: format!("{found} of them") };
        let pixels = samples.iter().map(|Sample(inputs)| match inputs {
            Inputs::Pixels(values) => Some(values.as_slice()),
            _ => None,
        });
        let inputs = if let Some(rows) = pixels.collect::<Option<Vec<_>>>() {
            Inputs::Pixels(rows.concat())
        } else {
            let mut floats = Vec::with_capacity(samples.len() * len);
            for Sample(inputs) in samples {
                match inputs {
                    Inputs::Floats(values) => floats.extend_from_slice(values),
                    other => return Err(wrong(other.len())),
                }
            }
            Inputs::Floats(floats)
        };
        let found = inputs.len();
        if found != samples.len() * len || samples.iter().any(|sample| sample.len() != len) {
            return Err(wrong(samples.iter().map(Sample::len).find(|other| *other != len).unwrap_or(found)));
        }
        Ok(Batch { indices: Vec::new(), shape: [samples.len(), channels, height, width], inputs, targets: None })
    }
}

impl Sample {
    /// Decodes the image file at `path` as a model with `input` takes it. Needs no model, so that threads can do it.
    ///
    /// # Errors
    /// If the file is no whole image, or the model takes rows of a table.
    pub fn image_file(path: &Path, input: &InputSpec) -> Result<Self, Error> {
        Self::image_file_as(path, input, Exif::Applied)
    }

    /// The same as [`image_file`](Self::image_file), with the orientation of photos as `exif` says.
    ///
    /// # Errors
    /// As [`image_file`](Self::image_file).
    pub fn image_file_as(path: &Path, input: &InputSpec, exif: Exif) -> Result<Self, Error> {
        let spec = picture(input)?;
        Ok(Self(Inputs::Pixels(image::decode_bytes_as(&image::read_file(path)?, path, spec, exif)?)))
    }

    /// Decodes an image file's `bytes`; `name` stands for them in messages.
    ///
    /// # Errors
    /// If they are no whole image, or the model takes rows of a table.
    pub fn image_bytes(name: &Path, bytes: &[u8], input: &InputSpec) -> Result<Self, Error> {
        Self::image_bytes_as(name, bytes, input, Exif::Applied)
    }

    /// The same as [`image_bytes`](Self::image_bytes), with the orientation of photos as `exif` says.
    ///
    /// # Errors
    /// As [`image_bytes`](Self::image_bytes).
    pub fn image_bytes_as(name: &Path, bytes: &[u8], input: &InputSpec, exif: Exif) -> Result<Self, Error> {
        Ok(Self(Inputs::Pixels(image::decode_bytes_as(bytes, name, picture(input)?, exif)?)))
    }

    /// A row of a table that [`data::TableSpec::encode`] or [`data::table::rows`] made features of.
    pub fn features(features: Vec<f32>) -> Self {
        Self(Inputs::Floats(features))
    }

    /// Inputs that are made already.
    pub(crate) fn made(inputs: Inputs) -> Self {
        Self(inputs)
    }

    /// Pixels `[channels, height, width]` that have the model's size already.
    pub fn pixels(pixels: Vec<u8>) -> Self {
        Self(Inputs::Pixels(pixels))
    }

    /// Numbers that it holds.
    fn len(&self) -> usize {
        self.0.len()
    }
}

fn picture(input: &InputSpec) -> Result<&ImageSpec, Error> {
    match input {
        InputSpec::Image(spec) => Ok(spec),
        InputSpec::Table(_) => Err(Error::Input { expected: "rows of a table".into(), found: "an image".into() }),
    }
}
