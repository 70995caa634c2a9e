//! The bytes of an image file: its header, and its pixels in the sizes and modes that the first byte chooses.
#![no_main]

use std::path::Path;

use data::{Filter, Fit, ImageSpec, image};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let side = 1 + usize::from(choice >> 5) * 5;
    let channels = if choice & 1 == 0 { 1 } else { 3 };
    let spec = ImageSpec {
        channels,
        height: side,
        width: 9,
        fit: [Fit::Crop, Fit::Stretch, Fit::Pad, Fit::Crop][usize::from(choice >> 1 & 3)],
        filter: [Filter::Nearest, Filter::Triangle, Filter::CatmullRom, Filter::Lanczos3][usize::from(choice >> 3 & 3)],
        mean: vec![0.0; channels],
        std: vec![1.0; channels],
    };
    let decoded = image::decode_bytes(bytes, Path::new("x"), &spec);
    if let Ok(pixels) = &decoded {
        assert_eq!(pixels.len(), channels * side * 9);
    }
    let header = image::probe(&fuzz::write("x.png", bytes));
    assert!(decoded.is_err() || header.is_ok(), "pixels without a header");
});
