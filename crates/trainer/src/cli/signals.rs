//! SIGINT and SIGTERM: the first one asks the training loop to stop after its step, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::failure::code;

/// Which signal came, if any.
#[derive(Clone)]
pub(crate) struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self> {
        let seen = Arc::new(AtomicUsize::new(0));
        let armed = Arc::new(std::sync::atomic::AtomicBool::new(false));
        for (signal, code) in [(SIGINT, code::INTERRUPTED), (SIGTERM, code::TERMINATED)] {
            // Order matters: the exit is armed by the first signal and taken by the second.
            signal_hook::flag::register_conditional_shutdown(signal, i32::from(code), armed.clone())?;
            signal_hook::flag::register(signal, armed.clone())?;
            signal_hook::flag::register_usize(signal, seen.clone(), signal as usize)?;
        }
        Ok(Self(seen))
    }

    /// Whether to stop.
    pub(crate) fn stop(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// The exit code for the signal that came.
    pub(crate) fn code(&self) -> u8 {
        if self.0.load(Ordering::Relaxed) == SIGTERM as usize { code::TERMINATED } else { code::INTERRUPTED }
    }
}
