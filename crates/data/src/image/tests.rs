//! Decoding: channels, depths, orientation, and files that are no pictures.

use std::io::Cursor;

use ::image::{ColorType, GrayImage, ImageEncoder, ImageFormat, Luma, Rgba, RgbaImage};

use super::*;
use crate::{Filter, Fit};

fn spec(channels: usize, height: usize, width: usize) -> ImageSpec {
    let (mean, std) = (vec![0.0; channels], vec![1.0; channels]);
    ImageSpec { channels, height, width, fit: Fit::Stretch, filter: Filter::Triangle, mean, std }
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// 6 rows, 8 columns; red grows to the right, green downwards.
fn picture() -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(8, 6, |x, y| Rgb([x as u8 * 30, y as u8 * 40, 100])))
}

fn decode(bytes: &[u8], spec: &ImageSpec) -> Result<Vec<u8>, Error> {
    decode_bytes(bytes, Path::new("picture"), spec)
}

fn message(bytes: &[u8]) -> String {
    decode(bytes, &spec(3, 4, 4)).unwrap_err().to_string()
}

#[test]
fn every_lossless_format_gives_the_same_planes() {
    let image = picture();
    let expected: Vec<u8> = (0..3).flat_map(|c| image.to_rgb8().pixels().map(|p| p.0[c]).collect::<Vec<_>>()).collect();
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::Tiff, ImageFormat::WebP] {
        assert_eq!(decode(&encode(&image, format), &spec(3, 6, 8)).unwrap(), expected, "{format:?}");
    }
    for format in [ImageFormat::Jpeg, ImageFormat::Gif] {
        let image = if format == ImageFormat::Gif { DynamicImage::ImageRgba8(image.to_rgba8()) } else { image.clone() };
        let close = decode(&encode(&image, format), &spec(3, 6, 8)).unwrap();
        let error = close.iter().zip(&expected).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
        assert!(error / 144 < 8, "{format:?} is off by {error} in all");
    }
}

#[test]
fn gray_16_bit_and_transparent_pixels_become_bytes() {
    let gray = encode(&GrayImage::from_pixel(2, 2, Luma([77])).into(), ImageFormat::Png);
    assert_eq!(decode(&gray, &spec(1, 2, 2)).unwrap(), [77; 4]);
    assert_eq!(decode(&gray, &spec(3, 2, 2)).unwrap(), [77; 12]);
    let deep = ::image::ImageBuffer::<Luma<u16>, _>::from_pixel(1, 1, Luma([77 * 257]));
    assert_eq!(decode(&encode(&deep.into(), ImageFormat::Png), &spec(1, 1, 1)).unwrap(), [77]);
    let green = DynamicImage::ImageRgb8(RgbImage::from_pixel(1, 1, Rgb([0, 200, 0])));
    assert_eq!(decode(&encode(&green, ImageFormat::Png), &spec(1, 1, 1)).unwrap(), [143], "0.7152 * 200");
    // Half transparent red over white.
    let red = DynamicImage::ImageRgba8(RgbaImage::from_pixel(1, 1, Rgba([200, 0, 0, 102])));
    assert_eq!(decode(&encode(&red, ImageFormat::Png), &spec(3, 1, 1)).unwrap(), [233, 153, 153]);
    let clear = DynamicImage::ImageRgba8(RgbaImage::from_pixel(1, 1, Rgba([9, 9, 9, 0])));
    assert_eq!(decode(&encode(&clear, ImageFormat::Png), &spec(1, 1, 1)).unwrap(), [255]);
}

#[test]
fn a_comment_in_a_pgm_header_is_no_pixel() {
    let bytes = b"P5\n# made by hand\n2 1\n255\n\x05\x09";
    assert_eq!(decode(bytes, &spec(1, 1, 2)).unwrap(), [5, 9]);
}

#[test]
fn the_orientation_of_a_photo_is_applied_unless_it_is_to_be_ignored() {
    // EXIF (TIFF, little-endian) with the tag orientation (0x0112) = 6: turn clockwise.
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    let mut bytes = Vec::new();
    let mut encoder = ::image::codecs::png::PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif).unwrap();
    encoder.write_image(&[10, 20], 2, 1, ColorType::L8.into()).unwrap();
    assert_eq!(decode(&bytes, &spec(1, 2, 1)).unwrap(), [10, 20]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    assert_eq!(probe(file.path()).unwrap(), Header { height: 2, width: 1, gray: true });

    // Or not.
    let (name, stored) = (Path::new("picture"), Exif::Ignored);
    assert_eq!(decode_bytes_as(&bytes, name, &spec(1, 1, 2), stored).unwrap(), [10, 20]);
    assert_eq!(probe_bytes(&bytes, name, stored).unwrap(), Header { height: 1, width: 2, gray: true });
    assert_eq!(thumbnail(&bytes, name, 8, stored).unwrap().size, [1, 2]);
    assert_eq!(thumbnail(&bytes, name, 8, Exif::Applied).unwrap().size, [2, 1]);
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_taken() {
    for header in ["P5 200000 200000 255\n", "P6 70000 1 255\n", "P5 4294967295 4294967295 255\n"] {
        let error = message(header.as_bytes());
        assert!(error.contains("picture") && error.contains("header"), "{error}");
    }
    // A PNG's header with its size replaced (the checksum is not what is looked at first).
    let mut png = encode(&picture(), ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 0, 0x9C, 0x40, 0, 0, 0x9C, 0x40]);
    assert!(message(&png).contains("picture"));
    let mut bmp = encode(&picture(), ImageFormat::Bmp);
    bmp[18..26].copy_from_slice(&[0x40, 0x9C, 0, 0, 0x40, 0x9C, 0, 0]);
    assert!(message(&bmp).contains("megapixels"), "{}", message(&bmp));
    assert!(message(b"P5 0 3 255\n").contains("picture"));
}

#[test]
fn cut_and_foreign_bytes_are_refused() {
    assert!(message(b"").contains("first bytes: expected an image"));
    assert!(message(b"sample,split\n").contains("first bytes: expected an image"));
    for format in
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::Tiff, ImageFormat::WebP]
    {
        let whole = encode(&picture(), format);
        for len in [1, 4, whole.len() / 3, whole.len() * 2 / 3] {
            let result = decode(&whole[..len], &spec(3, 4, 4));
            assert!(result.is_err(), "{format:?} of {len} of {} bytes", whole.len());
        }
    }
    // The decoder itself would take these.
    let jpeg = encode(&picture(), ImageFormat::Jpeg);
    assert!(message(&jpeg[..jpeg.len() - 2]).contains("expected more of a JPEG, found the end of the file"));
    let gif = encode(&DynamicImage::ImageRgba8(picture().to_rgba8()), ImageFormat::Gif);
    assert!(decode(&gif[..gif.len() / 3], &spec(3, 4, 4)).is_err());
}

#[test]
fn recipes_that_no_image_can_follow_are_refused() {
    let png = encode(&picture(), ImageFormat::Png);
    for spec in [spec(2, 4, 4), spec(3, 0, 4), spec(3, 4, 1 << 40)] {
        assert!(decode(&png, &spec).unwrap_err().is_usage());
    }
}

#[test]
fn a_small_file_that_declares_a_huge_picture_is_refused_before_memory_is_taken() {
    // Found by fuzzing: a frame of 18,219 x 15,944 pixels in a GIF of 7 x 5, and decoding JPEGs of a few hundred bytes for seconds.
    let frame = b"GIF87a\x07\0\x05\0\x80\0\0\0\0\0\0\0\0,\0\0+GIF8>a\x02\x02\x02\x02\xff\xff";
    let found = message(frame);
    assert!(found.contains("pixels: expected a whole image, found Memory limit exceeded"), "{found}");
    let mut jpeg = encode(&picture(), ImageFormat::Jpeg);
    let size = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap() + 5;
    jpeg[size..size + 4].copy_from_slice(&[0x40, 0, 0x10, 0]);
    let found = message(&jpeg);
    assert!(found.contains("by the size of the file, found a declared size of 4096x16384"), "{found}");
    let text = message(b"P5\n9000 9000\n255\n");
    assert!(text.contains("at most 136 pixels"), "{text}");
}

/// Panics on its pixels, as a faulty decoder does.
struct Panicking;

impl ImageDecoder for Panicking {
    fn dimensions(&self) -> (u32, u32) {
        (2, 2)
    }

    fn color_type(&self) -> ColorType {
        ColorType::L8
    }

    fn read_image(self, _: &mut [u8]) -> ::image::ImageResult<()> {
        panic!("attempt to subtract with overflow")
    }

    fn read_image_boxed(self: Box<Self>, _: &mut [u8]) -> ::image::ImageResult<()> {
        unreachable!("not called")
    }
}

#[test]
fn a_decoder_that_panics_is_an_error_of_its_file() {
    let path = Path::new("a.png");
    let error = contained(path, || pixels(Panicking, Orientation::NoTransforms, path)).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let expected = "`a.png` contents: expected an image that can be decoded, found one that its decoder panics on (attempt to subtract with overflow)";
    assert_eq!(error.to_string(), expected);
}
