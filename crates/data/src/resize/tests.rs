//! Resizing against the image library, and what each fit keeps.

use ::image::{Rgb, RgbImage, imageops};
use proptest::prelude::*;

use super::*;
use crate::Filter;
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

/// The definition, one value after the other, in single precision and in this order: it is part of every model that was trained.
fn defined(pixels: &[u8], size: [usize; 2], spec: &ImageSpec) -> Vec<u8> {
    let (channels, [height, width], framing) = (spec.channels, size, spec.framing(size));
    let weights = |side: usize, at: usize| {
        let step = framing.span[side] / framing.size[side] as f64;
        let (centre, widen) = (framing.start[side] + (at as f64 + 0.5) * step, step.max(1.0));
        if spec.filter == Filter::Nearest {
            return vec![((centre as usize).min(size[side] - 1), 1.0)];
        }
        let radius = spec.filter.radius() * widen;
        let sources = (centre - radius).floor().max(0.0) as usize..((centre + radius).ceil() as usize).min(size[side]);
        let weight = |source: usize| spec.filter.weight((source as f64 + 0.5 - centre) / widen);
        let sum: f64 = sources.clone().map(weight).sum();
        sources.map(|source| (source, (weight(source) / sum) as f32)).collect::<Vec<_>>()
    };
    let sum = |weights: &[(usize, f32)], value: &dyn Fn(usize) -> f32| {
        weights.iter().fold(0.0f32, |sum, &(source, weight)| sum + weight * value(source))
    };
    let of = |y: usize, x: usize, channel: usize| f32::from(pixels[(y * width + x) * channels + channel]);
    let columns_first = height * framing.size[1] <= framing.size[0] * width;
    let mut out = vec![0; channels * spec.height * spec.width];
    for (y, x) in (0..framing.size[0]).flat_map(|y| (0..framing.size[1]).map(move |x| (y, x))) {
        let (rows, columns) = (weights(0, y), weights(1, x));
        for channel in 0..channels {
            let value = if framing.size == size {
                of(y, x, channel)
            } else if columns_first {
                sum(&rows, &|y| sum(&columns, &|x| of(y, x, channel)))
            } else {
                sum(&columns, &|x| sum(&rows, &|y| of(y, x, channel)))
            };
            let [top, left] = framing.place;
            let at = (channel * spec.height + top + y) * spec.width + left + x;
            out[at] = (value + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
    out
}

#[test]
fn sums_are_rounded_to_the_nearest_byte() {
    let plain = |sum: f32| (sum + 0.5).clamp(0.0, 255.0) as u8;
    let near = |whole: i32| {
        (-3..=3).map(move |step: i32| f32::from_bits((whole as f32 + 0.5).to_bits().wrapping_add_signed(step)))
    };
    for sum in (-300..600).flat_map(near).chain([0.0, -0.0, 0.49999997, 254.99998, 1e30, -1e30]) {
        assert_eq!(byte(sum), plain(sum), "{sum:?}");
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
    fn pixels_are_those_of_the_definition_bit_by_bit(
        size in (1usize..40, 1usize..40), target in (1usize..40, 1usize..40), same in 0..4, three in any::<bool>(), seed in any::<u64>()
    ) {
        let (channels, size) = (if three { 3 } else { 1 }, [size.0, size.1]);
        let [height, width] = if same == 0 { size } else { [target.0, target.1] };
        let mut random = Random::new(seed, Purpose::Bench, 0, 0);
        let pixels: Vec<u8> = (0..size[0] * size[1] * channels).map(|_| random.bits() as u8).collect();
        for filter in [Filter::Nearest, Filter::Triangle, Filter::CatmullRom, Filter::Lanczos3] {
            for fit_ in [Fit::Crop, Fit::Stretch, Fit::Pad] {
                let spec = spec(fit_, filter, channels, height, width);
                prop_assert_eq!(fit(&pixels, size, &spec), defined(&pixels, size, &spec), "{:?}", spec);
            }
        }
    }

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
