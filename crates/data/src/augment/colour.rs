//! Brightness, contrast and saturation, as one linear map of each pixel with a single rounding.

use crate::random::Random;

/// Rec. 601, as PIL and torchvision use it.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Multiplies the brightness, the distance from the picture's mean brightness (contrast) and, in RGB, the distance from the pixel's own
/// gray (saturation) by factors drawn from 1 - amount to 1 + amount. Pixels are clamped to 0..=255 once, at the end.
pub(super) fn jitter(pixels: &mut [u8], channels: usize, amount: f32, random: &mut Random) {
    if amount == 0.0 {
        return;
    }
    let mut factor = || random.range(1.0 - amount, 1.0 + amount);
    let (brightness, contrast, saturation) = (factor(), factor(), factor());
    let plane = pixels.len() / channels.max(1);
    let mean = mean(pixels, channels, plane);
    // contrast(x) = c b x + (1 - c) b mean, and saturation blends that with its gray, which has the same second term.
    let (scale, offset) = (contrast * brightness, (1.0 - contrast) * brightness * mean + 0.5);
    if channels != 3 {
        pixels.iter_mut().for_each(|pixel| *pixel = (f32::from(*pixel) * scale + offset) as u8);
        return;
    }
    let (own, shared) = (saturation * scale, (1.0 - saturation) * scale);
    let (red, rest) = pixels.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        let [r, g, b] = [*red, *green, *blue].map(f32::from);
        let gray = shared * (LUMA[0] * r + LUMA[1] * g + LUMA[2] * b) + offset;
        // The cast to u8 clamps.
        (*red, *green, *blue) = ((own * r + gray) as u8, (own * g + gray) as u8, (own * b + gray) as u8);
    }
}

/// Mean brightness of a picture, 0 to 255; sums of integers, so that no order of adding matters.
fn mean(pixels: &[u8], channels: usize, plane: usize) -> f32 {
    let sum = |plane: &[u8]| plane.iter().map(|&value| u64::from(value)).sum::<u64>() as f32;
    let sums: Vec<f32> = pixels.chunks_exact(plane.max(1)).map(sum).collect();
    let total = match sums.as_slice() {
        [r, g, b] if channels == 3 => LUMA[0] * r + LUMA[1] * g + LUMA[2] * b,
        _ => sums.iter().sum::<f32>() / channels.max(1) as f32,
    };
    total / plane.max(1) as f32
}
