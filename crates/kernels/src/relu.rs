//! The ReLU of one value, and the slope behind it, as Burn has them: what is not a number stays, and lets its slope pass.

/// `y`, cut below zero if RELU.
#[inline(always)]
pub(crate) fn cut<const RELU: bool>(y: f32) -> f32 {
    if RELU && y <= 0.0 { 0.0 } else { y }
}

/// The slope behind a ReLU whose output, or what it cut, is `y`. By its bits, because a branch would keep loops from being vectors.
#[inline(always)]
pub(crate) fn behind(y: f32, slope: f32) -> f32 {
    let keep = u32::from(y <= 0.0).wrapping_sub(1);
    f32::from_bits(slope.to_bits() & keep)
}
