//! Resizing against the image library, and what each fit keeps.

use ::image::{Rgb, RgbImage, imageops};
use proptest::prelude::*;

use super::*;
use crate::random::{Purpose, Random};

fn spec(fit: Fit, filter: Filter, channels: usize, height: usize, width: usize) -> ImageSpec {
    ImageSpec { channels, height, width, fit, filter, mean: vec![0.0; channels], std: vec![1.0; channels] }
}

fn noise(len: usize) -> Vec<u8> {
    let mut random = Random::new(3, Purpose::Bench, 0, 0);
    (0..len).map(|_| random.bits() as u8).collect()
}

/// The `image` library filters the same way, with weights that are rounded differently.
#[test]
fn stretching_agrees_with_the_image_library() {
    let (height, width) = (23, 37);
    let pixels = noise(height * width * 3);
    let image = RgbImage::from_raw(width as u32, height as u32, pixels.clone()).unwrap();
    for (filter, theirs) in [
        (Filter::Triangle, imageops::FilterType::Triangle),
        (Filter::CatmullRom, imageops::FilterType::CatmullRom),
        (Filter::Lanczos3, imageops::FilterType::Lanczos3),
    ] {
        for [h, w] in [[11, 11], [23, 37], [40, 20], [9, 80], [64, 64], [1, 1]] {
            let ours = fit(&pixels, [height, width], &spec(Fit::Stretch, filter, 3, h, w));
            let expected = imageops::resize(&image, w as u32, h as u32, theirs);
            let off = |(x, y, Rgb(pixel)): (u32, u32, &Rgb<u8>)| {
                (0..3).map(|c| ours[(c * h + y as usize) * w + x as usize].abs_diff(pixel[c])).max().unwrap_or(0)
            };
            let worst = expected.enumerate_pixels().map(off).max().unwrap();
            assert!(worst <= 2, "{filter:?} to {h}x{w} is off by {worst}");
        }
    }
}

#[test]
fn a_crop_keeps_the_middle_and_a_pad_keeps_all() {
    // Columns 0..8 of two rows; the target is square.
    let pixels: Vec<u8> = (0..2).flat_map(|_| (0..8).map(|x| x * 30)).collect();
    let run = |fit_: Fit, filter, h, w| fit(&pixels, [2, 8], &spec(fit_, filter, 1, h, w));
    assert_eq!(run(Fit::Crop, Filter::Triangle, 2, 2), [90, 120, 90, 120]);
    assert_eq!(run(Fit::Crop, Filter::Nearest, 1, 4), [30, 90, 150, 210]);
    assert_eq!(run(Fit::Stretch, Filter::Nearest, 1, 2), [60, 180]);
    let padded = run(Fit::Pad, Filter::Nearest, 8, 8);
    assert_eq!(padded[..24], [0; 24]);
    assert_eq!(padded[24..32], pixels[..8]);
    assert_eq!(padded[40..], [0; 24]);
}

#[test]
fn long_thin_pictures_cost_little() {
    for (size, fit_) in
        [([1, 60_000], Fit::Crop), ([60_000, 1], Fit::Crop), ([60_000, 1], Fit::Stretch), ([1, 60_000], Fit::Pad)]
    {
        let out = fit(&vec![200; 60_000], size, &spec(fit_, Filter::Lanczos3, 1, 128, 128));
        assert!(out.len() == 128 * 128 && out.contains(&200), "{size:?} {fit_:?}");
    }
}

proptest! {
    #[test]
    fn a_plain_picture_stays_plain(
        size in (1usize..40, 1usize..40), target in (1usize..40, 1usize..40), value in any::<u8>(), three in any::<bool>()
    ) {
        let channels = if three { 3 } else { 1 };
        let pixels = vec![value; size.0 * size.1 * channels];
        for filter in [Filter::Nearest, Filter::Triangle, Filter::CatmullRom, Filter::Lanczos3] {
            for fit_ in [Fit::Crop, Fit::Stretch, Fit::Pad] {
                let out = fit(&pixels, [size.0, size.1], &spec(fit_, filter, channels, target.0, target.1));
                prop_assert_eq!(out.len(), channels * target.0 * target.1);
                let plain = out.iter().all(|&pixel| pixel == value || fit_ == Fit::Pad && pixel == 0);
                prop_assert!(plain && out.contains(&value));
            }
        }
    }
}
