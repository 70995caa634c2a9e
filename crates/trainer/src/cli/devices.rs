//! `trainer devices`.

use anyhow::Result;

use super::{Format, Output};

/// Lists devices.
pub(crate) fn run(output: Output) -> Result<u8> {
    let devices = device::list();
    if output.format == Format::Json {
        println!("{}", serde_json::json!({ "v": 1, "devices": devices }));
        return Ok(0);
    }
    println!("{:<10} {:<8} {:<9} hardware", "device", "built in", "usable");
    for info in devices {
        let word = |yes| if yes { "yes" } else { "no" };
        let mark = if info.default { " (auto)" } else { "" };
        let says = if info.usable { &info.hardware } else { &info.reason };
        println!("{:<10} {:<8} {:<9} {says}{mark}", info.name, word(info.built), word(info.usable));
    }
    Ok(0)
}
