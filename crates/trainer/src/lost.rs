//! A device that fails in the middle of the work. Runtimes of GPUs panic where a driver resets or a card goes away, and where memory ends;
//! here that becomes an error like any other, and what was saved before is all that is needed to go on elsewhere.

use burn::tensor::Device;
use data::Dataset;
use device::is_memory;

use crate::memory::{Estimate, MEASURED, readable};
use crate::{Error, Job, TrainConfig};

/// Does `work`, which computes on `device`. A panic that the device had no part in goes on as one: it is a mistake of ours.
pub(crate) fn attended<T>(device: &Device, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    device::attended(device, work).unwrap_or_else(|lost| Err(Error::Device(lost.what)))
}

/// `error` with what the user can do about it: where memory ended, how much a step takes; else that the run can go on elsewhere.
pub(crate) fn advised(error: Error, job: &Job<'_>) -> Error {
    match if_memory(error, job.config, &job.dataset, job.task.outputs(), job.ranks.size()) {
        Error::Device(what) => {
            let what = device::one_line(&what);
            // Another rank than the first doesn't know where that has it.
            let run = if job.ranks.is_first() { job.run.path().display().to_string() } else { "RUN".to_owned() };
            Error::Device(format!("{what} (what was saved is whole: `trainer resume {run} --device cpu` goes on)"))
        }
        error => error,
    }
}

/// `error`, or, where a device says that its memory ended, how much a step takes and what to try.
pub(crate) fn if_memory(error: Error, config: &TrainConfig, dataset: &Dataset, outputs: usize, ranks: usize) -> Error {
    let what = match error {
        Error::Device(what) if is_memory(&what) => what,
        error => return error,
    };
    let step = Estimate::of_rank(config, dataset, outputs, 0, ranks)
        .map_or_else(|_| "an unknown amount".into(), |all| readable(all.total()));
    let (batch, half) = (config.batch, config.batch / 2);
    let share = if ranks > 1 { format!(", {} of them here", batch.div_ceil(ranks)) } else { String::new() };
    let advice = if half < ranks {
        "use a smaller network or smaller images".to_owned()
    } else {
        format!("try --batch {half} with --accumulate 2, or --halve-batch, which learn the same")
    };
    Error::Memory(format!(
        "--batch: the device has too little memory for a step of {batch} samples{share}, which takes about {step} ({}); {advice}",
        device::one_line(&what)
    ))
}

/// `error`, or, where a device says that its memory ended, that `samples` at once are too many.
pub(crate) fn if_too_many(error: Error, samples: usize) -> Error {
    match error {
        Error::Device(what) if is_memory(&what) => Error::Memory(format!(
            "the device has too little memory for {samples} samples at once ({}); try a smaller --batch (a training measures {MEASURED} at \
             least), a smaller network or smaller images, or --device cpu",
            device::one_line(&what)
        )),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu() -> Device {
        device::select("cpu").unwrap().device
    }

    #[test]
    fn an_error_stays_what_it_is() {
        let error = attended::<()>(&cpu(), || Err(Error::Config("x".into()))).unwrap_err();
        assert_eq!(if_too_many(error, 9).to_string(), "x");
    }

    #[test]
    fn too_many_samples_at_once_are_7() {
        let error = attended::<()>(&cpu(), || panic!("out of device memory")).unwrap_err();
        let error = if_too_many(error, 256);
        let says = "the device has too little memory for 256 samples at once (out of device memory); try a smaller --batch \
                    (a training measures 256 at least), a smaller network or smaller images, or --device cpu";
        assert_eq!((error.exit_code(), error.to_string().as_str()), (7, says));
    }

    #[test]
    fn a_device_out_of_memory_is_7_with_an_estimate_and_what_to_try() {
        let error =
            attended::<()>(&cpu(), || panic!("out of device memory allocating {} bytes\n at x", 77)).unwrap_err();
        let (dataset, mut config) = (
            data::open(std::path::Path::new("digits"), &data::OpenOptions::default()).unwrap(),
            TrainConfig::new(models::ModelConfig::preset("mlp").unwrap()),
        );
        config.batch = 64;
        let runs = tempfile::tempdir().unwrap();
        let run = crate::RunFolder::create(runs.path(), "digits").unwrap();
        let task = tasks::Task::for_targets(&dataset.targets, &dataset.split.train, &config.loss).unwrap();
        let job = Job::new(&config, task, dataset.into(), cpu(), &run);
        let error = advised(error, &job);
        assert_eq!(error.exit_code(), 7, "{error}");
        let text = error.to_string();
        assert!(
            text.starts_with("--batch: the device has too little memory for a step of 64 samples, which takes about ")
        );
        assert!(
            text.contains("MiB (out of device memory")
                && text.ends_with("try --batch 32 with --accumulate 2, or --halve-batch, which learn the same"),
            "{text}"
        );
        let lost = advised(Error::Device("Unknown: the driver\nwas reset".into()), &job);
        let [says, goes_on] =
            ["the driver was reset (what was saved is whole: `trainer resume ", "digits --device cpu` goes on)"];
        let text = lost.to_string();
        assert!(lost.exit_code() == 1 && text.contains(says) && text.contains(goes_on), "{text}");
    }
}
