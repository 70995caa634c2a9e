//! Batches that f16 cannot hold: what came of one on all ranks, and what becomes of the scale of its loss.

use burn::tensor::Tensor;
use models::Model;

use super::Learner;
use crate::Error;
use crate::divergence::{self, HINT};
use crate::scaling::LossScale;
use crate::unread::Place;

/// What to try where a scale of 1 is too much for f16.
const WIDER: &str = "; or --precision bf16, which holds what f32 does";

/// A batch before it goes through the model in f16.
pub(super) struct Before {
    /// Its running statistics are its own.
    pub(super) model: Model,
    pub(super) inputs: Tensor<4>,
}

/// What came of a batch whose loss was scaled.
pub(super) enum Scaled {
    /// Its gradients are good.
    Good,
    /// f16 could not hold them by this scale: it is halved, and the batch is not learned. Whether its loss is finite all the same.
    Over { loss: bool },
    /// They aren't finite, and another scale would not help; what else would. Somebody watches, and finds out why.
    Bad(&'static str),
}

impl Before {
    /// Whether inputs and weights are finite.
    pub(super) fn is_sound(&self) -> bool {
        models::fault(self.inputs.clone().without_autodiff()).is_none()
            && divergence::bad_weights(&self.model).is_none()
    }
}

impl Learner<'_> {
    /// Moves the scale of the loss by what all ranks have `seen` of a batch: whether the loss is finite, whether the gradients are, and
    /// whether what the pass began with was.
    ///
    /// # Errors
    /// Where no scale helps and nobody watches.
    pub(super) fn rescale(&mut self, scale: LossScale, seen: Result<[bool; 3], Error>) -> Result<Scaled, Error> {
        let numbers = seen.as_ref().map_or([0.0; 3], |seen| seen.map(|yes| f64::from(u8::from(yes))));
        let (_, said) = self.ranks.agree(seen, numbers)?;
        let [loss, gradients, sound] = [0, 1, 2].map(|what| said.iter().all(|numbers| numbers[what] > 0.0));
        if loss && gradients {
            self.progress.loss_scale = Some(scale.confirmed());
            return Ok(Scaled::Good);
        }
        // What was not finite before this pass is not mended by another scale.
        let less = if sound { scale.halved() } else { None };
        let Some(less) = less else {
            let why = if sound { WIDER } else { "" };
            return match self.watched {
                Some(_) => Ok(Scaled::Bad(why)),
                None => Err(self.next_place().diverged(format!("a gradient or the loss is not finite{HINT}{why}"))),
            };
        };
        self.progress.loss_scale = Some(less);
        let Place { step, epoch, batch } = self.next_place();
        let what = format!("batch {batch} of epoch {epoch} is more than f16 holds, and is not learned (step {step})");
        self.notes.push(format!("{what}: the loss is scaled by {} from here on", less.factor()));
        Ok(Scaled::Over { loss })
    }
}
