//! From a path to a [`Dataset`](crate::Dataset): finds out which format stands there and hands over to its reader.

use std::path::PathBuf;

use crate::{Filter, Fit, InputSpec};

/// What a user may say about data. `Default` is what `trainer train PATH` means without flags.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Target columns of a table or an image list, by name or by position (counted from 1).
    pub label: Vec<String>,
    /// Characters cut off the end of each target field, such as "." in adult's test file.
    pub label_strip: Option<String>,
    /// What to learn from the target columns; `None`: what their values look like.
    pub task: Option<TaskKind>,
    /// Whether a table's first row names its columns; `None`: what it looks like.
    pub header: Option<bool>,
    /// Columns of a table whose numbers are codes of categories, by name or position.
    pub categorical: Vec<String>,
    /// Columns of a table to leave out, by name or position.
    pub drop: Vec<String>,
    /// A second table with the test rows.
    pub test: Option<PathBuf>,
    /// A split.csv to follow instead of cutting.
    pub split: Option<PathBuf>,
    /// Decides cuts and `limit`.
    pub seed: u64,
    /// Keep a stratified part of this many samples.
    pub limit: Option<usize>,
    /// Height and width of the images; `None`: from the data.
    pub image_size: Option<[usize; 2]>,
    /// 1 or 3; `None`: 1 if every image is gray.
    pub channels: Option<usize>,
    /// What happens to other aspect ratios.
    pub fit: Fit,
    /// The resampling filter.
    pub filter: Filter,
    /// Bytes that decoded samples may take; a folder that needs more is decoded while training. `None`: 2 GiB.
    pub memory: Option<u64>,
    /// Read the data as this model does instead of fitting a recipe: for evaluating and predicting.
    pub like: Option<Like>,
}

/// What to learn from targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// One class for each sample.
    Classification,
    /// Any number of labels for each sample.
    MultiLabel,
    /// One or more numbers for each sample.
    Regression,
}

/// How an existing model reads data.
#[derive(Clone, Debug)]
pub struct Like {
    /// Its preprocessing recipe.
    pub input: InputSpec,
    /// Its outputs.
    pub outputs: Outputs,
}

/// The kind and names of a network's outputs.
#[derive(Clone, Debug, PartialEq)]
pub enum Outputs {
    /// Class names.
    Classes(Vec<String>),
    /// Label names.
    Labels(Vec<String>),
    /// Names of the predicted numbers.
    Values(Vec<String>),
}
