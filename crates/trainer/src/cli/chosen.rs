//! The device that a command computes on: the one place of the program that asks for it by name.

use anyhow::Result;
use device::{Kind, Selected};
use models::Precision;
use trainer::{Ranks, memory};

use super::options::Options;
use super::{ranks, stream};

/// Opens the device called `name`. A check that `auto` makes takes a while, so the user hears of it before.
pub(crate) fn device(name: &str) -> Result<Selected> {
    Ok(device::select_telling(name, &mut |line| stream::tell(format_args!("note     {line}")))?)
}

/// Opens the device that `options` name for training, once it has shown that it computes in `precision`; and what is said of it.
pub(super) fn for_training(options: &Options, precision: Precision, ranks: &Ranks) -> Result<(Selected, String)> {
    let device = of_rank(options.device.as_deref().unwrap_or("auto"), ranks)?;
    let name = &device.name;
    if precision == Precision::F32 {
        let line = format!("device   {name}");
        return Ok((device, line));
    }
    device::check_precision(&device, precision.dtype())?;
    let slow = if device.card.kind == Kind::Cpu { ", which a CPU takes longer for than for f32" } else { "" };
    let line = format!("device   {name}, steps in {precision}{slow}");
    Ok((device, line))
}

/// Where `name` asks for a GPU without a number, the ranks of a machine take one each, and all go by the name that the first goes by.
fn of_rank(name: &str, ranks: &Ranks) -> Result<Selected> {
    let (selected, local) = (device(name)?, ranks::local());
    let is_shared = matches!(selected.card.kind, Kind::Cpu | Kind::Software);
    if ranks.size() == 1 || local == 0 || name.contains(':') || is_shared {
        return Ok(selected);
    }
    let backend = selected.backend.name();
    Ok(Selected { name: selected.name.clone(), ..device::select(&format!("{backend}:{local}"))? })
}

/// Bytes that `device` may still take, where anybody says: a GPU's own, or the system's.
pub(crate) fn available(device: &Selected) -> Option<u64> {
    match device.card.kind {
        Kind::Cpu | Kind::Software => memory::available(),
        _ => device.card.memory.map(|memory| memory.free),
    }
}
