//! Folders of images with a folder for each class, or one for each split that holds the class folders. Names, never positions, tie
//! the classes of the splits together. Classes and files are in byte order of their names, which is what other tools do and what no
//! locale changes: `s10` comes before `s2`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::near;
use crate::{Dataset, Error, Found, InputSpec, OpenOptions, Part, Sources, Targets, image, pictures, split};

/// Class folders are searched this deep.
const DEPTH: usize = 8;

/// The files of one split, by class.
struct Classes {
    part: Part,
    folder: PathBuf,
    files: BTreeMap<String, Vec<PathBuf>>,
}

/// What is passed over, counted to be stated.
#[derive(Default)]
struct Ignored {
    hidden: usize,
    others: Vec<PathBuf>,
}

/// Reads the folder `root`.
///
/// # Errors
/// No class folder, no image, a class folder that is empty, classes that differ between the splits, an image that cannot be
/// decoded.
pub(crate) fn load(root: &Path, options: &OpenOptions) -> Result<Dataset, Error> {
    let (parts, mut notes) = scan(root)?;
    if options.like.is_none() && !options.audit {
        same_classes(&parts)?;
    }
    let mut names: Vec<String> = parts.iter().flat_map(|part| part.files.keys().cloned()).collect();
    names.sort_unstable();
    names.dedup();
    let (mut files, mut values, mut given) = (Vec::new(), Vec::new(), Vec::new());
    for Classes { part, files: classes, .. } in parts {
        for (class, members) in classes {
            let value = names.binary_search(&class).unwrap_or_default() as u32;
            values.extend(std::iter::repeat_n(value, members.len()));
            given.extend(std::iter::repeat_n(part, members.len()));
            files.extend(members);
        }
    }
    let mut targets = Targets::Classes { names, values };
    if let Some(like) = &options.like {
        targets = like.align(targets, root)?;
    }
    let sources = Sources::Files(files.clone());
    let (split, decisions) = split::assign(&given, &targets, &sources, root, options)?;
    notes.extend(decisions);
    let (spec, samples) = pictures::read(root, &files, &split, options, &mut notes)?;
    let found = Found { format: "image folder".into(), path: root.to_owned(), notes };
    Ok(Dataset { found, input: InputSpec::Image(spec), samples, targets, sources, split })
}

/// Why [`load`] would refuse the classes in `root`, if it would.
///
/// # Errors
/// As [`load`]'s, of folders.
pub(crate) fn unequal_classes(root: &Path) -> Result<Option<Error>, Error> {
    Ok(same_classes(&scan(root)?.0).err())
}

fn scan(root: &Path) -> Result<(Vec<Classes>, Vec<String>), Error> {
    let mut ignored = Ignored::default();
    let mut notes = Vec::new();
    let folders = subfolders(root, root, &mut ignored)?;
    let part = |folder: &PathBuf| Part::parse(&name(folder));
    let splits: Vec<&PathBuf> = folders.iter().filter(|folder| part(folder).is_some()).collect();
    // One folder called `test` among many others is a class.
    let layout = splits.iter().any(|folder| part(folder) == Some(Part::Train)) || splits.len() == folders.len();
    let mut parts = Vec::new();
    if layout && !splits.is_empty() {
        for wanted in [Part::Train, Part::Val, Part::Test] {
            let here: Vec<&&PathBuf> = splits.iter().filter(|folder| part(folder) == Some(wanted)).collect();
            if let [first, second, ..] = here[..] {
                let what = format!("the folders `{}` and `{}` mean the same split", name(first), name(second));
                return Err(Error::unusable(root, what, "leave one of them"));
            }
            if let Some(folder) = here.first() {
                let classes = subfolders(root, folder, &mut ignored)?;
                parts.push(classes_in(root, folder, classes, wanted, &mut ignored)?);
            }
        }
        let described: Vec<String> = splits.iter().map(|folder| format!("`{}`", name(folder))).collect();
        notes.push(format!("split: as the folders {} say", described.join(", ")));
        let others: Vec<String> =
            folders.iter().filter(|folder| part(folder).is_none()).map(|folder| name(folder)).collect();
        if !others.is_empty() {
            notes.push(format!("ignored beside them: {}", others.join(", ")));
        }
    } else {
        parts.push(classes_in(root, root, folders, Part::Unassigned, &mut ignored)?);
    }
    notes.extend(ignored.describe(root));
    Ok((parts, notes))
}

/// The images in each of `folders`, which stand in `parent`.
fn classes_in(
    root: &Path,
    parent: &Path,
    folders: Vec<PathBuf>,
    part: Part,
    ignored: &mut Ignored,
) -> Result<Classes, Error> {
    if folders.is_empty() {
        return Err(Error::unusable(parent, "no class folders in it", "put the images into a folder for each class"));
    }
    let mut files = BTreeMap::new();
    for folder in folders {
        let mut members = Vec::new();
        images(&folder, DEPTH, &mut members, ignored)?;
        if members.is_empty() {
            let what = "the class folder holds no images";
            return Err(Error::unusable(
                &folder,
                what,
                "add images (png, jpeg, bmp, gif, webp, pnm, tiff) or remove it",
            ));
        }
        members.sort_unstable();
        let relative = |file: &PathBuf| file.strip_prefix(root).unwrap_or(file).to_owned();
        files.insert(name(&folder), members.iter().map(relative).collect());
    }
    Ok(Classes { part, folder: parent.to_owned(), files })
}

/// Classes that one split has and another lacks.
fn same_classes(parts: &[Classes]) -> Result<(), Error> {
    for (one, other) in parts.iter().flat_map(|one| parts.iter().map(move |other| (one, other))) {
        let Some(class) = one.files.keys().find(|class| !other.files.contains_key(*class)) else { continue };
        let what = format!("class `{class}` is in `{}` but not here", one.folder.display());
        // Where both have a name of their own, one of them is a slip.
        let own = other.files.keys().filter(|class| !one.files.contains_key(*class)).map(String::as_str);
        let hint = match near(class, own) {
            Some(near) => format!("did you mean it by `{near}`? Every split needs the same class folders"),
            None => "every split needs the same class folders".into(),
        };
        return Err(Error::unusable(&other.folder, what, hint));
    }
    Ok(())
}

/// The visible folders in `folder`, in byte order; counts its files as ignored.
fn subfolders(root: &Path, folder: &Path, ignored: &mut Ignored) -> Result<Vec<PathBuf>, Error> {
    let mut folders = Vec::new();
    for path in entries(folder)? {
        if is_hidden(&path) {
            ignored.hidden += 1;
        } else if path.is_dir() {
            folders.push(path);
        } else {
            ignored.others.push(path.strip_prefix(root).unwrap_or(&path).to_owned());
        }
    }
    Ok(folders)
}

/// Collects the images under `folder`. Links to folders are not followed: they could lead in circles.
fn images(folder: &Path, depth: usize, found: &mut Vec<PathBuf>, ignored: &mut Ignored) -> Result<(), Error> {
    for path in entries(folder)? {
        if is_hidden(&path) {
            ignored.hidden += 1;
        } else if path.is_dir() {
            if depth > 0 && !path.is_symlink() {
                images(&path, depth - 1, found, ignored)?;
            } else {
                ignored.others.push(path);
            }
        } else if image::has_image_name(&path) {
            // Links to files that are gone are errors of the data, so they stay in.
            found.push(path);
        } else {
            ignored.others.push(path);
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let io = |source| Error::io(folder, source);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        paths.push(entry.map_err(io)?.path());
    }
    paths.sort_unstable_by_key(|path| path.as_os_str().to_owned());
    Ok(paths)
}

fn is_hidden(path: &Path) -> bool {
    let name = name(path);
    name.starts_with('.') || name == "__MACOSX"
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

impl Ignored {
    fn describe(&self, root: &Path) -> Option<String> {
        let hidden = (self.hidden > 0).then(|| format!("{} hidden", self.hidden));
        let others = self.others.first().map(|first| {
            let first = first.strip_prefix(root).unwrap_or(first).display();
            format!("{} that are no images in a class folder (such as `{first}`)", self.others.len())
        });
        let both: Vec<String> = hidden.into_iter().chain(others).collect();
        (!both.is_empty()).then(|| format!("ignored files: {}", both.join(", ")))
    }
}

#[cfg(test)]
mod tests;
