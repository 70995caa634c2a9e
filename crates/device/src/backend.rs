//! The backends by name, and how each is opened: one variant and one arm for each. Adding one is a feature line, a variant, its arms.

use burn::tensor::Device;

use crate::probe;

/// A way to compute. All are known to every build, so that messages can say how to get one; [`Backend::is_built`] says which are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// CUDA, on NVIDIA GPUs.
    Cuda,
    /// wgpu pinned to Metal, on Apple machines.
    Metal,
    /// wgpu pinned to Vulkan.
    Vulkan,
    /// wgpu on whichever graphics API the machine has.
    Wgpu,
    /// Burn's portable CPU backend, in pure Rust.
    Flex,
    /// The older CPU backend on the `ndarray` crate: a second opinion.
    NdArray,
}

/// A device that answered.
pub(crate) struct Opened {
    /// Ready for tensors.
    pub(crate) device: Device,
    /// What the hardware calls itself.
    pub(crate) hardware: String,
}

impl Backend {
    /// All of them, in the order in which `auto` asks.
    pub const ALL: [Self; 6] = [Self::Cuda, Self::Metal, Self::Vulkan, Self::Wgpu, Self::Flex, Self::NdArray];

    /// As written after `--device` and `--features`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Metal => "metal",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
        }
    }

    /// Whether this build contains it.
    pub const fn is_built(self) -> bool {
        match self {
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Flex => cfg!(feature = "flex"),
            Self::NdArray => cfg!(feature = "ndarray"),
        }
    }

    /// Whether its devices are numbered and may be absent.
    pub const fn is_gpu(self) -> bool {
        !matches!(self, Self::Flex | Self::NdArray)
    }

    /// How many real devices (software rasterisers aside) the machine shows to this backend. 0 where it isn't built or nothing answers.
    pub(crate) fn count(self) -> usize {
        probe::quietly(|| match self {
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::enumerate(burn::tensor::DeviceType::Cuda).len(),
            #[cfg(feature = "wgpu")]
            Self::Wgpu | Self::Vulkan | Self::Metal if self.is_built() => graphics::adapters(self).len(),
            _ => usize::from(!self.is_gpu() && self.is_built()),
        })
        .unwrap_or(0)
    }

    /// Opens device `index` (the backend's own choice without one) and lets it compute something. The error is the reason, one line.
    pub(crate) fn open(self, index: Option<usize>) -> Result<Opened, String> {
        let _ = index; // a build with CPU backends only has no use for it
        let device = match self {
            #[cfg(feature = "flex")]
            Self::Flex => return opened(Device::flex(), cpu()),
            #[cfg(feature = "ndarray")]
            Self::NdArray => return opened(ndarray(), cpu()),
            #[cfg(feature = "cuda")]
            Self::Cuda => {
                // Asking for the count is safe without a driver; opening a device isn't.
                let (count, index) = (self.count(), index.unwrap_or(0));
                (index < count).then(|| Device::cuda(index)).ok_or_else(|| absent(count, "NVIDIA GPU", index))
            }
            #[cfg(feature = "wgpu")]
            Self::Wgpu | Self::Vulkan | Self::Metal if self.is_built() => graphics::open(self, index),
            _ => Err("not in this build".to_owned()),
        }?;
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        {
            let hardware = probe::quietly(|| device.identity())?.map(|identity| identity.name);
            return opened(device, hardware.unwrap_or_else(|| "unnamed GPU".to_owned()));
        }
        #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
        opened(device, String::new())
    }
}

fn opened(device: Device, hardware: String) -> Result<Opened, String> {
    probe::computes(&device)?;
    Ok(Opened { device, hardware })
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn absent(count: usize, what: &str, index: usize) -> String {
    match count {
        0 => format!("no {what} with a working driver was found"),
        _ => format!("there is no number {index}: {count} found, counted from 0"),
    }
}

#[cfg(any(feature = "flex", feature = "ndarray"))]
fn cpu() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("CPU, {threads} thread{}", if threads == 1 { "" } else { "s" })
}

#[cfg(feature = "ndarray")]
#[expect(deprecated, reason = "deprecated in Burn 0.22 in favour of flex; kept as a second CPU backend for parity")]
fn ndarray() -> Device {
    Device::ndarray()
}

/// The wgpu family: adapters are told apart by kind and by the graphics API that they are asked through.
#[cfg(feature = "wgpu")]
mod graphics {
    use burn::tensor::wgpu::{WgpuBackend, WgpuInitError};
    use burn::tensor::{Device, DeviceKind, DeviceType};

    use super::{Backend, absent};
    use crate::probe;

    /// The GPUs, the fastest kind first. A software rasteriser is none: `flex` is the better CPU.
    pub(super) fn adapters(backend: Backend) -> Vec<DeviceKind> {
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

    pub(super) fn open(backend: Backend, index: Option<usize>) -> Result<Device, String> {
        let kind = match index {
            // The first GPU; else whatever the API calls its default, which may be software: the user named this backend.
            None => probe::quietly(|| adapters(backend))?.into_iter().next().unwrap_or_default(),
            Some(index) => {
                let mut found = probe::quietly(|| adapters(backend))?;
                let count = found.len();
                if index >= count {
                    return Err(absent(count, "GPU", index));
                }
                found.swap_remove(index)
            }
        };
        let options = Device::wgpu_options().device_kind(kind.clone()).graphics_api(api(backend));
        match probe::quietly(|| options.init())? {
            Ok(device) => Ok(device),
            // Somebody in this process opened it before: it is the same device, and the probe's sum will tell.
            Err(WgpuInitError::Registration { .. }) => Ok(lazy(backend, kind)),
            Err(WgpuInitError::AdapterUnavailable { .. }) => Err(absent(0, "GPU", 0)),
            Err(error) => Err(probe::one_line(&error.to_string())),
        }
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
}
