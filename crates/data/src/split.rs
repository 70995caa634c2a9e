//! Which samples train, which validate and which test: follows a split file or the parts that the data set gives, and cuts what is
//! missing by the seed, stratified. Everything that reads data goes through [`assign`].

mod exclude;
mod file;
mod strata;

use std::io::Write;
use std::path::Path;

use crate::error::near;
use crate::regular::{read_regular, regular};
use crate::{Error, OpenOptions, Sources, Targets, replace};

pub use exclude::write_exclude;
pub use file::write_csv;
pub use strata::cut;

/// The part of unassigned samples that is kept for testing.
const TEST: f64 = 0.2;
/// The part of what then remains that validates, where nothing else is asked for.
const VAL: f64 = 0.1;
/// Bytes that a row of a split file or an exclude list has at most, on average: a path has fewer (4,096 on Linux), and a reason is short.
const ROW: u64 = 8192;

/// Indices into a [`Dataset`](crate::Dataset), ascending within each split; no sample is in two of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    /// Samples whose gradients update the weights.
    pub train: Vec<u32>,
    /// Samples that choose: the best epoch, early stopping, the plateau schedule.
    pub val: Vec<u32>,
    /// Samples that choose nothing and are measured once, at the end. May be empty.
    pub test: Vec<u32>,
}

/// What a data set itself says about a sample, by a folder, a file name or a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// For training.
    Train,
    /// For validation.
    Val,
    /// For testing.
    Test,
    /// Nothing is said: the seed decides.
    #[default]
    Unassigned,
}

/// The bytes of a file with a row for each of `n` samples at most.
fn listed(path: &Path, n: usize) -> Result<Vec<u8>, Error> {
    let (len, most) = (regular(path)?.len(), ROW * n as u64 + (1 << 20));
    if len > most {
        return Err(Error::malformed(path, "file", format!("at most {most} bytes for {n} samples"), len));
    }
    read_regular(path, most).map_err(|source| Error::io(path, source))
}

/// Writes a CSV of `header` and `rows` to `path`, whole or not at all.
///
/// # Errors
/// The file system's.
pub fn write_rows<const N: usize, T: AsRef<[u8]>>(
    path: &Path,
    header: [&str; N],
    rows: impl Iterator<Item = [T; N]>,
) -> Result<(), Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fail = |error: csv::Error| Error::write(path, std::io::Error::other(error));
    writer.write_record(header).map_err(fail)?;
    for row in rows {
        writer.write_record(row).map_err(fail)?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::write(path, std::io::Error::other(error.to_string())))?;
    replace(path, |file| file.write_all(&bytes)).map_err(|source| Error::write(path, source))
}

impl Part {
    /// The part that people call `name`, in any case: train, training; val, valid, validation, eval, evaluation; test, testing.
    pub fn parse(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" | "eval" | "evaluation" => Some(Self::Val),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }
}

impl Split {
    fn of(parts: &[Part]) -> Self {
        let pick = |part| (0..parts.len() as u32).filter(|&index| parts[index as usize] == part).collect();
        Self { train: pick(Part::Train), val: pick(Part::Val), test: pick(Part::Test) }
    }

    /// Samples in all three splits; fewer than the data set has where `--limit` left some out.
    pub fn len(&self) -> usize {
        self.train.len() + self.val.len() + self.test.len()
    }

    /// Whether no sample is in any split.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Decides for every sample where it belongs, and says in notes (a line each) what was decided.
///
/// `options.split` rules if it is there; else the parts in `given`, one for each sample. Parts that are missing are cut from the
/// unassigned samples, or, where there are none, from the training samples: a fifth for testing, then a tenth of the rest for
/// validation; each class keeps at least one sample for training. Where the data comes with training and validation samples only,
/// no test split is cut: its results are 'chosen on'. Then the samples that `options.exclude` names are taken out, and `options.limit` keeps a stratified part of every split.
/// A pure function of its arguments and the split file. `path` is the data set, for messages.
///
/// # Errors
/// A split file that cannot be read, or that doesn't name every sample once; an exclude list that names others; no samples at all, or none for training; one class
/// only; a class that validates or tests without being trained; a limit too small for one training sample of each class. With
/// `options.like`, when nothing is trained, only the file and an empty data set are at fault.
pub fn assign(
    given: &[Part],
    targets: &Targets,
    sources: &Sources,
    path: &Path,
    options: &OpenOptions,
) -> Result<(Split, Vec<String>), Error> {
    let n = targets.len();
    let val = options.val.unwrap_or(VAL);
    if !(0.0..1.0).contains(&val) {
        return Err(Error::option("--val", format!("expected a share from 0 to below 1, found {val}")));
    }
    if n == 0 {
        return Err(Error::unusable(path, "there are no samples", "give a data set that has some"));
    }
    let mut notes = Vec::new();
    let mut split = match &options.split {
        Some(file) => {
            notes.push(format!("split: as `{}` says", file.display()));
            Split::of(&file::read(file, sources, n)?)
        }
        None => complete(given, targets, options.seed, val, &mut notes),
    };
    if let Some(file) = &options.exclude {
        // After the cut: which samples test doesn't depend on which are left out.
        notes.push(exclude::apply(file, &mut split, sources, n)?);
    }
    let decided = options.split.is_some() || given.iter().any(|part| *part != Part::Unassigned);
    check(&split, targets, path, options, decided)?;
    if let Some(limit) = options.limit.filter(|&limit| limit < split.len()) {
        notes.push(format!(
            "--limit keeps {limit} of {} samples, drawn by seed {}, stratified",
            split.len(),
            options.seed
        ));
        split = strata::limit(&split, targets, limit, options.seed)?;
    }
    if split.test.is_empty() && !split.val.is_empty() {
        notes.push("there is no test split: results are chosen on the validation split and flatter the model".into());
    }
    if split.val.is_empty() && !split.train.is_empty() && options.like.is_none() {
        notes.push("there are no samples for validation: nothing can choose the best epoch".into());
    }
    Ok((split, notes))
}

/// Cuts what the data set doesn't give.
fn complete(given: &[Part], targets: &Targets, seed: u64, val: f64, notes: &mut Vec<String>) -> Split {
    let n = targets.len() as u32;
    let part = |index: u32| given.get(index as usize).copied().unwrap_or_default();
    let unassigned: Vec<u32> = (0..n).filter(|&index| part(index) == Part::Unassigned).collect();
    let mut split = Split::of(&(0..n).map(part).collect::<Vec<_>>());
    // Samples that the data set marks for training are only cut where there is nothing else to cut from.
    let from_train = unassigned.is_empty();
    let mut pool = if from_train { std::mem::take(&mut split.train) } else { unassigned };
    // Who gives folders for training and validation has decided; a test split would take from what they chose to train on.
    let test_missing = split.test.is_empty() && split.val.is_empty() || split.test.is_empty() && !from_train;
    let mut cuts = Vec::new();
    if test_missing && !pool.is_empty() {
        (pool, split.test) = cut(&pool, targets, TEST, seed);
        cuts.push("a fifth for testing".to_owned());
    }
    if split.val.is_empty() && !pool.is_empty() && val > 0.0 {
        (pool, split.val) = cut(&pool, targets, val, seed);
        let share = if val == VAL { "a tenth".to_owned() } else { format!("a share of {val}") };
        cuts.push(match cuts.is_empty() {
            true => format!("{share} for validation"),
            false => format!("then {share} of the rest for validation"),
        });
    }
    if !cuts.is_empty() {
        let from = if from_train && given.contains(&Part::Train) { "the training samples" } else { "the samples" };
        let how = strata::describe(targets);
        notes.push(format!("split: cut from {from} by seed {seed}, {how}: {}", cuts.join(", ")));
    }
    split.train.extend(pool);
    split.train.sort_unstable();
    split
}

/// `given`: whether the data or a file decided, not the seed, which may leave a rare label to one split.
fn check(split: &Split, targets: &Targets, path: &Path, options: &OpenOptions, given: bool) -> Result<(), Error> {
    if split.is_empty() {
        let (file, hint) = match (&options.split, &options.exclude) {
            (_, Some(exclude)) => (exclude.as_path(), "name fewer samples"),
            (split, None) => (split.as_deref().unwrap_or(path), "its column `split` should say train, val or test"),
        };
        return Err(Error::unusable(file, "every sample is left out", hint));
    }
    if options.like.is_some() || options.audit {
        return Ok(());
    }
    if split.train.is_empty() {
        let hint = "add samples for training, or use the data with `trainer eval`";
        return Err(Error::unusable(path, "there are samples for validation or testing but none for training", hint));
    }
    if let (Targets::Labels { names, values }, true) = (targets, given) {
        refuse_untrained(split, names, values, path)?;
    }
    let Targets::Classes { names, values } = targets else { return Ok(()) };
    let mut trained = vec![false; names.len()];
    split.train.iter().for_each(|&index| trained[values[index as usize] as usize] = true);
    if let Some(&index) = split.val.iter().chain(&split.test).find(|&&index| !trained[values[index as usize] as usize])
    {
        let class = &names[values[index as usize] as usize];
        let part = if split.val.binary_search(&index).is_ok() { "validation" } else { "test" };
        let known = names.iter().zip(&trained).filter(|(_, trained)| **trained).map(|(name, _)| name.as_str());
        let hint = match near(class, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "every class needs training samples".into(),
        };
        return Err(Error::unusable(
            path,
            format!("class `{class}` of the {part} split has no training samples"),
            hint,
        ));
    }
    let mut present = names.iter().zip(&trained).filter(|(_, trained)| **trained);
    if let (Some((only, _)), None) = (present.next(), present.next()) {
        let hint = "a classifier needs samples of at least two";
        return Err(Error::unusable(path, format!("all samples are of one class, `{only}`"), hint));
    }
    Ok(())
}

/// Refuses labels that occur in validation or test only: an output that nothing trains.
fn refuse_untrained(split: &Split, names: &[String], values: &[u8], path: &Path) -> Result<(), Error> {
    let has = |part: &[u32], label: usize| part.iter().any(|&index| values[index as usize * names.len() + label] == 1);
    let parts = [("validation", &split.val), ("test", &split.test)];
    for (label, name) in names.iter().enumerate().filter(|(label, _)| !has(&split.train, *label)) {
        let Some((part, _)) = parts.iter().find(|(_, part)| has(part, label)) else { continue };
        let what = format!("label `{name}` of the {part} split has no training samples");
        return Err(Error::unusable(path, what, "every label needs training samples"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
