//! A table or an image list, plain or gzip, by what it looks like; the first byte chooses options. What a table's recipe makes of its own
//! rows, and of other rows, is read as a stream too.
#![no_main]

use data::{InputSpec, OpenOptions, TaskKind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, text)) = bytes.split_first() else { return };
    let path = fuzz::write("table.csv", text);
    let label = match choice & 3 {
        0 => vec![],
        1 => vec!["1".to_owned()],
        2 => vec!["y".to_owned()],
        _ => vec!["1".to_owned(), "2".to_owned()],
    };
    let task = match choice >> 2 & 3 {
        0 => None,
        1 => Some(TaskKind::Classification),
        2 => Some(TaskKind::MultiLabel),
        _ => Some(TaskKind::Regression),
    };
    let header = [None, None, Some(true), Some(false)][usize::from(choice >> 4 & 3)];
    let categorical = if choice & 64 != 0 { vec!["2".to_owned()] } else { vec![] };
    let options = OpenOptions { label, task, header, categorical, memory: Some(64 << 20), ..OpenOptions::default() };
    let Ok(dataset) = data::open(&path, &options) else { return };
    let InputSpec::Table(spec) = &dataset.input else { return };
    if let Ok(rows) = data::table::rows(text, &path, spec) {
        rows.for_each(drop);
    }
});
