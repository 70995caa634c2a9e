//! `trainer devices`: what there is; with `--check` whether one of them computes what it should, with `--warm` how long its first steps take.

use std::io::IsTerminal;

use anyhow::{Result, anyhow};
use device::{Card, DeviceInfo, Selected};
use serde_json::{Value, json};
use trainer::memory::readable;
use trainer::parity::{self, Check, Part};

use super::failure::{Failure, code};
use super::{Format, Output, chosen, inspect, stream};

/// What to do with which device.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("work").args(["check", "warm"]))]
pub(crate) struct Arguments {
    /// Compare a device with the CPU: augmentation, operations, layers, networks, losses, optimizers, ten steps of training; exit with 6 if it computes
    /// something else. `--device auto` goes by the answer from then on
    #[arg(long)]
    check: bool,
    /// Take a few steps of training and prediction, and say how long the first took and the later ones: a model file, the folder of a run,
    /// or the name of a preset
    #[arg(long, value_name = "MODEL")]
    warm: Option<String>,
    /// The device to check or to warm
    #[arg(long, default_value = "auto", requires = "work")]
    device: String,
    /// With --warm: samples in a step
    #[arg(long, short, default_value_t = 64, requires = "warm")]
    batch: usize,
    /// With --warm and a preset: size of the input, N, HEIGHTxWIDTH or CHANNELSxHEIGHTxWIDTH
    #[arg(long, default_value = "1x28x28", requires = "warm")]
    imgsz: String,
    /// With --warm and a preset: number of outputs
    #[arg(long, default_value_t = 10, requires = "warm")]
    outputs: usize,
    #[command(flatten)]
    output: Output,
}

/// Lists devices, checks one, or warms it.
pub(crate) fn run(arguments: &Arguments) -> Result<u8> {
    match &arguments.warm {
        Some(model) => warm(arguments, model),
        None if arguments.check => check(arguments),
        None => list(arguments.output.format),
    }
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
        for line in details(&info) {
            stream::print(format_args!("{:<29} {line}", ""))?;
        }
    }
    Ok(0)
}

/// What is known of a device besides its name.
fn details(info: &DeviceInfo) -> Vec<String> {
    let Some(card) = &info.card else { return Vec::new() };
    let mut lines = vec![hardware(card)];
    lines.extend(match info.checked {
        Some(true) => Some("computes what the CPU does".to_owned()),
        Some(false) => Some(format!("computes wrongly: {}; auto passes it over", info.wrong)),
        None if info.backend.is_gpu() => {
            Some(format!("not checked yet: trainer devices --check --device {}", info.name))
        }
        None => None,
    });
    lines
}

/// Such as `discrete GPU, Vulkan, driver NVIDIA 550.54, 24.0 GiB (23.1 GiB free), f32 f16 bf16`.
fn hardware(card: &Card) -> String {
    let mut parts = vec![card.kind.to_string()];
    parts.extend((!card.api.is_empty()).then(|| card.api.clone()));
    parts.extend((!card.driver.is_empty()).then(|| format!("driver {}", card.driver)));
    let memory = card.memory.map(|memory| format!("{} ({} free)", readable(memory.total), readable(memory.free)));
    parts.push(memory.unwrap_or_else(|| "memory unknown".to_owned()));
    parts.push(card.precision.join(" "));
    parts.join(", ")
}

fn check(arguments: &Arguments) -> Result<u8> {
    let chosen = chosen::device(&arguments.device)?;
    let reference = device::select("cpu")?;
    let text = arguments.output.format == Format::Text;
    let mut shown = Ok(());
    if text {
        stream::print(format_args!(
            "{} ({}) in single precision, beside {}: operations beside double precision there",
            chosen.name, chosen.hardware, reference.name
        ))?;
        stream::print(format_args!("{:<52} {:>9} {:>9}", "greatest relative difference of the", "output", "gradient"))?;
    }
    let checks = parity::parity(&chosen.device, &reference.device, &mut |check| {
        if text && shown.is_ok() {
            shown = stream::print(line(check));
        } else if !text && std::io::stderr().is_terminal() {
            stream::tell(line(check));
        }
    });
    shown?;
    if !text {
        stream::print(report(&chosen.name, &reference.name, &checks))?;
    }
    verdict(&chosen, &checks)
}

fn line(check: &Check) -> String {
    let says = if check.passed() { "ok" } else { "WRONG" };
    let gradient = check.gradient.map_or_else(|| "-".to_owned(), |gradient| format!("{gradient:.1e}"));
    let name = format!("{:<9} {}", check.part.name(), check.name);
    let why = check.failed.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{name:<52} {:>9.1e} {gradient:>9} {says}{why}", check.output)
}

/// Keeps the answer for `auto`, and ends with it.
fn verdict(chosen: &Selected, checks: &[Check]) -> Result<u8> {
    // What would be another answer another time is not kept.
    let found = parity::verdict(&chosen.device, checks)
        .map_err(|why| Failure::with(code::INTERNAL, anyhow!("{} failed while it was checked: {why}", chosen.name)))?;
    if let Err(error) = device::remember(chosen, found.clone()) {
        stream::tell(format_args!("note     the answer cannot be kept for --device auto: {error}"));
    }
    let Err(what) = found else { return Ok(0) };
    let advice = "update its driver, or choose another --device";
    Err(Failure::with(code::TARGET_MISSED, anyhow!("{} computes something else: {what}; {advice}", chosen.name)))
}

/// Infinite differences are null.
fn report(device: &str, reference: &str, checks: &[Check]) -> Value {
    let each = checks.iter().map(|check| {
        let Check { part, name, output, gradient, failed } = check;
        json!({
            "part": part, "name": name, "output": output, "gradient": gradient, "passed": check.passed(), "failed": failed,
        })
    });
    let parts = [Part::Batch, Part::Operation, Part::Layer, Part::Preset, Part::Loss, Part::Optimizer, Part::Training];
    let limits = parts.map(|part| {
        let [output, gradient] = part.limits();
        (part.name(), json!({ "output": output, "gradient": gradient }))
    });
    json!({
        "v": 1,
        "device": device,
        "reference": reference,
        "limits": serde_json::Map::from_iter(limits.map(|(name, limits)| (name.to_owned(), limits))),
        "passed": checks.iter().all(Check::passed),
        "checks": each.collect::<Vec<_>>(),
    })
}

fn warm(arguments: &Arguments, model: &str) -> Result<u8> {
    if arguments.batch == 0 {
        return Err(Failure::usage(anyhow!("--batch: expected at least 1, found 0")));
    }
    let (config, input, outputs, _) = inspect::named(model, &arguments.imgsz, arguments.outputs)?;
    let chosen = chosen::device(&arguments.device)?;
    let found = trainer::warm(&config, &input, outputs, arguments.batch, &chosen.device)?;
    if arguments.output.format == Format::Json {
        stream::print(json!({ "v": 1, "device": chosen.name, "batch": arguments.batch, "seconds": found }))?;
        return Ok(0);
    }
    stream::print(format_args!("{} ({}), {} samples at once", chosen.name, chosen.hardware, arguments.batch))?;
    for (what, latency) in [("training", found.train), ("prediction", found.predict)] {
        let (first, then) = (latency.first, latency.then);
        stream::print(format_args!("{what:<11} first step {first:.3} s, then {then:.4} s"))?;
    }
    stream::print(match chosen.card.kind {
        device::Kind::Cpu => "nothing is compiled at run time on a CPU",
        _ if cfg!(feature = "persistence") => {
            "what was tuned, and what the driver lets a program keep, is there for the next one"
        }
        _ => {
            "what was compiled and tuned is lost with this program: the next one begins again (--features persistence keeps it)"
        }
    })?;
    Ok(0)
}
