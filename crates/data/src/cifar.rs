//! CIFAR-10 and CIFAR-100 in their binary version (cs.toronto.edu/~kriz/cifar.html): records of one or two label bytes and 3072 bytes
//! of pixels, red before green before blue. Of CIFAR-100 the fine labels are read.

use std::path::{Path, PathBuf};

use crate::pixels::{Arrays, MEMORY};
use crate::regular::regular;
use crate::{Dataset, Error, Found, OpenOptions, Part, Sources, Targets};

/// Batches of CIFAR-10 to train on: fewer are a download that was cut short.
const BATCHES: usize = 5;
const PIXELS: usize = 3 * 32 * 32;

/// The files of one of the two sets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Files {
    /// Batches, in order: training before test.
    batches: Vec<(PathBuf, Part)>,
    /// Class names, a line each; may be absent.
    names: PathBuf,
    /// 10 or 100.
    classes: usize,
}

/// The CIFAR files in `folder`, if it holds any.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn find(folder: &Path) -> Result<Option<Files>, Error> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| Error::io(folder, source))? {
        let entry = entry.map_err(|source| Error::io(folder, source))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let ten = |name: &&String| name.starts_with("data_batch_") && name.ends_with(".bin");
    let mut batches: Vec<(PathBuf, Part)> =
        names.iter().filter(ten).map(|name| (folder.join(name), Part::Train)).collect();
    if !batches.is_empty() || has("test_batch.bin") {
        let expected = (1..=BATCHES).map(|number| folder.join(format!("data_batch_{number}.bin"))).collect::<Vec<_>>();
        let found = || batches.iter().map(|(file, _)| file);
        if !batches.is_empty() && !found().eq(&expected) {
            let missing = expected.iter().find(|file| !found().any(|found| found == *file));
            let (what, file) = match missing {
                Some(file) => ("is missing", file),
                None => ("is none of them", found().find(|file| !expected.contains(file)).unwrap_or(&expected[0])),
            };
            let name = file.file_name().unwrap_or_default().display();
            let what = format!("CIFAR-10 has data_batch_1.bin to data_batch_{BATCHES}.bin, and `{name}` {what}");
            return Err(Error::unusable(folder, what, "unpack the archive again, or `trainer data fetch cifar10`"));
        }
        batches.extend(has("test_batch.bin").then(|| (folder.join("test_batch.bin"), Part::Test)));
        return Ok(Some(Files { batches, names: folder.join("batches.meta.txt"), classes: 10 }));
    }
    // These names are common: only with the names of the labels, or both together and of the right size, are they CIFAR-100.
    let sized = |name: &str| {
        let size = std::fs::metadata(folder.join(name)).map_or(0, |metadata| metadata.len());
        size > 0 && size.is_multiple_of(PIXELS as u64 + 2)
    };
    if has("train.bin") && (has("fine_label_names.txt") || has("test.bin") && sized("train.bin") && sized("test.bin")) {
        let mut batches = vec![(folder.join("train.bin"), Part::Train)];
        batches.extend(has("test.bin").then(|| (folder.join("test.bin"), Part::Test)));
        return Ok(Some(Files { batches, names: folder.join("fine_label_names.txt"), classes: 100 }));
    }
    Ok(None)
}

/// Reads `files`, found at `path`.
///
/// # Errors
/// A file that cannot be read or isn't a whole number of records; a label that is out of range; a list of names that has too few.
pub(crate) fn load(path: &Path, files: &Files, options: &OpenOptions) -> Result<Dataset, Error> {
    let (mut pixels, mut values): (Vec<u8>, Vec<u32>) = (Vec::new(), Vec::new());
    let (mut sources, mut given) = (Vec::new(), Vec::new());
    let mut notes = Vec::new();
    let names = names(files, &mut notes)?;
    let labels = if files.classes == 10 { 1 } else { 2 };
    let sizes = files.batches.iter().map(|(file, _)| regular(file));
    let total = sizes.collect::<Result<Vec<_>, _>>()?.iter().map(std::fs::Metadata::len).sum::<u64>();
    if total > MEMORY {
        return Err(Error::unusable(
            path,
            format!("the batches hold {total} bytes"),
            "CIFAR has less than 200 million",
        ));
    }
    for (file, part) in &files.batches {
        let bytes = std::fs::read(file).map_err(|source| Error::io(file, source))?;
        let record = labels + PIXELS;
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            let expected = format!("a whole number of records of {record} bytes");
            return Err(Error::malformed(file, "file", expected, format!("{} bytes", bytes.len())));
        }
        for (number, record) in bytes.chunks_exact(record).enumerate() {
            let (label, image) = record.split_at(labels);
            let label = usize::from(label[labels - 1]);
            if label >= names.len() {
                let expected = format!("a label below {}", names.len());
                return Err(Error::malformed(file, format!("record {number}"), expected, label));
            }
            values.push(label as u32);
            pixels.extend_from_slice(image);
        }
        let n = bytes.len() / record;
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        sources.push((name, n));
        given.extend(vec![*part; n]);
    }
    notes.push(format!("read {} batch files", files.batches.len()));
    Arrays {
        found: Found { format: format!("CIFAR-{} binary", files.classes), path: path.to_owned(), notes },
        pixels,
        shape: [3, 32, 32],
        targets: Targets::Classes { names, values },
        sources: Sources::Arrays(sources),
        given,
    }
    .into_dataset(options)
}

fn names(files: &Files, notes: &mut Vec<String>) -> Result<Vec<String>, Error> {
    if !files.names.exists() {
        let name = files.names.file_name().unwrap_or_default().to_string_lossy();
        notes.push(format!("classes have numbers for names: `{name}` isn't there"));
        return Ok((0..files.classes).map(|class| class.to_string()).collect());
    }
    let about = regular(&files.names)?;
    if about.len() > 1 << 20 {
        return Err(Error::malformed(&files.names, "file", "a name a line", format!("{} bytes", about.len())));
    }
    let text = std::fs::read_to_string(&files.names).map_err(|source| Error::io(&files.names, source))?;
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    if names.len() != files.classes {
        return Err(Error::malformed(&files.names, "lines", format!("{} class names", files.classes), names.len()));
    }
    if let Some(at) = (1..names.len()).find(|&at| names[..at].contains(&names[at])) {
        return Err(Error::malformed(&files.names, "lines", "every class name once", format!("`{}` again", names[at])));
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
