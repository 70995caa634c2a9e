//! Batches of a data set in an order that is a pure function of (seed, epoch), made by threads ahead of the consumer. Gathers, decodes
//! and augments; the threads themselves are in `ordered`, the operations in `augment`.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::batch::{self, Batch, Inputs};
use crate::ordered::Ordered;
use crate::random::{Purpose, Random};
use crate::resident::{Resident, Rows};
use crate::{Augment, Dataset, Error, InputSpec, Samples, Targets};

/// Makes the epochs of one split of a data set.
///
/// Memory beyond the data set: the batch that the consumer holds, and two batches for each worker (one waiting, one in the making; with
/// workers that is all that is ever read ahead). A batch of images takes `batch * channels * height * width` bytes; where files are
/// decoded while training, each worker also holds one picture in the size of its file at a time.
#[derive(Clone, Debug)]
pub struct Loader {
    dataset: Arc<Dataset>,
    indices: Arc<Vec<u32>>,
    batch: usize,
    shuffle: Option<u64>,
    augment: Option<(Augment, u64)>,
    workers: usize,
    floats: bool,
    part: [usize; 2],
    whole: bool,
    resident: Option<Arc<Resident>>,
}

/// The batches of one epoch, in order. The first error is the last item. Dropping it early stops and joins the threads.
pub struct Epoch {
    batches: Ordered<Batch>,
}

impl Loader {
    /// Batches of `batch` samples of `dataset` at `indices`, in the order given; the last one may be short.
    pub fn new(dataset: Arc<Dataset>, indices: Vec<u32>, batch: usize) -> Self {
        let indices = Arc::new(indices);
        let (batch, part) = (batch.max(1), [0, 1]);
        Self {
            dataset,
            indices,
            batch,
            shuffle: None,
            augment: None,
            workers: 0,
            floats: false,
            part,
            whole: false,
            resident: None,
        }
    }

    /// Shuffles each epoch by a permutation of (seed, epoch).
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.shuffle = Some(seed);
        self
    }

    /// Augments every sample by draws of (seed, epoch, sample index), and mixes every batch by draws of (seed, epoch, batch number).
    pub fn augmented(mut self, augment: Augment, seed: u64) -> Self {
        self.augment = (!augment.is_none()).then_some((augment, seed));
        self
    }

    /// Makes batches ahead on `workers` threads, 64 at most; 0, the default, makes each when it is asked for. The batches are the same.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Makes pixels 0..=1 where batches are made, so that the threads ahead do it: batches of images then take four bytes for each of
    /// their values. The numbers are those that [`Batch::into_tensors`] would make.
    pub fn floats(mut self) -> Self {
        self.floats = true;
        self
    }

    /// Takes inputs from where they lie on a device, if they do: batches are then drawn on the host, and made by [`Batch::into_tensors`]. The
    /// tensors are the same, to the bit.
    pub fn resident(mut self, resident: Option<Arc<Resident>>) -> Self {
        self.resident = resident;
        self
    }

    /// Leaves out the last batch of each epoch where it is short, so that all have one shape: other samples in every epoch, if it shuffles.
    pub fn whole(mut self, whole: bool) -> Self {
        self.whole = whole;
        self
    }

    /// Makes part `part`, counted from 0, of `of` of every batch: some of its samples in a row, none where the batch has fewer than `of`. The
    /// parts taken together are the batches; what mixes samples is given the whole batch, and the part is cut out of it.
    pub fn part(mut self, part: usize, of: usize) -> Self {
        self.part = [part, of.max(1)];
        self
    }

    /// The samples of batch `number` of an epoch, counted from 0, whatever part of it is made.
    pub fn len_of(&self, number: usize) -> usize {
        self.indices.len().saturating_sub(number * self.batch).min(self.batch)
    }

    /// Which samples of batch `number` of an epoch are in the part that is made, counted from its first.
    pub fn part_of(&self, number: usize) -> Range<usize> {
        let ([part, of], len) = (self.part, self.len_of(number));
        part * len / of..(part + 1) * len / of
    }

    /// The positions in the data set, and the targets, of all samples of batch `number`, where no epoch is shuffled.
    pub fn truth(&self, number: usize) -> (Vec<u32>, batch::Targets) {
        let indices = &self.indices[number * self.batch..][..self.len_of(number)];
        (indices.to_vec(), targets(&self.dataset.targets, indices))
    }

    /// Batches in an epoch.
    pub fn batches(&self) -> usize {
        if self.whole { self.indices.len() / self.batch } else { self.indices.len().div_ceil(self.batch) }
    }

    /// Samples in an epoch.
    pub fn samples(&self) -> usize {
        if self.whole { self.batches() * self.batch } else { self.indices.len() }
    }

    /// The batches of epoch `epoch` (counted from 0). Threads start with the first batch.
    ///
    /// # Errors
    /// As items: a file that cannot be decoded, with its name; an augmentation that was parsed for other data; an index beyond the data
    /// set.
    pub fn epoch(&self, epoch: usize) -> Epoch {
        let mut order = self.indices.to_vec();
        if let Some(seed) = self.shuffle {
            Random::new(seed, Purpose::Shuffle, epoch as u32, 0).shuffle(&mut order);
        }
        let maker = Maker { loader: self.clone(), order, epoch: epoch as u32 };
        Epoch { batches: Ordered::new(self.batches(), self.workers, Arc::new(move |n, stop: &_| maker.make(n, stop))) }
    }
}

impl Epoch {
    /// Leaves out the next `n` batches without making them: resuming in the middle of an epoch gives the batches that would have come.
    pub fn skip_batches(self, n: usize) -> Self {
        Self { batches: self.batches.skip_jobs(n) }
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.batches.size_hint()
    }
}

/// Makes any batch of one epoch, knowing no other.
struct Maker {
    loader: Loader,
    order: Vec<u32>,
    epoch: u32,
}

impl Maker {
    fn make(&self, number: usize, stop: &AtomicBool) -> Result<Batch, Error> {
        let Loader { dataset, batch, augment, .. } = &self.loader;
        let (whole, part) = (&self.order[number * batch..][..self.loader.len_of(number)], self.loader.part_of(number));
        let mixes = augment.as_ref().is_some_and(|(augment, _)| augment.mixes());
        let indices = if mixes { whole } else { &whole[part.clone()] };
        if let Some(index) = indices.iter().find(|&&index| index as usize >= dataset.len()) {
            return Err(Error::internal(format!("sample {index} of a data set of {}", dataset.len())));
        }
        let [channels, height, width] = dataset.input.shape();
        let mut batch = Batch {
            indices: indices.to_vec(),
            shape: [indices.len(), channels, height, width],
            inputs: self.inputs(indices, stop)?,
            targets: Some(targets(&dataset.targets, indices)),
        };
        if let Some((augment, seed)) = augment {
            let mut random = Random::new(*seed, Purpose::Mix, self.epoch, number as u32);
            augment.mix(&mut batch, dataset.targets.names().len(), &mut random);
        }
        if mixes {
            batch = batch.cut(part);
        }
        if self.loader.floats && self.loader.resident.is_none() {
            batch.inputs = Inputs::Floats(batch.inputs.into_floats());
        }
        Ok(batch)
    }

    fn inputs(&self, indices: &[u32], stop: &AtomicBool) -> Result<Inputs, Error> {
        let dataset = &*self.loader.dataset;
        let len = dataset.input.len();
        if let Some((augment, _)) = &self.loader.augment {
            augment.check(&dataset.input, &dataset.targets)?;
        }
        if let Some(resident) = &self.loader.resident {
            return self.rows(resident, indices);
        }
        match &dataset.samples {
            Samples::Features(features) => Ok(Inputs::Floats(rows(features, indices, len))),
            Samples::Pixels(pixels) if !self.changes_images() => Ok(Inputs::Pixels(rows(pixels, indices, len))),
            Samples::Pixels(pixels) => self.pixels(indices, |index| Ok(&pixels[index * len..][..len])),
            Samples::Files(paths) => self.pixels(indices, |index| match &dataset.input {
                _ if stop.load(Ordering::Relaxed) => Err(Error::internal("the epoch was left")),
                InputSpec::Image(spec) => decode(&paths[index], spec),
                InputSpec::Table(_) => Err(Error::internal("image files with the recipe of a table")),
            }),
        }
    }

    /// Samples where they lie, with what is drawn for each of them.
    fn rows(&self, resident: &Arc<Resident>, indices: &[u32]) -> Result<Inputs, Error> {
        let augment = self.loader.augment.as_ref();
        if !resident.serves(augment.map(|(augment, _)| augment)) {
            return Err(Error::internal("a data set that lies on a device for another augmentation"));
        }
        let drawn = augment.filter(|_| self.changes_images()).map(|(augment, seed)| {
            let shape = self.loader.dataset.input.shape();
            let draw = |&index| augment.draw(shape, &mut Random::new(*seed, Purpose::Augment, self.epoch, index));
            indices.iter().map(draw).collect()
        });
        Ok(Inputs::Resident(Rows::new(resident.clone(), indices, drawn.unwrap_or_default())))
    }

    fn changes_images(&self) -> bool {
        self.loader.augment.as_ref().is_some_and(|(augment, _)| augment.changes_images())
    }

    /// The pixels that `read` gives for each index, augmented where that is asked for.
    fn pixels<P: AsRef<[u8]>>(
        &self,
        indices: &[u32],
        read: impl Fn(usize) -> Result<P, Error>,
    ) -> Result<Inputs, Error> {
        let input = &self.loader.dataset.input;
        let mut out = vec![0; indices.len() * input.len()];
        let augment = self.loader.augment.as_ref().filter(|_| self.changes_images());
        let mut painter = augment.map(|(augment, seed)| (augment.painter(input), *seed));
        for (&index, out) in indices.iter().zip(out.chunks_exact_mut(input.len().max(1))) {
            let pixels = read(index as usize)?;
            match &mut painter {
                Some((painter, seed)) => {
                    painter.paint(pixels.as_ref(), out, &mut Random::new(*seed, Purpose::Augment, self.epoch, index));
                }
                None => out.copy_from_slice(pixels.as_ref()),
            }
        }
        Ok(Inputs::Pixels(out))
    }
}

/// The picture in `path` as `[channels, height, width]`.
fn decode(path: &Path, spec: &crate::ImageSpec) -> Result<Vec<u8>, Error> {
    let pixels = crate::image::decode_file(path, spec)?;
    let len = spec.channels * spec.height * spec.width;
    if pixels.len() != len {
        return Err(Error::malformed(path, "decoded", format!("{len} pixels"), pixels.len()));
    }
    Ok(pixels)
}

fn targets(targets: &Targets, indices: &[u32]) -> batch::Targets {
    match targets {
        Targets::Classes { values, .. } => batch::Targets::Classes(rows(values, indices, 1)),
        Targets::Labels { names, values } => batch::Targets::Dense {
            width: names.len(),
            values: rows(values, indices, names.len()).into_iter().map(f32::from).collect(),
        },
        Targets::Values { names, values } => {
            batch::Targets::Dense { width: names.len(), values: rows(values, indices, names.len()) }
        }
    }
}

fn rows<T: Copy>(values: &[T], indices: &[u32], width: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(indices.len() * width);
    for &index in indices {
        out.extend_from_slice(&values[index as usize * width..][..width]);
    }
    out
}

#[cfg(test)]
mod tests;
