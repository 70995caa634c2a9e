//! Files that a release wrote, on a GPU: they answer as they do on the CPU. Skipped, with a word, where no driver answers.
#![cfg(all(feature = "wgpu", feature = "flex"))]

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burn::tensor::wgpu::WgpuBackend;
use infer::{Error, Explain, Predictor, Sample};

fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released/v1/digits.safetensors")
}

#[test]
fn a_device_that_is_lost_is_an_error_whatever_is_asked() {
    // One that nobody else in this process shares, for it is taken away.
    let mine = Device::wgpu_options().graphics_api(WgpuBackend::Vulkan);
    let (device, setup) = match mine.init_with_setup() {
        Ok(mine) => mine,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let predictor = Predictor::load(&digits(), &device).unwrap();
    let sample = Sample::pixels(vec![100; 64]);
    predictor.predict(std::slice::from_ref(&sample)).unwrap();
    setup.device.destroy();
    let lost = |error: Error| assert!(matches!(error, Error::Device(_)) && error.exit_code() == 1, "{error:?}");
    lost(predictor.predict(std::slice::from_ref(&sample)).unwrap_err());
    lost(predictor.explain(&sample, &Explain::default()).unwrap_err());
    lost(predictor.feature_maps(&sample, 4).unwrap_err());
}

#[test]
fn files_answer_on_a_gpu_as_they_do_on_the_cpu() {
    let gpu = match device::select("wgpu") {
        Ok(gpu) => gpu.device,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let predictor = Predictor::load(&digits(), &gpu).unwrap();
    // It holds what it answered where it was trained.
    let checked = predictor.self_test().unwrap().unwrap();
    assert!(!checked.is_empty() && checked.iter().all(|one| one.agrees()), "{checked:?}");
    let samples: Vec<_> = (0..8u32)
        .map(|seed| Sample::pixels((0..64).map(|at| ((at * 37 + seed * 101) % 256) as u8).collect()))
        .collect();
    let cpu = Predictor::load(&digits(), &device::select("flex").unwrap().device).unwrap();
    let [found, expected] = [&predictor, &cpu].map(|predictor| format!("{:.3?}", predictor.predict(&samples).unwrap()));
    assert_eq!(found, expected);
}
