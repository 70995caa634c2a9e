//! `infer predict`: inputs to lines, in order and in constant memory. One bad input is reported in its place and doesn't stop the rest.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use data::InputSpec;
use infer::{BATCH, Calibration, Exif, Predictor, Sample};

use crate::exif::Photos;
use crate::failure::{Failure, tell};
use crate::feed::{Inputs, Item, Raw};
use crate::journal::{self, Answered, Sink};
use crate::output::{Format, Writer};
use crate::shard::Shard;
use crate::{pipeline, runs, watch};

/// Predict files, folders, patterns or standard input
#[derive(Debug, clap::Args)]
pub(crate) struct Predict {
    /// A model file, or the folder of a run, whose weights/best.safetensors is taken
    model: PathBuf,
    /// Images, or CSV files for a model of table rows; folders with them and all folders inside, by name; patterns such as
    /// 'pictures/*.png'; - for standard input
    #[arg(required_unless_present = "stdin0")]
    inputs: Vec<String>,
    /// Also predict the files that standard input names, each with a NUL behind it, as find -print0 writes them
    #[arg(long, conflicts_with = "watch")]
    stdin0: bool,
    /// The inputs of a model of images are lines of pixels: channels x height x width whole numbers of 0 to 255, of the network's own size
    #[arg(long)]
    rows: bool,
    /// Go on looking into the folders for new files, every so many seconds (1), until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = seconds)]
    watch: Option<Duration>,
    /// Predict one of several parts, such as 3/8: which inputs it has is a function of their names alone, so that 8 machines that are given the
    /// same ones leave none out and predict none twice
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// How predictions are written; without it table, or what the ending of --output says (.jsonl, .json, .csv)
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write predictions to FILE instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Go on with the --output of a run that was interrupted (jsonl): what it answers isn't predicted again
    #[arg(long, requires = "output")]
    resume: bool,
    /// Classes to write for each input, the most probable first
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = positive)]
    top_k: usize,
    /// Inputs that go through the network at once; where no more come for now, fewer
    #[arg(long, value_name = "N", default_value_t = BATCH, value_parser = positive)]
    batch: usize,
    /// Also answer with a set of classes, or with an interval, that holds the truth with this probability, such as 0.95
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "no_calibration")]
    coverage: Option<f64>,
    /// Probabilities as the network was trained to give them: without the temperature that validation found
    #[arg(long)]
    no_calibration: bool,
    #[command(flatten)]
    photos: Photos,
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

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected a number of seconds from 0.01 to 86400".into()),
    }
}

/// What was decoded of an input, or why nothing was. `None` says that the next one may be long in coming.
type Decoded = Option<(String, Result<Sample, String>)>;

impl Predict {
    /// Predicts everything; fails at the end if an input couldn't be.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
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
        let format = self.format()?;
        let (sink, answered, model) = self.sink(&file, format)?;
        let (before, failed_before) = (answered.count, answered.failed);
        let writer = Writer::new(sink, format, self.top_k, predictor.task()).covering(self.coverage).signed(model);
        let place = self.output.clone();
        let mut output = Output { predictor: &predictor, writer, place, waiting: Vec::new(), done: 0, failed: 0 };
        // The threads get the recipe alone: they need no network.
        let input = predictor.input().clone();
        let stop = self.stop()?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(16);
        let exif = self.photos.exif();
        let Self { stdin0, rows, watch, shard, .. } = self;
        let inputs = Inputs { names: std::mem::take(&mut self.inputs), stdin0, rows, watch, shard, answered };
        pipeline::ordered(
            |next| inputs.feed(&input, &stop, next),
            threads,
            |item| decode(item, &input, exif),
            // Standard input may be silent for hours: a thread that waits for it must not keep the program from ending.
            |decoded| output.take(decoded).map_err(Failure::exit),
        )?;
        output.predict()?;
        output.writer.finish().map_err(|error| output.refused(error))?;
        let (done, failed) = (output.done, output.failed);
        if !self.quiet {
            let seconds = started.elapsed().as_secs_f64();
            let before = if before > 0 { format!(", {before} were before") } else { String::new() };
            tell(format_args!(
                "{done} predicted in {seconds:.2} s ({:.0} a second) on {}{before}",
                done as f64 / seconds.max(1e-9),
                selected.name
            ));
        }
        if failed + failed_before > 0 {
            let place = self.output.as_deref().map_or("above".into(), |path| format!("in `{}`", path.display()));
            let what = anyhow::anyhow!(
                "{} of {} inputs could not be predicted; the reason stands in its place {place}",
                failed + failed_before,
                done + failed + before
            );
            return Err(Failure::data(what));
        }
        Ok(())
    }

    /// As asked for, or as the output file's name ends.
    fn format(&self) -> Result<Format, Failure> {
        let ending = self.output.as_deref().and_then(Path::extension).and_then(OsStr::to_str).unwrap_or_default();
        let named = match ending.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" => Format::Jsonl,
            "json" => Format::Json,
            "csv" => Format::Csv,
            _ => Format::Table,
        };
        let format = self.format.unwrap_or(named);
        if self.resume && format != Format::Jsonl {
            let what = "--resume goes on with lines of JSON; give --format jsonl, in the run before, too";
            return Err(Failure::usage(anyhow::anyhow!(what)));
        }
        Ok(format)
    }

    /// Where predictions go, what is there already, and the name of the model of the file `model` that each of them gets.
    fn sink(&self, model: &Path, format: Format) -> Result<(Sink, Answered, Option<String>), Failure> {
        let Some(path) = &self.output else {
            return Ok((Sink::Stdout(io::stdout().lock()), Answered::default(), None));
        };
        let version = runs::version(model)?;
        let (file, answered) = journal::open(path, &version, self.resume)?;
        Ok((Sink::File(file), answered, (format == Format::Jsonl).then_some(version)))
    }

    /// Set when whoever watches folders should stop.
    fn stop(&self) -> Result<Arc<AtomicBool>, Failure> {
        if self.watch.is_none() {
            return Ok(Arc::default());
        }
        if let Some(name) = self.inputs.iter().find(|name| !Path::new(name).is_dir()) {
            return Err(Failure::usage(anyhow::anyhow!("--watch looks into folders, and `{name}` is none")));
        }
        watch::stopped().map_err(Failure::internal)
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

fn decode(item: Item, input: &InputSpec, exif: Exif) -> Decoded {
    let Item::Input(source, raw) = item else { return None };
    let sample = match raw {
        Raw::Ready(sample) => Ok(sample),
        Raw::File(path) => Sample::image_file_as(&path, input, exif).map_err(|error| error.to_string()),
        Raw::Bytes(bytes) => {
            Sample::image_bytes_as(Path::new("-"), &bytes, input, exif).map_err(|error| error.to_string())
        }
        Raw::Bad(why) => Err(why),
    };
    Some((source, sample))
}

/// Collects batches, predicts and writes them.
struct Output<'a, W: Write> {
    predictor: &'a Predictor,
    writer: Writer<W>,
    /// The file that is written; standard output without one.
    place: Option<PathBuf>,
    waiting: Vec<(String, Result<Sample, String>)>,
    done: u64,
    failed: u64,
}

impl<W: Write> Output<'_, W> {
    fn take(&mut self, decoded: Decoded) -> Result<(), Failure> {
        let Some(input) = decoded else { return self.predict() };
        self.waiting.push(input);
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
            if let Err(error) = self.writer.write(source, answer) {
                return Err(self.refused(error));
            }
            if answer.is_ok() { self.done += 1 } else { self.failed += 1 }
        }
        Ok(())
    }

    /// Of an answer that cannot be written.
    fn refused(&self, error: io::Error) -> Failure {
        match &self.place {
            Some(path) => Failure::writing(path, error),
            None => error.into(),
        }
    }
}
