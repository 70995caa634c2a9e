//! What `--device` does on this machine, with whichever backends this build has. Runs under any feature set, none included.

use burn::tensor::Tensor;
use device::{Backend, Error, list, select};

fn built() -> Vec<Backend> {
    Backend::ALL.into_iter().filter(|backend| backend.is_built()).collect()
}

fn has_cpu() -> bool {
    built().iter().any(|backend| !backend.is_gpu())
}

#[test]
fn auto_always_finds_a_device_that_computes_where_a_cpu_backend_is_built() {
    match select("auto") {
        Ok(chosen) => {
            let values = Tensor::<1>::from_floats([1.0, 2.0, 3.0], &chosen.device).mul_scalar(2.0).into_data();
            assert_eq!(values.try_to_vec::<f32>().unwrap(), [2.0, 4.0, 6.0]);
            // The name is good for choosing the same device again.
            assert_eq!(select(&chosen.name).unwrap().device, chosen.device);
        }
        Err(error) => assert!(!has_cpu(), "{error}"),
    }
}

#[test]
fn auto_without_gpu_backends_has_nothing_to_note() {
    if built().iter().all(|backend| !backend.is_gpu()) && has_cpu() {
        assert_eq!(select("auto").unwrap().note, None);
    }
}

#[test]
fn falling_back_to_the_cpu_is_noted_in_one_line() {
    let Ok(chosen) = select("auto") else { return };
    let has_gpu_backend = built().iter().any(|backend| backend.is_gpu());
    let took_gpu = chosen.name.contains(':');
    assert_eq!(chosen.note.is_some(), has_gpu_backend && !took_gpu);
    assert!(chosen.note.is_none_or(|note| !note.contains('\n') && note.starts_with("no usable GPU")));
}

#[test]
fn cpu_prefers_flex() {
    match select("cpu") {
        Ok(chosen) => assert_eq!(chosen.name, if Backend::Flex.is_built() { "flex" } else { "ndarray" }),
        Err(error) => assert!(!has_cpu(), "{error}"),
    }
}

#[test]
fn every_cpu_backend_of_the_build_opens_by_name() {
    for backend in built().into_iter().filter(|backend| !backend.is_gpu()) {
        assert_eq!(select(backend.name()).unwrap().name, backend.name());
    }
}

#[test]
fn a_backend_left_out_says_how_to_build_it() {
    for backend in Backend::ALL.into_iter().filter(|backend| !backend.is_built()) {
        let error = select(backend.name()).unwrap_err();
        assert!(error.to_string().contains("--features"), "{error}");
        assert_eq!(matches!(error, Error::NoBackend), built().is_empty());
    }
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_and_no_panic() {
    for backend in built().into_iter().filter(|backend| backend.is_gpu()) {
        let error = select(&format!("{}:4321", backend.name())).unwrap_err();
        assert!(matches!(error, Error::Unusable { .. }), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn an_unknown_name_is_a_usage_error_that_lists_this_build() {
    let error = select("flx").unwrap_err();
    assert!(error.is_usage());
    assert!(
        error.to_string().starts_with("--device flx: unknown device, did you mean flex?; this build has auto, cpu")
    );
}

#[test]
fn the_list_has_every_backend_and_one_default() {
    let rows = list();
    for backend in Backend::ALL {
        let mine: Vec<_> = rows.iter().filter(|row| row.backend == backend).collect();
        assert!(!mine.is_empty());
        assert!(mine.iter().all(|row| row.built == backend.is_built() && row.usable == row.reason.is_empty()));
    }
    let defaults: Vec<_> = rows.iter().filter(|row| row.default).map(|row| row.name.clone()).collect();
    assert_eq!(defaults, select("auto").map(|chosen| vec![chosen.name]).unwrap_or_default());
    let json = serde_json::to_value(&rows).unwrap();
    assert_eq!(json[0]["backend"], "cuda");
}
