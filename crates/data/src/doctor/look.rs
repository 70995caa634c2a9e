//! One look at every image: a hash of its pixels for exact copies; a small gray version and its perceptual hash for near ones. Each file
//! is read and decoded once, on all cores, and its pixels are forgotten at once.

use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::Subject;
use crate::image::{self, Header};
use crate::{Dataset, Error, ImageSpec, InputSpec, Part, Samples};

/// Sides of the small version.
pub(super) const SIDE: usize = 16;
/// Cosines along each axis of the perceptual hash.
const WAVES: usize = 11;
/// Standard deviation of gray values (0 to 255) under which an image shows nothing that could be compared.
const FLAT: f32 = 2.0;

/// What one image looks like.
pub(super) struct Look {
    /// The first 128 bits of SHA-256 over the pixels as training sees them.
    pub(super) print: u128,
    /// All pixels are of one value in each channel.
    pub(super) blank: bool,
    /// How bright it is, how much it varies, and how much detail it has.
    pub(super) tone: Tone,
    /// What the file's header says; `None` for images that are not files.
    pub(super) header: Option<Header>,
    /// For comparing; `None` for an image without any contrast.
    pub(super) small: Option<Small>,
}

/// Three numbers for all pixels and channels, each 0 to 255.
pub(super) struct Tone {
    /// The mean.
    pub(super) brightness: f64,
    /// The standard deviation.
    pub(super) contrast: f64,
    /// The mean absolute difference of neighbours in a row: low where the image is blurred, high where it is noise.
    pub(super) detail: f64,
}

/// A small version to compare by.
pub(super) struct Small {
    /// The perceptual hash.
    pub(super) hash: u64,
    /// `SIDE` x `SIDE` gray values of mean 0 and length 1.
    pub(super) gray: Vec<f32>,
}

/// Every sample that is in a split, or why it cannot be read.
pub(super) fn all(dataset: &Dataset, subject: &Subject<'_>) -> Vec<Option<Result<Look, Error>>> {
    let InputSpec::Image(spec) = &dataset.input else { return Vec::new() };
    let (waves, len) = (waves(), spec.channels * spec.height * spec.width);
    let see = |index: usize| match &dataset.samples {
        Samples::Pixels(pixels) => Ok(look(&pixels[index * len..][..len], spec, &waves, None)),
        Samples::Files(files) => file(&files[index], spec, &waves),
        Samples::Features(_) => Err(Error::internal("a table has no pixels")),
    };
    let used = |index: usize| subject.parts[index] != Part::Unassigned;
    (0..subject.parts.len()).into_par_iter().map(|index| used(index).then(|| see(index))).collect()
}

fn file(path: &Path, spec: &ImageSpec, waves: &[Vec<f32>]) -> Result<Look, Error> {
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0) {
        return Err(Error::malformed(path, "file", "an image", "0 bytes"));
    }
    let header = image::probe(path)?;
    Ok(look(&image::decode_file(path, spec)?, spec, waves, Some(header)))
}

fn look(pixels: &[u8], spec: &ImageSpec, waves: &[Vec<f32>], header: Option<Header>) -> Look {
    let plane = spec.height * spec.width;
    let digest = Sha256::digest(pixels);
    let print = digest[..16].iter().fold(0, |print, &byte| print << 8 | u128::from(byte));
    let blank = pixels.chunks_exact(plane).all(|channel| channel.iter().all(|value| *value == channel[0]));
    let tone = tone(pixels, spec.width);
    Look { print, blank, tone, header, small: small(&shrink(pixels, spec), waves) }
}

/// Sums of whole numbers: exact for images of up to 2^40 pixels.
fn tone(pixels: &[u8], width: usize) -> Tone {
    let (mut sum, mut squares, mut steps) = (0_u64, 0_u64, 0_u64);
    for row in pixels.chunks_exact(width.max(1)) {
        for &value in row {
            sum += u64::from(value);
            squares += u64::from(value) * u64::from(value);
        }
        steps += row.windows(2).map(|pair| u64::from(pair[0].abs_diff(pair[1]))).sum::<u64>();
    }
    let n = pixels.len().max(1) as f64;
    let brightness = sum as f64 / n;
    let contrast = (squares as f64 / n - brightness * brightness).max(0.0).sqrt();
    let pairs = (pixels.len() - pixels.len() / width.max(1)).max(1);
    Tone { brightness, contrast, detail: steps as f64 / pairs as f64 }
}

/// Means over a grid of `SIDE` x `SIDE` cells and all channels.
fn shrink(pixels: &[u8], spec: &ImageSpec) -> Vec<f32> {
    let cells = |len: usize| -> Vec<(usize, usize)> {
        (0..SIDE).map(|at| (at * len / SIDE, ((at + 1) * len).div_ceil(SIDE))).collect()
    };
    let (rows, columns) = (cells(spec.height), cells(spec.width));
    let plane = spec.height * spec.width;
    let mut out = Vec::with_capacity(SIDE * SIDE);
    for &(top, bottom) in &rows {
        for &(left, right) in &columns {
            let row = |channel: usize, y: usize| {
                pixels[channel * plane + y * spec.width..][left..right]
                    .iter()
                    .map(|&value| u32::from(value))
                    .sum::<u32>()
            };
            let sum: u32 = (0..spec.channels).map(|channel| (top..bottom).map(|y| row(channel, y)).sum::<u32>()).sum();
            out.push(sum as f32 / (spec.channels * (bottom - top) * (right - left)) as f32);
        }
    }
    out
}

/// pHash (C. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010): whether each of the 64 lowest
/// frequencies of the cosine transform, the mean left aside, is above their median.
fn small(gray: &[f32], waves: &[Vec<f32>]) -> Option<Small> {
    let mean = gray.iter().sum::<f32>() / gray.len() as f32;
    let centred: Vec<f32> = gray.iter().map(|value| value - mean).collect();
    let length = centred.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length < FLAT * SIDE as f32 {
        return None;
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    // Along the rows first, then down the columns.
    let across: Vec<Vec<f32>> =
        waves.iter().map(|wave| centred.chunks_exact(SIDE).map(|row| dot(row, wave)).collect()).collect();
    let mut order: Vec<(usize, usize)> =
        (0..WAVES).flat_map(|down| (0..WAVES).map(move |right| (down, right))).skip(1).collect();
    order.sort_by_key(|&(down, right)| (down + right, down));
    let values: Vec<f32> = order[..64].iter().map(|&(down, right)| dot(&across[right], &waves[down])).collect();
    let mut sorted = values.clone();
    sorted.sort_by(f32::total_cmp);
    let median = (sorted[31] + sorted[32]) / 2.0;
    let hash = values.iter().fold(0, |hash, &value| hash << 1 | u64::from(value > median));
    Some(Small { hash, gray: centred.into_iter().map(|value| value / length).collect() })
}

/// The first cosines over `SIDE` points (DCT-II).
fn waves() -> Vec<Vec<f32>> {
    let step = std::f32::consts::PI / SIDE as f32;
    (0..WAVES).map(|wave| (0..SIDE).map(|at| (step * (at as f32 + 0.5) * wave as f32).cos()).collect()).collect()
}
