//! Random erasing (Zhong et al., "Random erasing data augmentation", 2017): a rectangle is painted over, so that the network doesn't
//! rely on one part of the picture.

use crate::random::Random;

/// Smallest and largest part of the area.
const AREA: (f32, f32) = (0.02, 0.33);
/// Largest aspect ratio, either way.
const ASPECT: f32 = 3.3;

/// With the chance given, a rectangle of 2 to 33 % of the area, in whole pixels: top, left, rows and columns.
pub(super) fn draw(chance: f32, [_, height, width]: [usize; 3], random: &mut Random) -> Option<[usize; 4]> {
    (chance > 0.0 && random.chance(chance)).then(|| rectangle(height, width, random))
}

/// Paints the rectangle with the mean colour.
pub(super) fn erase(pixels: &mut [u8], [_, height, width]: [usize; 3], place: [usize; 4], mean: &[u8]) {
    let [top, left, rows, columns] = place;
    for (plane, &mean) in pixels.chunks_exact_mut(height * width).zip(mean) {
        for row in plane.chunks_exact_mut(width).skip(top).take(rows) {
            row[left..left + columns].fill(mean);
        }
    }
}

/// Top, left, rows and columns; at least one pixel.
fn rectangle(height: usize, width: usize, random: &mut Random) -> [usize; 4] {
    let area = random.range(AREA.0, AREA.1) * (height * width) as f32;
    let aspect = random.range(-1.0, 1.0) * ASPECT.ln();
    let rows = ((area * aspect.exp()).sqrt().round() as usize).clamp(1, height);
    // Rounded down, so that the area stays below its bound.
    let columns = ((area / rows as f32) as usize).clamp(1, width);
    let top = random.below((height - rows + 1) as u32) as usize;
    let left = random.below((width - columns + 1) as u32) as usize;
    [top, left, rows, columns]
}
