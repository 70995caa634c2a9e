//! Asks a device to compute something small before anything depends on it. Burn's GPU runtimes panic where the driver or the
//! hardware fails them; here that panic becomes a reason in words, and nothing reaches stderr.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Tensor};

/// Whether `device` still computes: adds two numbers on it and reads the sum back.
///
/// # Errors
/// Where it doesn't: why, in one line.
pub fn computes(device: &Device) -> Result<(), String> {
    // The look at the number is when a GPU is asked for it.
    let sum = quietly(|| {
        let sum = Tensor::<1>::from_floats([20.0, 1.0], device).add_scalar(1.0).sum();
        sum.into_data().try_to_vec::<f32>()
    })?;
    match sum.as_deref() {
        Ok([sum]) if *sum == 23.0 => Ok(()),
        other => Err(format!("a test sum came back as {other:?} instead of 23")),
    }
}

/// Runs `work`, turning a panic into its message. The panic hook belongs to the whole process, so two threads take turns. What is quiet already
/// asks for nothing: a comparison of devices may ask within it whether one still computes.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Mutex<()> = Mutex::new(());
    thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });
    let caught = || panic::catch_unwind(AssertUnwindSafe(work));
    let outcome = if QUIET.get() {
        caught()
    } else {
        let _turn = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        QUIET.set(true);
        let outcome = caught();
        QUIET.set(false);
        panic::set_hook(previous);
        outcome
    };
    outcome.map_err(|cause| one_line(&panic_text(cause.as_ref())))
}

pub(crate) fn panic_text(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| cause.downcast_ref::<String>().cloned()).unwrap_or_else(|| "the backend panicked".to_owned())
}

/// Drivers answer in paragraphs; a message of ours is one line of bearable length.
pub fn one_line(text: &str) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match joined.char_indices().nth(160) {
        Some((end, _)) => format!("{} ...", &joined[..end]),
        None => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_on_one_line() {
        assert_eq!(quietly(|| 1), Ok(1));
        assert_eq!(quietly::<()>(|| panic!("no\n  driver")), Err("no driver".to_owned()));
        assert_eq!(quietly::<()>(|| panic!("adapter {}", 7)), Err("adapter 7".to_owned()));
    }

    #[test]
    fn what_is_quiet_may_ask_for_quiet() {
        assert_eq!(quietly(|| (quietly::<()>(|| panic!("inside")), 1)), Ok((Err("inside".to_owned()), 1)));
        assert_eq!(
            quietly::<()>(|| quietly(|| panic!("inside")).unwrap()),
            Err(r#"called `Result::unwrap()` on an `Err` value: "inside""#.to_owned())
        );
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let cut = one_line(&"ü".repeat(500));
        assert_eq!(cut.chars().count(), 164);
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_cpu_computes() {
        assert_eq!(computes(&Device::flex()), Ok(()));
    }
}
