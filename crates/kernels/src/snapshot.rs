//! Numbers off the device: at once, or at what cost.

use burn::tensor::{Device, Tensor, TensorData};

/// What `tensor` holds now. Burn 0.22's own reading ([`Tensor::into_data`]) of a GPU waits for the first look at the numbers, and a tensor that
/// somebody updates in place until then shows its later numbers (`LazyDeviceController` in CubeCL 0.11): whoever keeps the numbers of a weight, a
/// moment or a running statistic takes them by this.
///
/// # Panics
/// If the device fails, as [`Tensor::into_data`] does.
pub fn snapshot<const D: usize>(tensor: Tensor<D>) -> TensorData {
    let data = tensor.into_data();
    // The look.
    data.as_bytes();
    data
}

/// Whether `device` computes behind the program, so that reading a number waits for all that was asked before it: GPUs do. Of backends other than
/// Flex that is taken for granted.
pub fn runs_behind(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return !crate::is_flex(&Tensor::<1>::zeros([1], &device.clone().inner()));
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        true
    }
}
