//! `--halve-batch`: where memory holds no step of the batch that was asked for, half of it, and twice as many batches for an update. That learns
//! the same, but for what normalises by the batch. Decided before anything is written, so that the run records what it really does.

use std::sync::Arc;

use anyhow::Result;
use data::Dataset;
use device::Selected;
use tasks::Task;
use trainer::memory::Estimate;
use trainer::{Error, Ranks};

use super::options::{Batch, Options};
use super::{chosen, residence, settle, stream};

/// Filled-in `options` with a batch of which a step fits; as they are unless they ask for it.
///
/// # Errors
/// Exit 7 where not even one sample for each rank fits, or what doesn't become less with the batch; 2 where only some ranks ask for it.
pub(super) fn fitted(mut options: Options, dataset: &Arc<Dataset>, ranks: &Ranks, quiet: bool) -> Result<Options> {
    // It has been answered, once it has: a run that goes on keeps its batch.
    let wanted = options.halve_batch.take() == Some(true);
    if !ranks.any(wanted)? {
        return Ok(options);
    }
    let asked = options.batch;
    // They halve in step.
    let mine = (wanted, asked.map(Batch::size), options.accumulate);
    let all = ranks.gather(Ok(format!("{mine:?}").into_bytes()))?;
    if all.iter().any(|one| one != &all[0]) {
        let what = "--halve-batch: expected it of all ranks, with the same --batch and --accumulate";
        return Err(Error::Config(what.to_owned()).into());
    }
    let (device, _) = chosen::for_training(&options, settle::config(&options, dataset)?.precision, ranks)?;
    let available = chosen::available(&device);
    loop {
        let found = fits(&options, dataset, ranks, (&device, available))?;
        // All ranks share the batch.
        if ranks.all(found.is_ok())? {
            break;
        }
        if !halve(&mut options, ranks.size()) {
            found?;
            // It is another's memory, which says so.
            break;
        }
    }
    if options.batch != asked && !quiet {
        let (batch, accumulate) = (options.batch.map_or(0, Batch::size), options.accumulate.unwrap_or(1));
        let was = asked.map_or(0, Batch::size);
        stream::tell(format_args!(
            "batch    {batch} instead of {was}, as memory allows; an update averages {accumulate} of them"
        ));
    }
    Ok(options)
}

/// Whether a step fits into what is `available` of the device: by its estimate, and on a GPU by taking one.
fn fits(
    options: &Options,
    dataset: &Arc<Dataset>,
    ranks: &Ranks,
    (device, available): (&Selected, Option<u64>),
) -> Result<Result<(), Error>> {
    let mut config = settle::config(options, dataset)?;
    config.check()?;
    let task = Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss)?;
    let (there, _) = residence::settle(options, &config, dataset, (device, available))?;
    config.resident = there > 0;
    let frozen = trainer::initial::frozen(&config, &dataset.input, task.outputs(), &device.device)?.frozen;
    let step = Estimate::of_rank(&config, dataset, task.outputs(), frozen, ranks.size())?;
    if let Some(available) = available
        && let Err(error) = step.check(available.saturating_sub(there))
    {
        return Ok(Err(error));
    }
    if !device.backend.is_gpu() {
        return Ok(Ok(()));
    }
    config.batch = config.batch.div_ceil(ranks.size());
    Ok(trainer::rehearse(&config, dataset, &task, &device.device)?)
}

/// Half the samples in a step, twice the steps in an update; false where no rank would have any.
fn halve(options: &mut Options, ranks: usize) -> bool {
    let batch = options.batch.map_or(0, Batch::size);
    if batch <= ranks.max(1) {
        return false;
    }
    options.batch = Some(Batch::Size(batch.div_ceil(2).max(ranks)));
    options.accumulate = Some(2 * options.accumulate.unwrap_or(1));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_end_where_every_rank_has_one_sample_and_updates_learn_from_no_fewer() {
        let mut options = Options { batch: Some(Batch::Size(100)), accumulate: Some(3), ..Options::default() };
        let mut seen = Vec::new();
        while halve(&mut options, 2) {
            seen.push((options.batch.unwrap().size(), options.accumulate.unwrap()));
        }
        assert_eq!(seen, [(50, 6), (25, 12), (13, 24), (7, 48), (4, 96), (2, 192)]);
        assert!(seen.iter().all(|(batch, accumulate)| batch * accumulate >= 300));
    }
}
