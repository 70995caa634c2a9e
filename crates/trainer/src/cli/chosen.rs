//! The device that a command computes on: the one place of the program that asks for it by name.

use anyhow::Result;
use device::{Kind, Selected};
use trainer::memory;

use super::stream;

/// Opens the device called `name`. A check that `auto` makes takes a while, so the user hears of it before.
pub(crate) fn device(name: &str) -> Result<Selected> {
    Ok(device::select_telling(name, &mut |line| stream::tell(format_args!("note     {line}")))?)
}

/// Bytes that `device` may still take, where anybody says: a GPU's own, or the system's.
pub(crate) fn available(device: &Selected) -> Option<u64> {
    match device.card.kind {
        Kind::Cpu | Kind::Software => memory::available(),
        _ => device.card.memory.map(|memory| memory.free),
    }
}
