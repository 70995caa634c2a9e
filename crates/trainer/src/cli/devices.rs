//! `trainer devices`: what there is, and with `--check` whether one of them computes what it should.

use anyhow::{Result, anyhow};
use kernels::Check;
use serde_json::json;

use super::failure::{Failure, code};
use super::{Devices, Format, stream};

/// Lists devices, or checks one.
pub(crate) fn run(arguments: &Devices) -> Result<u8> {
    if arguments.check { check(arguments) } else { list(arguments.output.format) }
}

fn list(format: Format) -> Result<u8> {
    let devices = device::list();
    if format == Format::Json {
        stream::print(json!({ "v": 1, "devices": devices }))?;
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

fn check(arguments: &Devices) -> Result<u8> {
    let chosen = device::select(&arguments.device)?;
    let reference = device::select("cpu")?;
    let checks = kernels::check(&chosen.device, &reference.device);
    let wrong = checks.iter().filter(|check| !check.passed()).count();
    match arguments.output.format {
        Format::Json => stream::print(report(&chosen.name, &reference.name, &checks))?,
        Format::Text => {
            stream::print(format_args!(
                "{} ({}) in single precision, beside double precision on {}",
                chosen.name, chosen.hardware, reference.name
            ))?;
            stream::print(format_args!(
                "{:<36} {:>9} {:>9}",
                "greatest relative difference of the", "output", "gradient"
            ))?;
            for check in &checks {
                let says = if check.passed() { "ok" } else { "WRONG" };
                let gradient = check.gradient.map_or_else(|| "-".to_owned(), |gradient| format!("{gradient:.1e}"));
                let Check { operation, output, .. } = check;
                stream::print(format_args!("{operation:<36} {output:>9.1e} {gradient:>9} {says}"))?;
            }
        }
    }
    if wrong == 0 {
        return Ok(0);
    }
    let (all, device, limits) = (checks.len(), &chosen.name, [Check::OUTPUT, Check::GRADIENT]);
    let what =
        format!("{wrong} of {all} operations on {device} are further off than {:e} and {:e}", limits[0], limits[1]);
    Err(Failure::with(code::TARGET_MISSED, anyhow!("{what}; update its driver, or choose another --device")))
}

/// Infinite differences are null.
fn report(device: &str, reference: &str, checks: &[Check]) -> serde_json::Value {
    let operations: Vec<_> = checks
        .iter()
        .map(|check| {
            let Check { operation, output, gradient } = check;
            json!({ "operation": operation, "output": output, "gradient": gradient, "passed": check.passed() })
        })
        .collect();
    json!({
        "v": 1,
        "device": device,
        "reference": reference,
        "limits": { "output": Check::OUTPUT, "gradient": Check::GRADIENT },
        "passed": checks.iter().all(Check::passed),
        "operations": operations,
    })
}
