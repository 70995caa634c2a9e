//! Many small pictures as one PNG: batches and filters, for TensorBoard.

/// The longest side of a grid; what doesn't fit is left out.
const SIDE: usize = 2048;
/// Between two pictures.
const GAP: usize = 1;

/// `values` of `[pictures, channels, height, width]`, cut off to 0..=255, as a PNG file with its height, width and channels; `None` where they
/// aren't of that shape, or no pictures of 1 or 3 channels.
pub fn grid(values: &[f32], [count, channels, height, width]: [usize; 4]) -> Option<(Vec<u8>, [usize; 3])> {
    if count == 0 || height == 0 || width == 0 || height > SIDE || width > SIDE || ![1, 3].contains(&channels) {
        return None;
    }
    let size = channels * height * width;
    if values.len() < count * size || (height == 1 && width == 1) {
        return None;
    }
    let columns = ((count as f64).sqrt().ceil() as usize).min(SIDE / (width + GAP)).max(1);
    let rows = count.div_ceil(columns).min(SIDE / (height + GAP)).max(1);
    let (high, wide) = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP);
    let mut bytes = vec![0; high * wide * channels];
    for picture in 0..count.min(rows * columns) {
        let (top, left) = (picture / columns * (height + GAP), picture % columns * (width + GAP));
        for (at, value) in values[picture * size..][..size].iter().enumerate() {
            let (channel, y, x) = (at / (height * width), at / width % height, at % width);
            // NaN becomes 0.
            bytes[((top + y) * wide + left + x) * channels + channel] = value.round().clamp(0.0, 255.0) as u8;
        }
    }
    let colour = if channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb };
    Some((crate::picture::encoded(&bytes, [high, wide], colour)?, [high, wide, channels]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_side_by_side_and_odd_shapes_are_none() {
        let values: Vec<f32> = (0..3 * 4).map(|value| value as f32 * 30.0 - 30.0).collect();
        let (file, shape) = grid(&values, [3, 1, 2, 2]).unwrap();
        assert_eq!(shape, [5, 5, 1]);
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; 25];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels[..5], [0, 0, 0, 90, 120]);
        assert_eq!(pixels[5..10], [30, 60, 0, 150, 180]);
        assert_eq!(pixels[15..20], [210, 240, 0, 0, 0]);
        assert!(grid(&values, [3, 2, 2, 1]).is_none() && grid(&values, [4, 1, 2, 2]).is_none());
        assert!(grid(&values, [12, 1, 1, 1]).is_none(), "a row of a table is no picture");
        let large = vec![f32::NAN; 64 * 3 * 300 * 300];
        let (_, [high, wide, _]) = grid(&large, [64, 3, 300, 300]).unwrap();
        assert!(high <= SIDE && wide <= SIDE);
    }
}
