//! The backends by name, and how each is opened: one variant and one arm for each. Adding one is a feature line, a variant, its arms.

use burn::tensor::{Device, FloatDType};

use crate::card::Card;
#[cfg(feature = "wgpu")]
use crate::graphics;
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
    /// What it is.
    pub(crate) card: Card,
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

    /// Settles what must be before the runtime of GPUs is asked for anything.
    fn settle(self) {
        #[cfg(all(feature = "persistence", any(feature = "cuda", feature = "wgpu")))]
        if self.is_gpu() {
            crate::kept::name_the_place();
        }
    }

    /// How many real devices (software rasterisers aside) the machine shows to this backend. 0 where it isn't built or nothing answers.
    pub(crate) fn count(self) -> usize {
        self.settle();
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
    #[cfg_attr(
        not(any(feature = "cuda", feature = "flex", feature = "ndarray", feature = "wgpu")),
        expect(unreachable_code, reason = "a build without backends opens nothing")
    )]
    pub(crate) fn open(self, index: Option<usize>) -> Result<Opened, String> {
        let _ = index; // a build with CPU backends only has no use for it
        self.settle();
        let (device, mut card): (Device, Card) = match self {
            #[cfg(feature = "flex")]
            Self::Flex => (Device::flex(), Card::cpu()),
            #[cfg(feature = "ndarray")]
            Self::NdArray => (ndarray(), Card::cpu()),
            #[cfg(feature = "cuda")]
            Self::Cuda => cuda(self.count(), index.unwrap_or(0))?,
            #[cfg(feature = "wgpu")]
            Self::Wgpu | Self::Vulkan | Self::Metal if self.is_built() => graphics::open(self, index)?,
            _ => return Err("not in this build".to_owned()),
        };
        probe::computes(&device)?;
        card.precision = precision(&device);
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        identify(&device, &mut card)?;
        Ok(Opened { device, card })
    }
}

/// The types that `device` has arithmetic for, of those that networks are trained in.
fn precision(device: &Device) -> Vec<&'static str> {
    let types = [("f32", FloatDType::F32), ("f16", FloatDType::F16), ("bf16", FloatDType::BF16)];
    let has = |dtype| probe::quietly(|| device.supports_dtype(dtype)).unwrap_or(false);
    types.into_iter().filter(|(_, dtype)| has(*dtype)).map(|(name, _)| name).collect()
}

/// Adds what a GPU's runtime knows of its card: where it is plugged in, and by that its memory.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn identify(device: &Device, card: &mut Card) -> Result<(), String> {
    let Some(identity) = probe::quietly(|| device.identity())? else { return Ok(()) };
    if card.api.is_empty() {
        card.name = identity.name;
    }
    let address = identity.physical.and_then(|physical| physical.pci_address);
    card.memory = address.and_then(|address| crate::card::pci::memory(&address.to_string()));
    Ok(())
}

/// Asking for the count is safe without a driver; opening a device isn't.
#[cfg(feature = "cuda")]
fn cuda(count: usize, index: usize) -> Result<(Device, Card), String> {
    if index >= count {
        return Err(match count {
            0 => "no NVIDIA GPU with a working driver was found".to_owned(),
            _ => format!("there is no number {index}: {count} found, counted from 0"),
        });
    }
    let device = Device::cuda(index);
    let identity = probe::quietly(|| device.identity())?;
    let card = Card {
        name: identity.map_or_else(|| "unnamed GPU".to_owned(), |identity| identity.name),
        kind: crate::Kind::Discrete,
        api: "CUDA".to_owned(),
        driver: crate::card::pci::nvidia_driver().map_or_else(String::new, |version| format!("NVIDIA {version}")),
        memory: None,
        precision: Vec::new(),
    };
    Ok((device, card))
}
#[cfg(feature = "ndarray")]
#[expect(deprecated, reason = "deprecated in Burn 0.22 in favour of flex; kept as a second CPU backend for parity")]
fn ndarray() -> Device {
    Device::ndarray()
}
