//! Flex's tensors as slices, and back. Maps lie channels-last in memory: their shape stays `[batch, channels, height, width]`, and only
//! the strides say that the channels of a pixel are neighbours, as PyTorch's `channels_last` does. Kernels take any strides and leave
//! maps channels-last; Burn's own operations follow strides anyway.

use std::borrow::Cow;
use std::sync::Arc;

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{DispatchTensorKind, Flex};
use burn::tensor::{Bytes, DType, Shape, Tensor};

use crate::parallel;

/// Whether the CPU kernels can take this tensor: f32 on Flex, with gradients or without.
pub fn is_flex<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && lies_there(tensor)
}

/// Whether the tensor's numbers have 16 bits and lie on Flex. Its own operations add up products of f16 in f16 for some shapes, where GPUs do
/// so in f32: the kernels for f32 take them then, and what comes out is rounded once.
pub(crate) fn is_half<const D: usize>(tensor: &Tensor<D>) -> bool {
    matches!(tensor.dtype(), DType::F16 | DType::BF16) && lies_there(tensor)
}

fn lies_there<const D: usize>(tensor: &Tensor<D>) -> bool {
    match tensor.clone().into_dispatch().kind {
        DispatchTensorKind::Flex(_) => true,
        DispatchTensorKind::Autodiff(inner) => matches!(*inner, DispatchTensorKind::Flex(_)),
        #[allow(unreachable_patterns, reason = "there are others where more backends are built")]
        _ => false,
    }
}

/// The values in the order of the shape; copied only where strides make it necessary.
pub(crate) fn values(tensor: &FloatTensor<Flex>) -> Cow<'_, [f32]> {
    match tensor.as_slice::<f32>() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(tensor.to_contiguous().storage::<f32>().to_vec()),
    }
}

/// The tensor's size along each dimension.
pub(crate) fn dims<const D: usize>(tensor: &FloatTensor<Flex>) -> [usize; D] {
    std::array::from_fn(|dim| tensor.layout().shape()[dim])
}

/// A tensor of values in the order of the shape.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, dims: [usize; D]) -> FloatTensor<Flex> {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(Shape::from(dims)), DType::F32)
}

/// A tensor `[batch, channels, height, width]` of values that lie channels-last.
pub(crate) fn map(values: Vec<f32>, dims: [usize; 4]) -> FloatTensor<Flex> {
    let [_, channels, height, width] = dims;
    if channels == 1 || height * width == 1 {
        return tensor(values, dims);
    }
    let strides = [height * width * channels, 1, width * channels, channels].map(|stride| stride as isize);
    FlexTensor::new(Bytes::from_elems(values), Layout::new(Shape::from(dims), strides.to_vec(), 0), DType::F32)
}

/// A tensor `[batch, channels, height, width]` as a slice in channels-last order; copied only where it lies otherwise.
pub(crate) fn channels_last(tensor: &FloatTensor<Flex>) -> Cow<'_, [f32]> {
    let [batch, channels, height, width] = dims(tensor);
    let layout = tensor.layout();
    let pixels = height * width;
    if channels == 1 || pixels == 1 {
        return values(tensor);
    }
    // The stride along a dimension of one means nothing.
    let expected = [pixels * channels, 1, width * channels, channels];
    let lies = std::iter::zip(layout.strides(), expected).zip([batch, channels, height, width]);
    if lies.into_iter().all(|((&stride, expected), size)| size == 1 || stride == expected as isize) {
        let start = layout.start_offset();
        return Cow::Borrowed(&tensor.storage::<f32>()[start..start + batch * pixels * channels]);
    }
    let from = values(tensor);
    let mut to = vec![0.0; from.len()];
    let parts = parallel::parts(batch, 8 * pixels * channels);
    let states = parallel::cut(&parts, &mut to, pixels * channels);
    parallel::each(&parts, states, |part, to| {
        let images = from[part.start * pixels * channels..].chunks_exact(pixels * channels);
        for (from, to) in images.zip(to.chunks_exact_mut(pixels * channels)) {
            transpose(from, channels, to);
        }
    });
    Cow::Owned(to)
}

/// As [`channels_last`]; without a copy where nobody else holds a tensor that lies so from its first value to its last.
pub(crate) fn into_channels_last(tensor: FloatTensor<Flex>) -> Vec<f32> {
    let whole = match channels_last(&tensor) {
        Cow::Borrowed(values) => values.len() == tensor.storage::<f32>().len() && tensor.is_unique(),
        Cow::Owned(copy) => return copy,
    };
    if !whole {
        return channels_last(&tensor).into_owned();
    }
    let bytes = tensor.data_arc();
    drop(tensor);
    match Arc::try_unwrap(bytes).map(Bytes::try_into_vec::<f32>) {
        Ok(Ok(values)) => values,
        Ok(Err(bytes)) => bytemuck::cast_slice(&bytes).to_vec(),
        Err(shared) => bytemuck::cast_slice(&shared).to_vec(),
    }
}

/// From `rows` rows to as many columns, in blocks that stay in the cache; whole blocks through an array, without checks of places.
pub(crate) fn transpose(from: &[f32], rows: usize, to: &mut [f32]) {
    const BLOCK: usize = 16;
    let columns = from.len() / rows;
    for first_row in (0..rows).step_by(BLOCK) {
        for first in (0..columns).step_by(BLOCK) {
            if first_row + BLOCK <= rows && first + BLOCK <= columns {
                let mut block = [[0.0; BLOCK]; BLOCK];
                for (row, block) in block.iter_mut().enumerate() {
                    block.copy_from_slice(&from[(first_row + row) * columns + first..][..BLOCK]);
                }
                for column in 0..BLOCK {
                    let turned: [f32; BLOCK] = std::array::from_fn(|row| block[row][column]);
                    to[(first + column) * rows + first_row..][..BLOCK].copy_from_slice(&turned);
                }
                continue;
            }
            for column in first..(first + BLOCK).min(columns) {
                for row in first_row..(first_row + BLOCK).min(rows) {
                    to[column * rows + row] = from[row * columns + column];
                }
            }
        }
    }
}

/// A map or a matrix `[batch, channels]` as a slice of pixels, each with its channels.
pub(crate) fn pixels(tensor: &FloatTensor<Flex>) -> Cow<'_, [f32]> {
    match tensor.layout().num_dims() {
        4 => channels_last(tensor),
        _ => values(tensor),
    }
}

/// The size of the second dimension.
pub(crate) fn channels(tensor: &FloatTensor<Flex>) -> usize {
    tensor.layout().shape()[1]
}

/// Pixels as a tensor with the sizes of `model`.
pub(crate) fn like(pixels: Vec<f32>, model: &FloatTensor<Flex>) -> FloatTensor<Flex> {
    match model.layout().num_dims() {
        4 => map(pixels, dims(model)),
        _ => tensor::<2>(pixels, dims(model)),
    }
}

/// The tensor with its pixels one after the other, so that [`pixels`] needs no copy.
pub(crate) fn laid(tensor: FloatTensor<Flex>) -> FloatTensor<Flex> {
    let copy = match pixels(&tensor) {
        Cow::Borrowed(_) => return tensor,
        Cow::Owned(copy) => copy,
    };
    like(copy, &tensor)
}
