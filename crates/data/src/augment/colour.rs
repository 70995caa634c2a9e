//! Brightness, contrast and saturation, as one linear map of each pixel with a single rounding. All of it is arithmetic of 32-bit integers,
//! which every device does alike: GPUs round and fuse floats as they like.

use crate::random::Random;

/// Rec. 601, as PIL and torchvision use it, in 256ths.
pub(crate) const LUMA: [i32; 3] = [77, 150, 29];

/// What is done to the colours of one picture, whose channels become `own * channel + shared * gray + level * mean`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Jitter {
    /// In 65,536ths, 8 at most.
    pub(crate) own: i32,
    /// In 4,096ths, 4 at most either way; nothing where there is no saturation.
    pub(crate) shared: i32,
    /// In 4,096ths, 2 at most either way.
    pub(crate) level: i32,
}

impl Jitter {
    /// Draws factors from 1 - amount to 1 + amount for the brightness, the distance from the picture's mean brightness (contrast) and, in RGB,
    /// the distance from the pixel's own gray (saturation).
    pub(super) fn draw(amount: f32, channels: usize, random: &mut Random) -> Option<Self> {
        if amount == 0.0 {
            return None;
        }
        let mut factor = || random.range(1.0 - amount, 1.0 + amount);
        let (brightness, contrast, saturation) = (factor(), factor(), factor());
        let saturation = if channels == 3 { saturation } else { 1.0 };
        // contrast(x) = c b x + (1 - c) b mean, and saturation blends that with its gray, which has the same second term.
        let scale = contrast * brightness;
        let fixed = |value: f32, places: i32| (value * (1 << places) as f32).round() as i32;
        Some(Self {
            own: fixed(saturation * scale, 16),
            shared: fixed((1.0 - saturation) * scale, 12),
            level: fixed((1.0 - contrast) * brightness, 12),
        })
    }

    /// Changes `pixels`, `[channels, plane]`. They are clamped to 0..=255 once, at the end.
    pub(super) fn apply(self, pixels: &mut [u8], channels: usize) {
        let Self { own, shared, level } = self;
        let plane = pixels.len() / channels.max(1);
        // The product has 20 places, of which 16 remain; and a half, for what is cut off rounds.
        let offset = ((mean(pixels, channels, plane) * level) >> 4) + (1 << 15);
        let value = |pixel: u8, rest: i32| ((own * i32::from(pixel) + rest) >> 16).clamp(0, 255) as u8;
        if channels != 3 {
            pixels.iter_mut().for_each(|pixel| *pixel = value(*pixel, offset));
            return;
        }
        let (red, rest) = pixels.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
            let [r, g, b] = [*red, *green, *blue].map(i32::from);
            let gray = (LUMA[0] * r + LUMA[1] * g + LUMA[2] * b + 8) >> 4;
            let rest = shared * gray + offset;
            (*red, *green, *blue) = (value(*red, rest), value(*green, rest), value(*blue, rest));
        }
    }
}

/// Mean brightness of a picture in 256ths, rounded down; of RGB from the means of its channels.
fn mean(pixels: &[u8], channels: usize, plane: usize) -> i32 {
    let mean = |values: &[u8]| {
        let (sum, plane) = (values.iter().map(|&value| u64::from(value)).sum::<u64>(), plane as u64);
        // Two steps, of which a device with 32 bits is capable too.
        ((sum / plane) * 256 + (sum % plane) * 256 / plane) as i32
    };
    let means: Vec<i32> = pixels.chunks_exact(plane.max(1)).map(mean).collect();
    match means.as_slice() {
        [r, g, b] if channels == 3 => (LUMA[0] * r + LUMA[1] * g + LUMA[2] * b) >> 8,
        _ => means.iter().sum::<i32>() / channels.max(1) as i32,
    }
}
