//! `--tensorboard`: what happens in a run, for TensorBoard, in a file of each sitting in the run's folder. The bytes are `tensorboard`'s. No
//! failure to write ends a run.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use data::Batch;
use models::{Filters, Kind, Model, NamedTensor};
use trainer::Event;

use super::position::Position;
use crate::tensorboard::{self, Histogram, Summary, Value};

/// Between two points of a curve: at most ten a second.
const STEPS_EVERY: Duration = Duration::from_millis(100);
/// Pictures of a grid, at most.
const SHOWN: usize = 64;

/// The file of this sitting.
pub(crate) struct Board {
    file: Option<File>,
    failed: Option<String>,
    position: Position,
    /// Samples learned since a point was written, and when that was.
    learned: u64,
    written: Instant,
}

impl Board {
    /// A new file for the run in `folder`.
    pub(crate) fn open(folder: &Path) -> Self {
        let folder = folder.join("tensorboard");
        let (file, failed) = match create(&folder) {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(format!("`{}` cannot be written: {error}", folder.display()))),
        };
        let mut board = Self { file, failed, position: Position::default(), learned: 0, written: Instant::now() };
        board.write(&tensorboard::head(now()));
        board
    }

    /// Writes one event down, unless it is a step so soon after another.
    pub(crate) fn record(&mut self, event: &Event) {
        self.position.follow(event);
        match event {
            Event::Started { .. } => {
                (self.learned, self.written) = (0, Instant::now());
                self.write(&tensorboard::start(now(), self.position.step() + 1));
            }
            Event::Step { samples, loss, lr, .. } => {
                self.learned += *samples as u64;
                let took = self.written.elapsed();
                if took >= STEPS_EVERY {
                    let speed = self.learned as f64 / took.as_secs_f64();
                    (self.learned, self.written) = (0, Instant::now());
                    self.scalars([("train/loss", *loss), ("train/lr", *lr), ("train/samples_per_second", speed)]);
                }
            }
            Event::Epoch(summary) => {
                let accuracy = summary.train_accuracy.map(|accuracy| ("epoch/train_accuracy".to_owned(), accuracy));
                let val = summary.val.iter().filter_map(|(name, value)| Some((format!("val/{name}"), (*value)?)));
                let fixed = [("epoch/train_loss".to_owned(), summary.train_loss), ("epoch/lr".to_owned(), summary.lr)];
                self.scalars(fixed.into_iter().chain(accuracy).chain(val));
            }
            Event::Note(_) | Event::Saved { .. } => {}
        }
    }

    /// Shows the pictures of the first batch as the network gets them; rows of tables have none.
    pub(crate) fn show_batch(&mut self, batch: Batch) {
        let [samples, channels, height, width] = batch.shape;
        let shape = [samples.min(SHOWN), channels, height, width];
        let values: Vec<f32> = batch.inputs.into_floats().iter().map(|value| value * 255.0).collect();
        self.picture("first batch", &values, shape);
    }

    /// Shows how the weights lie, and the filters that look at the picture itself.
    pub(crate) fn show_weights(&mut self, model: &Model, epoch: usize) {
        self.position.end(epoch);
        let tensors = models::named_tensors(model);
        let weights = tensors.iter().filter(|tensor| tensor.kind == Kind::Weight);
        let summaries: Vec<Summary> = weights
            .filter_map(|NamedTensor { name, data, .. }| {
                let value = Value::Histogram(Histogram::of(data.as_slice::<f32>().ok()?));
                Some(Summary { tag: format!("weights/{name}"), value })
            })
            .collect();
        self.summaries(&summaries);
        if let Some(filters) = models::first_filters(model) {
            let (shape, values) = stretched(filters);
            self.picture("filters", &values, shape);
        }
    }

    /// What went wrong, when it is first asked for.
    pub(crate) fn trouble(&mut self) -> Option<String> {
        let failed = self.failed.take()?;
        Some(format!("warning: {failed}; training goes on without TensorBoard's file"))
    }

    fn scalars<S: Into<String>>(&mut self, values: impl IntoIterator<Item = (S, f64)>) {
        let scalar = |(tag, value): (S, f64)| Summary { tag: tag.into(), value: Value::Scalar(value as f32) };
        self.summaries(&values.into_iter().map(scalar).collect::<Vec<_>>());
    }

    fn picture(&mut self, tag: &str, values: &[f32], shape: [usize; 4]) {
        if let Some((png, shape)) = report::grid(values, shape) {
            self.summaries(&[Summary { tag: tag.to_owned(), value: Value::Picture { png, shape } }]);
        }
    }

    fn summaries(&mut self, summaries: &[Summary]) {
        if !summaries.is_empty() {
            self.write(&tensorboard::event(now(), self.position.step(), summaries));
        }
    }

    /// A record is written whole or is the last one: readers stop where one is cut.
    fn write(&mut self, record: &[u8]) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write_all(record) {
            self.failed = Some(format!("TensorBoard's file could not be written: {error}"));
            self.file = None;
        }
    }
}

/// As many filters as are shown, stretched to 0..=255 each for all.
fn stretched(filters: Filters) -> ([usize; 4], Vec<f32>) {
    let Filters { shape: [filters, channels, height, width], values, .. } = filters;
    let (low, high) =
        values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
    let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
    let shown = filters.min(SHOWN);
    let values = values[..shown * channels * height * width].iter().map(|value| (value - low) * scale).collect();
    ([shown, channels, height, width], values)
}

fn create(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let millis = (now() * 1e3) as u64;
    // Files of one run are read in the order of their names.
    let path = |number: u64| -> PathBuf { folder.join(format!("events.out.tfevents.{:013}.striate", millis + number)) };
    let open = |number| OpenOptions::new().append(true).create_new(true).open(path(number));
    (0..100)
        .map(open)
        .find(|file| !matches!(file, Err(error) if error.kind() == io::ErrorKind::AlreadyExists))
        .unwrap_or_else(|| open(100))
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
