//! What is known of the hardware behind a device: for the list, and for telling one card from another. Asks no device to compute.

use std::fmt;

/// What kind of hardware it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A processor, by a backend made for it.
    Cpu,
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the system's memory.
    Integrated,
    /// A GPU that a virtual machine is given.
    Virtual,
    /// A driver that draws on the CPU, such as Mesa's lavapipe: slower than the backends made for CPUs, and never `auto`'s choice.
    Software,
    /// A GPU whose driver doesn't say more.
    Gpu,
}

/// What is known of the hardware behind a device, as far as its backend and driver tell.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Card {
    /// What the hardware calls itself, such as `CPU, 8 threads`.
    pub name: String,
    /// What kind of hardware it is.
    pub kind: Kind,
    /// The graphics or compute interface that it is reached through, such as `Vulkan`; empty for a CPU.
    pub api: String,
    /// The driver and its version; empty where nobody says.
    pub driver: String,
    /// Its memory, where anybody says.
    pub memory: Option<Memory>,
    /// The floating-point types that it computes with, such as `f32`.
    pub precision: Vec<&'static str>,
}

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    /// All there are.
    pub total: u64,
    /// Those that nobody uses now.
    pub free: u64,
}

impl Kind {
    /// In a word or two.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "processor",
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Virtual => "virtual GPU",
            Self::Software => "software on the CPU",
            Self::Gpu => "GPU",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Card {
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    pub(crate) fn cpu() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            name: format!("CPU, {threads} thread{}", if threads == 1 { "" } else { "s" }),
            kind: Kind::Cpu,
            api: String::new(),
            driver: String::new(),
            memory: std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| meminfo(&text)),
            precision: Vec::new(),
        }
    }
}

/// The system's memory, from the text of `/proc/meminfo`.
#[cfg(any(feature = "flex", feature = "ndarray"))]
fn meminfo(text: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    };
    Some(Memory { total: bytes("MemTotal:")?, free: bytes("MemAvailable:")? })
}

/// The memory of the card at a PCI address such as `0000:07:00.0`, and the driver's version where that is asked on the way.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(crate) mod pci {
    use std::path::Path;

    use super::Memory;

    /// NVIDIA's cards by its management library, AMD's by Linux; nobody says for the others, most of which share the system's memory.
    pub(crate) fn memory(address: &str) -> Option<Memory> {
        nvidia(address).or_else(|| amd(Path::new("/sys/bus/pci/devices"), address))
    }

    fn nvidia(address: &str) -> Option<Memory> {
        let library = nvml_wrapper::Nvml::init().ok()?;
        let memory = library.device_by_pci_bus_id(address).ok()?.memory_info().ok()?;
        Some(Memory { total: memory.total, free: memory.free })
    }

    /// The version of NVIDIA's driver.
    #[cfg(feature = "cuda")]
    pub(crate) fn nvidia_driver() -> Option<String> {
        nvml_wrapper::Nvml::init().ok()?.sys_driver_version().ok()
    }

    fn amd(devices: &Path, address: &str) -> Option<Memory> {
        let bytes = |file: &str| {
            let text = std::fs::read_to_string(devices.join(address).join(file)).ok()?;
            text.trim().parse::<u64>().ok()
        };
        let total = bytes("mem_info_vram_total")?;
        Some(Memory { total, free: total.saturating_sub(bytes("mem_info_vram_used")?) })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn linux_says_what_memory_a_card_of_amd_has() {
            let root = std::env::temp_dir().join(format!("striate-pci-{}", std::process::id()));
            let card = root.join("0000:07:00.0");
            std::fs::create_dir_all(&card).unwrap();
            std::fs::write(card.join("mem_info_vram_total"), "1000\n").unwrap();
            assert_eq!(amd(&root, "0000:07:00.0"), None, "half of the answer is none");
            std::fs::write(card.join("mem_info_vram_used"), "400\n").unwrap();
            assert_eq!(amd(&root, "0000:07:00.0"), Some(Memory { total: 1000, free: 600 }));
            assert_eq!(amd(&root, "0000:08:00.0"), None);
            std::fs::remove_dir_all(&root).unwrap();
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn a_processor_says_how_many_threads_it_has_and_what_memory() {
        let card = Card::cpu();
        assert!(card.name.starts_with("CPU, ") && card.kind == Kind::Cpu);
        let text = "MemTotal:       24000 kB\nMemFree: 1 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(meminfo(text), Some(Memory { total: 24_000 << 10, free: 2 << 20 }));
        assert_eq!(meminfo("MemTotal: 9 kB\n"), None);
    }
}
