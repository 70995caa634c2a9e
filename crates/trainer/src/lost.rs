//! A device that fails in the middle of the work. Runtimes of GPUs panic where a driver resets or a card goes away, and where memory ends;
//! here that becomes an error like any other, and what was saved before is all that is needed to go on elsewhere.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use burn::tensor::Device;
use data::Dataset;

use crate::memory::{Estimate, readable};
use crate::{Error, TrainConfig};

/// Does `work`, which computes on `device`. A panic that the device had no part in goes on as one: it is a mistake of ours.
pub(crate) fn attended<T>(device: &Device, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|cause| match failure(device, &*cause) {
        Some(what) => Err(Error::Device(what)),
        None => panic::resume_unwind(cause),
    })
}

/// What the device has to do with a panic: it says that memory ended, or it doesn't compute any more.
fn failure(device: &Device, cause: &(dyn Any + Send)) -> Option<String> {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_default();
    let gone = device::computes(device).err();
    (gone.is_some() || is_memory(&text)).then(|| device::one_line(&text))
}

/// `error` with what the user can do about it: where memory ended, how much a step takes; else that `run` can go on elsewhere.
pub(crate) fn advised(error: Error, config: &TrainConfig, dataset: &Dataset, outputs: usize, run: &Path) -> Error {
    match if_memory(error, config, dataset, outputs) {
        Error::Device(what) => {
            let (what, run) = (device::one_line(&what), run.display());
            Error::Device(format!("{what} (what was saved is whole: `trainer resume {run} --device cpu` goes on)"))
        }
        error => error,
    }
}

/// `error`, or, where a device says that its memory ended, how much a step takes and what to try.
pub(crate) fn if_memory(error: Error, config: &TrainConfig, dataset: &Dataset, outputs: usize) -> Error {
    let what = match error {
        Error::Device(what) if is_memory(&what) => what,
        error => return error,
    };
    let step = Estimate::of(config, dataset, outputs, 0)
        .map_or_else(|_| "an unknown amount".into(), |all| readable(all.total()));
    let (batch, half) = (config.batch, config.batch / 2);
    let advice = match half {
        0 => "use a smaller network or smaller images".to_owned(),
        _ => format!("try --batch {half} with --accumulate 2, or --halve-batch, which learn the same"),
    };
    Error::Memory(format!(
        "--batch: the device has too little memory for a step of {batch} samples, which takes about {step} ({}); {advice}",
        device::one_line(&what)
    ))
}

/// Whether a runtime says that memory ended. They do so in their own words: CubeCL's errors and wgpu's.
fn is_memory(text: &str) -> bool {
    let text = text.to_lowercase();
    ["outofmemory", "out of memory", "out-of-memory", "out of device memory", "buffertoobig", "can't allocate buffer"]
        .iter()
        .any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu() -> Device {
        device::select("cpu").unwrap().device
    }

    #[test]
    fn a_panic_of_ours_stays_one_where_the_device_still_computes() {
        let outcome = panic::catch_unwind(|| attended::<()>(&cpu(), || panic!("index out of bounds")));
        assert_eq!(outcome.unwrap_err().downcast_ref::<&str>(), Some(&"index out of bounds"));
        assert!(matches!(attended(&cpu(), || Ok(3)), Ok(3)));
        let error = attended::<()>(&cpu(), || Err(Error::Config("x".into()))).unwrap_err();
        assert_eq!(error.to_string(), "x");
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
        let run = Path::new("runs/digits");
        let error = advised(error, &config, &dataset, 10, run);
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
        let lost = advised(Error::Device("Unknown: the driver\nwas reset".into()), &config, &dataset, 10, run);
        let says = "the driver was reset (what was saved is whole: `trainer resume runs/digits --device cpu` goes on)";
        assert!(lost.exit_code() == 1 && lost.to_string().contains(says), "{lost}");
    }
}
