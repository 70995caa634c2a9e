//! From the INPUTS of a command line to single inputs, lazily and in order: files, folders (with the folders in them, by name), glob
//! patterns, `-` for standard input. Opens no file; what cannot be found stands in its place with the reason.

use std::path::{Path, PathBuf};

/// Endings of the files that are taken from a folder for a model of table rows; files that are named are taken whatever they end in.
const TABLES: [&str; 4] = [".csv", ".tsv", ".csv.gz", ".tsv.gz"];
/// Folders in folders in folders: deeper ones than this are not a data set.
const DEEPEST: usize = 64;

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// Nothing that can be read: what was named, and why.
    Missing(String, String),
}

/// What to take from folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Images,
    Tables,
}

/// The inputs that `names` stand for, in their order.
pub(crate) fn expand(names: Vec<String>, kind: Kind) -> impl Iterator<Item = Source> + Send {
    names.into_iter().flat_map(move |name| one(name, kind))
}

fn one(name: String, kind: Kind) -> Box<dyn Iterator<Item = Source> + Send> {
    let path = Path::new(&name);
    if name == "-" {
        return Box::new(std::iter::once(Source::Stdin));
    }
    // A file may be called `a[1].png`: what exists is taken as it is.
    if path.is_dir() {
        let none = Source::Missing(name.clone(), format!("no {} in this folder", kind.words()));
        return or(none, Walk::new(path, kind));
    }
    if path.exists() || !name.contains(['*', '?', '[']) {
        return Box::new(std::iter::once(Source::File(path.to_owned())));
    }
    match glob::glob(&name) {
        Ok(paths) => {
            let none = Source::Missing(name.clone(), "no file matches this pattern".into());
            or(
                none,
                paths.flat_map(move |found| match found {
                    Ok(path) if path.is_dir() => {
                        Box::new(Walk::new(&path, kind)) as Box<dyn Iterator<Item = Source> + Send>
                    }
                    Ok(path) => Box::new(std::iter::once(Source::File(path))),
                    Err(error) => Box::new(std::iter::once(missing(error.path(), error.error()))),
                }),
            )
        }
        Err(error) => Box::new(std::iter::once(Source::Missing(name, format!("not a pattern: {error}")))),
    }
}

/// `sources`, or `none` if there are none.
fn or(none: Source, sources: impl Iterator<Item = Source> + Send + 'static) -> Box<dyn Iterator<Item = Source> + Send> {
    let mut sources = sources.peekable();
    if sources.peek().is_none() { Box::new(std::iter::once(none)) } else { Box::new(sources) }
}

fn missing(path: &Path, error: &std::io::Error) -> Source {
    Source::Missing(path.display().to_string(), format!("cannot read: {error}"))
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Tables => "tables (.csv, .tsv)",
        }
    }

    /// Whether a file in a folder is taken.
    fn takes(self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        // Hidden files are the system's, such as `._a.png` of macOS.
        !name.starts_with('.')
            && match self {
                Self::Images => data::image::has_image_name(path),
                Self::Tables => TABLES.iter().any(|ending| name.ends_with(ending)),
            }
    }
}

/// The files of a folder and its folders, by name; one folder's entries are in memory at a time for each level. Links to folders are
/// not followed: they may lead in circles.
struct Walk {
    levels: Vec<std::vec::IntoIter<PathBuf>>,
    begin: Option<PathBuf>,
    kind: Kind,
}

impl Walk {
    fn new(folder: &Path, kind: Kind) -> Self {
        Self { levels: Vec::new(), begin: Some(folder.to_owned()), kind }
    }

    fn enter(&mut self, folder: &Path) -> Option<Source> {
        if self.levels.len() >= DEEPEST {
            let what = format!("folders deeper than {DEEPEST} are not searched");
            return Some(Source::Missing(folder.display().to_string(), what));
        }
        let entries = std::fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
        match entries {
            Ok::<Vec<PathBuf>, _>(mut entries) => {
                entries.sort();
                self.levels.push(entries.into_iter());
                None
            }
            Err(error) => Some(missing(folder, &error)),
        }
    }
}

impl Iterator for Walk {
    type Item = Source;

    fn next(&mut self) -> Option<Source> {
        if let Some(folder) = self.begin.take()
            && let Some(source) = self.enter(&folder)
        {
            return Some(source);
        }
        loop {
            let Some(path) = self.levels.last_mut()?.next() else {
                self.levels.pop();
                continue;
            };
            if path.is_dir() {
                if !path.is_symlink()
                    && let Some(source) = self.enter(&path)
                {
                    return Some(source);
                }
            } else if self.kind.takes(&path) {
                return Some(Source::File(path));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path, given: &[&str], kind: Kind) -> Vec<String> {
        let given =
            given.iter().map(|name| if *name == "-" { "-".into() } else { folder.join(name).display().to_string() });
        expand(given.collect(), kind)
            .map(|source| match source {
                Source::File(path) => path.strip_prefix(folder).unwrap().display().to_string().replace('\\', "/"),
                Source::Stdin => "stdin".into(),
                Source::Missing(_, why) => why,
            })
            .collect()
    }

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("b/deep")).unwrap();
        std::fs::create_dir_all(folder.path().join("empty")).unwrap();
        for name in
            ["a.png", "c.JPG", "b/z.png", "b/deep/y.webp", "b/notes.txt", "b/.hidden.png", "rows.csv", "odd[1].png"]
        {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn folders_are_walked_by_name_and_only_what_the_model_takes() {
        let tree = tree();
        assert_eq!(
            names(tree.path(), &["."], Kind::Images),
            ["a.png", "b/deep/y.webp", "b/z.png", "c.JPG", "odd[1].png"]
        );
        assert_eq!(names(tree.path(), &["."], Kind::Tables), ["rows.csv"]);
    }

    #[test]
    fn inputs_keep_the_order_of_the_command_line() {
        let tree = tree();
        assert_eq!(
            names(tree.path(), &["c.JPG", "-", "b", "a.png"], Kind::Images),
            ["c.JPG", "stdin", "b/deep/y.webp", "b/z.png", "a.png"]
        );
    }

    #[test]
    fn patterns_match_and_an_existing_name_is_no_pattern() {
        let tree = tree();
        assert_eq!(names(tree.path(), &["**/*.png"], Kind::Images)[..2], ["a.png", "b/.hidden.png"]);
        assert_eq!(names(tree.path(), &["odd[1].png"], Kind::Images), ["odd[1].png"]);
        assert_eq!(names(tree.path(), &["b*"], Kind::Images), ["b/deep/y.webp", "b/z.png"]);
    }

    #[test]
    fn what_is_not_there_stands_in_its_place() {
        let tree = tree();
        let found = names(tree.path(), &["empty", "*.gif", "a[", "absent.png"], Kind::Images);
        assert_eq!(found[0], "no images in this folder");
        assert_eq!(found[1], "no file matches this pattern");
        assert!(found[2].starts_with("not a pattern"), "{found:?}");
        assert_eq!(found[3], "absent.png", "opening it will say why");
    }

    #[cfg(unix)]
    #[test]
    fn links_in_circles_end() {
        let tree = tree();
        std::os::unix::fs::symlink(tree.path(), tree.path().join("b/circle")).unwrap();
        assert_eq!(names(tree.path(), &["b"], Kind::Images), ["b/deep/y.webp", "b/z.png"]);
    }
}
