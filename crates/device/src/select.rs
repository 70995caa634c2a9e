//! From a name to a device that has been seen to compute.

use burn::tensor::Device;

use crate::name::{self, Choice};
use crate::{Backend, Error};

/// A device that answered a small computation, and how to speak of it.
#[derive(Debug, Clone)]
pub struct Selected {
    /// Tensors made on it run there. Without autodiff: training adds that with `device.autodiff()`.
    pub device: Device,
    /// Its full name, such as `flex` or `wgpu:0`, which `select` takes back and a run may record.
    pub name: String,
    /// What the hardware calls itself, such as `CPU, 8 threads`.
    pub hardware: String,
    /// One line that the user should see: why `auto` did not take a GPU.
    pub note: Option<String>,
}

/// Opens the device that `name` asks for: `auto`, `cpu`, `flex`, `ndarray`, or one of `cuda`, `metal`, `vulkan`, `wgpu` with an
/// optional `:n` counted from 0. `auto` takes the first GPU that computes correctly, else the CPU with a note if this build has a GPU
/// backend at all; `cpu` takes `flex`, else `ndarray`.
///
/// Call it from `main` before other threads start: while a GPU is asked, the process's panic hook is put aside for a moment.
///
/// # Errors
///
/// [`Error::Unknown`] and [`Error::Index`] for a name that means nothing, [`Error::NotBuilt`] for a backend left out of this build,
/// [`Error::Unusable`] where a named device is absent or fails, [`Error::NoBackend`] where nothing was built in. Never panics.
pub fn select(name: &str) -> Result<Selected, Error> {
    match name::parse(name)? {
        Choice::Auto => automatic(),
        Choice::Cpu => cpu(),
        Choice::Backend(backend, index) => named(name, backend, index),
    }
}

fn automatic() -> Result<Selected, Error> {
    let gpus: Vec<_> = built().filter(|backend| backend.is_gpu()).collect();
    let mut reasons = Vec::new();
    for &backend in &gpus {
        if backend.count() == 0 {
            reasons.push(format!("{}: none found", backend.name()));
            continue;
        }
        match open(backend, Some(0)) {
            Ok(selected) => return Ok(selected),
            Err(reason) => reasons.push(format!("{}: {reason}", backend.name())),
        }
    }
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
    Ok(Selected { device: opened.device, name, hardware: opened.hardware, note: None })
}

fn built() -> impl Iterator<Item = Backend> {
    Backend::ALL.into_iter().filter(|backend| backend.is_built())
}
