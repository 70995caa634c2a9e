//! `infer predict`: inputs to lines, in order and in constant memory. One bad input is reported in its place and doesn't stop the rest.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use data::{InputSpec, TableSpec};
use infer::{BATCH, Calibration, Predictor, Sample};

use crate::failure::{Failure, tell};
use crate::output::{Format, Writer};
use crate::sources::{Kind, Source, expand};
use crate::{pipeline, runs};

/// Bytes that an image on standard input may have.
const LARGEST_IMAGE: u64 = 256 << 20;

/// Predict files, folders, patterns or standard input
#[derive(Debug, clap::Args)]
pub(crate) struct Predict {
    /// A model file, or the folder of a run, whose weights/best.safetensors is taken
    model: PathBuf,
    /// Images, or CSV files for a model of table rows; folders with them and all folders inside, by name; patterns such as
    /// 'pictures/*.png'; - for standard input
    #[arg(required = true)]
    inputs: Vec<String>,
    /// How predictions are written to standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Classes to write for each input, the most probable first
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = positive)]
    top_k: usize,
    /// Inputs that go through the network at once; 1 answers each row of a slow pipe at once
    #[arg(long, value_name = "N", default_value_t = BATCH, value_parser = positive)]
    batch: usize,
    /// Also answer with a set of classes, or with an interval, that holds the truth with this probability, such as 0.95
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "no_calibration")]
    coverage: Option<f64>,
    /// Probabilities as the network was trained to give them: without the temperature that validation found
    #[arg(long)]
    no_calibration: bool,
    /// auto, cpu, flex, ndarray, cuda, metal, vulkan, wgpu; with :N for one of several
    #[arg(long, env = "STRIATE_DEVICE", value_name = "NAME", default_value = "auto")]
    device: String,
    /// Write nothing but errors to standard error
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=1 << 16).contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from 1 to {}", 1 << 16)),
    }
}

pub(crate) fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("expected a number between 0 and 1, such as 0.95".into()),
    }
}

/// An input on its way.
struct Item {
    source: String,
    raw: Raw,
}

enum Raw {
    File(PathBuf),
    Bytes(Vec<u8>),
    Ready(Sample),
    Bad(String),
}

/// What was decoded of an input, or why nothing was.
type Decoded = (String, Result<Sample, String>);

impl Predict {
    /// Predicts everything; fails at the end if an input couldn't be.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let file = runs::model_file(&self.model)?;
        let selected = device::select(&self.device)?;
        if let (Some(note), false) = (&selected.note, self.quiet) {
            tell(note);
        }
        let mut predictor = Predictor::load(&file, &selected.device)?.with_batch(self.batch);
        if self.no_calibration {
            predictor = predictor.without_calibration();
        }
        if let Some(coverage) = self.coverage {
            predictor = predictor.with_coverage(coverage)?;
            if !self.quiet {
                warn_of_few(&predictor, coverage);
            }
        }
        let started = Instant::now();
        let writer = Writer::new(io::stdout().lock(), self.format, self.top_k, predictor.task());
        let writer = writer.covering(self.coverage);
        let mut output = Output { predictor: &predictor, writer, waiting: Vec::new(), done: 0, failed: 0 };
        // The threads get the recipe alone: they need no network.
        let input = predictor.input().clone();
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(16);
        pipeline::ordered(
            |next| feed(self.inputs, &input, next),
            threads,
            |item| decode(item, &input),
            // Standard input may be silent for hours: a thread that waits for it must not keep the program from ending.
            |decoded| output.take(decoded).map_err(Failure::exit),
        )?;
        output.predict()?;
        output.writer.finish()?;
        let (done, failed) = (output.done, output.failed);
        if !self.quiet {
            let seconds = started.elapsed().as_secs_f64();
            tell(format_args!(
                "{done} predicted in {seconds:.2} s ({:.0} a second) on {}",
                done as f64 / seconds.max(1e-9),
                selected.name
            ));
        }
        if failed > 0 {
            let what = anyhow::anyhow!(
                "{failed} of {} inputs could not be predicted; the reason stands in its place above",
                done + failed
            );
            return Err(Failure::data(what));
        }
        Ok(())
    }
}

/// Says where sets hold all classes and intervals have no ends.
fn warn_of_few(predictor: &Predictor, coverage: f64) {
    let (Some(limits), Some(calibration)) = (&predictor.reading().limits, predictor.calibration()) else { return };
    if limits.is_unbounded() {
        tell(format_args!(
            "warning: --coverage {coverage} needs {} validation samples, the model has {}: every answer holds everything",
            Calibration::needed(coverage),
            calibration.samples()
        ));
    }
}

/// Hands on the inputs that `names` stand for.
fn feed(names: Vec<String>, input: &InputSpec, next: &mut dyn FnMut(Item) -> bool) {
    let kind = if matches!(input, InputSpec::Table(_)) { Kind::Tables } else { Kind::Images };
    for source in expand(names, kind) {
        let more = match (source, input) {
            (Source::Missing(source, why), _) => next(Item { source, raw: Raw::Bad(why) }),
            (Source::File(path), InputSpec::Image(_)) => {
                next(Item { source: path.display().to_string(), raw: Raw::File(path) })
            }
            (Source::Stdin, InputSpec::Image(_)) => {
                next(Item { source: "-".into(), raw: read_image(io::stdin().lock()) })
            }
            (Source::Stdin, InputSpec::Table(spec)) => rows(io::stdin().lock(), Path::new("-"), spec, next),
            (Source::File(path), InputSpec::Table(spec)) => match data::open_regular(&path, u64::MAX) {
                Ok(file) => rows(file, &path, spec, next),
                Err(error) => {
                    let raw = Raw::Bad(data::Error::io(&path, error).to_string());
                    next(Item { source: path.display().to_string(), raw })
                }
            },
        };
        if !more {
            return;
        }
    }
}

/// Hands on the rows of a table; false if no more are wanted.
fn rows(table: impl Read, path: &Path, spec: &TableSpec, next: &mut dyn FnMut(Item) -> bool) -> bool {
    let name = path.display();
    match data::table::rows(table, path, spec) {
        Ok(mut rows) => rows.all(|row| {
            let raw =
                row.features.map_or_else(|error| Raw::Bad(error.to_string()), |row| Raw::Ready(Sample::features(row)));
            next(Item { source: format!("{name}:{}", row.line), raw })
        }),
        Err(error) => next(Item { source: name.to_string(), raw: Raw::Bad(error.to_string()) }),
    }
}

fn read_image(from: impl Read) -> Raw {
    let mut bytes = Vec::new();
    match from.take(LARGEST_IMAGE + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > LARGEST_IMAGE => {
            Raw::Bad(format!("expected an image of at most {LARGEST_IMAGE} bytes"))
        }
        Ok(_) => Raw::Bytes(bytes),
        Err(error) => Raw::Bad(format!("cannot read standard input: {error}")),
    }
}

fn decode(item: Item, input: &InputSpec) -> Decoded {
    let sample = match item.raw {
        Raw::Ready(sample) => Ok(sample),
        Raw::File(path) => Sample::image_file(&path, input).map_err(|error| error.to_string()),
        Raw::Bytes(bytes) => Sample::image_bytes(Path::new("-"), &bytes, input).map_err(|error| error.to_string()),
        Raw::Bad(why) => Err(why),
    };
    (item.source, sample)
}

/// Collects batches, predicts and writes them.
struct Output<'a, W: Write> {
    predictor: &'a Predictor,
    writer: Writer<W>,
    waiting: Vec<Decoded>,
    done: u64,
    failed: u64,
}

impl<W: Write> Output<'_, W> {
    fn take(&mut self, decoded: Decoded) -> Result<(), Failure> {
        self.waiting.push(decoded);
        // Bad ones count too: a stream of them mustn't pile up.
        if self.waiting.len() >= self.predictor.batch() { self.predict() } else { Ok(()) }
    }

    fn predict(&mut self) -> Result<(), Failure> {
        let mut samples = Vec::with_capacity(self.waiting.len());
        let mut lines = Vec::with_capacity(self.waiting.len());
        for (source, decoded) in self.waiting.drain(..) {
            let why = decoded.map(|sample| samples.push(sample)).err();
            lines.push((source, why));
        }
        let mut predictions = self.predictor.predict(&samples)?.into_iter();
        self.writer.expect(lines.iter().map(|(source, _)| source.as_str()));
        for (source, why) in &lines {
            let prediction = if why.is_none() { predictions.next() } else { None };
            let answer = prediction.as_ref().ok_or(why.as_deref().unwrap_or("the network gave no answer"));
            self.writer.write(source, answer)?;
            if answer.is_ok() { self.done += 1 } else { self.failed += 1 }
        }
        Ok(())
    }
}
