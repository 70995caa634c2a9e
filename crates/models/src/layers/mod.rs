//! The layers that networks are made of: Burn's operations under PyTorch's names, defaults and statistics. One file for each.

mod conv;
mod dropout;
mod linear;
mod norm;
mod pool;
mod running;

pub use conv::Padding;
pub(crate) use conv::{Conv2d, ConvSpec};
pub(crate) use dropout::Dropout;
pub(crate) use kernels::{flatten, global_average};
pub(crate) use linear::{Linear, transpose};
pub use norm::Normalisation;
pub(crate) use norm::{EPSILON, Norm, finish, group_count};
pub(crate) use pool::Subsample;
pub use pool::{PoolConfig, PoolKind};
