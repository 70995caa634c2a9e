//! A pair of IDX files, plain or gzip: the first two bytes say where the images end.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((images, labels)) = fuzz::halves(bytes) else { return };
    let file = fuzz::write("train-images-idx3-ubyte", images);
    fuzz::write("train-labels-idx1-ubyte", labels);
    let _ = data::open(&file, &data::OpenOptions::default());
});
