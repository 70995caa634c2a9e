//! The audit of a data set before anything is trained on it: what is unreadable, twice there, contradictory, lopsided or giving the
//! answer away. Reads through the readers that training uses, so that the splits are the same; never touches the data. Owns what is
//! looked for; printing and exit codes are the command's.

mod classes;
mod columns;
mod duplicates;
mod files;
mod finding;
mod leaks;
mod look;
mod outliers;
mod similar;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use finding::{Finding, Group, Place, Report, Severity, Where};

use crate::table::Prepared;
use crate::{Dataset, Error, OpenOptions, Part, Sources, Split, Targets, open};

/// What every kind of finding needs to know of a data set.
struct Subject<'a> {
    sources: &'a Sources,
    targets: &'a Targets,
    /// Where each sample is; [`Part::Unassigned`] for samples that are left out.
    parts: Vec<Part>,
    /// The data's own folders or files decide the splits, so that training refuses one that lacks a class.
    strict: bool,
}

/// Examines the data set at `path`, read with `options` as training reads it.
///
/// Data that training would refuse as a whole is a finding, too (`unusable`), beside those that can be made all the same.
///
/// # Errors
/// Nothing stands at `path`, an option is wrong, or the machine fails.
pub fn examine(path: &Path, options: &OpenOptions) -> Result<Report, Error> {
    let options = OpenOptions { audit: true, ..options.clone() };
    match open::is_table(path)? {
        true => table(path, &options),
        false => images(path, &options),
    }
}

fn images(path: &Path, options: &OpenOptions) -> Result<Report, Error> {
    let dataset = match open(path, options) {
        Ok(dataset) => dataset,
        Err(error) => return unusable(Report::new("images", path), error),
    };
    let mut report = Report::new(&dataset.found.format, path);
    report.count(&dataset.split, dataset.len(), &dataset.found.notes);
    let mut subject = Subject::new(&dataset.sources, &dataset.targets, &dataset.split);
    subject.strict = open::unequal_classes(path)?.is_some();
    let seen = look::all(&dataset, &subject);
    files::find(&dataset, &subject, &seen, &mut report);
    let prints: Vec<Option<u128>> = seen.iter().map(|seen| Some(seen.as_ref()?.as_ref().ok()?.print)).collect();
    duplicates::find(&subject, &prints, "image", &mut report);
    similar::find(&subject, &seen, &mut report);
    classes::find(&subject, &mut report);
    confirmed(report, path, options)
}

fn table(path: &Path, options: &OpenOptions) -> Result<Report, Error> {
    let prepared = match Prepared::read(path, options) {
        Ok(prepared) => prepared,
        Err(error) => return unusable(Report::new("table", path), error),
    };
    let mut report = Report::new("table", path);
    report.count(&prepared.split, prepared.targets.len(), &[]);
    let sources = prepared.sources();
    let subject = Subject::new(&sources, &prepared.targets, &prepared.split);
    columns::find(&prepared, &subject, &mut report);
    leaks::find(&prepared, &subject, &mut report);
    duplicates::find(&subject, &columns::prints(&prepared, &subject), "row", &mut report);
    classes::find(&subject, &mut report);
    match prepared.finish(options) {
        Ok(Dataset { found, .. }) => (report.format, report.notes) = (found.format, found.notes),
        Err(error) => return unusable(report, error),
    }
    confirmed(report, path, options)
}

/// The report, finished. Where a class or label is missing and nothing worse was found, training is asked whether it refuses that.
fn confirmed(mut report: Report, path: &Path, options: &OpenOptions) -> Result<Report, Error> {
    let missing = report.findings.iter().any(|finding| finding.code == "class-missing");
    if missing && report.of(Severity::Error) == 0 {
        let options = OpenOptions { audit: false, ..options.clone() };
        if let Err(error) = open(path, &options) {
            return unusable(report, error);
        }
    }
    report.finish();
    Ok(report)
}

/// The report with what makes training refuse the data; an error that isn't the data's stays one.
fn unusable(mut report: Report, error: Error) -> Result<Report, Error> {
    if error.exit_code() != 3 {
        return Err(error);
    }
    let advice = "training stops at this; put it right and examine the data again";
    report.add("unusable", Severity::Error, error.to_string(), Vec::new(), advice);
    report.finish();
    Ok(report)
}

impl<'a> Subject<'a> {
    fn new(sources: &'a Sources, targets: &'a Targets, split: &Split) -> Self {
        let mut parts = vec![Part::Unassigned; targets.len()];
        for (indices, part) in [(&split.train, Part::Train), (&split.val, Part::Val), (&split.test, Part::Test)] {
            indices.iter().for_each(|&index| parts[index as usize] = part);
        }
        Self { sources, targets, parts, strict: false }
    }

    /// Indices of the samples that are in a split.
    fn used(&self) -> impl Iterator<Item = usize> {
        (0..self.parts.len()).filter(|&index| self.parts[index] != Part::Unassigned)
    }

    fn place(&self, index: usize) -> Place {
        Place { name: self.sources.name(index), split: part_name(self.parts[index]), detail: None }
    }

    fn same_target(&self, a: usize, b: usize) -> bool {
        let width = self.targets.names().len();
        match self.targets {
            Targets::Classes { values, .. } => values[a] == values[b],
            Targets::Labels { values, .. } => values[a * width..][..width] == values[b * width..][..width],
            Targets::Values { values, .. } => values[a * width..][..width] == values[b * width..][..width],
        }
    }

    /// The target of a sample in words.
    fn target(&self, index: usize) -> String {
        let width = self.targets.names().len();
        match self.targets {
            Targets::Classes { names, values } => names[values[index] as usize].clone(),
            Targets::Labels { names, values } => {
                let labels = names.iter().zip(&values[index * width..][..width]).filter(|(_, value)| **value == 1);
                labels.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";")
            }
            Targets::Values { values, .. } => {
                values[index * width..][..width].iter().map(ToString::to_string).collect::<Vec<_>>().join(";")
            }
        }
    }
}

fn part_name(part: Part) -> Option<&'static str> {
    match part {
        Part::Train => Some("train"),
        Part::Val => Some("val"),
        Part::Test => Some("test"),
        Part::Unassigned => None,
    }
}
