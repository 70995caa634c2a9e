//! What an audit says: findings as data, with the places they were made at, and the samples that an exclude list should name.

use std::path::Path;

use serde::Serialize;

use crate::Split;

/// Groups that a finding names; all are counted.
const GROUPS: usize = 20;
/// Members that a group names; all are counted.
const MEMBERS: usize = 10;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing need be done.
    Note,
    /// Results will be worse, or look better than they are.
    Warning,
    /// Training refuses the data.
    Error,
}

impl Severity {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One sample, or one column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// As split.csv has it: the file, `train:17`, `data.csv:17`; or the column, or the class.
    pub name: String,
    /// train, val or test; none for columns and classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<&'static str>,
    /// What is to be said of this place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Places that belong together, such as the copies of one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// How many there are.
    pub size: usize,
    /// The first 10 of them.
    pub members: Vec<Place>,
}

/// Where a finding was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Where {
    /// How many groups there are.
    pub count: usize,
    /// The first 20 of them.
    pub first: Vec<Group>,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name, which never changes: `unreadable`, `label-conflict` ... The list is in `docs/formats.md`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in a sentence.
    pub what: String,
    /// Where.
    #[serde(rename = "where")]
    pub places: Where,
    /// What to do about it.
    pub advice: String,
}

/// What an audit found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The data's format in words.
    pub format: String,
    /// What was examined.
    pub path: std::path::PathBuf,
    /// Samples of all splits, and those that are left out.
    pub samples: usize,
    /// Samples for training, validation and testing.
    pub split: [usize; 3],
    /// What the reader decided.
    pub notes: Vec<String>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// Samples that an exclude list should name, with the reason: unreadable ones, and of exact copies in several splits all but
    /// those in the split that matters most (test before validation before training).
    pub exclude: Vec<(String, String)>,
}

impl Report {
    pub(super) fn new(format: &str, path: &Path) -> Self {
        Self {
            format: format.to_owned(),
            path: path.to_owned(),
            samples: 0,
            split: [0; 3],
            notes: Vec::new(),
            findings: Vec::new(),
            exclude: Vec::new(),
        }
    }

    pub(super) fn count(&mut self, split: &Split, samples: usize, notes: &[String]) {
        self.samples = samples;
        self.split = [split.train.len(), split.val.len(), split.test.len()];
        self.notes = notes.to_vec();
    }

    /// Adds a finding at `groups`, cut to what is shown.
    pub fn add(
        &mut self,
        code: &'static str,
        severity: Severity,
        what: impl Into<String>,
        groups: Vec<Group>,
        advice: impl Into<String>,
    ) {
        let places = Where { count: groups.len(), first: groups.into_iter().take(GROUPS).collect() };
        self.findings.push(Finding { code, severity, what: what.into(), places, advice: advice.into() });
    }

    /// Puts the findings in order, once all are added: the worst first; otherwise the order in which they were looked for.
    pub fn finish(&mut self) {
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self.exclude.sort_unstable();
        self.exclude.dedup_by(|a, b| a.0 == b.0);
    }

    /// How many findings are of `severity`.
    pub fn of(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

impl Group {
    /// Of one place.
    pub fn one(place: Place) -> Self {
        Self { size: 1, members: vec![place] }
    }

    pub(super) fn of(size: usize, members: impl Iterator<Item = Place>) -> Self {
        Self { size, members: members.take(MEMBERS).collect() }
    }

    /// A column or a class, of which `detail` is to be said.
    pub(super) fn named(name: &str, detail: String) -> Self {
        Self::one(Place { name: name.to_owned(), split: None, detail: Some(detail) })
    }
}
