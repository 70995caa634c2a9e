//! trainer

pub mod ema;
pub mod gradient;
pub mod optimizer;
pub mod schedule;
mod state;

pub use state::StateError;
