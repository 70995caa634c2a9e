//! A model for PyTorch: its weights, and a short Python program that builds the network and reads inputs and outputs as `infer` does. The
//! program's parts stand in `script.py`, of which each model gets those that it needs; the network itself is `modules`'.

use std::collections::BTreeMap;
use std::path::Path;

use data::{ColumnKind, Filter, Fit, ImageSpec, InputSpec, TableSpec};
use models::{container, named_tensors};
use tasks::Task;

use super::modules::Modules;
use super::words;
use crate::{Error, Predictor};

/// The files of the folder, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torch {
    /// `model.py`, which begins with [`Torch::BEGINNING`]: builds the network, loads its weights, predicts.
    pub script: String,
    /// `weights.safetensors`: every tensor under its name and in its layout in PyTorch.
    pub weights: Vec<u8>,
}

impl Torch {
    /// What every `model.py` begins with.
    pub const BEGINNING: &'static str = "\"\"\"A network that striate trained, for PyTorch.";
    /// The name of the program.
    pub const SCRIPT: &'static str = "model.py";
    /// The name of the weights.
    pub const WEIGHTS: &'static str = "weights.safetensors";
}

/// The model for PyTorch. Equal models give equal files.
///
/// # Errors
/// If the device fails to give the weights back.
pub fn torch(predictor: &Predictor) -> Result<Torch, Error> {
    let model = predictor.model();
    let layers = model.layers().ok_or_else(|| Error::Device("it doesn't give the weights back".into()))?;
    let is_map = matches!(predictor.input(), InputSpec::Image(_));
    let modules = Modules::of(layers, predictor.input().shape()[0], is_map);
    let tensors: BTreeMap<_, _> = named_tensors(model).into_iter().map(|tensor| (tensor.name, tensor.data)).collect();
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let weights = container::pack(Path::new(Torch::WEIGHTS), &metadata, &tensors)?;
    Ok(Torch { script: script(predictor, &modules), weights })
}

fn script(predictor: &Predictor, modules: &Modules) -> String {
    let (input, task) = (predictor.input(), predictor.task());
    let mut parts = vec!["head"];
    parts.push(if let InputSpec::Image(_) = input { "image" } else { "table" });
    parts.push(if let Task::Regression(_) = task { "scale" } else { "temperature" });
    parts.extend(matches!(task, Task::MultiLabel(_)).then_some("thresholds"));
    parts.extend(["chain", "normalise"]);
    let own = [("padded", modules.pads), ("subsample", modules.subsamples), ("residual", modules.bridges)];
    parts.extend(own.iter().filter(|(_, needed)| *needed).map(|(part, _)| *part));
    parts.push("network");
    match input {
        InputSpec::Image(spec) => {
            let fit = match spec.fit {
                Fit::Crop => "crop",
                Fit::Stretch => "stretch",
                Fit::Pad => "pad",
            };
            parts.extend(["images", fit, "main images"]);
        }
        InputSpec::Table(spec) => {
            parts.extend(["rows", if spec.header { "main rows" } else { "main rows without header" }])
        }
    }
    let mut values = values(predictor);
    values.insert("LAYERS", modules.lines());
    parts.into_iter().map(|part| fill(section(part), &values)).collect()
}

/// The part of the template behind the line with its name, without the empty line before the next one.
fn section(name: &str) -> &'static str {
    let mut sections = include_str!("script.py").split("#: ");
    let found = sections.find_map(|section| section.split_once('\n').filter(|(title, _)| *title == name));
    found.map_or("", |(_, text)| text.strip_suffix("\n\n").map_or(text, |_| &text[..text.len() - 1]))
}

/// The template with `<<KEY>>` replaced, in one pass: what is put in may hold anything, even that.
fn fill(template: &str, values: &BTreeMap<&str, String>) -> String {
    let mut pieces = template.split("<<");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (key, rest) = piece.split_once(">>").unwrap_or(("", piece));
        text += values.get(key).map_or("", String::as_str);
        text += rest;
    }
    text
}

fn values(predictor: &Predictor) -> BTreeMap<&'static str, String> {
    let (input, task) = (predictor.input(), predictor.task());
    let count = task.outputs();
    let [channels, height, width] = input.shape();
    let (mean, std) = input.normalisation();
    let (holds, answer) = match task {
        Task::Classification(_) => ("the probability of each class", "torch.softmax(network(inputs) / TEMPERATURE, 1)"),
        Task::MultiLabel(_) => ("the probability of each label", "torch.sigmoid(network(inputs) / TEMPERATURE)"),
        Task::Regression(_) => (
            "the numbers in the units of the data",
            "network(inputs) * OUTPUT_STD.to(inputs.device) + OUTPUT_MEAN.to(inputs.device)",
        ),
    };
    let mut values = BTreeMap::from([
        ("TASK", string(task.name())),
        ("NAMES", list(task.names().iter().map(|name| string(name)))),
        ("SHAPE", format!("{channels}, {height}, {width}")),
        ("COUNT", count.to_string()),
        ("TEMPERATURE", format!("{:?}", predictor.reading().temperature)),
        ("MEAN", list(mean.iter().map(|mean| format!("{mean:?}")))),
        ("STD", list(std.iter().map(|std| format!("{std:?}")))),
        ("OUTPUTS", format!("Answers are [batch, {count}]: {holds}, in the order of NAMES.")),
        ("PREDICTS", format!("{}{}, [batch, {count}].", holds[..1].to_uppercase(), &holds[1..])),
        ("ANSWER", answer.to_owned()),
    ]);
    if let Task::Regression(task) = task {
        values.insert("MEANS", list(task.mean.iter().map(|mean| format!("{mean:?}"))));
        values.insert("DEVIATIONS", list(task.std.iter().map(|std| format!("{std:?}"))));
    }
    if let Task::MultiLabel(task) = task {
        values.insert("THRESHOLDS", list(task.thresholds().iter().map(|threshold| format!("{threshold:?}"))));
    }
    match input {
        InputSpec::Image(spec) => values.extend(image(spec)),
        InputSpec::Table(spec) => values.extend(table(spec, channels)),
    }
    values
}

fn image(spec: &ImageSpec) -> Vec<(&'static str, String)> {
    let ImageSpec { channels, height, width, .. } = spec;
    let filter = match spec.filter {
        Filter::Nearest => "NEAREST",
        Filter::Triangle => "BILINEAR",
        Filter::CatmullRom => "BICUBIC",
        Filter::Lanczos3 => "LANCZOS",
    };
    let gray = "    image = image.convert(\"L\", (0.2126, 0.7152, 0.0722, 0))  # Rec. 709 luma\n";
    let shape = format!("[batch, {channels}, {height}, {width}]");
    vec![
        (
            "INPUTS",
            format!(
                "Inputs are pictures as bytes, uint8 {shape}: `torch.stack([model.read_image(path), ...])`.\nPictures of other sizes are resized: {}.",
                words::resize(spec)
            ),
        ),
        ("TAKES", format!("Bytes {shape}")),
        ("EACH", "channel, of bytes as 0 to 1".to_owned()),
        ("AXES", "-1, 1, 1".to_owned()),
        ("DIVIDED", " / 255".to_owned()),
        ("FILTER", filter.to_owned()),
        ("GRAY", if *channels == 1 { gray.to_owned() } else { String::new() }),
    ]
}

fn table(spec: &TableSpec, features: usize) -> Vec<(&'static str, String)> {
    let column = |column: &data::Column| {
        let name = string(&column.name);
        match &column.kind {
            ColumnKind::Numeric { fill, ranks, indicator, .. } => {
                let ranks = list(ranks.iter().map(|rank| format!("{rank:?}")));
                let indicator = if *indicator { "True" } else { "False" };
                format!("{{\"name\": {name}, \"fill\": {fill:?}, \"ranks\": {ranks}, \"indicator\": {indicator}}}")
            }
            ColumnKind::Categorical { categories } => {
                format!("{{\"name\": {name}, \"categories\": {}}}", list(categories.iter().map(|one| string(one))))
            }
        }
    };
    let columns: String = spec.columns.iter().map(|one| format!("    {},\n", column(one))).collect();
    let missing = std::iter::once("").chain(data::table::MISSING).map(string);
    vec![
        (
            "INPUTS",
            format!("Inputs are features of rows, float [batch, {features}]: `torch.stack([model.encode(row), ...])`."),
        ),
        ("TAKES", format!("Features [batch, {features}]")),
        ("EACH", "feature".to_owned()),
        ("AXES", "-1".to_owned()),
        ("DIVIDED", String::new()),
        ("COLUMNS", format!("[\n{columns}]")),
        ("MISSING", format!("({})", missing.collect::<Vec<_>>().join(", "))),
    ]
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A text as a literal of Python, on one line, with nothing in it that doesn't show: a name must neither end the literal nor turn the
/// direction of the line around it.
fn string(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for c in text.chars() {
        let code = u32::from(c);
        match c {
            '"' | '\\' => literal.extend(['\\', c]),
            _ if code < 0x20 || (0x7f..0xa1).contains(&code) => literal += &format!("\\x{code:02x}"),
            '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' => {
                literal += &format!("\\u{code:04x}");
            }
            '\u{e0000}'..='\u{e0fff}' => literal += &format!("\\U{code:08x}"),
            c => literal.push(c),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_literals() {
        assert_eq!(string("a\"b\\c'd"), r#""a\"b\\c'd""#);
        assert_eq!(string("\n\u{0}\u{85}\u{202e}\u{1f600}\u{e0041}"), "\"\\x0a\\x00\\x85\\u202e\u{1f600}\\U000e0041\"");
    }

    #[test]
    fn what_is_put_in_is_not_filled_again() {
        let values = BTreeMap::from([("A", "<<B>>".to_owned()), ("B", "<<A>>".to_owned())]);
        assert_eq!(fill("x <<A>> y <<B>><<C>>.", &values), "x <<B>> y <<A>>.");
    }

    #[test]
    fn every_part_of_the_template_is_found() {
        let titles = include_str!("script.py").split("#: ").skip(1).map(|part| part.split_once('\n').unwrap().0);
        assert!(titles.clone().count() > 15 && titles.clone().all(|title| section(title).contains('\n')));
        assert!(section("head").starts_with(Torch::BEGINNING));
    }
}
