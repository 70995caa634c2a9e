//! Fused operations that Burn lacks on the CPU.
