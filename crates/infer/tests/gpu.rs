//! Files that a release wrote, on a GPU: they answer as they do on the CPU. Skipped, with a word, where no driver answers.
#![cfg(all(feature = "wgpu", feature = "flex"))]

use std::path::Path;

use infer::{Predictor, Sample};

#[test]
fn files_answer_on_a_gpu_as_they_do_on_the_cpu() {
    let gpu = match device::select("wgpu") {
        Ok(gpu) => gpu.device,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released/v1/digits.safetensors");
    let predictor = Predictor::load(&path, &gpu).unwrap();
    // It holds what it answered where it was trained.
    let checked = predictor.self_test().unwrap().unwrap();
    assert!(!checked.is_empty() && checked.iter().all(|one| one.agrees()), "{checked:?}");
    let samples: Vec<_> = (0..8u32)
        .map(|seed| Sample::pixels((0..64).map(|at| ((at * 37 + seed * 101) % 256) as u8).collect()))
        .collect();
    let cpu = Predictor::load(&path, &device::select("flex").unwrap().device).unwrap();
    let [found, expected] = [&predictor, &cpu].map(|predictor| format!("{:.3?}", predictor.predict(&samples).unwrap()));
    assert_eq!(found, expected);
}
