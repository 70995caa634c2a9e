//! `infer` without a command: the newest run shows what it can do, on digits that nothing of its training saw.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use data::{Dataset, InputSpec, OpenOptions, Samples, Targets, quoted};
use infer::{Prediction, Predictor, Sample};
use models::ModelFile;
use serde_json::Value;

use crate::draw::{self, Style};
use crate::failure::{Failure, tell};
use crate::output::{Format, Writer, percent, shown};
use crate::predict::positive;
use crate::runs;

/// Columns of a probability's bar.
const BAR: usize = 24;

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Folder with the runs, of which the newest is taken
    #[arg(long, env = "STRIATE_RUNS", value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Digits to show
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = positive)]
    count: usize,
    /// How predictions are written to standard output; table draws the digits
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// auto, cpu, flex, ndarray, cuda, metal, vulkan, wgpu; with :N for one of several
    #[arg(long, env = "STRIATE_DEVICE", value_name = "NAME", default_value = "auto")]
    device: String,
}

impl Show {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Some(run) = runs::newest(&self.runs) else {
            let what = format!(
                "there is no trained model in `{}` yet; train one first: {}",
                self.runs.display(),
                command("trainer", "")
            );
            return Err(Failure::model(anyhow::anyhow!(what)));
        };
        let file = runs::model_file(&run)?;
        let selected = device::select(&self.device)?;
        let predictor = Predictor::load(&file, &selected.device)?;
        let header = ModelFile::header(&file).map_err(infer::Error::from)?;
        let Some(digits) = held_out(&run, &header.provenance, &predictor)? else {
            explain(&run, &predictor);
            return Ok(());
        };
        self.show(&predictor, &digits)?;
        let own = command("infer", &format!("predict {} PICTURES", quoted(&run)));
        tell(format_args!("held-out digits by {}; try your own: {own}", file.display()));
        Ok(())
    }

    fn show(&self, predictor: &Predictor, digits: &Dataset) -> Result<(), Failure> {
        let [channels, height, width] = digits.input.shape();
        let size = channels * height * width;
        let (Samples::Pixels(pixels), Targets::Classes { names, values }) = (&digits.samples, &digits.targets) else {
            return Ok(());
        };
        let held_out = &digits.split.test;
        let count = self.count.min(held_out.len());
        // Spread over the split, so that it isn't always the same writer.
        let chosen: Vec<usize> = (0..count).map(|i| held_out[i * held_out.len() / count] as usize).collect();
        let pictures: Vec<&[u8]> = chosen.iter().map(|&index| &pixels[index * size..][..size]).collect();
        let samples: Vec<Sample> = pictures.iter().map(|picture| Sample::pixels(picture.to_vec())).collect();
        let predictions = predictor.predict(&samples)?;
        let sources: Vec<String> = chosen.iter().map(|&index| digits.sources.name(index)).collect();
        if self.format != Format::Table {
            let mut writer = Writer::new(io::stdout().lock(), self.format, names.len(), predictor.task());
            for (source, prediction) in sources.iter().zip(&predictions) {
                writer.write(source, Ok(prediction))?;
            }
            return Ok(writer.finish()?);
        }
        let style = Style::of_stdout();
        let mut out = io::stdout().lock();
        for (((&index, source), picture), prediction) in chosen.iter().zip(&sources).zip(&pictures).zip(&predictions) {
            let truth = &names[values[index] as usize];
            // Half blocks are half as wide as two plain characters, so that both take 16 columns for 8 pixels.
            let scale = if style == Style::Plain { 1 } else { 2 };
            let drawn = draw::picture(picture, [channels, height, width], scale, style);
            for line in draw::beside(&drawn, 2 * width, &describe(source, truth, prediction, height, style)) {
                writeln!(out, "{line}")?;
            }
            writeln!(out)?;
        }
        Ok(out.flush()?)
    }
}

/// What stands beside a picture, at most `lines` lines of it.
fn describe(source: &str, truth: &str, prediction: &Prediction, lines: usize, style: Style) -> Vec<String> {
    let Prediction::Class { ranked, .. } = prediction else { return Vec::new() };
    let verdict = match ranked.first() {
        Some(class) if class.name == truth => format!("it says {}, and so it is", class.name),
        Some(class) => format!("it says {}, but it is {truth}", class.name),
        None => String::new(),
    };
    let bars = ranked.iter().map(|class| {
        format!("{}  {} {:>6}", class.name, draw::bar(class.probability, BAR, style), percent(class.probability))
    });
    [format!("{source}: {verdict}"), String::new()].into_iter().chain(bars).take(lines).collect()
}

/// The digits with the split that the run trained on: its split.csv, or the one of its seed. `None` if it was trained on other data.
fn held_out(run: &Path, provenance: &Value, predictor: &Predictor) -> Result<Option<Dataset>, Failure> {
    let seed = provenance.pointer("/options/seed").and_then(Value::as_u64).unwrap_or_default();
    let open = |split| data::open(Path::new("digits"), &OpenOptions { seed, split, ..OpenOptions::default() });
    let digits = open(None)?;
    if predictor.input().shape() != digits.input.shape() || predictor.task().names() != digits.targets.names() {
        return Ok(None);
    }
    let split = run.join("split.csv");
    // Other pictures of digits may look the same from here; their split names other samples.
    Ok(if split.is_file() { open(Some(split)).ok() } else { Some(digits) })
}

/// Says what the newest run is and how to use it.
fn explain(run: &Path, predictor: &Predictor) {
    let (takes, inputs) = match predictor.input() {
        InputSpec::Image(image) => (format!("pictures (of {} x {} pixels)", image.width, image.height), "PICTURES"),
        InputSpec::Table(table) => (format!("rows of a table ({} columns)", table.columns.len()), "ROWS.csv"),
    };
    let names: Vec<String> = predictor.task().names().iter().take(5).map(|name| shown(name)).collect();
    let more = if predictor.task().outputs() > names.len() { " ..." } else { "" };
    tell(format_args!(
        "the newest run, {}, wasn't trained on the built-in digits, so there are no samples to show",
        run.display()
    ));
    tell(format_args!("it takes {takes} and answers by {}: {}{more}", predictor.task().name(), names.join(", ")));
    tell(format_args!("use it: {}", command("infer", &format!("predict {} {inputs}", quoted(run)))));
}

/// The command that runs `program` here: through cargo where cargo started this one.
fn command(program: &str, arguments: &str) -> String {
    let command = match (std::env::var_os("CARGO"), arguments) {
        (None, _) => format!("{program} {arguments}"),
        (Some(_), "") => format!("cargo run -p {program}"),
        (Some(_), _) => format!("cargo run -p {program} -- {arguments}"),
    };
    command.trim_end().to_owned()
}
