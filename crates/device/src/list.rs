//! What this build and this machine have between them, for `trainer devices`.

use crate::card::Card;
use crate::{Backend, select};

/// One row: a device, or a backend that has none here.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// What to write after `--device`.
    pub name: String,
    /// The backend that drives it.
    pub backend: Backend,
    /// Whether this build contains the backend.
    pub built: bool,
    /// Whether it answered a small computation.
    pub usable: bool,
    /// Whether `--device auto` takes it.
    pub default: bool,
    /// What the hardware calls itself; empty where nothing answered.
    pub hardware: String,
    /// Why it isn't usable and what would change that; empty where it is.
    pub reason: String,
    /// What else is known of the hardware; `None` where nothing answered.
    pub card: Option<Card>,
    /// Of a GPU: `None` if it was never compared with the CPU by this program, else whether it passed.
    pub checked: Option<bool>,
    /// What it computed wrongly; empty where nothing was.
    pub wrong: String,
}

/// Asks every device of every backend, in the order of `auto`'s preference. Opens them all, which on GPUs takes a moment. Never panics.
pub fn list() -> Vec<DeviceInfo> {
    let mut rows: Vec<DeviceInfo> = Backend::ALL.into_iter().flat_map(rows_of).collect();
    // `auto` never takes a software rasteriser, which a backend without GPUs may have: only numbered GPUs count, and CPUs.
    let wrong = |row: &DeviceInfo| row.checked == Some(false);
    let numbered = |row: &DeviceInfo| !row.backend.is_gpu() || row.name.contains(':');
    let default = rows.iter().position(|row| row.usable && numbered(row) && !wrong(row));
    if let Some(row) = default.and_then(|at| rows.get_mut(at)) {
        row.default = true;
    }
    rows
}

fn rows_of(backend: Backend) -> Vec<DeviceInfo> {
    let found = backend.count();
    match (backend.is_built(), backend.is_gpu()) {
        (true, true) if found > 0 => (0..found).map(|at| row(backend, format!("{}:{at}", backend.name()))).collect(),
        _ => vec![row(backend, backend.name().to_owned())],
    }
}

fn row(backend: Backend, name: String) -> DeviceInfo {
    let built = backend.is_built();
    let absent = |reason: String| DeviceInfo {
        name: name.clone(),
        backend,
        built,
        usable: false,
        default: false,
        hardware: String::new(),
        reason,
        card: None,
        checked: None,
        wrong: String::new(),
    };
    match select(&name) {
        _ if !built => absent(format!("not in this build; add it with --features {}", backend.name())),
        Ok(selected) => {
            let verdict = crate::select::verdict(&selected);
            DeviceInfo {
                usable: true,
                checked: verdict.as_ref().map(Result::is_ok),
                wrong: verdict.and_then(Result::err).unwrap_or_default(),
                hardware: selected.hardware,
                card: Some(selected.card),
                ..absent(String::new())
            }
        }
        Err(crate::Error::Unusable { reason, .. }) => absent(reason),
        Err(error) => absent(error.to_string()),
    }
}
