//! The scale of the loss in f16. Its smallest number is 6e-8, and gradients are smaller than that: the loss is multiplied before the way back,
//! and the gradients are divided after it, in f32. How the scale moves is the rule of PyTorch's `torch.amp.GradScaler`; what is done
//! about a batch whose gradients it made too large is the learner's.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use models::Precision;
use serde::{Deserialize, Serialize};

/// What the loss is multiplied by: a power of two, so that no digit changes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScale {
    /// Its logarithm to base 2.
    pub exponent: u32,
    /// Batches with finite gradients since it last moved.
    pub good: u32,
}

/// Batches with finite gradients after which the scale is doubled.
const GROWS_AFTER: u32 = 2000;
/// f32 ends at 2^128.
const MOST: u32 = 127;

impl Default for LossScale {
    /// 65,536.
    fn default() -> Self {
        Self { exponent: 16, good: 0 }
    }
}

impl LossScale {
    /// What a training begins with; `None` for formats that need none.
    pub fn beginning(precision: Precision) -> Option<Self> {
        (precision == Precision::F16).then(Self::default)
    }

    /// The number itself.
    pub fn factor(self) -> f64 {
        2f64.powi(self.exponent as i32)
    }

    /// After a batch whose gradients were finite.
    #[must_use]
    pub fn confirmed(self) -> Self {
        match self.good + 1 {
            GROWS_AFTER => Self { exponent: MOST.min(self.exponent + 1), good: 0 },
            good => Self { good, ..self },
        }
    }

    /// After a batch whose gradients weren't; `None` where it would fall below 1: then the scale isn't at fault.
    pub fn halved(self) -> Option<Self> {
        Some(Self { exponent: self.exponent.checked_sub(1)?, good: 0 })
    }

    /// Refuses what no training comes to.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn check(self) -> Result<(), String> {
        if self.exponent <= MOST && self.good < GROWS_AFTER {
            return Ok(());
        }
        let Self { exponent, good } = self;
        let most = GROWS_AFTER - 1;
        Err(format!(
            "`loss_scale`: expected an exponent of at most {MOST} after at most {most} batches, found {exponent} after {good}"
        ))
    }

    /// The gradients of `loss`, `[1]`, in f32: by way of the scaled loss.
    pub(crate) fn gradients<M: Module>(self, loss: &Tensor<1>, model: &M) -> GradientsParams {
        struct Divide(GradientsParams, f64);
        impl ModuleVisitor for Divide {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if let Some(gradient) = self.0.remove::<D>(param.id) {
                    self.0.register(param.id, gradient.mul_scalar(self.1));
                }
            }
        }
        let scaled = loss.clone().mul_scalar(self.factor());
        let mut divide = Divide(GradientsParams::from_grads(scaled.backward(), model), self.factor().recip());
        model.visit(&mut divide);
        divide.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_after_two_thousand_good_batches_in_a_row_and_halves_after_a_bad_one() {
        let mut scale = LossScale::beginning(Precision::F16).unwrap();
        assert_eq!(scale.factor(), 65536.0);
        for _ in 1..2000 {
            scale = scale.confirmed();
            assert_eq!(scale.factor(), 65536.0);
        }
        assert_eq!(scale.confirmed(), LossScale { exponent: 17, good: 0 });
        let halved = scale.halved().unwrap();
        assert_eq!(halved, LossScale { exponent: 15, good: 0 }, "good batches are counted anew");
        assert_eq!([Precision::F32, Precision::Bf16].map(LossScale::beginning), [None, None]);
    }

    #[test]
    fn it_stays_between_one_and_what_f32_holds() {
        let least = (0..16).fold(LossScale::default(), |scale, _| scale.halved().unwrap());
        assert_eq!((least.factor(), least.halved()), (1.0, None));
        let most = LossScale { exponent: 127, good: 1999 }.confirmed();
        assert_eq!(most, LossScale { exponent: 127, good: 0 });
        assert!((most.factor() as f32).is_finite());
        LossScale { exponent: 127, good: 1999 }.check().unwrap();
        assert!(
            LossScale { exponent: 128, good: 0 }.check().is_err()
                && LossScale { exponent: 0, good: 2000 }.check().is_err()
        );
    }

    #[test]
    fn gradients_of_a_scaled_loss_are_those_of_the_loss() {
        #[derive(burn::module::Module, Debug)]
        struct Line {
            slope: Param<Tensor<1>>,
        }
        let device = device::select("cpu").unwrap().device.autodiff();
        let line = Line { slope: Param::from_tensor(Tensor::from_floats([0.3, -1.7], &device)) };
        let loss = || (line.slope.val().powi_scalar(2) * Tensor::<1>::from_floats([0.1, 1e-9], &device)).sum();
        let gradient = |gradients: GradientsParams| gradients.get::<1>(line.slope.id).unwrap().into_data();
        let expected = gradient(GradientsParams::from_grads(loss().backward(), &line));
        assert_eq!(gradient(LossScale { exponent: 40, good: 0 }.gradients(&loss(), &line)), expected);
    }
}
