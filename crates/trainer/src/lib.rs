//! trainer

pub mod optimizer;
pub mod schedule;
