//! The embedded data set: 1,797 handwritten digits of 8x8 pixels (Alpaydin and Kaynak, UCI Machine Learning Repository, CC BY 4.0;
//! attribution in `datasets/digits`). It makes the first run work without network.

use std::io::Read;
use std::path::Path;

use crate::pixels::Arrays;
use crate::{Dataset, Error, Found, OpenOptions, Sources, Targets};

const BYTES: &[u8] = include_bytes!("../../../datasets/digits/digits.csv.gz");

/// The digits, split by the seed unless the options say otherwise: a fifth for testing, a tenth of the rest for validation.
///
/// # Errors
/// Only those of the options: a split file or a limit that doesn't fit, a model that reads something else.
pub fn load(options: &OpenOptions) -> Result<Dataset, Error> {
    let path = Path::new("digits");
    let mut text = String::new();
    flate2::read::GzDecoder::new(BYTES).read_to_string(&mut text).map_err(|source| Error::io(path, source))?;
    let (mut pixels, mut values) = (Vec::new(), Vec::new());
    for (row, line) in text.lines().enumerate() {
        let fields: Vec<u8> = line.split(',').filter_map(|field| field.trim().parse().ok()).collect();
        let [image @ .., label] = fields.as_slice() else { continue };
        if image.len() != 64 || *label > 9 {
            return Err(Error::malformed(path, format!("row {}", row + 1), "64 pixels and a digit", line));
        }
        // Intensities are 0..=16; bytes are 0..=255.
        pixels.extend(image.iter().map(|&value| (u16::from(value.min(16)) * 255 / 16) as u8));
        values.push(u32::from(*label));
    }
    Arrays {
        found: Found { format: "embedded digits".into(), ..Found::default() },
        pixels,
        shape: [1, 8, 8],
        sources: Sources::Arrays(vec![("digits".into(), values.len())]),
        targets: Targets::Classes { names: (0..10).map(|digit| digit.to_string()).collect(), values },
        given: Vec::new(),
    }
    .into_dataset(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Samples;

    #[test]
    fn the_embedded_digits_are_whole() {
        let digits = load(&OpenOptions::default()).unwrap();
        assert_eq!(digits.len(), 1797);
        assert_eq!((digits.split.train.len(), digits.split.val.len(), digits.split.test.len()), (1294, 144, 359));
        assert_eq!(digits.input.shape(), [1, 8, 8]);
    }

    #[test]
    fn the_digits_follow_size_channels_and_limit() {
        let options =
            OpenOptions { image_size: Some([12, 16]), channels: Some(3), limit: Some(100), ..OpenOptions::default() };
        let digits = load(&options).unwrap();
        assert_eq!((digits.input.shape(), digits.split.len()), ([3, 12, 16], 100));
        let Samples::Pixels(pixels) = &digits.samples else { panic!("not in memory") };
        assert_eq!(pixels.len(), 1797 * 3 * 12 * 16);
        assert!(digits.found.notes.iter().any(|note| note.contains("become 12x16")), "{:?}", digits.found.notes);
    }
}
