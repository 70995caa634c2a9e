//! Why a model answers as it does: one output of one sample, by the methods of `models`, in the user's terms: names of classes and columns,
//! numbers in the user's units. How each method is asked stands in `case`, where in the picture it was in `heat`; drawing and printing are
//! the caller's.

mod case;
mod heat;

use models::{Attribution, Baseline};
use serde::Serialize;
use tasks::Prediction;

use crate::{Error, Predictor, Sample};
use case::Case;

pub use heat::Heat;

/// What to explain, and how. `Explain::default()` explains the most probable class or label, or the first number, by what suits the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Explain {
    /// `None`: [`Attribution::usual`].
    pub method: Option<Attribution>,
    /// The position of the class, label or number among the task's names: see [`Predictor::output_called`]. `None`: the most probable one, of
    /// numbers the first.
    pub output: Option<usize>,
    /// What stands for "nothing to see" in integrated gradients and occlusion. `None`: [`Baseline::usual`].
    pub baseline: Option<Baseline>,
    /// Points of integrated gradients, at least 1.
    pub steps: usize,
    /// Height and width of what occlusion hides of pictures, in pixels of the model's input; `None`: a seventh of its sides.
    pub patch: Option<usize>,
}

impl Default for Explain {
    fn default() -> Self {
        Self { method: None, output: None, baseline: None, steps: 64, patch: None }
    }
}

/// Why a model answers as it does. Serialises as `docs/formats.md` says, without the prediction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Which output is explained.
    pub explained: Explained,
    /// What the model says, all of it.
    #[serde(skip)]
    pub prediction: Prediction,
    /// How it was found out.
    #[serde(flatten)]
    pub how: How,
    /// What the answer goes by.
    #[serde(flatten)]
    pub evidence: Evidence,
}

/// How an explanation was found: the method, and what else repeats it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct How {
    /// Its name.
    pub method: Attribution,
    /// Of Grad-CAM: the block whose map it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// Of Grad-CAM: height and width of that map, from which the heat was interpolated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<[usize; 2]>,
    /// Of the other methods: what stands for "nothing to see".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// Of integrated gradients: the score of the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_score: Option<f64>,
    /// Of integrated gradients: points of the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Of integrated gradients: the sum of all contributions, less `score - baseline_score`; more steps make it smaller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<f64>,
    /// Of occlusion in pictures: height and width of what was hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<[usize; 2]>,
}

/// The output that is explained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// Position among the task's names.
    pub index: usize,
    /// Name of the class, label or number.
    pub name: String,
    /// What is explained: the output before softmax (of a class) or sigmoid (of a label), or the number in the user's units.
    pub score: f64,
    /// Probability of the class or label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prob: Option<f32>,
}

/// What an answer goes by.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Places of a picture.
    Heat(Heat),
    /// Columns of a row, in the order of the model's input.
    Columns(Vec<Contribution>),
}

/// What a column of a table counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contribution {
    /// The column's name.
    pub column: String,
    /// What the row holds there.
    pub value: String,
    /// What it adds to the score: of occlusion by how much the score falls without it.
    pub contribution: f64,
    /// Of occlusion: the probability, or the number, without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<f64>,
}

impl Predictor {
    /// Explains one output for `sample`.
    ///
    /// Costs a forward and half a backward pass ([Grad-CAM](models::grad_cam)), [`Explain::steps`] of both
    /// ([integrated gradients](models::integrated_gradients)), or a forward pass for each of some 200 patches or each column
    /// ([occlusion](models::occlusion)).
    ///
    /// ```no_run
    /// use infer::{Evidence, Explain, Predictor, Sample};
    ///
    /// let device = device::select("auto")?.device;
    /// let predictor = Predictor::load("runs/flowers/weights/best.safetensors".as_ref(), &device)?;
    /// let sample = Sample::image_file("garden.jpg".as_ref(), predictor.input())?;
    /// let rose = predictor.output_called("rose")?;
    /// let explanation = predictor.explain(&sample, &Explain { output: Some(rose), ..Explain::default() })?;
    /// println!("rose: {:?}", explanation.explained.prob);
    /// if let Evidence::Heat(heat) = explanation.evidence {
    ///     println!("{} x {} numbers", heat.height, heat.width);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the method isn't for this network, the output or the baseline isn't one of this model, or the sample was decoded for another model.
    pub fn explain(&self, sample: &Sample, options: &Explain) -> Result<Explanation, Error> {
        let batch = self.gather(std::slice::from_ref(sample))?;
        let outputs = self.outputs(batch.clone())?;
        let prediction = self.task().decode_as(&outputs, self.reading());
        let output = options.output.unwrap_or_else(|| usual_output(&prediction));
        let name = self.task().names().get(output).cloned();
        let name = name.ok_or_else(|| self.unknown(&output.to_string()))?;
        let score = self.task().in_units(output, outputs[output]);
        let explained = Explained { index: output, name, score, prob: probability(&prediction, output) };
        let case = Case { predictor: self, batch, output, options };
        let method = options.method.unwrap_or_else(|| self.usual_method());
        let (how, evidence) = self.attended(self.batch(), || match method {
            Attribution::GradCam => case.grad_cam(),
            Attribution::IntegratedGradients => case.integrated_gradients(),
            Attribution::Occlusion => case.occlusion(explained.score),
        })?;
        Ok(Explanation { explained, prediction, how, evidence })
    }

    /// The position of the class, label or number that is called `name`; where none is, `name` may be a position, counted from 0.
    ///
    /// # Errors
    /// If there is neither; the message has the nearest name.
    pub fn output_called(&self, name: &str) -> Result<usize, Error> {
        let names = self.task().names();
        let position = || name.parse().ok().filter(|position| *position < names.len());
        names.iter().position(|known| known == name).or_else(position).ok_or_else(|| self.unknown(name))
    }

    /// What suits the network where no method is asked for.
    pub fn usual_method(&self) -> Attribution {
        Attribution::usual(self.model().config(), self.input())
    }

    fn unknown(&self, given: &str) -> Error {
        let names = self.task().names();
        let near = data::near(given, names.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        let some: Vec<&str> = names.iter().take(20).map(String::as_str).collect();
        let more = names.len() - some.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let why = format!("this model knows none called `{given}`; {near}There are {}{more}", some.join(", "));
        Error::Explain { what: "class", why }
    }
}

/// The most probable class or label; the first number.
fn usual_output(prediction: &Prediction) -> usize {
    match prediction {
        Prediction::Class { ranked, .. } => ranked.first().map_or(0, |class| class.index),
        Prediction::Labels { scored, .. } => {
            let best = scored.iter().max_by(|one, other| {
                // The first of equals.
                one.probability.total_cmp(&other.probability).then(other.index.cmp(&one.index))
            });
            best.map_or(0, |label| label.index)
        }
        Prediction::Values { .. } => 0,
    }
}

fn probability(prediction: &Prediction, output: usize) -> Option<f32> {
    let (Prediction::Class { ranked: scored, .. } | Prediction::Labels { scored, .. }) = prediction else {
        return None;
    };
    scored.iter().find(|one| one.index == output).map(|one| one.probability)
}
