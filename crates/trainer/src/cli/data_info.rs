//! `trainer data info PATH`.

use anyhow::Result;

use super::{DataInfo, Format, report, settle};

/// Says what a path holds.
pub(crate) fn run(arguments: DataInfo) -> Result<u8> {
    let options = arguments.options.over(Default::default())?;
    let dataset = settle::open(&options)?;
    match arguments.output.format {
        Format::Json => println!("{}", report::statement_json(&dataset)),
        Format::Text => report::statement(&dataset).iter().for_each(|line| println!("{line}")),
    }
    Ok(0)
}
