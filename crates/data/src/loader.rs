//! Batches of a data set in an order that is a pure function of (seed, epoch).

use std::sync::Arc;

use crate::batch::{self, Batch, Inputs};
use crate::random::{Purpose, Random};
use crate::{Dataset, Error, Samples, Targets};

/// Makes the epochs of one split of a data set.
#[derive(Clone, Debug)]
pub struct Loader {
    dataset: Arc<Dataset>,
    indices: Arc<Vec<u32>>,
    batch: usize,
    shuffle: Option<u64>,
}

/// The batches of one epoch, in order.
pub struct Epoch {
    loader: Loader,
    order: Vec<u32>,
    position: usize,
}

impl Loader {
    /// Batches of `batch` samples of `dataset` at `indices`, in the order given; the last one may be short.
    pub fn new(dataset: Arc<Dataset>, indices: Vec<u32>, batch: usize) -> Self {
        Self { dataset, indices: Arc::new(indices), batch: batch.max(1), shuffle: None }
    }

    /// Shuffles each epoch by a permutation of (seed, epoch).
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.shuffle = Some(seed);
        self
    }

    /// Batches in an epoch.
    pub fn batches(&self) -> usize {
        self.indices.len().div_ceil(self.batch)
    }

    /// Samples in an epoch.
    pub fn samples(&self) -> usize {
        self.indices.len()
    }

    /// The batches of epoch `epoch` (counted from 0).
    pub fn epoch(&self, epoch: usize) -> Epoch {
        let mut order = self.indices.to_vec();
        if let Some(seed) = self.shuffle {
            Random::new(seed, Purpose::Shuffle, epoch as u32, 0).shuffle(&mut order);
        }
        Epoch { loader: self.clone(), order, position: 0 }
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = (self.position + self.loader.batch).min(self.order.len());
        let indices = &self.order[self.position..end];
        self.position = end;
        (!indices.is_empty()).then(|| gather(&self.loader.dataset, indices))
    }
}

/// The samples of `dataset` at `indices`, in that order, in one buffer.
fn gather(dataset: &Dataset, indices: &[u32]) -> Result<Batch, Error> {
    let [channels, height, width] = dataset.input.shape();
    let inputs = match &dataset.samples {
        Samples::Pixels(pixels) => Inputs::Pixels(rows(pixels, indices, channels * height * width)),
        Samples::Features(features) => Inputs::Floats(rows(features, indices, channels * height * width)),
        Samples::Files(_) => return Err(Error::option("data", "files are not decoded while training yet")),
    };
    let targets = match &dataset.targets {
        Targets::Classes { values, .. } => batch::Targets::Classes(rows(values, indices, 1)),
        Targets::Labels { names, values } => batch::Targets::Dense {
            width: names.len(),
            values: rows(values, indices, names.len()).into_iter().map(f32::from).collect(),
        },
        Targets::Values { names, values } => {
            batch::Targets::Dense { width: names.len(), values: rows(values, indices, names.len()) }
        }
    };
    Ok(Batch {
        indices: indices.to_vec(),
        shape: [indices.len(), channels, height, width],
        inputs,
        targets: Some(targets),
    })
}

fn rows<T: Copy>(values: &[T], indices: &[u32], width: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(indices.len() * width);
    for &index in indices {
        out.extend_from_slice(&values[index as usize * width..][..width]);
    }
    out
}
