//! From a path to a [`Dataset`](crate::Dataset): finds out which format stands there and hands over to its reader.

mod detect;

use std::path::{Path, PathBuf};

use crate::error::near;
use crate::{Dataset, Error, Filter, Fit, ImageSpec, InputSpec, Targets, cifar, digits, folder, idx, list, table};

use detect::Format;

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
    /// An exclude list: samples that are left out of every split.
    pub exclude: Option<PathBuf>,
    /// The share that is cut for validation where the data has none, 0 (nothing chooses: the last epoch is taken) to below 1.
    /// `None`: a tenth.
    pub val: Option<f64>,
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
    /// Open for `doctor`: image files are not decoded, and files that cannot be read and splits that lack a class are passed over.
    pub audit: bool,
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

/// Reads the data set at `path`: "digits" (or nothing) for the embedded ones, else a file or folder whose format is found out from
/// names and contents.
///
/// # Errors
/// Nothing that can be read stands there, or the format's own reader finds something amiss.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Dataset, Error> {
    let format = detect::format(path)?;
    refuse_strangers(&format, options)?;
    match format {
        Format::Digits => digits::load(options),
        Format::Idx(pairs) => idx::load(path, &pairs, options),
        Format::Cifar(files) => cifar::load(path, &files, options),
        Format::Folder => folder::load(path, options),
        Format::List => list::load(path, options),
        Format::Table => table::load(path, options),
    }
}

/// Whether a table stands at `path`, whose rows are samples.
///
/// # Errors
/// As [`open`]'s, where no format is recognised.
pub(crate) fn is_table(path: &Path) -> Result<bool, Error> {
    Ok(matches!(detect::format(path)?, Format::Table))
}

/// Why training would refuse the class folders at `path`, if it would.
///
/// # Errors
/// The folders cannot be read.
pub(crate) fn unequal_classes(path: &Path) -> Result<Option<Error>, Error> {
    match detect::format(path)? {
        Format::Folder => folder::unequal_classes(path),
        _ => Ok(None),
    }
}

/// Refuses options that the format has no use for, rather than pass over them.
fn refuse_strangers(format: &Format, options: &OpenOptions) -> Result<(), Error> {
    let images = options.image_size.is_some().then_some("--imgsz").or(options.channels.map(|_| "--channels"));
    let rows = [
        (!options.label.is_empty(), "--label"),
        (options.label_strip.is_some(), "--label-strip"),
        (!options.drop.is_empty(), "--drop"),
        (options.header.is_some(), "--header"),
        (options.task.is_some_and(|task| task != TaskKind::Classification), "--task"),
    ];
    let tables = [(options.test.is_some(), "--test"), (!options.categorical.is_empty(), "--categorical")];
    let given = |options: &[(bool, &'static str)]| options.iter().find(|(given, _)| *given).map(|(_, name)| *name);
    let (stranger, known) = match format {
        Format::Table => (images, "images"),
        Format::List => (given(&tables), "tables"),
        _ if given(&tables).is_some() => (given(&tables), "tables"),
        _ => (given(&rows), "tables and image lists"),
    };
    match stranger {
        Some(option) => Err(Error::option(option, format!("it is for {known}, which this data is not"))),
        None => Ok(()),
    }
}

impl Like {
    /// The model's recipe for images.
    ///
    /// # Errors
    /// The model reads rows of a table.
    pub(crate) fn image(&self, path: &Path) -> Result<&ImageSpec, Error> {
        match &self.input {
            InputSpec::Image(spec) => Ok(spec),
            InputSpec::Table(_) => {
                Err(Error::unusable(path, "these are images, but the model reads rows of a table", "give it a table"))
            }
        }
    }

    /// Puts the targets of a data set into the model's order of classes, labels or numbers.
    ///
    /// # Errors
    /// Targets of another kind; a class or label that the model doesn't know, with the one that was probably meant; a number that
    /// the model predicts and the data lacks.
    pub fn align(&self, targets: Targets, path: &Path) -> Result<Targets, Error> {
        match (targets, &self.outputs) {
            (Targets::Classes { names, values }, Outputs::Classes(known)) => {
                let mut used = vec![false; names.len()];
                values.iter().for_each(|&value| used[value as usize] = true);
                let places: Vec<Option<usize>> =
                    names.iter().map(|name| known.iter().position(|known| known == name)).collect();
                if let Some(stranger) = (0..names.len()).find(|&class| used[class] && places[class].is_none()) {
                    return Err(unknown("class", &names[stranger], known, path));
                }
                let values = values.into_iter().map(|value| places[value as usize].unwrap_or(0) as u32).collect();
                Ok(Targets::Classes { names: known.clone(), values })
            }
            (Targets::Labels { names, values }, Outputs::Labels(known)) => {
                if let Some(stranger) = names.iter().find(|name| !known.contains(name)) {
                    return Err(unknown("label", stranger, known, path));
                }
                // A label that no sample has is absent from lists such as `a;b`.
                let values = columns(&names, &values, known, 0);
                Ok(Targets::Labels { names: known.clone(), values })
            }
            (Targets::Values { names, values }, Outputs::Values(known)) => {
                if let Some(missing) = known.iter().find(|known| !names.contains(known)) {
                    let hint = format!("give it with --label; there are {}", names.join(", "));
                    return Err(Error::unusable(
                        path,
                        format!("the model predicts `{missing}`, which is no target here"),
                        hint,
                    ));
                }
                let values = columns(&names, &values, known, 0.0);
                Ok(Targets::Values { names: known.clone(), values })
            }
            (targets, outputs) => {
                let found = match targets {
                    Targets::Classes { .. } => "classes",
                    Targets::Labels { .. } => "several labels a sample",
                    Targets::Values { .. } => "numbers",
                };
                let expected = match outputs {
                    Outputs::Classes(_) => "classes",
                    Outputs::Labels(_) => "several labels a sample",
                    Outputs::Values(_) => "numbers",
                };
                let what = format!("the targets are {found}, but the model predicts {expected}");
                Err(Error::unusable(path, what, "choose other target columns with --label, or another model"))
            }
        }
    }
}

fn unknown(kind: &str, name: &str, known: &[String], path: &Path) -> Error {
    let hint = match near(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it knows {}", known.iter().take(10).cloned().collect::<Vec<_>>().join(", ")),
    };
    Error::unusable(path, format!("the model doesn't know the {kind} `{name}`"), hint)
}

/// The columns `known` of rows that have the columns `names`; `absent` where there is none.
fn columns<T: Copy>(names: &[String], values: &[T], known: &[String], absent: T) -> Vec<T> {
    let places: Vec<Option<usize>> = known.iter().map(|known| names.iter().position(|name| name == known)).collect();
    let rows = values.chunks_exact(names.len().max(1));
    rows.flat_map(|row| places.iter().map(|place| place.map_or(absent, |place| row[place]))).collect()
}

#[cfg(test)]
mod tests;
