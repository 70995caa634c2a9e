//! Where pictures go: the file or folder that `-o` names, standard output, or a name of their own beside the user. Never over a file of
//! another kind, nor over what was read.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, tell};

/// What pictures and pages begin with: what may be written over.
const BEGINNINGS: [&[u8]; 3] = [b"\x89PNG", b"<svg", b"<!DOCTYPE html"];

/// One place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    File(PathBuf),
    Stdout,
}

impl Place {
    /// The file.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Stdout => None,
        }
    }

    /// `png`, `svg` or `html`, by the name; standard output gets PNG.
    pub(crate) fn ending(&self) -> String {
        self.path().map_or_else(|| "png".to_owned(), ending)
    }

    /// Writes all of it or nothing.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                Ok(out.write_all(bytes).and_then(|()| out.flush())?)
            }
            Self::File(path) => {
                let written = data::replace(path, |file| file.write_all(bytes));
                Ok(written.map_err(|error: io::Error| data::Error::write(path, error))?)
            }
        }
    }
}

/// The place of a single picture: `given` by `-o`, or `usual` beside the user.
///
/// # Errors
/// If nothing may be written there.
pub(crate) fn single(given: Option<&Path>, usual: &str, endings: &[&str], read: &[PathBuf]) -> Result<Place, Failure> {
    match given {
        Some(path) if path == Path::new("-") => Ok(Place::Stdout),
        given => {
            let path = given.unwrap_or(Path::new(usual));
            check(path, endings, read)?;
            Ok(Place::File(path.to_owned()))
        }
    }
}

/// The places of several pictures, one after the other.
pub(crate) struct Places {
    /// Where there is but one.
    single: Option<Place>,
    folder: PathBuf,
    suffix: &'static str,
    /// Names that are taken.
    taken: HashSet<PathBuf>,
    read: Vec<PathBuf>,
    drawn: Vec<PathBuf>,
}

impl Places {
    /// For the pictures of `count` inputs, of which `read` are files: `given` by `-o`, or named after the inputs with `suffix`, one beside the
    /// user, several in a folder of that name.
    ///
    /// # Errors
    /// If a file is given for several, or nothing may be written there.
    pub(crate) fn new(
        given: Option<&Path>,
        suffix: &'static str,
        endings: &[&str],
        count: usize,
        read: Vec<PathBuf>,
    ) -> Result<Self, Failure> {
        let mut places =
            Self { single: None, folder: PathBuf::new(), suffix, taken: HashSet::new(), read, drawn: Vec::new() };
        match given {
            Some(path) if is_folder(path) => places.folder = path.to_owned(),
            Some(path) if count > 1 => {
                let what = format!(
                    "-o {}: one file for the pictures of {count} inputs; name a folder, such as {suffix}/",
                    path.display()
                );
                return Err(Failure::usage(anyhow::anyhow!(what)));
            }
            Some(path) => places.single = Some(single(Some(path), "", endings, &places.read)?),
            None if count > 1 => places.folder = PathBuf::from(suffix),
            None => {}
        }
        Ok(places)
    }

    /// The place of the picture of `source`.
    ///
    /// # Errors
    /// If nothing may be written there.
    pub(crate) fn next(&mut self, source: &str) -> Result<Place, Failure> {
        if let Some(place) = &self.single {
            self.drawn.extend(place.path().map(Path::to_owned));
            return Ok(place.clone());
        }
        if !self.folder.as_os_str().is_empty() && !self.folder.is_dir() {
            std::fs::create_dir(&self.folder).map_err(|error| data::Error::write(&self.folder, error))?;
        }
        let stem = match Path::new(source).file_stem() {
            Some(stem) if source != "-" => stem.to_string_lossy().into_owned(),
            _ => "stdin".to_owned(),
        };
        let name = |count: usize| match count {
            1 => format!("{stem}.{}.png", self.suffix),
            count => format!("{stem}-{count}.{}.png", self.suffix),
        };
        // Two inputs of one name lie in two folders.
        let mut names = (1..).map(|count| self.folder.join(name(count)));
        let path = names.find(|path| !self.taken.contains(path)).unwrap_or_default();
        self.taken.insert(path.clone());
        check(&path, &["png"], &self.read)?;
        self.drawn.push(path.clone());
        Ok(Place::File(path))
    }

    /// Says what was drawn.
    pub(crate) fn tell(&self) {
        match self.drawn.as_slice() {
            [] => {}
            [one] => tell(format_args!("drawn: {}", one.display())),
            all => tell(format_args!("drawn: {} pictures in {}", all.len(), self.folder.display())),
        }
    }
}

/// Whether `path` means a folder: it is one, or says so, or has no ending.
fn is_folder(path: &Path) -> bool {
    let says = path.to_string_lossy().ends_with(['/', '\\']);
    path != Path::new("-") && (path.is_dir() || says || path.extension().is_none())
}

fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn check(path: &Path, endings: &[&str], read: &[PathBuf]) -> Result<(), Failure> {
    let refuse = |what: String| Err(Failure::usage(anyhow::anyhow!("-o: {what}")));
    if !endings.contains(&&*ending(path)) {
        let endings = endings.join(", .");
        return refuse(format!("expected a name that ends in .{endings}, found `{}`", path.display()));
    }
    let own = |path: &Path| std::fs::canonicalize(path).ok();
    if own(path).is_some_and(|place| read.iter().any(|file| own(file).as_ref() == Some(&place))) {
        return refuse(format!("`{}` is what is to be read; give another name", path.display()));
    }
    Ok(data::check_place("-o", path, endings, &BEGINNINGS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(given: Option<&Path>, count: usize) -> Result<Places, Failure> {
        Places::new(given, "explained", &["png", "svg"], count, Vec::new())
    }

    #[test]
    fn inputs_of_one_name_get_pictures_of_their_own() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("new");
        let mut places = places(Some(&folder), 4).unwrap();
        let mut next =
            |source| places.next(source).unwrap().path().unwrap().strip_prefix(&folder).unwrap().display().to_string();
        let found = ["a/1.png", "b/1.jpg", "-", "c/1.explained.png"].map(&mut next);
        assert_eq!(found, ["1.explained.png", "1-2.explained.png", "stdin.explained.png", "1.explained.explained.png"]);
        assert!(folder.is_dir());
    }

    #[test]
    fn what_is_read_and_what_is_no_picture_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        std::fs::write(at("a.png"), b"\x89PNG...").unwrap();
        std::fs::write(at("notes.png"), b"my notes").unwrap();
        let refused = |place: &Path, count, read: Vec<PathBuf>| {
            Places::new(Some(place), "explained", &["png"], count, read).err().unwrap().line()
        };
        assert!(refused(&at("a.png"), 1, vec![at("a.png")]).contains("is what is to be read"));
        assert!(refused(&at("notes.png"), 1, Vec::new()).contains("isn't what would be written"));
        assert!(refused(&at("a.jpg"), 1, Vec::new()).contains("expected a name that ends in .png"));
        assert!(refused(&at("b.png"), 2, Vec::new()).contains("one file for the pictures of 2 inputs"));
        assert!(refused(&at("absent/b.png"), 1, Vec::new()).contains("there is no folder"));
        assert!(places(Some(&at("a.png")), 1).is_ok() && places(Some(Path::new("-")), 1).is_ok());
    }
}
