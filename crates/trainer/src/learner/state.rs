//! What a learner hands out and takes back: the model that is validated, checkpoints, the hash of its weights. Nothing leaves it that isn't
//! finite, and nothing that other ranks have otherwise.

use burn::module::Module;
use models::Model;

use super::Learner;
use crate::divergence::{self, HINT};
use crate::scaling::LossScale;
use crate::schedule::Schedule;
use crate::{Checkpoint, Ema, Error, Progress, Settings, weights_hash};

impl Learner<'_> {
    /// Brings the sums up to date, and looks whether all numbers are finite.
    ///
    /// # Errors
    /// If one isn't, on any rank.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        self.read_losses()?;
        self.ranks.agree(self.check_numbers(), [0.0; 3]).map(drop)
    }

    /// Nothing is validated or saved that isn't finite: weights, running statistics, the optimizer's moments, averages.
    fn check_numbers(&self) -> Result<(), Error> {
        let place = || self.place();
        if let Some((name, what)) = divergence::bad_weights(&self.model) {
            return Err(place().diverged(format!("`{name}` is {what}{HINT}")));
        }
        let averages = self.ema.iter().flat_map(Ema::tensors).map(|(name, tensor)| (format!("{name}.average"), tensor));
        match divergence::first_fault(self.optimizer.tensors().chain(averages).collect()) {
            None => Ok(()),
            // An infinite moment of Adam's stops its parameter for ever, and no loss shows it.
            Some((name, what)) => Err(place().diverged(format!("the training state `{name}` is {what}{HINT}"))),
        }
    }

    /// The model that is validated and saved: the averaged weights where there are some.
    ///
    /// # Errors
    /// If a loss on the way to it wasn't finite.
    pub(crate) fn candidate(&mut self) -> Result<Model, Error> {
        self.check()?;
        Ok(match &self.ema {
            Some(ema) => ema.model(&self.model).valid(),
            None => self.model.valid(),
        })
    }

    /// What the user should know about a model that several ranks train.
    pub(crate) fn note_of_ranks(&self) -> Option<String> {
        let ranks = self.ranks.size();
        let normalises = (ranks > 1 && self.has_running_statistics()).then_some(
            "; batch normalisation goes by each rank's own samples, and the running statistics of rank 0 are kept",
        );
        let batch = self.config.batch;
        (ranks > 1)
            .then(|| format!("ranks    {ranks}, which share each batch of {batch}{}", normalises.unwrap_or_default()))
    }

    fn has_running_statistics(&self) -> bool {
        models::named_tensors(&self.model).iter().any(|tensor| tensor.name.ends_with("running_mean"))
    }

    /// Gives all ranks the running statistics of rank 0, if there are any: each has normalised its own samples, and one model is validated.
    pub(crate) fn align(mut self) -> Result<Self, Error> {
        if self.ranks.size() == 1 || !self.has_running_statistics() {
            return Ok(self);
        }
        let tensors = models::named_tensors(&self.model).into_iter().map(|tensor| (tensor.name, tensor.data));
        let model = self.ranks.tensors(Some(&tensors.collect()))?;
        self.model = models::load_tensors(self.model, model.into_iter().collect())?;
        if let Some(ema) = &mut self.ema {
            ema.load_state(self.ranks.tensors(Some(&ema.state()))?)?;
        }
        Ok(self)
    }

    /// The hash of all that the epoch made.
    pub(super) fn weights(&self) -> String {
        let mut tensors: Vec<_> =
            models::named_tensors(&self.model).into_iter().map(|tensor| (tensor.name, tensor.data)).collect();
        let averages = self.ema.as_ref().map(Ema::state).unwrap_or_default();
        tensors.extend(averages.into_iter().map(|(name, data)| (format!("ema {name}"), data)));
        weights_hash(tensors)
    }

    /// Compares that hash with those of the other ranks.
    ///
    /// # Errors
    /// If one is other, with both.
    pub(crate) fn compare(&self, weights: &str) -> Result<(), Error> {
        let all = self.ranks.gather(Ok(weights.as_bytes().to_vec()))?;
        match all.iter().position(|other| *other != all[0]) {
            None => Ok(()),
            Some(rank) => {
                let [first, other] = [&all[0], &all[rank]].map(|hash| String::from_utf8_lossy(hash).into_owned());
                let advice = "their processors round differently; give all of them the same STRIATE_SIMD and --device";
                let what = format!(
                    "has other weights after epoch {}: {other}, rank 0 has {first}; {advice}",
                    self.progress.epoch
                );
                Err(Error::Rank { rank, code: 1, what })
            }
        }
    }

    /// A copy of the state, which must be settled; what is beside it in the run's folder the keeper adds.
    ///
    /// # Errors
    /// If a loss on the way to it wasn't finite.
    pub(crate) fn checkpoint(&mut self) -> Result<Checkpoint, Error> {
        self.check()?;
        let tensors = models::named_tensors(&self.model).into_iter().map(|tensor| (tensor.name, tensor.data));
        let progress = Progress { lr: Some(self.lr), ..self.progress.clone() };
        Ok(Checkpoint {
            progress,
            model: tensors.collect(),
            optimizer: self.optimizer.state(),
            ema: self.ema.as_ref().map(Ema::state),
            results: String::new(),
            settings: Settings::new(),
            best: None,
            last: None,
            path: None,
        })
    }

    /// Goes back to a checkpoint of this run.
    pub(crate) fn restore(mut self, checkpoint: Checkpoint) -> Result<Self, Error> {
        self.model = models::load_tensors(self.model, checkpoint.model.into_iter().collect())?;
        self.optimizer.load_state(&self.model, checkpoint.optimizer)?;
        match (&mut self.ema, checkpoint.ema) {
            (Some(ema), Some(state)) => ema.load_state(state)?,
            (Some(_), None) => {
                let what = "its manifest has no ema.safetensors, but the run averages weights (--ema); train again";
                return Err(Error::checkpoint(
                    checkpoint.path.as_deref().unwrap_or(std::path::Path::new("checkpoint")),
                    what,
                ));
            }
            (None, _) => {}
        }
        self.progress = checkpoint.progress;
        // It may be of before another precision was given.
        let beginning = LossScale::beginning(self.config.precision);
        self.progress.loss_scale = beginning.map(|beginning| self.progress.loss_scale.unwrap_or(beginning));
        self.schedule = Schedule::new(&self.config.schedule, self.config.lr, self.progress.plateau.clone());
        self.lr = self.progress.lr.unwrap_or_else(|| self.next_lr());
        Ok(self)
    }
}
