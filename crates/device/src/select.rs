//! From a name to a device that has been seen to compute.

use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;

use crate::card::Card;
use crate::name::{self, Choice};
use crate::trust::{self, Candidate, Decision};
use crate::verdicts::{self, Key, Verdict, Verdicts};
use crate::{Backend, Error, probe};

/// What is found of a device beside the CPU: whether it computes what that does, else what not; the error is why there is no answer.
pub type Found = Result<Result<(), String>, String>;

/// How a device is chosen, beside its name.
pub struct Choosing<'a> {
    /// Is given lines for the user as they come, so that a check is heard of before the wait.
    pub tell: &'a mut dyn FnMut(&str),
    /// Compares a device with the CPU: [`operations`], or more.
    pub compare: &'a dyn Fn(&Device, &Device) -> Found,
    /// Which of the processes that share this machine's GPUs this one is, from 0: each takes one of its own.
    pub local: usize,
}

/// A device that answered a small computation, and how to speak of it.
#[derive(Debug, Clone)]
pub struct Selected {
    /// Tensors made on it run there. Without autodiff: training adds that with `device.autodiff()`.
    pub device: Device,
    /// Its full name, such as `flex` or `wgpu:0`, which `select` takes back and a run may record.
    pub name: String,
    /// What the hardware calls itself, such as `CPU, 8 threads`.
    pub hardware: String,
    /// What else is known of the hardware.
    pub card: Card,
    /// One line that the user should see: why `auto` did not take a GPU, or that it compared one with the CPU first.
    pub note: Option<String>,
    /// Which backend drives it.
    pub backend: Backend,
    /// Its number there.
    number: usize,
}

/// Opens the device that `name` asks for: `auto`, `cpu`, `flex`, `ndarray`, or one of `cuda`, `metal`, `vulkan`, `wgpu` with an
/// optional `:n` counted from 0. `auto` takes the first GPU that computes correctly, else the CPU with a note if this build has a GPU
/// backend at all; `cpu` takes `flex`, else `ndarray`.
///
/// Whether a GPU computes correctly, `auto` finds out by [`operations`], once for each card, driver and program: the answer is kept in
/// `striate/devices.json` of the user's cache folder (`$XDG_CACHE_HOME`, `~/.cache`). A device that is named is taken as it is.
///
/// Call it from `main` before other threads start: while a GPU is asked, the process's panic hook is put aside for a moment.
///
/// # Errors
///
/// [`Error::Unknown`] and [`Error::Index`] for a name that means nothing, [`Error::NotBuilt`] for a backend left out of this build,
/// [`Error::Unusable`] where a named device is absent or fails, [`Error::NoBackend`] where nothing was built in. Never panics.
pub fn select(name: &str) -> Result<Selected, Error> {
    let mut told = Vec::new();
    let mut tell = |line: &str| told.push(line.to_owned());
    let mut selected = select_by(name, Choosing { tell: &mut tell, compare: &operations, local: 0 })?;
    told.extend(selected.note.take());
    selected.note = (!told.is_empty()).then(|| told.join("; "));
    Ok(selected)
}

/// The same, as whoever asks wants it.
///
/// # Errors
/// Those of [`select`]; [`Error::Unusable`] where the machine has fewer GPUs than processes that want one.
pub fn select_by(name: &str, choosing: Choosing<'_>) -> Result<Selected, Error> {
    match name::parse(name)? {
        Choice::Auto => automatic(choosing),
        Choice::Cpu => cpu(),
        // A driver in software has no number, and is there for all.
        Choice::Backend(backend, None) if choosing.local > 0 && backend.is_gpu() && backend.count() > 0 => {
            named(name, backend, Some(choosing.local))
        }
        Choice::Backend(backend, index) => named(name, backend, index),
    }
}

/// Keeps what somebody found out about a GPU by a check of their own, for `auto` to go by; the error is the reason, one line. A CPU needs no
/// such answer.
///
/// # Errors
/// Where the answer cannot be written; it holds for this process all the same.
pub fn remember(selected: &Selected, found: Result<(), String>) -> std::io::Result<()> {
    if !selected.backend.is_gpu() {
        return Ok(());
    }
    with_verdicts(|verdicts| verdicts.keep(key(selected), found))
}

/// What is known of a device that was opened.
pub(crate) fn verdict(selected: &Selected) -> Option<Verdict> {
    let ask = |verdicts: &mut Verdicts| verdicts.get(&key(selected)).cloned();
    if selected.backend.is_gpu() { with_verdicts(ask) } else { None }
}

fn key(selected: &Selected) -> Key {
    Key::new(selected.backend.name(), selected.number, &selected.card)
}

/// Read once: an answer that cannot be written still holds for this process.
fn with_verdicts<T>(work: impl FnOnce(&mut Verdicts) -> T) -> T {
    static VERDICTS: Mutex<Option<Verdicts>> = Mutex::new(None);
    let mut verdicts = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    work(verdicts.get_or_insert_with(|| Verdicts::read(verdicts::place())))
}

fn automatic(Choosing { tell, compare, local }: Choosing<'_>) -> Result<Selected, Error> {
    let gpus: Vec<_> = built().filter(|backend| backend.is_gpu()).collect();
    let numbered = |&backend: &Backend| {
        let found = backend.count();
        let none = (found == 0).then(|| Err(format!("{}: none found", backend.name())));
        let each =
            (0..found).map(move |index| open(backend, Some(index)).map_err(|why| format!("{}: {why}", backend.name())));
        none.into_iter().chain(each)
    };
    let candidate = |device: Selected| {
        let (name, backend, key) = (device.name.clone(), device.backend.name(), key(&device));
        Candidate { name, backend, key, device }
    };
    let candidates = gpus.iter().flat_map(numbered).map(|opened| opened.map(candidate));
    let told = std::cell::RefCell::new(tell);
    let check = |candidate: &Candidate<Selected>| {
        let Selected { name, hardware, .. } = &candidate.device;
        (told.borrow_mut())(&format!(
            "{name} ({hardware}) is new to this program: its results are compared with the CPU's before it is trusted, once"
        ));
        // A build without a CPU backend has nothing to compare with, and nothing to take instead.
        let Ok(reference) = cpu() else { return Ok(Ok(())) };
        probe::quietly(|| compare(&candidate.device.device, &reference.device)).flatten()
    };
    let tell = &mut |line: &str| (told.borrow_mut())(line);
    let Decision { chosen, reasons, good } =
        with_verdicts(|verdicts| trust::decide(candidates, local, verdicts, check, tell));
    match chosen {
        Some(mut selected) => {
            selected.note = (!reasons.is_empty()).then(|| format!("passed over: {}", reasons.join("; ")));
            Ok(selected)
        }
        None if good > 0 => Err(too_few(good, &reasons)),
        None => instead(&gpus, &reasons),
    }
}

/// Compares the operations that networks are made of, forward and backward, on `device` with double precision on `reference`, a CPU.
///
/// # Errors
/// What the device said instead of answering. Its runtime may panic instead, which [`select_by`] takes for the same.
pub fn operations(device: &Device, reference: &Device) -> Found {
    let checks = kernels::checked().map(|one| one.check(device, reference)).collect::<Result<Vec<_>, _>>()?;
    let wrong: Vec<_> = checks.iter().filter(|check| !check.passed()).collect();
    Ok(wrong.first().map_or(Ok(()), |first| {
        let apart = first.gradient.unwrap_or(0.0).max(first.output);
        let (count, all, operation) = (wrong.len(), checks.len(), first.operation);
        Err(format!("{count} of {all} operations, such as `{operation}`, by {apart:.0e} of their largest value"))
    }))
}

/// Of more processes than GPUs that may be taken.
fn too_few(good: usize, reasons: &[String]) -> Error {
    let mut reason = format!(
        "{good} of its GPUs compute correctly, for more processes than that; start as many, or give --device cpu"
    );
    if !reasons.is_empty() {
        reason = format!("{reason}; passed over: {}", reasons.join("; "));
    }
    Error::Unusable { name: "auto".to_owned(), reason }
}

/// The CPU, where no GPU may be taken.
fn instead(gpus: &[Backend], reasons: &[String]) -> Result<Selected, Error> {
    // A build with GPU backends only still says why, instead of "no backend".
    let mut selected = cpu().map_err(|error| match (error, gpus.first()) {
        (Error::NotBuilt { .. } | Error::NoBackend, Some(_)) => Error::Unusable {
            name: "auto".to_owned(),
            reason: format!("{}, and no CPU backend is built in", reasons.join("; ")),
        },
        (error, _) => error,
    })?;
    if !reasons.is_empty() {
        selected.note = Some(format!("no usable GPU ({}): using the CPU, {}", reasons.join("; "), selected.name));
    }
    Ok(selected)
}

fn cpu() -> Result<Selected, Error> {
    match built().find(|backend| !backend.is_gpu()) {
        Some(backend) => named("cpu", backend, None),
        None if built().next().is_none() => Err(Error::NoBackend),
        None => Err(Error::NotBuilt { name: "cpu".to_owned(), feature: "flex", available: name::available() }),
    }
}

fn named(name: &str, backend: Backend, index: Option<usize>) -> Result<Selected, Error> {
    if built().next().is_none() {
        return Err(Error::NoBackend);
    }
    if !backend.is_built() {
        return Err(Error::NotBuilt { name: name.to_owned(), feature: backend.name(), available: name::available() });
    }
    open(backend, index).map_err(|reason| Error::Unusable { name: name.to_owned(), reason })
}

fn open(backend: Backend, index: Option<usize>) -> Result<Selected, String> {
    let opened = backend.open(index)?;
    let name = match (backend.is_gpu(), index) {
        (true, Some(index)) => format!("{}:{index}", backend.name()),
        _ => backend.name().to_owned(),
    };
    let hardware = opened.card.name.clone();
    let number = index.unwrap_or(0);
    Ok(Selected { device: opened.device, name, hardware, card: opened.card, note: None, backend, number })
}

fn built() -> impl Iterator<Item = Backend> {
    Backend::ALL.into_iter().filter(|backend| backend.is_built())
}
