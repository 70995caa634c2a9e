//! Dropout whose masks are a pure function of (seed, step, layer, element), so that a resumed run drops what an uninterrupted one did.

use burn::{
    module::Module,
    tensor::{Tensor, TensorData},
};
use data::random::{Purpose, Random};

use crate::{Pass, builder::Builder};

/// Sets each element to zero with probability `probability` in training and scales the others by 1 / (1 - probability) (Srivastava
/// 2014, in the inverted form); does nothing in prediction.
#[derive(Module, Debug)]
pub(crate) struct Dropout {
    probability: f64,
    /// The number of this layer among the network's dropout layers.
    layer: u32,
}

impl Dropout {
    /// `None` for a probability of zero.
    pub(crate) fn init(probability: f64, builder: &mut Builder<'_>) -> Option<Self> {
        (probability > 0.0).then(|| Self { probability, layer: builder.dropout() })
    }

    /// Any shape, before and after.
    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>, pass: Pass) -> Tensor<D> {
        let Pass::Train { seed, step, first } = pass else { return x };
        let dims = x.dims();
        let elements: usize = dims.iter().product();
        let before = first * elements / dims[0].max(1);
        let mask = TensorData::new(self.mask(before, elements, seed, step), dims);
        let mask = Tensor::<D>::from_data(mask, &x.device()).cast(x.dtype());
        x * mask
    }

    /// 0 or 1 / (1 - probability) for each element after those `before` them in the batch. Steps repeat after 2^32 of them.
    fn mask(&self, before: usize, elements: usize, seed: u64, step: u64) -> Vec<f32> {
        let mut random = Random::new(seed, Purpose::Dropout, step as u32, self.layer).skip(before as u64);
        let dropped = (self.probability * 2f64.powi(32)) as u64;
        let scale = (1.0 / (1.0 - self.probability)) as f32;
        (0..elements).map(|_| if u64::from(random.bits()) < dropped { 0.0 } else { scale }).collect()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn dropout(layer: u32) -> Dropout {
        Dropout { probability: 0.3, layer }
    }

    #[test]
    fn the_expected_value_stays_and_prediction_changes_nothing() {
        let x = Tensor::<2>::ones([100, 200], &Device::flex());
        let y = dropout(0).forward(x.clone(), Pass::Train { seed: 1, step: 2, first: 0 }).into_data();
        let values = y.as_slice::<f32>().unwrap();
        let kept = values.iter().filter(|value| **value > 0.0).count();
        // 20,000 draws: a standard error of 65.
        assert!((13_700..14_300).contains(&kept), "{kept}");
        assert!(values.iter().all(|value| *value == 0.0 || (value * 0.7 - 1.0).abs() < 1e-6));
        assert_eq!(dropout(0).forward(x.clone(), Pass::Predict).into_data(), x.into_data());
    }

    /// By Philox in Python, checked against Random123's answers: 24 bits at purpose 5, step 123,456, layer 2; dropped below 0.3 * 2^32.
    #[test]
    fn a_mask_is_what_the_generator_says_for_every_device_and_version() {
        let mask = dropout(2).mask(0, 24, 7 << 32 | 9, 123_456);
        let kept: String = mask.iter().map(|value| if *value > 0.0 { '1' } else { '0' }).collect();
        assert_eq!(kept, "111111010011011110110111");
    }

    #[test]
    fn the_parts_of_a_batch_drop_what_the_whole_drops() {
        let x = Tensor::<3>::ones([5, 3, 7], &Device::flex());
        let dropped = |rows: std::ops::Range<usize>| {
            let pass = Pass::Train { seed: 1, step: 2, first: rows.start };
            dropout(0).forward(x.clone().slice([rows]), pass)
        };
        let parts = Tensor::cat(vec![dropped(0..2), dropped(2..5)], 0);
        assert_eq!(parts.into_data(), dropped(0..5).into_data());
    }

    #[test]
    fn a_mask_is_a_function_of_seed_step_layer_and_element() {
        let mask = dropout(1).mask(0, 64, 1, 2);
        assert_eq!(mask, dropout(1).mask(0, 64, 1, 2));
        assert_eq!(mask[..32], dropout(1).mask(0, 32, 1, 2));
        for before in [1, 4, 31] {
            assert_eq!(mask[before..], dropout(1).mask(before, 64 - before, 1, 2));
        }
        for other in [dropout(1).mask(0, 64, 2, 2), dropout(1).mask(0, 64, 1, 3), dropout(2).mask(0, 64, 1, 2)] {
            assert_ne!(mask, other);
        }
    }
}
