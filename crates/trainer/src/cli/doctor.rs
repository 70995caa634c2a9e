//! `trainer doctor DATA`: prints what `data::doctor` finds, writes the exclude list, and chooses the exit code.

use std::path::Path;

use anyhow::Result;
use data::doctor::{Finding, Place, Report, Severity, examine};
use serde_json::json;

use super::failure::code;
use super::trained::{self, Trained};
use super::{Doctor, Format, chosen, settle, stream, suspects};
use ::report::grouped;

/// Groups of places that the text names; JSON names more.
const SHOWN: usize = 5;
/// Members of a group that the text names.
const MEMBERS: usize = 4;

/// Examines the data.
pub(crate) fn run(arguments: Doctor) -> Result<u8> {
    for (option, file) in [("--fix", &arguments.fix), ("--suspects", &arguments.suspects)] {
        file.iter().try_for_each(|file| data::check_place(option, file, &["csv"], &[b"sample,reason"]))?;
    }
    let mut options = arguments.options.over(Default::default())?;
    let mut judge = None;
    if let Some(model) = &arguments.trained {
        let device = chosen::device(options.device.as_deref().unwrap_or("auto"))?.device;
        let trained = Trained::load(model, &device)?;
        if options.data.is_none() {
            options = options.over(trained::own_data(model)?)?;
        }
        trained.cut_as_trained(&mut options);
        judge = Some((trained, device));
    }
    let (path, open) = (settle::locate(&options)?, settle::open_options(&options)?);
    let mut found = examine(&path, &open)?;
    // Data that training refuses as a whole are not answered either.
    let unusable = found.findings.iter().any(|finding| finding.code == "unusable");
    let mut doubted = Vec::new();
    if let Some((trained, device)) = judge.filter(|_| !unusable) {
        doubted = suspects::find(&trained, &device, &path, open, &mut found)?;
    }
    let fix = arguments.fix.as_deref();
    if let Some(file) = fix {
        data::split::write_exclude(file, &found.exclude)?;
    }
    if let Some(file) = &arguments.suspects {
        suspects::write(file, &doubted)?;
    }
    match arguments.output.format {
        Format::Json => stream::print(as_json(&found, fix))?,
        Format::Text => stream::print(text(&found, fix))?,
    }
    Ok(exit_code(&found))
}

/// 3 where training would refuse the data, 6 where results would be worse or flatter, else 0.
fn exit_code(report: &Report) -> u8 {
    match report.findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Error) => code::DATA,
        Some(Severity::Warning) => code::TARGET_MISSED,
        Some(Severity::Note) | None => code::OK,
    }
}

fn as_json(report: &Report, fix: Option<&Path>) -> serde_json::Value {
    let [train, val, test] = report.split;
    json!({
        "v": 1,
        "format": report.format,
        "path": report.path,
        "samples": report.samples,
        "split": { "train": train, "val": val, "test": test },
        "notes": report.notes,
        "findings": report.findings,
        "errors": report.of(Severity::Error),
        "warnings": report.of(Severity::Warning),
        "exclude": report.exclude.len(),
        "fix": fix,
    })
}

fn text(report: &Report, fix: Option<&Path>) -> String {
    let [train, val, test] = report.split.map(|n| grouped(n as u64));
    let mut lines = vec![
        format!("data     {} `{}`: {} samples", report.format, report.path.display(), grouped(report.samples as u64)),
        format!("split    {train} to train, {val} to validate, {test} to test"),
    ];
    lines.extend(report.notes.iter().map(|note| format!("note     {note}")));
    for finding in &report.findings {
        lines.push(String::new());
        lines.extend(described(finding));
    }
    lines.push(String::new());
    let counted = |severity: Severity| {
        let n = report.of(severity);
        format!("{n} {}{}", severity.name(), if n == 1 { "" } else { "s" })
    };
    lines.push(format!("found    {}", [Severity::Error, Severity::Warning, Severity::Note].map(counted).join(", ")));
    let samples = report.exclude.len();
    match fix {
        Some(file) => {
            let file = data::quoted(file);
            lines.push(format!(
                "fix      {samples} samples in {file}; go on with `trainer train DATA --exclude {file}`"
            ));
        }
        None if samples > 0 => lines.push(format!("fix      `--fix exclude.csv` lists {samples} samples to leave out")),
        None => {}
    }
    // Names come from anywhere: control characters could move a terminal's cursor.
    lines.iter().map(|line| line.replace(char::is_control, "\u{fffd}")).collect::<Vec<_>>().join("\n")
}

fn described(finding: &Finding) -> Vec<String> {
    let mut lines = vec![format!("{:8} {}: {}", finding.severity.name(), finding.code, finding.what)];
    for group in finding.places.first.iter().take(SHOWN) {
        let mut named: Vec<String> = group.members.iter().take(MEMBERS).map(place).collect();
        let more = group.size - named.len();
        if more > 0 {
            named.push(format!("{more} more"));
        }
        lines.push(format!("           {}", named.join(" | ")));
    }
    let more = finding.places.count.saturating_sub(SHOWN);
    if more > 0 {
        lines.push(format!("           and {} more", grouped(more as u64)));
    }
    lines.push(format!("         > {}", finding.advice));
    lines
}

fn place(place: &Place) -> String {
    let split = place.split.map(|split| format!(" [{split}]")).unwrap_or_default();
    let detail = place.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{}{split}{detail}", place.name)
}
