//! Fused operations that Burn lacks on the CPU. Each has a definition composed of Burn's own operations, which every backend runs, and
//! for f32 on Flex an implementation on slices, forward and backward: whoever calls it need not know which ran. The prediction of a
//! whole network is a [`Plan`].
//!
//! Left to others: networks (`models`), losses as a task means them (`tasks`), which backend there is (`device`).
#![allow(unsafe_code, reason = "vectors are read and written through pointers; each block says what makes that sound")]

mod check;
mod conv;
#[cfg(feature = "flex")]
mod flex;
mod fold;
#[cfg(feature = "flex")]
mod fresh;
#[cfg(feature = "flex")]
mod gemv;
mod host;
mod join;
mod layer;
mod linear;
mod loss;
mod norm;
#[cfg(feature = "flex")]
mod packed;
#[cfg(feature = "flex")]
mod parallel;
#[cfg(feature = "flex")]
mod plan;
mod pool;
#[cfg(feature = "flex")]
mod product;
#[cfg(feature = "flex")]
mod relu;
#[cfg(feature = "flex")]
mod rows;
#[cfg(feature = "flex")]
mod scratch;
mod snapshot;
mod step;
#[cfg(feature = "flex")]
mod team;
#[cfg(feature = "flex")]
mod tile;

#[cfg(not(feature = "flex"))]
mod unplanned;

pub use check::{Check, Checked, checked, difference};
pub use conv::{After, Window, conv2d, conv2d_bridged, conv2d_composed};
#[cfg(feature = "flex")]
pub use flex::is_flex;
pub use fold::fold;
pub use host::{share_between, threads, vectors};
pub use join::Join;
pub use layer::{Activation, Layer};
pub use linear::{linear, linear_composed};
pub use loss::{cross_entropy, cross_entropy_composed};
pub use norm::{batch_norm, batch_norm_train};
#[cfg(feature = "flex")]
pub use plan::Plan;
pub use pool::{avg_pool2d, flatten, global_average, max_pool2d, subsample};
pub use snapshot::{runs_behind, snapshot};
pub use step::{Adam, Sgd, Step, adam, adam_composed, blend, sgd, sgd_composed, sum_of_squares};
#[cfg(not(feature = "flex"))]
pub use unplanned::Plan;
