//! The batches of a training, those that it learns from and those that it is measured on, and where their inputs lie. How a batch is made is `data`'s.

use std::sync::Arc;

use burn::tensor::Device;
use data::{Dataset, Loader, Resident};

use crate::lost::attended;
use crate::memory::{MEASURED, readable};
use crate::{Error, Ranks, TrainConfig};

/// The batches that train.
pub(crate) fn training(config: &TrainConfig, dataset: &Arc<Dataset>) -> Loader {
    let loader = Loader::new(dataset.clone(), dataset.split.train.to_vec(), config.batch).workers(config.workers);
    loader.floats().shuffled(config.seed).augmented(config.augment, config.seed).whole(config.drop_last)
}

/// The data set on the device, where the settings say so: for the batches that train, and for those that are measured. Waits until it is there.
pub(crate) fn resident(
    config: &TrainConfig,
    dataset: &Dataset,
    device: &Device,
) -> Result<Option<Arc<Resident>>, Error> {
    if !config.resident {
        return Ok(None);
    }
    let there = attended(device, || {
        let there = Resident::new(dataset, &config.augment, device)?;
        there.wait();
        Ok(Some(Arc::new(there)))
    });
    there.map_err(|error| match error {
        Error::Device(what) if device::is_memory(&what) => {
            let bytes = Resident::bytes(dataset, &config.augment).map_or_else(|_| "it".to_owned(), readable);
            let what = device::one_line(&what);
            Error::Memory(format!(
                "the device has too little memory for the data set, {bytes} ({what}); give --data-on host"
            ))
        }
        error => error,
    })
}

/// Samples on which nothing is learned, in batches: validation needs no gradients, so that they can be larger at the same memory.
pub(crate) fn held_out(
    config: &TrainConfig,
    dataset: &Arc<Dataset>,
    indices: &[u32],
    ranks: &Ranks,
    resident: Option<Arc<Resident>>,
) -> Loader {
    let loader = Loader::new(dataset.clone(), indices.to_vec(), config.batch.max(MEASURED * ranks.size()));
    loader.part(ranks.rank(), ranks.size()).workers(config.workers).floats().resident(resident)
}

/// Refuses a training without a batch.
pub(crate) fn check_batches(config: &TrainConfig, training: &Loader, samples: usize) -> Result<(), Error> {
    match training.batches() {
        0 if samples == 0 => Err(Error::Config("the training split is empty".into())),
        0 => {
            let batch = config.batch;
            Err(Error::Config(format!("--drop-last leaves nothing of {samples} samples in batches of {batch}")))
        }
        _ => Ok(()),
    }
}
