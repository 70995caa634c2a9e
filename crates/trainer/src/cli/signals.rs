//! SIGINT, SIGTERM and SIGHUP: the first one asks the training loop to save and stop, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Result;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::failure::code;

/// Which signal came, if any.
#[derive(Clone)]
pub(crate) struct Signals {
    seen: Arc<AtomicUsize>,
    /// The next signal ends the process.
    armed: Arc<AtomicBool>,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self> {
        let seen = Arc::new(AtomicUsize::new(0));
        let armed = Arc::new(AtomicBool::new(false));
        for (signal, code) in [(SIGINT, code::INTERRUPTED), (SIGTERM, code::TERMINATED)].into_iter().chain(hang_up()) {
            // Order matters: the exit is armed by the first signal and taken by the second.
            signal_hook::flag::register_conditional_shutdown(signal, i32::from(code), armed.clone())?;
            signal_hook::flag::register(signal, armed.clone())?;
            signal_hook::flag::register_usize(signal, seen.clone(), signal as usize)?;
        }
        Ok(Self { seen, armed })
    }

    /// Does what a first SIGINT does: on a screen of its own, Ctrl-C is a key.
    pub(crate) fn interrupt(&self) {
        self.armed.store(true, Ordering::Relaxed);
        // A signal that came before says more.
        let _ = self.seen.compare_exchange(0, SIGINT as usize, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether to stop.
    pub(crate) fn stop(&self) -> bool {
        self.seen.load(Ordering::Relaxed) != 0
    }

    /// The exit code for the signal that came: 128 and its number.
    pub(crate) fn code(&self) -> u8 {
        u8::try_from(self.seen.load(Ordering::Relaxed)).map_or(code::INTERRUPTED, |signal| signal.saturating_add(128))
    }
}

/// A terminal that closes, unless the process was told not to mind it, as by `nohup`; that can be asked for on Linux only.
fn hang_up() -> Option<(i32, u8)> {
    #[cfg(target_os = "linux")]
    {
        use signal_hook::consts::SIGHUP;
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        let ignored = u64::from_str_radix(ignored.trim(), 16).ok()?;
        (ignored >> (SIGHUP - 1) & 1 == 0).then_some((SIGHUP, code::HUNG_UP))
    }
    #[cfg(not(target_os = "linux"))]
    None
}
