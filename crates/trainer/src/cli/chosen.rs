//! The device that a command computes on: the one place of the program that asks for it by name.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use device::{Choosing, Kind, Selected};
use models::Precision;
use trainer::{Ranks, memory, parity};

use super::options::Options;
use super::{ranks, stream};

/// Opens the device called `name`. A check that `auto` makes takes a while, so the user hears of it before.
pub(crate) fn device(name: &str) -> Result<Selected> {
    numbered(name, 0)
}

/// The same for process `local` of those that share this machine's GPUs.
fn numbered(name: &str, local: usize) -> Result<Selected> {
    let mut tell = |line: &str| stream::tell(format_args!("note     {line}"));
    Ok(device::select_by(name, Choosing { tell: &mut tell, compare: &parity::short, local })?)
}

/// Opens the device that `options` name for training, once it has shown that it computes in `precision`; and what is said of it. Where they ask for
/// a GPU without a number, the ranks of a machine take one each.
pub(super) fn for_training(options: &Options, precision: Precision, ranks: &Ranks) -> Result<(Selected, String)> {
    let local = if ranks.size() > 1 { ranks::local() } else { 0 };
    let device = numbered(options.device.as_deref().unwrap_or("auto"), local)?;
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

/// Bytes that `device` may still take, where anybody says: the system's, or of a GPU what was free when this program first asked. What its runtime
/// has taken since then it keeps for the next tensors of this program.
pub(crate) fn available(device: &Selected) -> Option<u64> {
    static FREE: Mutex<BTreeMap<String, Option<u64>>> = Mutex::new(BTreeMap::new());
    if [Kind::Cpu, Kind::Software].contains(&device.card.kind) {
        return memory::available();
    }
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    *free.entry(device.name.clone()).or_insert_with(|| device.card.memory.map(|memory| memory.free))
}
