//! Fused operations that Burn lacks on the CPU.
#![allow(unsafe_code, dead_code)]
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod parallel;
#[cfg(feature = "flex")]
mod product;
#[cfg(feature = "flex")]
mod scratch;
