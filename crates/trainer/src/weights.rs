//! The hash of a model's numbers after an epoch: two runs whose hashes agree have the same weights, to the bit. Owns no tensors.

use burn::tensor::TensorData;
use sha2::{Digest, Sha256};

/// SHA-256, in hexadecimal digits, over tensors in the order of their names: of each its name and its shape, in a line
/// (`conv1.weight [32, 1, 3, 3]`), and its numbers, little-endian.
pub fn weights_hash(mut tensors: Vec<(String, TensorData)>) -> String {
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let mut hash = Sha256::new();
    for (name, data) in &tensors {
        hash.update(format!("{name} {:?}\n", &data.shape()[..]));
        hash.update(data.as_bytes());
    }
    crate::provenance::hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_of_names_shapes_and_bits_in_the_order_of_names() {
        let tensor =
            |name: &str, values: Vec<f32>, shape: [usize; 2]| (name.to_owned(), TensorData::new(values, shape));
        let (a, b) = (tensor("a", vec![1.0, -2.0], [1, 2]), tensor("b", vec![0.0], [1, 1]));
        let both = weights_hash(vec![a.clone(), b.clone()]);
        // printf 'a [1, 2]\n\0\0\x80\x3f\0\0\0\xc0b [1, 1]\n\0\0\0\0' | sha256sum
        assert_eq!(both, "cd971c653a9b341052bc9f275c5cf699b0c1a94bf2fa9bd1d376b346728c7662");
        assert_eq!(weights_hash(vec![b.clone(), a.clone()]), both);
        for other in [tensor("a", vec![1.0, -2.0], [2, 1]), tensor("a", vec![1.0, -2.000_000_2], [1, 2])] {
            assert_ne!(weights_hash(vec![other, b.clone()]), both);
        }
        assert_ne!(weights_hash(vec![a, tensor("b", vec![-0.0], [1, 1])]), both, "minus zero has other bits");
    }
}
