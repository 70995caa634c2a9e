//! `trainer devices`.

use anyhow::Result;

use super::{Format, Output, stream};

/// Lists devices.
pub(crate) fn run(output: Output) -> Result<u8> {
    let devices = device::list();
    if output.format == Format::Json {
        stream::print(serde_json::json!({ "v": 1, "devices": devices }))?;
        return Ok(0);
    }
    stream::print(format_args!("{:<10} {:<8} {:<9} hardware", "device", "built in", "usable"))?;
    for info in devices {
        let word = |yes| if yes { "yes" } else { "no" };
        let mark = if info.default { " (auto)" } else { "" };
        let says = if info.usable { &info.hardware } else { &info.reason };
        let line = format!("{:<10} {:<8} {:<9} {says}{mark}", info.name, word(info.built), word(info.usable));
        stream::print(line)?;
    }
    Ok(0)
}
