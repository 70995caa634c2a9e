//! What a user of an exported model has to know, in words: the same in its metadata and on the terminal.

use data::{Filter, Fit, ImageSpec, InputSpec};
use tasks::Task;

use super::{OnnxOptions, table};
use crate::Predictor;

/// What goes into an ONNX file, one sentence for each input, and what has to be done before.
pub fn onnx_usage(predictor: &Predictor, options: &OnnxOptions) -> Vec<String> {
    match predictor.input() {
        InputSpec::Image(spec) if options.resize => vec![format!(
            "`image`: decoded pictures of any one size as bytes [batch, {}, height, width], {}; resizing, normalisation and the reading of the \
             outputs are inside.",
            spec.channels,
            colours(spec)
        )],
        InputSpec::Image(spec) => vec![
            format!(
                "`image`: decoded pictures as bytes [batch, {}, {}, {}], {}; normalisation and the reading of the outputs are inside.",
                spec.channels,
                spec.height,
                spec.width,
                colours(spec)
            ),
            format!("Before it, pictures of other sizes are resized: {}.", resize(spec)),
        ],
        InputSpec::Table(spec) => {
            let (numbers, categories) = table::columns(spec);
            let named = |columns: &[&data::Column]| {
                let shown: Vec<&str> = columns.iter().take(20).map(|column| column.name.as_str()).collect();
                let more = if columns.len() > shown.len() { ", ... (see `columns`)" } else { "" };
                format!("{}{more}", shown.join(", "))
            };
            let mut sentences = Vec::new();
            if !numbers.is_empty() {
                let (count, names) = (numbers.len(), named(&numbers));
                sentences
                    .push(format!("`numbers`: 32-bit floats [batch, {count}], NaN where one is missing: {names}."));
            }
            if !categories.is_empty() {
                let (count, names) = (categories.len(), named(&categories));
                sentences.push(format!(
                    "`categories`: text [batch, {count}], any unknown word where one is missing: {names}."
                ));
            }
            sentences
        }
    }
}

fn colours(spec: &ImageSpec) -> &'static str {
    if spec.channels == 1 { "gray (Rec. 709 luma)" } else { "red, green, blue" }
}

/// The recipe's resize.
pub(super) fn resize(spec: &ImageSpec) -> String {
    let filter = match spec.filter {
        Filter::Nearest => "to the nearest pixel",
        Filter::Triangle => "bilinearly",
        Filter::CatmullRom => "bicubically (a = -0.5)",
        Filter::Lanczos3 => "by Lanczos' filter of 3 lobes",
    };
    let ImageSpec { height, width, .. } = spec;
    let fit = match spec.fit {
        Fit::Crop => format!(
            "the middle of the picture that has the aspect ratio of {height} rows and {width} columns, to that size"
        ),
        Fit::Stretch => format!("the whole picture to {height} rows and {width} columns, whatever its aspect ratio"),
        Fit::Pad => format!("the whole picture into {height} rows and {width} columns, with black around it"),
    };
    let wide = if spec.filter == Filter::Nearest {
        ""
    } else {
        ", the filter widened by the scale where that shrinks (as Pillow does)"
    };
    format!("{fit}, {filter}{wide}")
}

/// The outputs of an exported model, each with what it holds.
pub fn outputs(task: &Task) -> &'static [(&'static str, &'static str)] {
    match task {
        Task::Classification(_) => &[
            ("probabilities", "the probability of each class, in the order of `names`"),
            ("logits", "the network's outputs before temperature and softmax"),
        ],
        Task::MultiLabel(_) => &[
            (
                "probabilities",
                "the probability of each label, in the order of `names`; it applies from its number in `thresholds` on",
            ),
            ("logits", "the network's outputs before temperature and sigmoid"),
        ],
        Task::Regression(_) => &[("values", "the numbers in the units of the data, in the order of `names`")],
    }
}
