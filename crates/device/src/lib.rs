//! Which backend computes: the feature flags, the names of `--device`, probing and listing.
//!
//! The only crate that names a backend; everything else takes a [`burn::tensor::Device`] and runs on any. A backend is compiled in by
//! the Cargo feature of its name (`flex`, `ndarray`, `wgpu`, `vulkan`, `metal`, `cuda`) and chosen at run time by [`select`]. Burn's own
//! default goes by compiled features and panics on a machine without the hardware; `auto` here asks the hardware first and falls back
//! to the CPU; a GPU that doesn't compute what the CPU does is refused. Prints nothing: what a user should know comes back in
//! [`Selected::note`], or by [`select_by`] before the wait.
//!
//! Burn reads `BURN_DEVICE` only in `Device::default()`, which nothing here or in the other crates calls (`cargo xtask tidy` looks), so
//! there is no environment variable to set and no `unsafe` in this crate.
//!
//! ```
//! let chosen = device::select("auto")?;
//! let zeros = burn::tensor::Tensor::<2>::zeros([2, 3], &chosen.device);
//! assert_eq!(zeros.dims(), [2, 3]);
//! # Ok::<(), device::Error>(())
//! ```

mod backend;
mod card;
mod error;
#[cfg(feature = "wgpu")]
mod graphics;
#[cfg(all(feature = "persistence", any(feature = "cuda", feature = "wgpu")))]
mod kept;
mod list;
mod lost;
mod name;
mod precision;
mod probe;
mod select;
mod trust;
mod verdicts;

pub use backend::Backend;
pub use card::{Card, Kind, Memory};
pub use error::Error;
pub use list::{DeviceInfo, list};
pub use lost::{Lost, attended, is_memory};
pub use precision::check_precision;
pub use probe::{computes, one_line};
pub use select::{Choosing, Found, Selected, operations, remember, select, select_by};
