//! What the user reads: classes by probability, labels, or numbers. How to print it is the binaries' business.

use serde::Serialize;

/// What a network says about one sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Prediction {
    /// One class of several.
    Class {
        /// Every class, the most probable first; equals in the order of the classes. The probabilities sum to 1.
        ranked: Vec<Scored>,
        /// How many of them, from the first on, make the set that holds the true one with the coverage that was asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        set: Option<usize>,
    },
    /// Any number of labels.
    Labels {
        /// Every label, in the order of the labels.
        scored: Vec<Scored>,
        /// The probability from which on each applies, in the order of the labels.
        thresholds: Vec<f32>,
    },
    /// Numbers in the user's units.
    Values {
        /// Target name and predicted number, in the order of the targets.
        values: Vec<(String, f64)>,
        /// By how much each may be off, up or down, in its units, so that the true one is within with the coverage that was asked for;
        /// infinite where too few samples say so.
        #[serde(skip_serializing_if = "Option::is_none")]
        margins: Option<Vec<f64>>,
    },
}

/// A class or label with its probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    /// Position among the task's names.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// 0 to 1.
    pub probability: f32,
}

impl Prediction {
    /// The most probable class; `None` for other tasks.
    pub fn top(&self) -> Option<&Scored> {
        match self {
            Self::Class { ranked, .. } => ranked.first(),
            _ => None,
        }
    }

    /// The labels that apply, in the order of the labels; empty for other tasks.
    pub fn labels(&self) -> Vec<&Scored> {
        match self {
            Self::Labels { scored, thresholds } => {
                let applies =
                    scored.iter().zip(thresholds).filter(|(label, threshold)| label.probability >= **threshold);
                applies.map(|(label, _)| label).collect()
            }
            _ => Vec::new(),
        }
    }
}
