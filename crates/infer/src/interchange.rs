//! `infer export`: a model in the formats of other programs, written to files, and what their users have to know. What stands in the files is
//! the library's `export`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use infer::Predictor;
use infer::export::{self, OnnxOptions, Torch};
use serde_json::{Value, json};

use crate::failure::{Failure, tell};
use crate::runs;

/// Write a trained model for other programs: as an ONNX file with preprocessing and probabilities inside, as a folder for PyTorch, or both
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("to").required(true).multiple(true).args(["onnx", "torch"])))]
pub(crate) struct Export {
    /// A model file, or the folder of a run, whose weights/best.safetensors is taken
    model: PathBuf,
    /// Write an ONNX file (opset 17): FILE, or beside the model file under its name
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    onnx: Option<Option<PathBuf>>,
    /// Write a folder for PyTorch, with the weights and a model.py that loads them: DIR, or beside the model file under its name and -torch
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    torch: Option<Option<PathBuf>>,
    /// The ONNX file takes pictures of any size and resizes them as infer does
    #[arg(long, requires = "onnx")]
    resize: bool,
    /// Probabilities as the network was trained to give them: without the temperature that validation found
    #[arg(long)]
    no_calibration: bool,
    /// text for people, json for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Export {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let file = runs::model_file(&self.model)?;
        let onnx = self.onnx.as_ref().map(|place| place.clone().unwrap_or_else(|| file.with_extension("onnx")));
        if let Some(place) = &onnx {
            // A model begins with the number of its version of the format.
            data::check_place("--onnx", place, &["onnx"], &[b"\x08"])?;
        }
        let torch = self.torch.as_ref().map(|place| place.clone().unwrap_or_else(|| beside(&file)));
        if let Some(place) = &torch {
            check_folder(place)?;
        }
        // Nothing is computed; where the CPU isn't built in, whatever device there is hands the weights out.
        let device = device::select("cpu").or_else(|_| device::select("auto"))?.device;
        let mut predictor = Predictor::load(&file, &device)?;
        if self.no_calibration {
            predictor = predictor.without_calibration();
        }
        let mut written = json!({"v": 1});
        if let Some(place) = &onnx {
            written["onnx"] = self.onnx(&predictor, place)?;
        }
        if let Some(place) = &torch {
            written["torch"] = self.torch(&predictor, place)?;
        }
        if self.format == Format::Json {
            writeln!(io::stdout(), "{written}")?;
        }
        Ok(())
    }

    fn onnx(&self, predictor: &Predictor, place: &Path) -> Result<Value, Failure> {
        let options = OnnxOptions { resize: self.resize };
        let bytes = export::onnx(predictor, &options)?;
        write(place, &bytes)?;
        let (usage, outputs) = (export::onnx_usage(predictor, &options), export::outputs(predictor.task()));
        if self.format == Format::Text {
            writeln!(io::stdout(), "{}", place.display())?;
            usage.iter().for_each(|sentence| tell(format_args!("in:  {sentence}")));
            outputs.iter().for_each(|(name, doc)| tell(format_args!("out: `{name}`: {doc}.")));
        }
        let outputs: Vec<Value> = outputs.iter().map(|(name, doc)| json!({"name": name, "holds": doc})).collect();
        Ok(json!({"file": place, "bytes": bytes.len(), "inputs": usage, "outputs": outputs}))
    }

    fn torch(&self, predictor: &Predictor, place: &Path) -> Result<Value, Failure> {
        let Torch { script, weights } = export::torch(predictor)?;
        if !place.is_dir() {
            std::fs::create_dir(place).map_err(|source| data::Error::write(place, source))?;
        }
        write(&place.join(Torch::WEIGHTS), &weights)?;
        write(&place.join(Torch::SCRIPT), script.as_bytes())?;
        if self.format == Format::Text {
            writeln!(io::stdout(), "{}", place.display())?;
            tell(format_args!(
                "in:  {} says how pictures or rows become inputs, {} holds the weights.",
                Torch::SCRIPT,
                Torch::WEIGHTS
            ));
            tell(format_args!("use: import model; network = model.load(); model.predict(network, inputs)"));
        }
        Ok(json!({"folder": place, "files": [Torch::SCRIPT, Torch::WEIGHTS]}))
    }
}

/// The folder for PyTorch where none is named.
fn beside(model: &Path) -> PathBuf {
    let mut name = model.file_stem().unwrap_or_default().to_owned();
    name.push("-torch");
    model.with_file_name(name)
}

/// Refuses a folder that can't be made, and one with anything else in it than a model for PyTorch.
fn check_folder(place: &Path) -> Result<(), Failure> {
    let option = "--torch";
    let shown = place.display();
    if !place.exists() {
        let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !parent.is_dir() {
            let what = format!("cannot make `{shown}`: there is no folder `{}`; make it first", parent.display());
            return Err(data::Error::option(option, what).into());
        }
        return Ok(());
    }
    if !place.is_dir() {
        return Err(data::Error::option(
            option,
            format!("expected a folder, found the file `{shown}`; give another name"),
        )
        .into());
    }
    let mut entries = std::fs::read_dir(place).map_err(|source| data::Error::io(place, source))?;
    let script = place.join(Torch::SCRIPT);
    if entries.next().is_some() && !script.is_file() {
        let what = format!("`{shown}` is there already, and holds no {}; give another name", Torch::SCRIPT);
        return Err(data::Error::option(option, what).into());
    }
    data::check_place(option, &script, &["py"], &[Torch::BEGINNING.as_bytes()])?;
    Ok(data::check_place(option, &place.join(Torch::WEIGHTS), &["safetensors"], &[b""])?)
}

fn write(place: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = data::replace(place, |file| file.write_all(bytes));
    Ok(written.map_err(|source| data::Error::write(place, source))?)
}
