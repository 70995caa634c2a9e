//! The layers that networks are made of: Burn's operations under PyTorch's names, defaults and statistics. One file for each.

mod conv;
mod dropout;
mod linear;
mod norm;
mod operations;
mod pool;
mod running;

pub use conv::Padding;
pub(crate) use conv::{Conv2d, ConvSpec};
pub(crate) use dropout::Dropout;
pub(crate) use linear::{Linear, transpose};
#[cfg(feature = "flex")]
pub(crate) use norm::{EPSILON, group_count};
pub use norm::Normalisation;
pub(crate) use norm::{Norm, finish};
pub use pool::{PoolConfig, PoolKind};
pub(crate) use pool::{Subsample, global_average};
