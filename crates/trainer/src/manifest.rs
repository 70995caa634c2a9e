//! The well-known data sets: what each is, where it is published and where it lies once fetched. The manifests stand in `datasets/` and are
//! embedded, so that an installed binary has them too. Downloading is [`crate::fetch`]'s, reading the files the data crate's.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// `datasets/<name>/dataset.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Its name on the command line and its folder in `datasets`.
    pub(crate) name: String,
    /// One line for people.
    pub(crate) title: String,
    /// The files' format.
    pub(crate) format: String,
    /// Channels, rows, columns.
    pub(crate) shape: [usize; 3],
    /// The classes, in the order of their numbers.
    pub(crate) classes: Vec<String>,
    /// Samples to train on.
    pub(crate) train: usize,
    /// Samples to test on; 0 where the publisher cut no such part.
    pub(crate) test: usize,
    /// The licence, in its publisher's words.
    pub(crate) licence: String,
    /// The publisher's page.
    pub(crate) source: String,
    /// What to cite.
    pub(crate) citation: String,
    /// Whether we have downloaded the files ourselves and found sizes and checksums to be right.
    pub(crate) verified: bool,
    /// What there is to download; nothing where the data are embedded.
    #[serde(default)]
    pub(crate) files: Vec<Download>,
}

/// One file to download.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Download {
    /// Where; its last part is the file's name.
    pub(crate) url: String,
    /// Its exact size.
    pub(crate) bytes: u64,
    /// Its SHA-256, in lower-case hexadecimal.
    pub(crate) sha256: String,
    /// For a `.tar.gz`: what is taken out of it, after which it is deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) members: Vec<Member>,
}

/// A file in an archive.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    /// Its path in the archive; its last part is the file's name afterwards.
    pub(crate) path: String,
    /// Its exact size, where the format fixes it.
    pub(crate) bytes: Option<u64>,
}

impl Download {
    /// The name of the file.
    pub(crate) fn name(&self) -> &str {
        last_part(&self.url)
    }
}

impl Member {
    /// The name of the file.
    pub(crate) fn name(&self) -> &str {
        last_part(&self.path)
    }
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Manifest {
    /// What there is to download.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Where `trainer data fetch` puts it: its `data` folder where the program is run inside a clone of the project, else the user's
    /// data folder.
    ///
    /// # Errors
    /// There is neither.
    pub(crate) fn folder(&self) -> Result<PathBuf> {
        let cloned = std::env::current_dir().ok().and_then(|here| in_clone(&here, &self.name));
        cloned.or_else(|| in_home(&self.name)).context("no data folder: set HOME or XDG_DATA_HOME, or say --dir DIR")
    }

    /// Whether every file lies in `folder`, going by name and size; `fetch` looks closer.
    pub(crate) fn is_in(&self, folder: &Path) -> bool {
        let lies = |name: &str, bytes: Option<u64>| {
            folder
                .join(name)
                .metadata()
                .is_ok_and(|found| found.is_file() && bytes.is_none_or(|bytes| found.len() == bytes))
        };
        self.files.iter().all(|file| match file.members.as_slice() {
            [] => lies(file.name(), Some(file.bytes)),
            members => members.iter().all(|member| lies(member.name(), member.bytes)),
        })
    }
}

/// The embedded manifests.
const TEXTS: [&str; 6] = [
    include_str!("../../../datasets/digits/dataset.toml"),
    include_str!("../../../datasets/mnist/dataset.toml"),
    include_str!("../../../datasets/fashion-mnist/dataset.toml"),
    include_str!("../../../datasets/kmnist/dataset.toml"),
    include_str!("../../../datasets/cifar10/dataset.toml"),
    include_str!("../../../datasets/cifar100/dataset.toml"),
];

/// All manifests.
///
/// # Errors
/// One that is no manifest: a fault of the build, which a test excludes.
pub(crate) fn all() -> Result<Vec<Manifest>> {
    TEXTS.into_iter().map(|text| toml::from_str(text).context("an embedded dataset.toml is malformed")).collect()
}

/// The manifest of that name.
///
/// # Errors
/// There is none; the message names the nearest.
pub(crate) fn find(name: &str) -> Result<Manifest> {
    let all = all()?;
    let names: Vec<String> = all.iter().map(|manifest| manifest.name.clone()).collect();
    if let Some(manifest) = all.into_iter().find(|manifest| manifest.name == name) {
        return Ok(manifest);
    }
    let hint = nearest(name).map_or(String::new(), |nearest| format!("; did you mean `{nearest}`?"));
    anyhow::bail!("no data set is called `{name}`, expected one of {}{hint}", names.join(", "))
}

/// The name that `name` was probably meant to be.
pub(crate) fn nearest(name: &str) -> Option<String> {
    let distance = |other: &str| strsim::damerau_levenshtein(&name.to_lowercase(), other);
    let names = all().ok()?.into_iter().map(|manifest| manifest.name);
    names.min_by_key(|other| distance(other)).filter(|other| distance(other) <= 3.min(name.len() / 2))
}

/// Whether a data set is called that.
pub(crate) fn is_known(name: &str) -> bool {
    find(name).is_ok()
}

/// The folder where the data set of that name lies, if it has been fetched: into the clone, or into the user's data folder.
pub(crate) fn locate(name: &str) -> Option<PathBuf> {
    let manifest = find(name).ok().filter(|manifest| !manifest.files.is_empty())?;
    let cloned = std::env::current_dir().ok().and_then(|here| in_clone(&here, name));
    cloned.into_iter().chain(in_home(name)).find(|folder| manifest.is_in(folder))
}

/// The data folder of `name` in the clone of the project that `here` lies in.
fn in_clone(here: &Path, name: &str) -> Option<PathBuf> {
    let set = here
        .ancestors()
        .map(|folder| folder.join("datasets").join(name))
        .find(|set| set.join("dataset.toml").is_file());
    set.map(|set| set.join("data"))
}

/// The data folder of `name` in the user's own.
fn in_home(name: &str) -> Option<PathBuf> {
    let set = |key| std::env::var_os(key).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || set("HOME").map(|home| home.join(".local").join("share"));
    let data = set("XDG_DATA_HOME").or_else(home).or_else(|| set("LOCALAPPDATA"));
    data.map(|data| data.join("striate").join(name))
}

/// One row of `trainer data list`.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    manifest: Manifest,
    bytes: u64,
    /// "embedded", the folder where it lies, or null.
    location: Option<String>,
}

/// `trainer data list`: prints every data set, as a table or as JSON.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn print_list(json: bool) -> Result<()> {
    let rows = all()?.into_iter().map(|manifest| Row {
        bytes: manifest.bytes(),
        location: match manifest.files.is_empty() {
            true => Some("embedded".to_owned()),
            false => locate(&manifest.name).map(|folder| folder.display().to_string()),
        },
        manifest,
    });
    let rows: Vec<Row> = rows.collect();
    let text = if json { serde_json::to_string_pretty(&rows)? + "\n" } else { table(&rows) };
    crate::cli::stream::print_bytes(text.as_bytes())
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<14} {:<8} {:>8} {:>8} {:>8} {:>10}  {:<10} {}\n",
        "name", "pixels", "classes", "train", "test", "download", "checked", "where"
    );
    for row in rows {
        let Manifest { name, shape: [channels, height, width], classes, train, test, verified, .. } = &row.manifest;
        let size = if row.bytes == 0 { "none".into() } else { format!("{:.1} MB", row.bytes as f64 / 1e6) };
        text += &format!(
            "{name:<14} {:<8} {:>8} {train:>8} {test:>8} {size:>10}  {:<10} {}\n",
            format!("{channels}x{height}x{width}"),
            classes.len(),
            if *verified { "yes" } else { "not yet" },
            row.location.clone().unwrap_or_else(|| format!("trainer data fetch {name}")),
        );
    }
    if rows.iter().any(|row| !row.manifest.verified) {
        text += "\nchecked: whether we have downloaded it ourselves and found sizes and checksums to be right; for the others they are as\n";
        text += "tensorflow-datasets records them. A download that doesn't match is refused either way. Licences: --format json\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manifest_is_whole_and_safe() {
        let all = all().unwrap();
        let names: Vec<&str> = all.iter().map(|manifest| manifest.name.as_str()).collect();
        assert_eq!(names, ["digits", "mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100"]);
        for manifest in &all {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets").join(&manifest.name);
            assert!(folder.join("dataset.toml").is_file(), "{}", manifest.name);
            assert_eq!(manifest.classes.len(), if manifest.name == "cifar100" { 100 } else { 10 });
            assert_eq!(manifest.files.is_empty(), manifest.name == "digits");
            for file in &manifest.files {
                assert!(file.sha256.len() == 64 && file.sha256.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')));
                assert!(file.bytes > 0 && file.url.starts_with("http"));
                assert_eq!(file.name().ends_with(".tar.gz"), !file.members.is_empty());
                let members = file.members.iter().map(Member::name);
                for name in members.chain([file.name()]) {
                    assert!(!name.is_empty() && !name.starts_with('.') && !name.contains(['\\', ':']), "{name}");
                }
            }
        }
    }

    #[test]
    fn sizes_of_cifar_are_whole_numbers_of_records() {
        for (name, record, samples) in [("cifar10", 3073, 60_000), ("cifar100", 3074, 60_000)] {
            let manifest = find(name).unwrap();
            let bytes: u64 = manifest.files[0].members.iter().filter_map(|member| member.bytes).sum();
            assert_eq!(bytes, record * samples);
        }
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        let message = find("fashion_mnist").unwrap_err().to_string();
        assert!(message.ends_with("did you mean `fashion-mnist`?"), "{message}");
        assert!(!find("imagenet-21k").unwrap_err().to_string().contains("did you mean"));
    }

    #[test]
    fn a_set_lies_where_every_file_has_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = find("mnist").unwrap();
        manifest.files.truncate(2);
        assert!(!manifest.is_in(folder.path()));
        for file in &mut manifest.files {
            file.bytes = 3;
            std::fs::write(folder.path().join(file.name()), "abc").unwrap();
        }
        assert!(manifest.is_in(folder.path()));
        std::fs::write(folder.path().join(manifest.files[1].name()), "ab").unwrap();
        assert!(!manifest.is_in(folder.path()));
    }

    #[test]
    fn the_list_marks_what_was_never_checked() {
        let rows: Vec<Row> = all()
            .unwrap()
            .into_iter()
            .map(|manifest| Row { bytes: manifest.bytes(), location: None, manifest })
            .collect();
        let text = table(&rows);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(
            line("mnist").contains(" yes ")
                && line("kmnist").contains("not yet")
                && line("cifar100").contains("not yet")
        );
        assert!(line("cifar10 ").contains("170.1 MB") && line("cifar10 ").contains("trainer data fetch cifar10"));
        let json = serde_json::to_value(&rows).unwrap();
        assert_eq!((json[1]["name"].as_str(), json[3]["verified"].as_bool()), (Some("mnist"), Some(false)));
    }

    #[test]
    fn inside_a_clone_data_go_beside_their_manifest() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = in_clone(crates, "mnist").unwrap();
        assert!(folder.ends_with("datasets/mnist/data"), "{}", folder.display());
        assert_eq!(in_clone(Path::new("/"), "mnist"), None);
    }
}
