//! From image files to samples, for folders and lists: decides size and channels, decodes on all cores into memory or leaves the
//! files to be decoded while training, and measures mean and standard deviation of the training split.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::image::{self, Header};
use crate::pixels::{self, Histogram, MEMORY};
use crate::{Error, ImageSpec, OpenOptions, Samples, Split};

/// Sides of images that differ in size become their median, but no more than this.
const SIDE: u32 = 128;
/// Images that are all alike keep their size up to this side.
const KEPT: u32 = 256;
/// Training files that are decoded to estimate mean and standard deviation where not all of them fit in memory.
const MEASURED: usize = 2000;

/// Reads those of `files`, relative to `root`, that are in `split`; says in `notes` what was decided.
///
/// # Errors
/// The first file, in order, that cannot be read or decoded.
pub(crate) fn read(
    root: &Path,
    files: &[PathBuf],
    split: &Split,
    options: &OpenOptions,
    notes: &mut Vec<String>,
) -> Result<(ImageSpec, Samples), Error> {
    let paths: Vec<PathBuf> = files.iter().map(|file| root.join(file)).collect();
    let mut used: Vec<u32> = [&split.train[..], &split.val, &split.test].concat();
    used.sort_unstable();
    let mut spec = match &options.like {
        Some(_) => pixels::recipe(options, root, 0, [0, 0])?,
        None => {
            let headers: Vec<_> = used.par_iter().map(|&index| image::probe(&paths[index as usize])).collect();
            let headers = match options.audit {
                true => readable(headers),
                false => headers.into_iter().collect::<Result<Vec<_>, _>>()?,
            };
            decide(&headers, root, options, notes)?
        }
    };
    if options.audit {
        return Ok((spec, Samples::Files(paths)));
    }
    let fitted = options.like.is_none();
    if !pixels::fits(paths.len(), &spec, options) {
        let memory = options.memory.unwrap_or(MEMORY) >> 20;
        notes.push(format!(
            "images are decoded while training: together they need more than {memory} MiB; at most two batches for each \
             of --workers are in memory, and one more"
        ));
        if fitted {
            (spec.mean, spec.std) = estimate(&paths, &split.train, &spec)?;
            let measured = split.train.len().min(MEASURED);
            notes.push(format!("mean and standard deviation are those of {measured} training images, evenly spaced"));
        }
        return Ok((spec, Samples::Files(paths)));
    }
    let pixels = decode(&paths, &used, &spec)?;
    if fitted {
        (spec.mean, spec.std) = pixels::mean_std(&pixels, spec.channels, spec.height * spec.width, &split.train);
    }
    Ok((spec, Samples::Pixels(pixels)))
}

/// The headers that could be read; where none could, one of a single gray pixel.
fn readable(headers: Vec<Result<Header, Error>>) -> Vec<Header> {
    let readable: Vec<Header> = headers.into_iter().flatten().collect();
    if readable.is_empty() { vec![Header { height: 1, width: 1, gray: true }] } else { readable }
}

/// Size and channels, where the options don't say them.
fn decide(headers: &[Header], root: &Path, options: &OpenOptions, notes: &mut Vec<String>) -> Result<ImageSpec, Error> {
    let gray = headers.iter().filter(|header| header.gray).count();
    let channels = if gray == headers.len() { 1 } else { 3 };
    if gray > 0 && gray < headers.len() && options.channels.is_none() {
        notes
            .push(format!("{gray} of {} images are gray, the others have colours: all are read as RGB", headers.len()));
    }
    let sorted = |side: fn(&Header) -> u32| {
        let mut sides: Vec<u32> = headers.iter().map(side).collect();
        sides.sort_unstable();
        sides
    };
    let (heights, widths) = (sorted(|header| header.height), sorted(|header| header.width));
    let (Some((&low, &high)), Some((&left, &right))) =
        (heights.first().zip(heights.last()), widths.first().zip(widths.last()))
    else {
        return Err(Error::unusable(root, "there are no images", "add some"));
    };
    let alike = low == high && left == right;
    let size = if alike && high.max(right) <= KEPT {
        [high, right]
    } else {
        let shorter = sorted(|header| header.height.min(header.width));
        [shorter[shorter.len() / 2].min(SIDE); 2]
    };
    let spec = pixels::recipe(options, root, channels, size.map(|side| side as usize))?;
    if !alike || [high as usize, right as usize] != [spec.height, spec.width] {
        let from = if alike { format!("{high}x{right}") } else { format!("{low}x{left} to {high}x{right}") };
        let how = match spec.fit {
            crate::Fit::Crop => "shorter side scaled, middle cut out",
            crate::Fit::Stretch => "both sides scaled",
            crate::Fit::Pad => "longer side scaled, filled up with black",
        };
        let why = match options.image_size {
            Some(_) => "",
            None => &format!(" (the median of the shorter sides, at most {SIDE}; --imgsz changes it)"),
        };
        notes.push(format!("images of {from} (rows x columns) become {}x{}{why}: {how}", spec.height, spec.width));
    }
    Ok(spec)
}

/// `[n, channels, height, width]`; zeros for samples that aren't used.
fn decode(paths: &[PathBuf], used: &[u32], spec: &ImageSpec) -> Result<Vec<u8>, Error> {
    let len = spec.channels * spec.height * spec.width;
    let mut pixels = vec![0; paths.len() * len];
    let errors: Vec<Option<Error>> = pixels
        .par_chunks_exact_mut(len)
        .enumerate()
        .map(|(index, sample)| {
            used.binary_search(&(index as u32)).ok()?;
            match image::decode_file(&paths[index], spec) {
                Ok(decoded) => {
                    sample.copy_from_slice(&decoded);
                    None
                }
                Err(error) => Some(error),
            }
        })
        .collect();
    // The first in order, not in time: the same message every run.
    match errors.into_iter().flatten().next() {
        Some(error) => Err(error),
        None => Ok(pixels),
    }
}

/// Mean and standard deviation of some training files.
fn estimate(paths: &[PathBuf], train: &[u32], spec: &ImageSpec) -> Result<(Vec<f32>, Vec<f32>), Error> {
    let n = train.len().min(MEASURED);
    let new = || Histogram::new(spec.channels);
    let plane = spec.height * spec.width;
    let histogram = (0..n)
        .into_par_iter()
        .map(|at| image::decode_file(&paths[train[at * train.len() / n] as usize], spec))
        .try_fold(new, |histogram, sample| Ok::<_, Error>(histogram.add(&sample?, plane)))
        .try_reduce(new, |a, b| Ok(a.merge(b)))?;
    Ok(histogram.mean_std())
}
