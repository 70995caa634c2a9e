//! What a report is made of, and the page as a whole. Each section is drawn by the file of its name.

use std::fmt::Write;

use crate::html::{commands, document, escaped, facts, grouped, name, notes, number, table};
use crate::{Calibration, Coverage, Features, Picture, classes, curves, ranking, samples, values};

/// Everything that the page shows. Undefined numbers are `None`, texts are as they come: escaping is done here.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The run's name.
    pub name: String,
    /// What was learned, in words: "classification of 10 classes".
    pub task: String,
    /// What people ask first, by name.
    pub facts: Vec<(String, String)>,
    /// What is missing or odd, a line each.
    pub notes: Vec<String>,
    /// The text of `results.csv`, as far as there is one.
    pub results: String,
    /// The best epoch, counted from 1; 0 if there is none.
    pub best_epoch: usize,
    /// What the best model answers on samples that it didn't learn from.
    pub held_out: Option<HeldOut>,
    /// How far these answers can be relied on.
    pub coverage: Option<Coverage>,
    /// Samples of the first batch as it is trained on, after augmentation.
    pub train_batch: Vec<Shown>,
    /// Samples that it didn't learn from, with the best model's answers.
    pub val_batch: Vec<Shown>,
    /// What the best model looks at, in pictures.
    pub features: Option<Features>,
    /// The network, layer by layer.
    pub layers: Vec<Layer>,
    /// Shape of one input, in words.
    pub input: String,
    /// The text of `args.toml`.
    pub configuration: String,
    /// What to type next: what it does, and the command.
    pub commands: Vec<(String, String)>,
}

/// One layer of the network.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// Its place.
    pub name: String,
    /// What it does.
    pub kind: String,
    /// What it makes of one sample.
    pub output: Vec<usize>,
    /// Numbers that it learns.
    pub parameters: u64,
    /// Floating-point operations for one sample, two for each multiplication with addition.
    pub flops: u64,
}

/// What the best model answers on samples that it didn't learn from.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// `test` or `val`.
    pub split: &'static str,
    /// How many samples.
    pub samples: u64,
    /// All metrics by name.
    pub metrics: Vec<(String, f64)>,
    /// The answers.
    pub outcome: Outcome,
}

/// The answers, by task.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// One class for each sample.
    Classes {
        /// The classes, in order.
        rows: Vec<ClassRow>,
        /// Those that can be drawn; of two classes the second, which mirrors the first.
        curves: Vec<Curve>,
        /// An answer for each sample.
        answers: Vec<Answer>,
        /// Wrong, and sure of it.
        mistakes: Vec<Shown>,
        /// Undecided.
        doubts: Vec<Shown>,
    },
    /// Any number of labels for each sample.
    Labels {
        /// The labels, in order.
        rows: Vec<ClassRow>,
        /// Those that can be drawn.
        curves: Vec<Curve>,
        /// The probabilities of all labels of all samples.
        calibration: Calibration,
        /// Wrong, and sure of it.
        mistakes: Vec<Shown>,
        /// Undecided.
        doubts: Vec<Shown>,
    },
    /// Numbers for each sample.
    Values {
        /// The targets, in order.
        rows: Vec<TargetRow>,
        /// The largest errors.
        mistakes: Vec<Shown>,
    },
}

/// A share with its 95 % interval, all from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// As measured.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// One class or label.
#[derive(Clone, Debug, Default)]
pub struct ClassRow {
    /// Its name.
    pub name: String,
    /// Of what was predicted to be it, the share that is.
    pub precision: Option<Share>,
    /// Of what is it, the share that was predicted to be.
    pub recall: Option<Share>,
    /// Harmonic mean of the two.
    pub f1: Option<f64>,
    /// Samples that are it.
    pub support: u64,
    /// Samples that were predicted to be it.
    pub predicted: u64,
    /// Area under the ROC curve, against the rest.
    pub auroc: Option<f64>,
    /// Average precision.
    pub average_precision: Option<f64>,
}

/// One class or label against the rest, at every threshold. All numbers are from 0 to 1.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Area under the ROC curve.
    pub auroc: f64,
    /// False positive rate and true positive rate.
    pub roc: Vec<[f64; 2]>,
    /// Recall and precision.
    pub precision_recall: Vec<[f64; 2]>,
}

/// The answer for one sample of a classification.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The class that it is.
    pub truth: usize,
    /// The most probable class.
    pub predicted: usize,
    /// Its probability.
    pub confidence: f64,
    /// The second most probable class; the same where there is one class only.
    pub second: usize,
    /// Its probability.
    pub runner_up: f64,
}

/// One target of a regression.
#[derive(Clone, Debug, Default)]
pub struct TargetRow {
    /// Its name.
    pub name: String,
    /// Mean absolute error.
    pub mae: Option<f64>,
    /// Root of the mean squared error.
    pub rmse: Option<f64>,
    /// Coefficient of determination.
    pub r2: Option<f64>,
    /// True and predicted number of each sample.
    pub pairs: Vec<(f64, f64)>,
}

/// One sample that is shown.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Where it came from.
    pub source: String,
    /// What it is.
    pub truth: String,
    /// What the network says, with its probabilities where it has them.
    pub answer: String,
    /// The picture, if it is one.
    pub picture: Option<Picture>,
    /// The row by columns, if it is one.
    pub row: Vec<(String, String)>,
}

impl HeldOut {
    /// The split in words.
    pub(crate) fn words(&self) -> &'static str {
        match self.split {
            "test" => "the test split, which chose nothing",
            _ => "the validation split, on which the best epoch was chosen: other samples may fare worse",
        }
    }
}

impl Page {
    /// The whole page as HTML: one file, which loads and runs nothing.
    pub fn html(&self) -> String {
        let body = self.sections();
        let there = CONTENTS.iter().filter(|(id, _)| body.contains(&format!("<section id={id}>")));
        let contents: Vec<_> = there.map(|(id, title)| ((*id).to_owned(), (*title).to_owned())).collect();
        document(&self.name, "report", &self.task, &contents, &body)
    }

    fn sections(&self) -> String {
        let mut out = self.summary() + &curves::section(&self.results, self.best_epoch);
        match &self.held_out {
            None => {
                out +=
                    "<section id=answers><h2>Answers</h2><p>Nothing was measured: see the notes above.</p></section>\n"
            }
            Some(held_out) => match &held_out.outcome {
                Outcome::Classes { rows, curves, answers, mistakes, doubts } => {
                    out += &classes::section(held_out, rows);
                    out += &classes::confusion(rows, answers);
                    out += &ranking::section(curves);
                    out += &Calibration::of(answers).section("the predicted class");
                    out += &samples::section(
                        "mistakes",
                        "Most confident mistakes",
                        "No sample was answered wrongly.",
                        mistakes,
                    );
                    out += &samples::section("doubts", "Least certain samples", "There are no samples.", doubts);
                }
                Outcome::Labels { rows, curves, calibration, mistakes, doubts } => {
                    out += &classes::section(held_out, rows);
                    out += &ranking::section(curves);
                    out += &calibration.section("a label");
                    out += &samples::section(
                        "mistakes",
                        "Most confident mistakes",
                        "No label was answered wrongly.",
                        mistakes,
                    );
                    out += &samples::section("doubts", "Least certain samples", "There are no samples.", doubts);
                }
                Outcome::Values { rows, mistakes } => {
                    out += &values::section(held_out, rows);
                    out += &samples::section("mistakes", "Largest errors", "There are no samples.", mistakes);
                }
            },
        }
        let features = self.features.as_ref().filter(|features| !features.is_empty());
        out += &features.map_or_else(String::new, Features::section);
        out += &self.coverage.as_ref().map_or_else(String::new, Coverage::section);
        out + &self.network() + &self.again()
    }

    fn summary(&self) -> String {
        let mut out = "<section id=summary><h2>Summary</h2>\n".to_owned() + &facts(&self.facts);
        if let Some(held_out) = &self.held_out {
            let rows: Vec<Vec<String>> =
                held_out.metrics.iter().map(|(name, value)| vec![escaped(name), number(*value)]).collect();
            let _ = writeln!(out, "<p>Measured on {} samples of {}.</p>", grouped(held_out.samples), held_out.words());
            out += &table(&format!("Metrics ({})", held_out.split), &["Metric", "Value"], &rows);
        }
        out + &notes(&self.notes) + "</section>\n"
    }

    fn network(&self) -> String {
        if self.layers.is_empty() {
            return String::new();
        }
        let shape = |output: &[usize]| output.iter().map(ToString::to_string).collect::<Vec<_>>().join("\u{d7}");
        let row = |layer: &Layer| {
            let [parameters, operations] = [layer.parameters, layer.flops].map(grouped);
            vec![name(&layer.name), escaped(&layer.kind), shape(&layer.output), parameters, operations]
        };
        let sum = |of: fn(&Layer) -> u64| grouped(self.layers.iter().map(of).fold(0, u64::saturating_add));
        let (parameters, operations) = (sum(|layer| layer.parameters), sum(|layer| layer.flops));
        let mut rows: Vec<Vec<String>> = self.layers.iter().map(row).collect();
        rows.push(vec!["total".into(), String::new(), String::new(), parameters.clone(), operations.clone()]);
        format!(
            "<section id=network><h2>Network</h2>\n<p>Input {}; {parameters} parameters, {operations} FLOPs for one sample: two for each multiplication with \
             addition of convolutions and linear layers, which are nearly all.</p>\n{}</section>\n",
            escaped(&self.input),
            table("Layers", &["Layer", "Kind", "Output shape", "Parameters", "FLOPs"], &rows)
        )
    }

    fn again(&self) -> String {
        let mut out = "<section id=again><h2>Configuration, and how to make it again</h2>\n".to_owned();
        out += &commands(&self.commands);
        let _ = write!(
            out,
            "<h3><code>args.toml</code></h3>\n<pre tabindex=0 role=region aria-label=\"args.toml\"><code>{}</code></pre></section>\n",
            escaped(&self.configuration)
        );
        out
    }
}

/// Sections that the page may have, for its table of contents.
const CONTENTS: [(&str, &str); 13] = [
    ("summary", "Summary"),
    ("curves", "Learning curves"),
    ("classes", "Classes"),
    ("confusion", "Confusion"),
    ("ranking", "At every threshold"),
    ("values", "Predicted against true"),
    ("calibration", "Calibration"),
    ("mistakes", "Mistakes"),
    ("doubts", "Least certain"),
    ("features", "What it looks at"),
    ("coverage", "Temperature and coverage"),
    ("network", "Network"),
    ("again", "Configuration"),
];
