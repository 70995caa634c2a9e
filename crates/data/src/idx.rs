//! IDX files, the format of the MNIST family (yann.lecun.com/exdb/mnist): images in one file, labels in another, plain or gzip.
//! Headers are checked against the size of the file before any memory is taken.

use std::io::Read;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::pixels::{Arrays, MEMORY};
use crate::regular::regular;
use crate::{Dataset, Error, Found, OpenOptions, Part, Sources, Targets};

/// Gzip cannot shrink data further than this (zlib.net/zlib_tech.html).
const GZIP_RATIO: u64 = 1032;
/// What it does to pictures of digits and clothes is less than this.
const USUAL_RATIO: u64 = 8;

/// The images and labels of one split.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pair {
    images: PathBuf,
    labels: PathBuf,
    part: Part,
}

/// The pairs of IDX files in `folder`, in order of their names.
///
/// # Errors
/// The folder cannot be read; images without labels; several data sets.
pub(crate) fn find(folder: &Path) -> Result<Vec<Pair>, Error> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| Error::io(folder, source))? {
        files.push(entry.map_err(|source| Error::io(folder, source))?.path());
    }
    // A plain file goes before its own compressed copy.
    files.sort_unstable();
    for file in files {
        let name = name(&file);
        if !(name.contains("images") && name.contains("idx")) || name.starts_with('.') {
            continue;
        }
        if pairs.last().is_some_and(|last| stem(&last.images) == stem(&file)) {
            continue;
        }
        pairs.push(pair(&file)?);
    }
    for (index, second) in pairs.iter().enumerate() {
        if let Some(first) = pairs[..index].iter().find(|first| first.part == second.part) {
            let what =
                format!("`{}` and `{}` belong to different data sets", name(&first.images), name(&second.images));
            return Err(Error::unusable(folder, what, "move each to a folder of its own, or give one of the files"));
        }
    }
    Ok(pairs)
}

/// The pair that `file`, images or labels, belongs to; its part by the name.
///
/// # Errors
/// The other file isn't there.
pub(crate) fn pair(file: &Path) -> Result<Pair, Error> {
    let own = name(file);
    let stem = stem(file);
    let (theirs, kind) = if own.contains("labels") {
        (stem.replace("labels", "images").replace("idx1", "idx3"), "images")
    } else {
        (stem.replace("images", "labels").replace("idx3", "idx1"), "labels")
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let other =
        [theirs.clone(), format!("{theirs}.gz")].map(|name| folder.join(name)).into_iter().find(|path| path.is_file());
    let Some(other) = other.filter(|_| theirs != stem) else {
        let what = format!("an IDX file without its {kind}");
        let hint = if theirs == stem {
            "name the files like train-images-idx3-ubyte and train-labels-idx1-ubyte".into()
        } else {
            format!("`{theirs}` or `{theirs}.gz` should stand beside it")
        };
        return Err(Error::unusable(file, what, hint));
    };
    let part = match own.as_str() {
        own if own.contains("train") => Part::Train,
        own if own.contains("t10k") || own.contains("test") => Part::Test,
        own if own.contains("val") => Part::Val,
        _ => Part::Unassigned,
    };
    let (images, labels) = if kind == "labels" { (file.to_owned(), other) } else { (other, file.to_owned()) };
    Ok(Pair { images, labels, part })
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn stem(path: &Path) -> String {
    let name = name(path);
    name.strip_suffix(".gz").map(str::to_owned).unwrap_or(name)
}

/// Reads `pairs`, found at `path`.
///
/// # Errors
/// A file that is no IDX file of bytes, is cut short or too long, or declares an absurd size; labels that are not as many as the
/// images; images of different sizes.
pub(crate) fn load(path: &Path, pairs: &[Pair], options: &OpenOptions) -> Result<Dataset, Error> {
    let (mut pixels, mut labels): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
    let mut shape: Option<[usize; 3]> = None;
    let (mut sources, mut given) = (Vec::new(), Vec::new());
    // Images come first to training, whatever the names: the order is part of every seed's meaning.
    let mut pairs: Vec<&Pair> = pairs.iter().collect();
    pairs.sort_by_key(|pair| pair.part as u8);
    // The images of all files end up in the memory of the first: room that nobody writes to costs nothing.
    let sizes = pairs.iter().skip(1).map(|pair| std::fs::metadata(&pair.images).map_or(0, |file| file.len()));
    let room = sizes.sum::<u64>().saturating_mul(USUAL_RATIO).min(MEMORY);
    let read = pairs
        .par_iter()
        .enumerate()
        .map(|(at, pair)| rayon::join(|| read(&pair.images, if at == 0 { room } else { 0 }), || read(&pair.labels, 0)));
    for (pair, (images, theirs)) in pairs.iter().zip(read.collect::<Vec<_>>()) {
        let images = images?;
        let own = match images.dims[..] {
            [_, height, width] => [1, height, width],
            [_, channels @ (1 | 3), height, width] => [channels, height, width],
            _ => return Err(bad_dims(&pair.images, "3 dimensions (images, rows, columns)", &images.dims)),
        };
        if *shape.get_or_insert(own) != own {
            return Err(bad_dims(&pair.images, "images as large as those of the other file", &images.dims));
        }
        let theirs = theirs?;
        if theirs.dims != images.dims[..1] {
            let expected = format!("{} labels, one for each image of `{}`", images.dims[0], name(&pair.images));
            return Err(bad_dims(&pair.labels, expected, &theirs.dims));
        }
        let n = images.dims[0];
        // A file that stands alone is cut like anything else.
        given.extend(vec![if pairs.len() == 1 && pair.part == Part::Train { Part::Unassigned } else { pair.part }; n]);
        sources.push((source(pair), n));
        if pixels.is_empty() {
            pixels = images.values;
        } else {
            // Doubling what is there would cost tens of megabytes.
            pixels.reserve_exact(images.values.len());
            pixels.extend_from_slice(&images.values);
        }
        labels.extend(theirs.values);
    }
    let (names, values) = classes(&labels);
    let files = pairs.iter().map(|pair| name(&pair.images)).collect::<Vec<_>>().join(", ");
    Arrays {
        found: Found {
            format: "IDX".into(),
            path: path.to_owned(),
            notes: vec![format!("read {files} and the labels")],
        },
        pixels,
        shape: shape.unwrap_or_default(),
        targets: Targets::Classes { names, values },
        sources: Sources::Arrays(sources),
        given,
    }
    .into_dataset(options)
}

fn source(pair: &Pair) -> String {
    match pair.part {
        Part::Train => "train".into(),
        Part::Val => "val".into(),
        Part::Test => "test".into(),
        Part::Unassigned => stem(&pair.images),
    }
}

/// The labels that occur, as class names in ascending order, and the class of each sample.
fn classes(labels: &[u8]) -> (Vec<String>, Vec<u32>) {
    let mut occurs = [false; 256];
    labels.iter().for_each(|&label| occurs[usize::from(label)] = true);
    let known: Vec<u8> = (0..=255).filter(|&label| occurs[usize::from(label)]).collect();
    let mut class = [0; 256];
    known.iter().zip(0..).for_each(|(&label, index)| class[usize::from(label)] = index);
    (known.iter().map(u8::to_string).collect(), labels.iter().map(|&label| class[usize::from(label)]).collect())
}

/// The contents of an IDX file of bytes.
struct Idx {
    dims: Vec<usize>,
    values: Vec<u8>,
}

/// Reads a file into memory that has `room` for as many bytes more.
fn read(path: &Path, room: u64) -> Result<Idx, Error> {
    let io = |source| Error::io(path, source);
    let size = regular(path)?.len();
    let mut magic = Vec::new();
    std::fs::File::open(path).map_err(io)?.take(2).read_to_end(&mut magic).map_err(io)?;
    let file = std::io::BufReader::new(std::fs::File::open(path).map_err(io)?);
    if magic == [0x1F, 0x8B] {
        parse(
            flate2::read::MultiGzDecoder::new(file),
            path,
            [size.saturating_mul(GZIP_RATIO), size.saturating_mul(USUAL_RATIO)],
            room,
        )
    } else {
        parse(file, path, [size, size], room)
    }
}

/// Parses an IDX file whose contents can be no longer than `bound` bytes, and are `likely` no longer than that.
fn parse(mut reader: impl Read, path: &Path, [bound, likely]: [u64; 2], room: u64) -> Result<Idx, Error> {
    let mut magic = [0; 4];
    exactly(&mut reader, &mut magic, path)?;
    let [0, 0, 8, count @ 1..=4] = magic else {
        let expected = "the magic bytes 00 00 08 (unsigned bytes) and 1 to 4 dimensions";
        return Err(Error::malformed(path, "header", expected, format!("{magic:02x?}")));
    };
    let mut dims = Vec::new();
    for _ in 0..count {
        let mut dim = [0; 4];
        exactly(&mut reader, &mut dim, path)?;
        dims.push(u32::from_be_bytes(dim) as usize);
    }
    let header = 4 + 4 * u64::from(count);
    let declared = dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim as u64));
    let declared = match declared {
        Some(0) => return Err(bad_dims(path, "at least one value", &dims)),
        Some(declared) if declared <= bound.saturating_sub(header) => declared,
        Some(declared) if bound == likely => {
            let expected = format!("{declared} bytes of values, as the header {dims:?} says");
            return Err(Error::malformed(path, "after the header", expected, bound.saturating_sub(header)));
        }
        _ => {
            return Err(bad_dims(
                path,
                format!("at most {} values, by the size of the file", bound.saturating_sub(header)),
                &dims,
            ));
        }
    };
    if declared > MEMORY {
        return Err(bad_dims(path, format!("at most {MEMORY} values"), &dims));
    }
    // A compressed file may promise much and hold little: memory beyond the usual ratio grows with what is there.
    let mut values = Vec::with_capacity((declared.min(likely) + room) as usize + 1);
    reader.by_ref().take(declared + 1).read_to_end(&mut values).map_err(|source| damaged(path, &source))?;
    if values.len() as u64 != declared {
        let found = if values.len() as u64 > declared { "more".into() } else { format!("{}", values.len()) };
        let expected = format!("{declared} bytes of values, as the header {dims:?} says");
        return Err(Error::malformed(path, "after the header", expected, found));
    }
    Ok(Idx { dims, values })
}

fn exactly(reader: &mut impl Read, bytes: &mut [u8], path: &Path) -> Result<(), Error> {
    reader.read_exact(bytes).map_err(|source| match source.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::malformed(path, "header", "an IDX header", "the end of the file"),
        _ => damaged(path, &source),
    })
}

fn damaged(path: &Path, source: &std::io::Error) -> Error {
    Error::malformed(path, "contents", "whole data", format!("damage ({source})"))
}

fn bad_dims(path: &Path, expected: impl ToString, dims: &[usize]) -> Error {
    Error::malformed(path, "header", expected, format!("dimensions {dims:?}"))
}

#[cfg(test)]
mod tests;
