//! Fused operations that Burn lacks on the CPU.
#![allow(unsafe_code, dead_code)]
mod check;
mod conv;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod fresh;
#[cfg(feature = "flex")]
mod gemv;
mod join;
mod linear;
mod loss;
mod norm;
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
mod step;

#[cfg(not(feature = "flex"))]
mod unplanned;

#[cfg(feature = "flex")]
pub use flex::is_flex;
#[cfg(feature = "flex")]
pub use plan::{Activation, Layer, Plan};
#[cfg(not(feature = "flex"))]
pub use unplanned::Plan;
pub use check::{Check, check};
pub use conv::{After, MaxPool, composed, conv2d};
pub use join::Join;
pub use linear::{linear, linear_composed};
pub use loss::{cross_entropy, cross_entropy_composed};
pub use norm::{batch_norm, batch_norm_train};
pub use pool::{avg_pool2d, flatten, global_average, max_pool2d, subsample};
pub use step::{Adam, Sgd, Step, adam, adam_composed, blend, sgd, sgd_composed, sum_of_squares};
