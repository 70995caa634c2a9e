//! A batch on its way through the model and back: of each rank its share, so that what the ranks have, added up, is what one process would
//! have of the whole batch. What f16 cannot hold of it is `overflow`'s, what is done about numbers that aren't finite `divergence`'s.

use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use data::{Batch, Loader};
use models::{Model, Pass};
use tasks::Task;

use super::Learner;
use super::overflow::{Before, Scaled};
use crate::divergence::Watched;
use crate::{Error, gradient};

/// The samples of a batch that this rank learns from.
pub(crate) struct Share {
    batch: Batch,
    /// The place of the first of them in the batch.
    first: usize,
    /// Samples of the whole batch.
    pub(crate) samples: usize,
    /// What this rank's samples count: [`Task::batch_weight`].
    own: f64,
    /// What all of them count.
    pub(super) weight: f64,
}

impl Learner<'_> {
    /// The share of the batch that is to be learned next, as `loader` has made it; an error on every rank where one of them has none.
    pub(crate) fn share(&self, loader: &Loader, batch: Result<Batch, data::Error>) -> Result<Share, Error> {
        let weight = |batch: &Batch| batch.targets.as_ref().map_or(0.0, |targets| self.task.batch_weight(targets));
        let own = batch.as_ref().map_or(0.0, weight);
        let (batch, said) = self.ranks.agree(batch.map_err(Error::from), [own, 0.0, 0.0])?;
        let (first, samples) = (loader.part_of(self.progress.batch).start, loader.len_of(self.progress.batch));
        Ok(Share { batch, first, samples, own, weight: said.iter().map(|[weight, ..]| weight).sum() })
    }

    /// Feeds a share of a batch forward and its loss backward: what it adds to the gradients of the mean loss over the whole batch. None where
    /// the batch is left out.
    pub(super) fn backpropagate(&mut self, share: Share) -> Result<Option<GradientsParams>, Error> {
        let Share { mut batch, first, samples, own, weight } = share;
        if batch.is_empty() {
            return self.sit_out(samples);
        }
        let indices = std::mem::take(&mut batch.indices);
        let (inputs, Some(target)) = batch.into_tensors(&self.device) else {
            return Err(Error::Config("the data set has no targets to learn from".into()));
        };
        let index = (self.progress.epoch * self.batches + self.progress.batch) as u64;
        let pass = Pass::Train { seed: self.config.seed, step: index, first };
        let (dataset, scale) = (self.watched.clone(), self.progress.loss_scale);
        let (model, kept) = (&self.model, &inputs);
        let watched = dataset.as_deref().map(|dataset| {
            // Running statistics of the copy are its own: this forward pass doesn't reach them.
            Watched { dataset, model: model.clone(), inputs: kept.clone(), indices, pass }
        });
        let before = scale.map(|_| Before { model: model.clone(), inputs: kept.clone() });
        let outputs = self.model.forward(inputs, pass);
        let mut loss = self.task.loss(outputs.clone(), &target);
        if self.ranks.size() > 1 {
            loss = loss.mul_scalar(own / weight);
        }
        let gradients = match scale {
            Some(scale) => scale.gradients(&loss, &self.model),
            None => GradientsParams::from_grads(loss.backward(), &self.model),
        };
        let seen = before.as_ref().map(|before| {
            let finite = gradient::are_finite(&self.model, &gradients, loss.clone().inner());
            finite.map(|[loss, gradients]| [loss, gradients, loss && gradients || before.is_sound()])
        });
        let cause = || watched.as_ref().map_or(Ok(None), |watched| watched.cause(loss.clone().inner(), &gradients));
        let fate = self.fate(seen, cause)?;
        if fate.counts() {
            self.unread.push(self.next_place(), samples, loss.inner(), self.task.hits(outputs, &target));
        }
        let unmoved = before.map(|before| before.model).or(watched.map(|watched| watched.model));
        self.meet(fate, gradients, unmoved)
    }

    /// Takes part in a batch that has no samples for this rank: it has fewer than there are ranks.
    fn sit_out(&mut self, samples: usize) -> Result<Option<GradientsParams>, Error> {
        let fate = self.fate(self.progress.loss_scale.map(|_| Ok([true; 3])), || Ok(None))?;
        if fate.counts() {
            let nothing = || Tensor::<1>::zeros([1], &self.device).without_autodiff();
            let hits = matches!(self.task, Task::Classification(_)).then(nothing);
            self.unread.push(self.next_place(), samples, nothing(), hits);
        }
        self.meet(fate, GradientsParams::new(), None)
    }

    /// What the ranks make of a batch together: by what this one has `seen` of it, where its loss was scaled ([`Learner::rescale`]), and by the
    /// `cause` for which it cannot be learned, where somebody watches.
    fn fate(
        &mut self,
        seen: Option<Result<[bool; 3], Error>>,
        cause: impl FnOnce() -> Result<Option<String>, Error>,
    ) -> Result<Fate, Error> {
        let mut hint = "";
        if let Some((scale, seen)) = self.progress.loss_scale.zip(seen) {
            match self.rescale(scale, seen)? {
                Scaled::Good => {}
                Scaled::Over { loss } => return Ok(Fate::NotLearned { counts: loss }),
                Scaled::Bad(why) => hint = why,
            }
        }
        let watched = self.watched.is_some();
        let cause = if watched { self.ranks.first_of(cause()?)? } else { None };
        Ok(cause.map_or(Fate::Learned, |cause| Fate::LeftOut(cause + hint)))
    }

    /// Does so: the gradients, if the batch is learned, else the model as it was before.
    fn meet(
        &mut self,
        fate: Fate,
        gradients: GradientsParams,
        unmoved: Option<Model>,
    ) -> Result<Option<GradientsParams>, Error> {
        match fate {
            Fate::Learned => return Ok(Some(gradients)),
            Fate::NotLearned { .. } => {}
            Fate::LeftOut(cause) => self.leave_out(cause)?,
        }
        if let Some(unmoved) = unmoved {
            self.model = unmoved;
        }
        Ok(None)
    }
}

/// What becomes of a batch.
enum Fate {
    Learned,
    /// f16 cannot hold it; whether its loss counts all the same.
    NotLearned {
        counts: bool,
    },
    /// Numbers aren't finite, for this cause.
    LeftOut(String),
}

impl Fate {
    fn counts(&self) -> bool {
        matches!(self, Self::Learned | Self::NotLearned { counts: true })
    }
}
