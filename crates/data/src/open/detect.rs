//! Which format stands at a path: by the names of files first, then by their contents. Extensions alone decide nothing.

use std::io::Read;
use std::path::Path;

use crate::error::near;
use crate::{Error, cifar, idx, image, list};

/// How much of a file is looked at.
const HEAD: u64 = 64 << 10;
/// More folders than this are classes, not the one folder that an archive was unpacked to.
const NESTED: usize = 20;

/// A format, with the files that were found of it.
pub(super) enum Format {
    /// The embedded ones.
    Digits,
    /// Images with their labels.
    Idx(Vec<idx::Pair>),
    /// Batches with their labels.
    Cifar(cifar::Files),
    /// A folder with a folder for each class, or one for each split that has them.
    Folder,
    /// A table whose rows name image files.
    List,
    /// A table whose rows are samples.
    Table,
}

/// Finds out what stands at `path`.
pub(super) fn format(path: &Path) -> Result<Format, Error> {
    if path.as_os_str().is_empty() || path == Path::new("digits") {
        return Ok(Format::Digits);
    }
    let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => missing(path),
        _ => Error::io(path, source),
    })?;
    match (metadata.is_dir(), metadata.is_file()) {
        (true, _) => folder(path),
        (false, true) => file(path),
        // Opening a pipe would wait for a writer, and data are read more than once.
        (false, false) => Err(Error::unusable(path, "is a pipe or a device", "save the data to a file and give that")),
    }
}

fn missing(path: &Path) -> Error {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let neighbours: Vec<String> = std::fs::read_dir(parent)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let hint = match near(&name, neighbours.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{}`?", parent.join(near).display()),
        None => "give a file or folder, or `digits` for the embedded ones".into(),
    };
    Error::unusable(path, "there is no such file or folder", hint)
}

fn folder(path: &Path) -> Result<Format, Error> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(path).map_err(|source| Error::io(path, source))? {
        let entry = entry.map_err(|source| Error::io(path, source))?.path();
        if !entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            if entry.is_dir() { folders.push(entry) } else { files.push(entry) }
        }
    }
    files.sort_unstable();
    if let Some(format) = arrays(path)? {
        return Ok(format);
    }
    // Archives unpack to a folder within: MNIST/raw, cifar-10-batches-bin. Beside others it is one of several sets.
    if folders.len() <= NESTED {
        folders.sort_unstable();
        for folder in &folders {
            match arrays(folder)? {
                Some(format) if folders.len() == 1 => return Ok(format),
                Some(_) => {
                    let what = format!("holds a data set in `{}`, and other folders", folder.display());
                    return Err(Error::unusable(path, what, "give the folder of the set that you mean"));
                }
                None => {}
            }
        }
    }
    if !folders.is_empty() {
        return Ok(Format::Folder);
    }
    let looked =
        "looked for IDX files (train-images-idx3-ubyte), CIFAR batches (data_batch_1.bin) and a folder for each class";
    let images = files.iter().filter(|file| image::has_image_name(file)).count();
    let text = files.iter().find(|file| is_text_name(file));
    let (found, hint) = match (text, images, files.first()) {
        (Some(table), _, _) => ("files only".into(), format!("give the table itself, such as `{}`", table.display())),
        (None, 1.., _) => {
            (format!("{images} images without class folders"), "put them into a folder for each class".into())
        }
        (None, 0, Some(first)) => (
            format!("{} other files, such as `{}`", files.len(), first.display()),
            "give one of these formats, or a CSV or TSV table".into(),
        ),
        (None, 0, None) => ("nothing".into(), "give a folder with data".into()),
    };
    Err(Error::unusable(path, format!("{looked}, found {found}"), hint))
}

fn arrays(folder: &Path) -> Result<Option<Format>, Error> {
    let pairs = idx::find(folder)?;
    if !pairs.is_empty() {
        return Ok(Some(Format::Idx(pairs)));
    }
    Ok(cifar::find(folder)?.map(Format::Cifar))
}

fn is_text_name(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".csv", ".tsv", ".txt", ".data"].iter().any(|end| name.ends_with(end))
}

fn file(path: &Path) -> Result<Format, Error> {
    let head = head(path)?;
    let looked = "looked for an IDX file, an image list and a CSV or TSV table";
    if let [0, 0, 0x08..=0x0E, 1..=4, ..] = head[..] {
        return Ok(Format::Idx(vec![idx::pair(path)?]));
    }
    let parent = || path.parent().unwrap_or(path).display().to_string();
    let (found, hint) = if head.is_empty() {
        ("an empty file", "give a file with data".into())
    } else if head.starts_with(b"PK") || head.get(257..262) == Some(b"ustar".as_slice()) {
        ("an archive", "unpack it and give the folder".into())
    } else if ::image::guess_format(&head).is_ok() && !is_text_name(path) {
        ("a single image", "give the folder that holds a folder for each class".into())
    } else if path.extension().is_some_and(|extension| extension == "bin") {
        ("a binary file", format!("if it is a CIFAR batch, give its folder, `{}`", parent()))
    } else if head.starts_with(&[0xFF, 0xFE]) || head.starts_with(&[0xFE, 0xFF]) {
        ("text in UTF-16", "save it as UTF-8".into())
    } else if head.contains(&0) {
        ("binary data", "give one of these, or a folder".into())
    } else {
        return Ok(if list::is_list(path, &head) { Format::List } else { Format::Table });
    };
    Err(Error::unusable(path, format!("{looked}, found {found}"), hint))
}

/// The first bytes of a file, decompressed if need be.
fn head(path: &Path) -> Result<Vec<u8>, Error> {
    let mut head = Vec::new();
    let read = open(path).and_then(|reader| reader.take(HEAD).read_to_end(&mut head));
    // A damaged end of a compressed file is its reader's business.
    if let Err(source) = read
        && head.is_empty()
    {
        return Err(Error::io(path, source));
    }
    Ok(head)
}

fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    let mut magic = Vec::new();
    std::fs::File::open(path)?.take(2).read_to_end(&mut magic)?;
    let file = std::io::BufReader::new(std::fs::File::open(path)?);
    Ok(if magic == [0x1F, 0x8B] { Box::new(flate2::read::MultiGzDecoder::new(file)) } else { Box::new(file) })
}
