//! Images that are already decoded, from the digits, IDX and CIFAR files: brought to the shape of the recipe, split, and measured.
//! Also the measuring itself, which folders share.

use std::path::Path;

use rayon::prelude::*;

use crate::{
    Dataset, Error, Found, ImageSpec, InputSpec, OpenOptions, Part, Samples, Sources, Targets, image, resize, split,
};

/// Bytes that decoded samples may take if the user says nothing.
pub(crate) const MEMORY: u64 = 2 << 30;

/// Decoded images of one shape, all splits of a data set.
pub(crate) struct Arrays {
    pub(crate) found: Found,
    /// `[n, channels, height, width]`.
    pub(crate) pixels: Vec<u8>,
    /// `[channels, height, width]`.
    pub(crate) shape: [usize; 3],
    pub(crate) targets: Targets,
    pub(crate) sources: Sources,
    pub(crate) given: Vec<Part>,
}

impl Arrays {
    /// Splits, resizes where the options or the model ask for it, and fits the recipe to the training split.
    pub(crate) fn into_dataset(mut self, options: &OpenOptions) -> Result<Dataset, Error> {
        let path = if self.found.path.as_os_str().is_empty() { "digits".into() } else { self.found.path.clone() };
        let mut targets = self.targets;
        if let Some(like) = &options.like {
            targets = like.align(targets, &path)?;
        }
        let (split, notes) = split::assign(&self.given, &targets, &self.sources, &path, options)?;
        self.found.notes.extend(notes);
        let [channels, height, width] = self.shape;
        let mut spec = recipe(options, &path, channels, [height, width])?;
        if [spec.channels, spec.height, spec.width] != self.shape {
            self.found.notes.push(format!(
                "images: {height}x{width} with {channels} channel(s) become {}x{} with {}",
                spec.height, spec.width, spec.channels
            ));
        }
        check_memory(targets.len(), &spec, options, &path)?;
        let pixels = reshape(self.pixels, self.shape, &spec);
        if options.like.is_none() {
            (spec.mean, spec.std) = mean_std(&pixels, spec.channels, spec.height * spec.width, &split.train);
        }
        Ok(Dataset {
            found: self.found,
            input: InputSpec::Image(spec),
            samples: Samples::Pixels(pixels),
            targets,
            sources: self.sources,
            split,
        })
    }
}

/// The model's recipe, or one from the options with `channels` and `size` [height, width] where they are silent; its mean and
/// standard deviation are 0 and 1 until they are fitted.
pub(crate) fn recipe(
    options: &OpenOptions,
    path: &Path,
    channels: usize,
    size: [usize; 2],
) -> Result<ImageSpec, Error> {
    let spec = match &options.like {
        Some(like) => like.image(path)?.clone(),
        None => {
            let [height, width] = options.image_size.unwrap_or(size);
            let channels = options.channels.unwrap_or(channels);
            let (mean, std) = (vec![0.0; channels.min(3)], vec![1.0; channels.min(3)]);
            ImageSpec { channels, height, width, fit: options.fit, filter: options.filter, mean, std }
        }
    };
    image::check_spec(&spec)?;
    Ok(spec)
}

/// Whether `n` samples of `spec` fit in the memory that the options allow.
pub(crate) fn fits(n: usize, spec: &ImageSpec, options: &OpenOptions) -> bool {
    let bytes = (n as u64).saturating_mul((spec.channels * spec.height * spec.width) as u64);
    bytes <= options.memory.unwrap_or(MEMORY)
}

fn check_memory(n: usize, spec: &ImageSpec, options: &OpenOptions, path: &Path) -> Result<(), Error> {
    if fits(n, spec, options) {
        return Ok(());
    }
    let memory = options.memory.unwrap_or(MEMORY) >> 20;
    let what = format!("{n} images of {}x{}x{} need more than {memory} MiB", spec.channels, spec.height, spec.width);
    Err(Error::unusable(path, what, "give a smaller --imgsz or more memory"))
}

/// `[n, shape]` to `[n, spec]`.
fn reshape(pixels: Vec<u8>, shape: [usize; 3], spec: &ImageSpec) -> Vec<u8> {
    if [spec.channels, spec.height, spec.width] == shape {
        return pixels;
    }
    let [channels, height, width] = shape;
    let plane = height * width;
    let (from, to) = (channels * plane, spec.channels * spec.height * spec.width);
    let mut out = vec![0; pixels.len() / from * to];
    out.par_chunks_exact_mut(to).zip(pixels.par_chunks_exact(from)).for_each(|(out, sample)| {
        let at = |pixel: usize, channel: usize| sample[channel * plane + pixel];
        let interleaved: Vec<u8> = match (channels, spec.channels) {
            (1, 3) => sample.iter().flat_map(|&value| [value; 3]).collect(),
            (3, 1) => (0..plane).map(|pixel| luma([at(pixel, 0), at(pixel, 1), at(pixel, 2)])).collect(),
            _ => (0..plane).flat_map(|pixel| (0..channels).map(move |channel| at(pixel, channel))).collect(),
        };
        out.copy_from_slice(&resize::fit(&interleaved, [height, width], spec));
    });
    out
}

/// Rec. 709 luma, as the image library computes it for files.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((2126 * u32::from(r) + 7152 * u32::from(g) + 722 * u32::from(b)) / 10_000) as u8
}

/// How often each value occurs in each channel: exact sums, whatever the order and number of threads.
pub(crate) struct Histogram(Vec<[u64; 256]>);

impl Histogram {
    pub(crate) fn new(channels: usize) -> Self {
        Self(vec![[0; 256]; channels])
    }

    /// Counts one sample, `[channels, plane]`.
    pub(crate) fn add(mut self, sample: &[u8], plane: usize) -> Self {
        for (counts, values) in self.0.iter_mut().zip(sample.chunks_exact(plane)) {
            let (words, rest) = values.as_chunks::<8>();
            for word in words {
                // Backgrounds are of one value; counting them one by one would wait for the same counter each time.
                match *word == [word[0]; 8] {
                    true => counts[usize::from(word[0])] += 8,
                    false => word.iter().for_each(|&value| counts[usize::from(value)] += 1),
                }
            }
            rest.iter().for_each(|&value| counts[usize::from(value)] += 1);
        }
        self
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.0.iter_mut().flatten().zip(other.0.into_iter().flatten()).for_each(|(sum, count)| *sum += count);
        self
    }

    /// Mean and standard deviation of each channel, of values in 0..=1. A channel that never varies has a deviation of 1, so that
    /// dividing by it does no harm.
    pub(crate) fn mean_std(&self) -> (Vec<f32>, Vec<f32>) {
        let channel = |counts: &[u64; 256]| {
            let n = counts.iter().sum::<u64>().max(1) as f64;
            let moment = |power: i32| {
                let terms =
                    counts.iter().enumerate().map(|(value, &count)| (value as f64 / 255.0).powi(power) * count as f64);
                terms.sum::<f64>() / n
            };
            let mean = moment(1);
            let std = (moment(2) - mean * mean).max(0.0).sqrt();
            (mean as f32, if std < 1e-6 { 1.0 } else { std as f32 })
        };
        self.0.iter().map(channel).unzip()
    }
}

/// Mean and standard deviation of each channel over the samples at `indices`, of values in 0..=1.
pub(crate) fn mean_std(pixels: &[u8], channels: usize, plane: usize, indices: &[u32]) -> (Vec<f32>, Vec<f32>) {
    let sample = |index: u32| &pixels[index as usize * channels * plane..][..channels * plane];
    let histogram = indices
        .par_iter()
        .fold(|| Histogram::new(channels), |histogram, &index| histogram.add(sample(index), plane))
        .reduce(|| Histogram::new(channels), Histogram::merge);
    histogram.mean_std()
}
