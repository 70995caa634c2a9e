//! A model file: its header, then the whole of it, its weights in the network that it describes.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static DEVICE: OnceLock<device::Selected> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let device = DEVICE.get_or_init(|| device::select("cpu").expect("a processor"));
    let path = fuzz::write("m.safetensors", bytes);
    let header = models::ModelFile::header(&path);
    let predictor = infer::Predictor::load(&path, &device.device);
    assert!(predictor.is_err() || header.is_ok(), "a model without a header");
});
