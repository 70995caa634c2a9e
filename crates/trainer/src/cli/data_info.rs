//! `trainer data info PATH`.

use anyhow::Result;

use super::{DataInfo, Format, report, settle, stream};

/// Says what a path holds.
pub(crate) fn run(arguments: DataInfo) -> Result<u8> {
    let options = arguments.options.over(Default::default())?;
    let dataset = settle::open(&options)?;
    match arguments.output.format {
        Format::Json => stream::print(report::statement_json(&dataset))?,
        Format::Text => stream::print(report::statement(&dataset).join("\n"))?,
    }
    Ok(0)
}
