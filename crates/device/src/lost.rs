//! Work on a device that may fail in the middle of it. Runtimes of GPUs panic where a driver resets or a card goes away, and where memory
//! ends; here that becomes a value. What a user can do about it is the caller's to say.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

use burn::tensor::Device;

use crate::probe;

/// A device that failed in the middle of the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What its runtime said, one line.
    pub what: String,
    /// Whether that is that its memory ended.
    pub memory: bool,
}

/// Does `work`, which computes on `device`. A panic that the device had no part in goes on as one: it is a mistake of ours.
///
/// # Errors
/// Where the device doesn't compute any more, or says that its memory ended.
pub fn attended<T>(device: &Device, work: impl FnOnce() -> T) -> Result<T, Lost> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|cause| match failure(device, &*cause) {
        Some(lost) => lost,
        None => panic::resume_unwind(cause),
    })
}

/// What the device has to do with a panic.
fn failure(device: &Device, cause: &(dyn Any + Send)) -> Option<Lost> {
    let text = probe::panic_text(cause);
    let memory = is_memory(&text);
    (memory || probe::computes(device).is_err()).then(|| Lost { what: probe::one_line(&text), memory })
}

/// Whether a runtime says that memory ended. They do so in their own words: CubeCL's errors and wgpu's.
pub fn is_memory(text: &str) -> bool {
    let text = text.to_lowercase();
    ["outofmemory", "out of memory", "out-of-memory", "out of device memory", "buffertoobig", "can't allocate buffer"]
        .iter()
        .any(|words| text.contains(words))
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_ours_stays_one_where_the_device_still_computes() {
        let outcome = panic::catch_unwind(|| attended::<()>(&Device::flex(), || panic!("index out of bounds")));
        assert_eq!(outcome.unwrap_err().downcast_ref::<&str>(), Some(&"index out of bounds"));
        assert_eq!(attended(&Device::flex(), || 3), Ok(3));
    }

    #[test]
    fn memory_that_ends_is_told_from_the_words_of_the_runtime() {
        let lost = attended::<()>(&Device::flex(), || panic!("out of device memory allocating {} bytes\n at x", 77));
        let what = "out of device memory allocating 77 bytes at x".to_owned();
        assert_eq!(lost, Err(Lost { what, memory: true }));
        assert!(!is_memory("the driver was reset"));
    }
}
