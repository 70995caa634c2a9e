//! What is said of one input, as JSON: the schema of `docs/formats.md`, "Predictions". The lines of `infer predict` and the answers of the
//! server are both made here, so that they are the same.

use std::path::Path;

use data::{Framing, ImageSpec};
use infer::Explanation;
use serde::ser::{Serialize, SerializeMap, Serializer};
use tasks::{Prediction, Scored, Task};

/// How predictions become JSON.
#[derive(Clone, Debug)]
pub(crate) struct Json {
    /// How many classes are written of each prediction.
    pub(crate) top: usize,
    /// The coverage of sets and intervals, where they were asked for.
    pub(crate) coverage: Option<f64>,
    /// What names the model, where lines are to name it.
    model: Option<String>,
}

/// A line of JSON.
#[derive(serde::Serialize)]
struct Line<'a, M> {
    v: u8,
    source: &'a str,
    #[serde(flatten)]
    answer: Answer<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(flatten)]
    more: Option<M>,
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Class {
        label: &'a str,
        index: usize,
        prob: f32,
        topk: Vec<Ranked<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        set: Option<Vec<Ranked<'a>>>,
    },
    Labels {
        labels: Vec<&'a str>,
        probs: Map<'a, f32>,
    },
    Values {
        values: Map<'a, f64>,
        /// Without an end: null.
        #[serde(skip_serializing_if = "Option::is_none")]
        low: Option<Map<'a, f64>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        high: Option<Map<'a, f64>>,
    },
    Error {
        error: &'a str,
    },
}

#[derive(serde::Serialize)]
struct Ranked<'a> {
    label: &'a str,
    index: usize,
    prob: f32,
}

/// A JSON object in the order of the task's names.
struct Map<'a, T>(Vec<(&'a str, T)>);

impl<T: Serialize> Serialize for Map<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// What stands behind the prediction where it is explained: "Explanations" in `docs/formats.md`.
#[derive(serde::Serialize)]
pub(crate) struct Why<'a> {
    #[serde(flatten)]
    pub(crate) explanation: &'a Explanation,
    /// Of a picture: what of it the heat covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) framing: Option<Framed>,
    /// Where it was drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) picture: Option<&'a Path>,
}

/// Which part of a picture the network sees.
#[derive(serde::Serialize)]
pub(crate) struct Framed {
    /// Height and width of the picture that was given.
    picture: [usize; 2],
    #[serde(flatten)]
    framing: Framing,
}

impl Framed {
    /// Of a picture of that height and width.
    pub(crate) fn new(picture: [usize; 2], spec: &ImageSpec) -> Self {
        Self { picture, framing: spec.framing(picture) }
    }
}

impl Json {
    /// `top`: how many classes are written of each prediction, where the task has as many.
    pub(crate) fn new(top: usize, task: &Task) -> Self {
        Self { top: top.clamp(1, task.outputs().max(1)), coverage: None, model: None }
    }

    /// The same where predictions have the sets or intervals of a coverage.
    pub(crate) fn covering(self, coverage: Option<f64>) -> Self {
        Self { coverage, ..self }
    }

    /// The same where lines name the model.
    pub(crate) fn signed(self, model: Option<String>) -> Self {
        Self { model, ..self }
    }

    /// What the model says of `source`, or why it says nothing: one object on one line.
    pub(crate) fn line(&self, source: &str, answer: Result<&Prediction, &str>) -> serde_json::Result<String> {
        self.line_with(source, answer, None::<()>)
    }

    /// The same with the fields of `more` behind it.
    pub(crate) fn line_with(
        &self,
        source: &str,
        answer: Result<&Prediction, &str>,
        more: Option<impl Serialize>,
    ) -> serde_json::Result<String> {
        let answer = answer.map_or_else(|error| Answer::Error { error }, |prediction| self.answer(prediction));
        let coverage = self.coverage.filter(|_| !matches!(answer, Answer::Error { .. }));
        serde_json::to_string(&Line { v: 1, source, answer, coverage, model: self.model.as_deref(), more })
    }

    fn answer<'a>(&self, prediction: &'a Prediction) -> Answer<'a> {
        match prediction {
            Prediction::Class { ranked, set } => {
                let first = |count: usize| -> Vec<Ranked> {
                    let ranked = ranked.iter().take(count);
                    ranked
                        .map(|class| Ranked { label: &class.name, index: class.index, prob: class.probability })
                        .collect()
                };
                let line = |class: &'a Scored| (class.name.as_str(), class.index, class.probability);
                let (label, index, prob) = ranked.first().map(line).unwrap_or_default();
                Answer::Class { label, index, prob, topk: first(self.top), set: set.map(first) }
            }
            prediction @ Prediction::Labels { scored, .. } => Answer::Labels {
                labels: prediction.labels().into_iter().map(|label| label.name.as_str()).collect(),
                probs: Map(scored.iter().map(|label| (label.name.as_str(), label.probability)).collect()),
            },
            Prediction::Values { values, margins } => {
                let shifted = |sign: f64| {
                    let margins = margins.as_ref()?.iter();
                    let ends = values
                        .iter()
                        .zip(margins)
                        .map(|((name, value), margin)| (name.as_str(), value + sign * margin));
                    Some(Map(ends.collect()))
                };
                let values = Map(values.iter().map(|(name, value)| (name.as_str(), *value)).collect());
                Answer::Values { values, low: shifted(-1.0), high: shifted(1.0) }
            }
        }
    }
}
