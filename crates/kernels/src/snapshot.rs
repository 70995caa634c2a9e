//! Numbers off the device, at once.

use burn::tensor::{Tensor, TensorData};

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
