//! `infer explain`: what `Predictor::explain` finds, as pictures with heat over them, as tables of columns, and as JSON. The command line; the
//! work is done by `explainer`, where pictures go stands in `place`, the table of a row in `columns`, what is said of a picture in `words`.

mod columns;
mod explainer;
mod words;

use std::io;
use std::path::{Path, PathBuf};

use data::InputSpec;
use infer::{Attribution, Baseline, Explain, Predictor};

use crate::exif::Photos;
use crate::failure::{Failure, tell};
use crate::feed::Inputs;
use crate::place::Places;
use crate::predict::positive;
use crate::runs;
use explainer::Explainer;

const ENDINGS: [&str; 2] = ["png", "svg"];

/// Show what an answer goes by: heat over pictures (Grad-CAM, integrated gradients, occlusion), contributions of columns for rows of tables
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainInputs {
    /// A model file, or the folder of a run, whose weights/best.safetensors is taken
    model: PathBuf,
    /// Images, or CSV files for a model of table rows; folders with them, patterns such as 'pictures/*.png'; - for standard input
    #[arg(required = true)]
    inputs: Vec<String>,
    /// grad-cam, integrated-gradients or occlusion; default: grad-cam where the last convolution's map has 7x7 places or more, else
    /// occlusion
    #[arg(long, value_name = "METHOD")]
    method: Option<Attribution>,
    /// The class, label or target to explain, by name or by number from 0; default: the most probable one, of numbers the first
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// What stands for nothing to see, in integrated gradients and occlusion: mean or black for pictures, absent or mean for rows
    #[arg(long, value_name = "KIND")]
    baseline: Option<Baseline>,
    /// Points of integrated gradients; more leave a smaller gap
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = positive)]
    steps: usize,
    /// Pixels of a side of what occlusion hides, in the picture as the network sees it; default: a seventh
    #[arg(long, value_name = "N", value_parser = positive)]
    patch: Option<usize>,
    /// Where the pictures go: FILE.png or .svg for one input, a folder for several, - for standard output; default, with text: NAME.explained.png
    /// here, of several inputs in the folder `explained`
    #[arg(long, short, value_name = "PLACE")]
    output: Option<PathBuf>,
    /// text for people; jsonl, one JSON object a line, or json, one array, for programs
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    photos: Photos,
    /// auto, cpu, flex, ndarray, cuda, metal, vulkan, wgpu; with :N for one of several
    #[arg(long, env = "STRIATE_DEVICE", value_name = "NAME", default_value = "auto")]
    device: String,
    /// Write nothing but errors to standard error
    #[arg(long, short)]
    quiet: bool,
}

/// How explanations are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    #[value(alias = "table")]
    Text,
    /// One JSON object a line
    Jsonl,
    /// One JSON array
    Json,
}

impl ExplainInputs {
    /// Explains everything; fails at the end if an input couldn't be.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let file = runs::model_file(&self.model)?;
        let selected = device::select(&self.device)?;
        if let (Some(note), false) = (&selected.note, self.quiet) {
            tell(note);
        }
        let predictor = Predictor::load(&file, &selected.device)?;
        let output = self.class.as_deref().map(|name| predictor.output_called(name)).transpose()?;
        let Self { method, baseline, steps, patch, .. } = self;
        let options = Explain { method, output, baseline, steps, patch };
        let (given, exif) = (self.output.as_deref(), self.photos.exif());
        let format = self.format.unwrap_or(Format::Text);
        let mut explainer = Explainer::new(&predictor, options, exif, format, io::stdout().lock(), self.quiet);
        if let InputSpec::Table(_) = predictor.input() {
            if let Some(place) = given {
                let what = "a row of a table has no picture; its contributions are text, or --format json";
                return Err(Failure::usage(anyhow::anyhow!("-o {}: {what}", place.display())));
            }
            let mut failure = None;
            Inputs::each(self.inputs, predictor.input(), |source, raw| {
                failure = explainer.take(&source, raw).err();
                failure.is_none()
            });
            return failure.map_or_else(|| explainer.finish(), Err);
        }
        let to_stdout = given == Some(Path::new("-"));
        if to_stdout && self.format.is_some() {
            let what = "-o -: standard output is for the picture then; leave out --format, or give -o a file";
            return Err(Failure::usage(anyhow::anyhow!(what)));
        }
        let mut items = Vec::new();
        Inputs::each(self.inputs, predictor.input(), |source, raw| {
            items.push((source, raw));
            true
        });
        if given.is_some() || format == Format::Text {
            let files: Vec<PathBuf> = items.iter().filter_map(|(_, raw)| raw.file().map(Path::to_owned)).collect();
            explainer.draw_to(Places::new(given, "explained", &ENDINGS, items.len(), files)?, to_stdout);
        }
        items.into_iter().try_for_each(|(source, raw)| explainer.take(&source, raw))?;
        explainer.finish()
    }
}
