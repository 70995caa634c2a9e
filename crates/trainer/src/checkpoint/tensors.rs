//! Tensors by name as bytes and back: the safetensors files inside of a checkpoint. Which files those are is the checkpoint's.

use std::path::Path;

use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Dtype, TensorView};

use super::Tensors;
use crate::Error;

pub(crate) fn pack(tensors: &Tensors, folder: &Path) -> Result<Vec<u8>, Error> {
    let mut views = Vec::with_capacity(tensors.len());
    for (name, data) in tensors {
        let dtype = match data.dtype() {
            DType::F32 => Dtype::F32,
            DType::U64 => Dtype::U64,
            other => {
                return Err(Error::checkpoint(folder, format!("tensor `{name}` is {other:?}, expected f32 or u64")));
            }
        };
        let view = TensorView::new(dtype, data.shape().to_vec(), data.as_bytes())
            .map_err(|error| Error::checkpoint(folder, format!("tensor `{name}`: {error}")))?;
        views.push((name.as_str(), view));
    }
    safetensors::serialize(views, None).map_err(|error| Error::checkpoint(folder, error))
}

pub(crate) fn unpack(bytes: &[u8], path: &Path) -> Result<Tensors, Error> {
    let file = safetensors::SafeTensors::deserialize(bytes).map_err(|error| Error::checkpoint(path, error))?;
    let mut tensors = Vec::new();
    for (name, view) in file.iter() {
        let shape = view.shape().to_vec();
        let data = match view.dtype() {
            Dtype::F32 => TensorData::new(words(view.data(), f32::from_le_bytes), shape),
            Dtype::U64 => TensorData::new(words(view.data(), u64::from_le_bytes), shape),
            other => return Err(Error::checkpoint(path, format!("tensor `{name}` is {other:?}, expected f32 or u64"))),
        };
        tensors.push((name.to_owned(), data));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(tensors)
}

fn words<const N: usize, T>(bytes: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|word| read(*word)).collect()
}
