//! The wgpu family: adapters are told apart by kind and by the graphics API that they are asked through. Opens them; what they are worth
//! is decided elsewhere.

use std::sync::{Mutex, PoisonError};

use burn::tensor::wgpu::{WgpuBackend, WgpuInitError, WgpuSetup, wgpu};
use burn::tensor::{Device, DeviceKind, DeviceType};

use crate::card::{Card, Kind};
use crate::{Backend, probe};

/// The devices that this process opened, and what they are: an adapter is described only while it is opened, and that is once.
static OPENED: Mutex<Vec<(Device, Card)>> = Mutex::new(Vec::new());

/// The GPUs, the fastest kind first. A software rasteriser is none: `flex` is the better CPU.
pub(crate) fn adapters(backend: Backend) -> Vec<DeviceKind> {
    let filter = match backend {
        #[cfg(feature = "vulkan")]
        Backend::Vulkan => DeviceType::Vulkan,
        #[cfg(feature = "metal")]
        Backend::Metal => DeviceType::Metal,
        _ => DeviceType::Wgpu,
    };
    let reachable = Device::enumerate(filter).into_vec();
    let kinds = [DeviceKind::DiscreteGpu, DeviceKind::IntegratedGpu, DeviceKind::VirtualGpu];
    let numbered = kinds.into_iter().flat_map(|kind| (0..reachable.len()).map(kind));
    numbered.filter(|kind| reachable.contains(&lazy(backend, kind.clone()))).collect()
}

/// Opens GPU `index`; without one the first, or whatever the API calls its default, which may be software: the user named this backend.
pub(crate) fn open(backend: Backend, index: Option<usize>) -> Result<(Device, Card), String> {
    let mut found = probe::quietly(|| adapters(backend))?;
    let kind = match index {
        None => found.into_iter().next().unwrap_or_default(),
        Some(index) if index < found.len() => found.swap_remove(index),
        Some(index) => return Err(missing(backend, found.len(), index)),
    };
    let options = Device::wgpu_options().device_kind(kind.clone()).graphics_api(api(backend));
    match probe::quietly(|| options.init_with_setup())? {
        Ok((device, setup)) => {
            let card = describe(&setup);
            opened().push((device.clone(), card.clone()));
            Ok((device, card))
        }
        // Somebody in this process opened it before: it is the same device, and the probe's sum will tell.
        Err(WgpuInitError::Registration { .. }) => {
            let device = lazy(backend, kind);
            let known = opened().iter().find(|(known, _)| *known == device).map(|(_, card)| card.clone());
            Ok((device, known.unwrap_or_else(unknown)))
        }
        Err(WgpuInitError::AdapterUnavailable { .. }) => Err("no GPU with a working driver was found".to_owned()),
        Err(error) => Err(probe::one_line(&error.to_string())),
    }
}

fn opened() -> std::sync::MutexGuard<'static, Vec<(Device, Card)>> {
    OPENED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why there is no GPU `index`, and what there is instead.
fn missing(backend: Backend, count: usize, index: usize) -> String {
    match count {
        0 => format!(
            "no GPU with a working driver was found; without a number, `{}` takes a driver in software where there is one",
            backend.name()
        ),
        _ => format!("there is no number {index}: {count} found, counted from 0"),
    }
}

fn describe(setup: &WgpuSetup) -> Card {
    let info = setup.adapter.get_info();
    Card {
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => Kind::Discrete,
            wgpu::DeviceType::IntegratedGpu => Kind::Integrated,
            wgpu::DeviceType::VirtualGpu => Kind::Virtual,
            wgpu::DeviceType::Cpu => Kind::Software,
            wgpu::DeviceType::Other => Kind::Gpu,
        },
        api: match info.backend {
            wgpu::Backend::Vulkan => "Vulkan",
            wgpu::Backend::Metal => "Metal",
            wgpu::Backend::Dx12 => "Direct3D 12",
            wgpu::Backend::Gl => "OpenGL",
            wgpu::Backend::BrowserWebGpu => "WebGPU",
            wgpu::Backend::Noop => "none",
        }
        .to_owned(),
        driver: probe::one_line(&format!("{} {}", info.driver, info.driver_info)),
        name: info.name,
        ..unknown()
    }
}

fn unknown() -> Card {
    let (name, api, driver) = ("unnamed GPU".to_owned(), String::new(), String::new());
    Card { name, kind: Kind::Gpu, api, driver, memory: None, precision: Vec::new() }
}

fn api(backend: Backend) -> WgpuBackend {
    match backend {
        Backend::Vulkan => WgpuBackend::Vulkan,
        Backend::Metal => WgpuBackend::Metal,
        _ => WgpuBackend::Auto,
    }
}

/// The handle alone: nothing is opened before a tensor needs it.
fn lazy(backend: Backend, kind: DeviceKind) -> Device {
    match backend {
        #[cfg(feature = "vulkan")]
        Backend::Vulkan => Device::vulkan(kind),
        #[cfg(feature = "metal")]
        Backend::Metal => Device::metal(kind),
        _ => Device::wgpu(kind),
    }
}
