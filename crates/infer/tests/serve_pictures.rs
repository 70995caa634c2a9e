//! Pictures that are more than rows of bytes, through the socket of `infer serve`: animations, four inks, 16 bits, photos that were turned, files that are cut
//! short, files that unfold. Each gets what its pixels say or a problem, and the next request its answer. `pictures/make.py` wrote the files.
#![cfg(all(unix, feature = "flex"))]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod scratch;

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb};
use scratch::Scratch;
use scratch::server::{Answer, Running};

/// A trained model of gray 8x8 pictures, which tells pictures apart better than one of chance does.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/released/v1/digits.safetensors");

/// Files of the folder, all with the picture of [`picture`]; and how far probabilities may be from its.
const ALIKE: [(&str, &[u8], f64); 10] = [
    ("animated.gif", include_bytes!("pictures/animated.gif"), 0.0),
    ("animated.png", include_bytes!("pictures/animated.png"), 0.0),
    ("animated.webp", include_bytes!("pictures/animated.webp"), 0.0),
    ("pages.tif", include_bytes!("pictures/pages.tif"), 0.0),
    ("packbits.tif", include_bytes!("pictures/packbits.tif"), 0.0),
    ("gray16.tif", include_bytes!("pictures/gray16.tif"), 0.0),
    ("cmyk.tif", include_bytes!("pictures/cmyk.tif"), 0.01),
    ("cmyk-adobe.jpg", include_bytes!("pictures/cmyk-adobe.jpg"), 0.01),
    ("cmyk.jpg", include_bytes!("pictures/cmyk.jpg"), 0.01),
    ("ycck.jpg", include_bytes!("pictures/ycck.jpg"), 0.01),
];

fn picture() -> GrayImage {
    GrayImage::from_fn(8, 8, |x, y| Luma([(20 + 24 * x + 3 * y) as u8]))
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    encode(image, ImageFormat::Png)
}

fn ask(server: &Running, bytes: &[u8]) -> Answer {
    server.post("/v1/predict?top_k=10", "application/octet-stream", bytes)
}

/// Probabilities of the ten classes, by their order in the model.
#[track_caller]
fn told(server: &Running, bytes: &[u8], name: &str) -> [f64; 10] {
    let answer = ask(server, bytes);
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    let mut found = [0.0; 10];
    for class in answer.json()["topk"].as_array().unwrap() {
        found[class["index"].as_u64().unwrap() as usize] = class["prob"].as_f64().unwrap();
    }
    found
}

fn apart(one: [f64; 10], other: [f64; 10]) -> f64 {
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max)
}

#[test]
fn a_picture_is_the_same_picture_in_every_file_that_can_hold_it() {
    let scratch = Scratch::new();
    let server = scratch.serve(MODEL, &[]);
    let expected = told(&server, &png(picture()), "png");
    // What would be seen of another frame, or of inks taken for light, is something else.
    let negative = GrayImage::from_fn(8, 8, |x, y| Luma([255 - picture().get_pixel(x, y).0[0]]));
    assert!(apart(expected, told(&server, &png(negative), "negative")) > 0.05);
    // A fax has black and white alone.
    let fax = GrayImage::from_fn(8, 8, |x, y| Luma([255 * u8::from(picture().get_pixel(x, y).0[0] > 104)]));
    assert_eq!(
        told(&server, include_bytes!("pictures/fax.tif"), "fax.tif"),
        told(&server, &png(fax), "black and white")
    );
    for (name, bytes, near) in ALIKE {
        let found = told(&server, bytes, name);
        assert!(apart(found, expected) <= near, "{name}: {found:?}, expected {expected:?}");
    }
    let deep = ImageBuffer::from_fn(8, 8, |x, y| Luma([u16::from(picture().get_pixel(x, y).0[0]) * 257]));
    let colour = ImageBuffer::from_fn(8, 8, |x, y| Rgb([u16::from(picture().get_pixel(x, y).0[0]) * 257; 3]));
    let float = ImageBuffer::from_fn(8, 8, |x, y| Rgb([f32::from(picture().get_pixel(x, y).0[0]) / 255.0; 3]));
    for (name, bytes) in [
        ("16 bits", png(deep.clone())),
        ("16 bits of three colours", png(colour.clone())),
        ("16 bits as TIFF", encode(deep, ImageFormat::Tiff)),
        ("16 bits of three colours as TIFF", encode(colour, ImageFormat::Tiff)),
        ("floats as TIFF", encode(DynamicImage::ImageRgb32F(float), ImageFormat::Tiff)),
    ] {
        assert_eq!(told(&server, &bytes, name), expected, "{name}");
    }
}

#[test]
fn a_photo_is_turned_as_its_exif_says_unless_that_is_to_be_ignored() {
    let scratch = Scratch::new();
    let (server, stored) = (scratch.serve(MODEL, &[]), scratch.serve(MODEL, &["--ignore-exif"]));
    assert_eq!(server.get("/v1/model").json()["input"]["exif"], "applied");
    assert_eq!(stored.get("/v1/model").json()["input"]["exif"], "ignored");
    // Each block of 8x8 is of one shade, so that a JPEG of it is the same however it is turned.
    let upright =
        GrayImage::from_fn(24, 16, |x, y| Luma([[[250, 30, 120], [60, 200, 0]][y as usize / 8][x as usize / 8]]));
    let expected = told(&server, &jpeg(&upright, None), "upright");
    let unturned = |image: &GrayImage| told(&stored, &jpeg(image, None), "without EXIF");
    assert_eq!(unturned(&upright), expected);
    let mut seen = vec![];
    for orientation in 1..=8 {
        let lying = laid(&upright, orientation);
        let photo = jpeg(&lying, Some(orientation));
        assert_eq!(told(&server, &photo, "photo"), expected, "orientation {orientation}");
        let found = told(&stored, &photo, "photo");
        assert_eq!(found, unturned(&lying), "orientation {orientation}, ignored");
        assert!(seen.iter().all(|other| apart(*other, found) > 0.001), "{orientation}: the model sees no difference");
        seen.push(found);

        // The overlay of an explanation is as large as the picture that was looked at.
        let framed = |server: &Running| {
            let answer = server.post("/v1/explain", "image/jpeg", &photo);
            answer.json()["framing"]["picture"]
                .as_array()
                .unwrap()
                .iter()
                .map(|side| side.as_u64().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(framed(&server), [16, 24]);
        assert_eq!(framed(&stored), [u64::from(lying.height()), u64::from(lying.width())]);
    }
    // What is no orientation changes nothing.
    for orientation in [0, 9, 255] {
        assert_eq!(told(&server, &jpeg(&upright, Some(orientation)), "photo"), expected, "orientation {orientation}");
    }
}

/// `upright` as a camera would store it for `orientation` (Exif 2.32, tag 0x0112) to turn it back.
fn laid(upright: &GrayImage, orientation: u8) -> GrayImage {
    use image::imageops::{flip_horizontal, flip_vertical, rotate90, rotate180, rotate270};
    match orientation {
        2 => flip_horizontal(upright),
        3 => rotate180(upright),
        4 => flip_vertical(upright),
        5 => flip_horizontal(&rotate90(upright)),
        6 => rotate270(upright),
        7 => flip_horizontal(&rotate270(upright)),
        8 => rotate90(upright),
        _ => upright.clone(),
    }
}

/// A JPEG, with an EXIF segment (APP1) that has but the orientation.
fn jpeg(image: &GrayImage, orientation: Option<u8>) -> Vec<u8> {
    let plain = encode(image.clone(), ImageFormat::Jpeg);
    let Some(orientation) = orientation else { return plain };
    let tag =
        [b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", &[orientation][..], b"\0\0\0\0\0\0"].concat();
    let segment = [b"\xff\xe1\0", &[tag.len() as u8 + 2][..], &tag].concat();
    [&plain[..2], &segment, &plain[2..]].concat()
}

#[test]
fn files_that_are_cut_short_or_unfold_are_refused_or_right_and_the_next_one_is_answered() {
    let scratch = Scratch::new();
    let server = scratch.serve(MODEL, &["--max-pixels", "1000000"]);
    let expected = told(&server, &png(picture()), "png");
    for (name, bytes, near) in ALIKE {
        for len in (0..bytes.len()).step_by(bytes.len().div_ceil(40)) {
            let answer = ask(&server, &bytes[..len]);
            if answer.status == 200 {
                // The first frame was whole; of another one nothing is wanted.
                let found = told(&server, &bytes[..len], name);
                assert!(apart(found, expected) <= near, "{len} bytes of {name}: {found:?}");
            } else {
                assert_eq!(
                    (answer.status, answer.problem().as_str()),
                    (422, "unreadable-input"),
                    "{len} bytes of {name}"
                );
            }
        }
    }
    let (mut gif, mut webp) = (ALIKE[0].1.to_vec(), ALIKE[2].1.to_vec());
    gif[6..10].copy_from_slice(&[0xff; 4]);
    webp[24..30].copy_from_slice(&[0xff; 6]);
    let mut bmp = encode(picture(), ImageFormat::Bmp);
    bmp[18..26].copy_from_slice(&[0, 0x7d, 0, 0, 0, 0x7d, 0, 0]);
    let mut photo = jpeg(&GrayImage::new(64, 64), Some(6));
    let size = photo.windows(2).position(|two| two == b"\xff\xc0").unwrap() + 5;
    photo[size..size + 4].copy_from_slice(&[0xff; 4]);
    let flat = png(GrayImage::new(4000, 4000));
    let bombs: [(&str, &[u8], &[&str]); 11] = [
        ("a GIF of 65535 x 65535", &gif, &["unreadable-input"]),
        ("a WebP of 2^24 x 2^24", &webp, &["unreadable-input"]),
        ("a BMP of 32000 x 32000", &bmp, &["unreadable-input"]),
        ("a JPEG of 65535 x 65535", &photo, &["unreadable-input"]),
        ("a TIFF of 30000 x 30000", include_bytes!("pictures/bomb.tif"), &["unreadable-input"]),
        ("a whole PNG of 4000 x 4000", &flat, &["too-many-pixels"]),
        (
            "a PNG whose colour profile unfolds to 64 MiB",
            include_bytes!("pictures/bomb-profile.png"),
            &["unreadable-input", ""],
        ),
        ("a PNG whose comment unfolds to 64 MiB", include_bytes!("pictures/bomb-text.png"), &["unreadable-input", ""]),
        ("a TIFF of gray floats", include_bytes!("pictures/float.tif"), &["unreadable-input"]),
        ("a TIFF with a palette", include_bytes!("pictures/palette.tif"), &["unreadable-input"]),
        ("JPEG 2000", include_bytes!("pictures/jpeg2000.jp2"), &["unreadable-input"]),
    ];
    for (name, bytes, problems) in bombs {
        let answer = ask(&server, bytes);
        let problem = if answer.status == 200 { String::new() } else { answer.problem() };
        assert!(problems.contains(&problem.as_str()), "{name}: {}", answer.text());
        assert_eq!(told(&server, &png(picture()), name), expected, "after {name}");
    }
    let most = server.most_memory().unwrap_or(0);
    assert!(most < 400_000_000, "{most} bytes were held for files of some thousand");
}
