//! `--device` and `--precision` together: a device that doesn't compute in a format is refused before anything is made.

use anyhow::Result;
use device::Selected;
use models::Precision;
use trainer::Ranks;

use super::options::Options;
use super::ranks;

/// The device that options name, once it has shown that it computes in `precision`; and what is said of it.
pub(crate) fn device(options: &Options, precision: Precision, ranks: &Ranks) -> Result<(Selected, String)> {
    let device = ranks::device(options.device.as_deref().unwrap_or("auto"), ranks)?;
    let name = &device.name;
    if precision == Precision::F32 {
        let line = format!("device   {name}");
        return Ok((device, line));
    }
    device::check_precision(&device, precision.dtype())?;
    let slow = if device.hardware.starts_with("CPU") { ", which a CPU takes longer for than for f32" } else { "" };
    let line = format!("device   {name}, steps in {precision}{slow}");
    Ok((device, line))
}
