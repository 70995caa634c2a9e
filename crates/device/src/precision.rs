//! Whether a device computes in a number format: asked before a training depends on it. A driver that says yes and then fails is found out.

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, FloatDType, Tensor, module};

use crate::{Error, Selected, probe};

/// The formats that `--precision` knows.
const FORMATS: [FloatDType; 3] = [FloatDType::F32, FloatDType::BF16, FloatDType::F16];

/// Refuses a format that `selected` doesn't compute in: a product, a convolution and their gradients are tried. As [`crate::select`], puts
/// the process's panic hook aside for a moment.
///
/// # Errors
///
/// [`Error::Precision`], with the formats that it does compute in. Never panics.
pub fn check_precision(selected: &Selected, format: FloatDType) -> Result<(), Error> {
    let Err(reason) = computes_in(&selected.device, format) else { return Ok(()) };
    let available = FORMATS.into_iter().filter(|format| computes_in(&selected.device, *format).is_ok()).map(name);
    Err(Error::Precision {
        precision: name(format),
        device: selected.name.clone(),
        reason,
        available: available.collect::<Vec<_>>().join(", "),
    })
}

/// As written after `--precision`.
fn name(format: FloatDType) -> String {
    format!("{format:?}").to_lowercase()
}

/// Tries `format` on `device`. The error is one line.
fn computes_in(device: &Device, format: FloatDType) -> Result<(), String> {
    if !probe::quietly(|| device.supports_dtype(format))? {
        return Err("its backend or its driver doesn't have it".to_owned());
    }
    let found = probe::quietly(|| {
        let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &device.clone().autodiff()).require_grad();
        let half = x.clone().cast(format);
        let product = half.clone().matmul(half).reshape([1, 1, 2, 2]);
        let kernel = Tensor::<4>::ones([1, 1, 2, 2], &x.device()).cast(format);
        let sum = module::conv2d(product, kernel, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1));
        let sum = sum.cast(FloatDType::F32).sum();
        let slope = x.grad(&sum.backward()).map(Tensor::into_data);
        let slope = slope.iter().flat_map(|slope| slope.iter::<f32>());
        sum.into_data().iter::<f32>().chain(slope).collect::<Vec<_>>()
    })?;
    // Of the sum of x * x over all places, by each place of x: its row's sum of columns, plus its column's sum of rows. All are exact.
    if found == [54.0, 7.0, 11.0, 9.0, 13.0] {
        return Ok(());
    }
    Err(format!("a test sum and its slopes came back as {found:?} instead of 54, 7, 11, 9, 13"))
}

#[cfg(test)]
#[cfg(any(feature = "flex", feature = "ndarray"))]
mod tests {
    use super::*;

    #[cfg(feature = "flex")]
    #[test]
    fn flex_computes_in_every_format_of_the_flag() {
        let device = crate::select("flex").unwrap();
        for format in FORMATS {
            check_precision(&device, format).unwrap();
        }
        let refused = check_precision(&device, FloatDType::Flex32).unwrap_err().to_string();
        assert_eq!(
            refused,
            "--precision flex32: not usable on flex (its backend or its driver doesn't have it); there are f32, bf16, f16"
        );
    }

    #[cfg(feature = "ndarray")]
    #[test]
    fn ndarray_has_no_halves_and_says_what_it_has() {
        let device = crate::select("ndarray").unwrap();
        check_precision(&device, FloatDType::F32).unwrap();
        for format in [FloatDType::F16, FloatDType::BF16] {
            let refused = check_precision(&device, format).unwrap_err().to_string();
            assert!(refused.ends_with("there are f32"), "{refused}");
        }
    }
}
