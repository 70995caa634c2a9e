//! The embedded data set: 1,797 handwritten digits of 8x8 pixels (Alpaydin and Kaynak, UCI Machine Learning Repository, CC BY 4.0;
//! attribution in `datasets/digits`). It makes the first run work without network.

use std::io::Read;
use std::path::Path;

use crate::{Dataset, Error, Filter, Fit, Found, ImageSpec, InputSpec, Samples, Sources, Targets, split};

const BYTES: &[u8] = include_bytes!("../../../datasets/digits/digits.csv.gz");

/// The digits, split by `seed`: a fifth for testing, a tenth of the rest for validation.
///
/// # Errors
/// None for the bytes that are embedded; the types don't know that.
pub fn load(seed: u64) -> Result<Dataset, Error> {
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
    let n = values.len();
    let targets = Targets::Classes { names: (0..10).map(|digit| digit.to_string()).collect(), values };
    let (rest, test) = split::cut(&(0..n as u32).collect::<Vec<_>>(), &targets, 0.2, seed);
    let (train, val) = split::cut(&rest, &targets, 0.1, seed);
    let (mean, std) = mean_std(&pixels, &train, 64);
    Ok(Dataset {
        found: Found { format: "embedded digits".into(), ..Found::default() },
        input: InputSpec::Image(ImageSpec {
            channels: 1,
            height: 8,
            width: 8,
            fit: Fit::default(),
            filter: Filter::default(),
            mean: vec![mean],
            std: vec![std],
        }),
        samples: Samples::Pixels(pixels),
        targets,
        sources: Sources::Arrays(vec![("digits".into(), n)]),
        split: split::Split { train, val, test },
    })
}

fn mean_std(pixels: &[u8], indices: &[u32], len: usize) -> (f32, f32) {
    let values = indices.iter().flat_map(|&index| &pixels[index as usize * len..][..len]).map(|&value| f64::from(value) / 255.0);
    let n = (indices.len() * len) as f64;
    let (sum, squares) = values.fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    let mean = sum / n;
    (mean as f32, ((squares / n - mean * mean).max(0.0).sqrt() as f32).max(1e-6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_digits_are_whole() {
        let digits = load(0).unwrap();
        assert_eq!(digits.len(), 1797);
        assert_eq!((digits.split.train.len(), digits.split.val.len(), digits.split.test.len()), (1294, 144, 359));
    }
}
