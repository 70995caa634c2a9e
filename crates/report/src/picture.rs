//! Thumbnails: pixels to a PNG that stands inside the page.

/// The longest side of a thumbnail; larger pictures are averaged down.
const SIDE: usize = 96;

/// A picture, planes of bytes as networks take them.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Channels (1 gray, 3 RGB), height, width.
    pub shape: [usize; 3],
    /// `[channels, height, width]`.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// `data:image/png;base64,...`, as a thumbnail; `None` where the shape isn't that of the pixels.
    pub(crate) fn uri(&self) -> Option<String> {
        self.uri_within(SIDE)
    }

    /// The same with all pixels.
    pub(crate) fn whole_uri(&self) -> Option<String> {
        self.uri_within(usize::MAX)
    }

    fn uri_within(&self, side: usize) -> Option<String> {
        let [channels, ..] = self.shape;
        let colour = match channels {
            1 => png::ColorType::Grayscale,
            3 => png::ColorType::Rgb,
            _ => return None,
        };
        let Self { shape: [_, rows, columns], pixels } = self.shrunk(side)?;
        let plane = rows * columns;
        let bytes: Vec<u8> = (0..plane * channels).map(|at| pixels[at % channels * plane + at / channels]).collect();
        Some(format!("data:image/png;base64,{}", base64(&encoded(&bytes, [rows, columns], colour)?)))
    }

    /// The picture averaged down, square by square, so that no side is longer than `side`; `None` where its shape isn't that of its pixels.
    pub fn shrunk(&self, side: usize) -> Option<Self> {
        let [channels, height, width] = self.shape;
        if self.pixels.is_empty() || self.pixels.len() != channels * height * width {
            return None;
        }
        let step = height.max(width).div_ceil(side.max(1)).max(1);
        let (rows, columns) = (height.div_ceil(step), width.div_ceil(step));
        let places = (0..channels).flat_map(|channel| (0..rows).map(move |row| (channel, row)));
        let places = places.flat_map(|(channel, row)| (0..columns).map(move |column| (channel, [row, column])));
        let pixels = places.map(|(channel, place)| self.mean(channel, place, step)).collect();
        Some(Self { shape: [channels, rows, columns], pixels })
    }

    /// The mean of a square of `step` by `step`, as far as it lies inside.
    fn mean(&self, channel: usize, [row, column]: [usize; 2], step: usize) -> u8 {
        let [_, height, width] = self.shape;
        let plane = &self.pixels[channel * height * width..][..height * width];
        let (mut sum, mut count) = (0usize, 0usize);
        for y in row * step..((row + 1) * step).min(height) {
            for x in column * step..((column + 1) * step).min(width) {
                sum += usize::from(plane[y * width + x]);
                count += 1;
            }
        }
        (sum / count.max(1)) as u8
    }
}

/// The PNG file of a picture, pixel by pixel.
pub(crate) fn encoded(bytes: &[u8], [rows, columns]: [usize; 2], colour: png::ColorType) -> Option<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, columns as u32, rows as u32);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(bytes).ok()?;
    writer.finish().ok()?;
    Some(file)
}

/// `bytes` as base64 (RFC 4648, section 4), padded.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            match digit <= three.len() {
                true => out.push(char::from(DIGITS[(word >> (18 - 6 * digit) & 63) as usize])),
                false => out.push('='),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let expected = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        assert_eq!(texts.map(|text| base64(text.as_bytes())), expected);
    }

    #[test]
    fn a_large_picture_is_averaged_down_and_an_odd_one_left_out() {
        let large = Picture {
            shape: [1, 200, 100],
            pixels: [[0u8, 100].repeat(50), [200, 100].repeat(50)].concat().repeat(100),
        };
        assert_eq!(large.mean(0, [0, 0], 2), 100);
        assert!(large.uri().unwrap().starts_with("data:image/png;base64,iVBORw0KGgo"));
        assert_eq!(Picture { shape: [2, 1, 1], pixels: vec![0, 0] }.uri(), None);
        assert_eq!(Picture { shape: [1, 2, 2], pixels: vec![0] }.uri(), None);
        assert_eq!(Picture { shape: [1, 0, 0], pixels: vec![] }.uri(), None);
    }
}
