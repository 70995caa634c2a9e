//! Samples on the host with their targets: the noun that every reader produces and the loader consumes. No reading, no tensors.

use std::path::PathBuf;

use crate::{InputSpec, Split};

/// Samples, their targets, and which of them train, validate and test. A struct: readers fill it in.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// What was found on disk, to be stated to the user.
    pub found: Found,
    /// The preprocessing recipe, fitted on the training split.
    pub input: InputSpec,
    /// The inputs of all samples of all splits.
    pub samples: Samples,
    /// The targets, in the order of the samples.
    pub targets: Targets,
    /// Where each sample came from, in the order of the samples.
    pub sources: Sources,
    /// Which samples train, validate and test.
    pub split: Split,
}

/// What a reader found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The format in words: "IDX", "image folder", "CSV table" ...
    pub format: String,
    /// What was read; empty for the embedded digits.
    pub path: PathBuf,
    /// Decisions that the reader took and the user should know, a line each: column kinds, fill rules, synonyms of folders ...
    pub notes: Vec<String>,
}

/// The inputs of all samples.
#[derive(Clone, Debug)]
pub enum Samples {
    /// Pixels, `[n, channels, height, width]`, one byte each.
    Pixels(Vec<u8>),
    /// Features of table rows, `[n, features]`, before normalisation.
    Features(Vec<f32>),
    /// Image files that are decoded while training because they don't fit in memory.
    Files(Vec<PathBuf>),
}

/// The targets of all samples, with their names.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One class for each sample: an index into `names`.
    Classes {
        /// Class names.
        names: Vec<String>,
        /// `[n]`, each below `names.len()`.
        values: Vec<u32>,
    },
    /// Any number of labels for each sample.
    Labels {
        /// Label names.
        names: Vec<String>,
        /// `[n, names.len()]`, 0 or 1.
        values: Vec<u8>,
    },
    /// Numbers for each sample.
    Values {
        /// Target names.
        names: Vec<String>,
        /// `[n, names.len()]`, all finite.
        values: Vec<f32>,
    },
}

/// Where each sample came from.
#[derive(Clone, Debug)]
pub enum Sources {
    /// Samples of one or several arrays, such as IDX files: `name` is "train" or "test", and so on.
    Arrays(Vec<(String, usize)>),
    /// Image files, relative to `Found::path`, or to its folder where that is an image list.
    Files(Vec<PathBuf>),
    /// Rows of tables: file name and line number (counted from 1).
    Rows(Vec<(String, u64)>),
}

impl Dataset {
    /// Number of samples in all splits.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Targets {
    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes { values, .. } => values.len(),
            Self::Labels { names, values } => values.len() / names.len().max(1),
            Self::Values { names, values } => values.len() / names.len().max(1),
        }
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the classes, labels or target columns: one for each output of a network.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Classes { names, .. } | Self::Labels { names, .. } | Self::Values { names, .. } => names,
        }
    }
}

impl Sources {
    /// A name for sample `index` that is unique within the data set, used in messages and in `split.csv`.
    pub fn name(&self, index: usize) -> String {
        match self {
            Self::Arrays(arrays) => {
                let mut rest = index;
                for (name, len) in arrays {
                    if rest < *len {
                        return format!("{name}:{rest}");
                    }
                    rest -= len;
                }
                format!("sample:{index}")
            }
            // Forward slashes on every system, so that a split.csv can move between them.
            Self::Files(files) => files.get(index).map_or_else(
                || format!("sample:{index}"),
                |file| file.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/"),
            ),
            Self::Rows(rows) => match rows.get(index) {
                Some((file, line)) => format!("{file}:{line}"),
                None => format!("sample:{index}"),
            },
        }
    }
}
