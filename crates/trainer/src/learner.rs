//! One model that learns: the steps of an epoch, each a function. The order in which they happen is `train`'s.

use std::sync::Arc;
use std::time::Duration;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use data::Dataset;
use models::Model;
use tasks::{Metrics, Task};

use crate::divergence::{self, HINT};
use crate::gradient::{self, Accumulator};
use crate::judge::{judge, monitored};
use crate::optimizer::Optimizer;
use crate::scaling::LossScale;
use crate::schedule::{Plateau, Schedule};
use crate::unread::{Place, Unread};
use crate::{Ema, Ended, EpochSummary, Error, Event, LeftOut, OnNan, Progress, Ranks, TrainConfig, freeze};

mod overflow;
mod pass;
mod state;

pub(crate) use pass::Share;

/// Where a group of accumulated batches began. Its batches move nothing but running statistics, sums and the position.
struct Begun {
    /// Shares its weights with the learner's; running statistics are its own.
    model: Model,
    progress: Progress,
}

/// Everything that changes while training.
pub(crate) struct Learner<'a> {
    pub(crate) model: Model,
    pub(crate) progress: Progress,
    optimizer: Optimizer,
    schedule: Schedule,
    accumulator: Accumulator,
    /// While batches wait for an update.
    begun: Option<Begun>,
    ema: Option<Ema>,
    task: Task,
    config: &'a TrainConfig,
    device: Device,
    /// Whether the device computes behind the program: then a norm to clip by is read with the losses.
    behind: bool,
    /// Batches in an epoch.
    batches: usize,
    /// Learning rate of the last update.
    lr: f64,
    /// A learning rate in the place of the schedule's.
    pub(crate) given_lr: Option<f64>,
    /// Batches that the epoch's sums don't hold yet.
    unread: Unread,
    /// Where the batches come from, if every step is to be looked at.
    watched: Option<Arc<Dataset>>,
    /// What the user should know, since it was last taken.
    notes: Vec<String>,
    /// Who learns from the other parts of each batch.
    ranks: Ranks,
}

impl<'a> Learner<'a> {
    /// At the beginning, with `batches` in an epoch; an error if the patterns of parameters to freeze match none, or all.
    pub(crate) fn new(model: Model, task: Task, config: &'a TrainConfig, batches: usize) -> Result<Self, Error> {
        let kinds = models::parameter_kinds(&model);
        let frozen = freeze::frozen(&kinds, &config.freeze)?;
        let model = models::freeze(model, &frozen).trained_in(config.precision);
        let parameters = freeze::learning(kinds, config.head_lr.map_or(1.0, |lr| lr / config.lr));
        let no_weights = || Error::Config("a network without weights learns nothing".into());
        let device = model.devices().first().cloned().ok_or_else(no_weights)?;
        let mut learner = Self {
            optimizer: Optimizer::new(&config.optimizer, parameters),
            schedule: Schedule::new(&config.schedule, config.lr, Plateau::default()),
            accumulator: Accumulator::default(),
            begun: None,
            ema: config.ema.map(|decay| Ema::new(&model, decay).sparing(frozen)),
            progress: Progress { loss_scale: LossScale::beginning(config.precision), ..Progress::default() },
            behind: kernels::runs_behind(&device),
            device,
            model,
            task,
            config,
            batches,
            lr: 0.0,
            given_lr: None,
            unread: Unread::default(),
            watched: None,
            notes: Vec::new(),
            ranks: Ranks::alone(),
        };
        learner.lr = learner.next_lr();
        Ok(learner)
    }
}

impl Learner<'_> {
    /// Looks at every step from now on, to find where numbers stop being finite: each then waits for the device.
    pub(crate) fn watching(mut self, dataset: Arc<Dataset>) -> Self {
        self.watched = Some(dataset);
        self
    }

    /// Learns together with the other `ranks`: the same weights on all, each from its own part of every batch.
    pub(crate) fn among(mut self, ranks: &Ranks) -> Self {
        self.ranks = ranks.clone();
        self
    }

    /// What the user should know, since this was last asked.
    pub(crate) fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Learns from a batch, and moves the weights once enough batches are averaged, or the epoch is over.
    /// Takes and returns the learner, so that nothing else holds the weights while the optimizer changes them where they are.
    pub(crate) fn learn(mut self, share: Share) -> Result<Self, Error> {
        if self.config.accumulate > 1 && self.is_settled() {
            self.begun = Some(Begun { model: self.model.clone(), progress: self.progress.clone() });
        }
        let weight = share.weight;
        if let Some(gradients) = self.backpropagate(share)? {
            self.accumulator.add(&self.model, gradients, weight);
        }
        self.progress.batch += 1;
        if self.progress.batch.is_multiple_of(self.config.accumulate) || self.progress.batch == self.batches {
            self = self.update()?;
        }
        if self.unread.is_due() {
            self.read_losses()?;
        }
        Ok(self)
    }

    /// Moves the weights by the batches that wait, if any do: the epoch ends here.
    pub(crate) fn flush(self) -> Result<Self, Error> {
        if self.accumulator.batches() == 0 { Ok(self) } else { self.update() }
    }

    /// Leaves a batch out, if that is what the user wants and it isn't too many.
    fn leave_out(&mut self, cause: String) -> Result<(), Error> {
        let place = self.next_place();
        if self.config.on_nan != OnNan::Skip {
            return Err(place.diverged(cause));
        }
        let most = divergence::most_left_out(self.batches);
        if self.progress.left_out.iter().filter(|left| left.epoch == place.epoch).count() >= most {
            return Err(place.diverged(format!("{cause} ({most} batches of this epoch were left out before)")));
        }
        let Place { step, epoch, batch } = place;
        self.notes.push(format!("batch {batch} of epoch {epoch} is left out (step {step}): {cause}"));
        self.progress.left_out.push(LeftOut { step, epoch, batch, cause });
        Ok(())
    }

    /// Moves the weights against the averaged gradients.
    fn update(mut self) -> Result<Self, Error> {
        self.lr = self.next_lr();
        // Nothing else must hold the weights.
        self.begun = None;
        let accumulator = std::mem::take(&mut self.accumulator);
        if accumulator.batches() == 0 {
            // All were left out. The step counts all the same: the schedule goes by it.
            self.progress.step += 1;
            return Ok(self);
        }
        let gradients = self.ranks.sum_gradients(&self.model, accumulator.mean())?;
        let (gradients, scale) = self.clip(gradients)?;
        self.model = self.optimizer.step_scaled(self.model, gradients, self.lr, scale);
        self.progress.step += 1;
        if let Some(ema) = &mut self.ema {
            ema.update(&self.model);
        }
        Ok(self)
    }

    /// Bounds gradients as the user wants it: what is left of them, and by what they are still to be multiplied.
    fn clip(&mut self, gradients: GradientsParams) -> Result<(GradientsParams, f64), Error> {
        let there = self.config.clip_norm.filter(|_| self.behind);
        let here = self.config.clip_norm.filter(|_| !self.behind);
        let (mut gradients, scale) = gradient::clip(&self.model, gradients, here, self.config.clip_value)
            // A loss that went wrong earlier is the cause.
            .or_else(|error| self.read_losses().and_then(|()| Err(self.place().diverged(format!("{error}{HINT}")))))?;
        if let Some(limit) = there {
            let norm;
            (gradients, norm) = gradient::clip_there(&self.model, gradients, limit);
            norm.into_iter().for_each(|norm| self.unread.push_norm(self.place(), norm));
        }
        Ok((gradients, scale))
    }

    /// Brings the epoch's sums up to date: nothing is judged or saved before the losses are known to be finite.
    pub(crate) fn read_losses(&mut self) -> Result<(), Error> {
        let (sums, mut begun) = (&mut self.progress.sums, self.begun.as_mut());
        self.unread.read(&self.ranks, |place, more| {
            *sums += more;
            // Batches before the group may be read with it.
            if let Some(Begun { progress, .. }) =
                begun.as_deref_mut().filter(|begun| place.batch <= begun.progress.batch)
            {
                progress.sums += more;
            }
        })
    }

    /// Goes back to where no batch waits for an update: to the beginning of the group at hand, as if its batches had not been learned.
    ///
    /// # Errors
    /// If a loss on the way to it wasn't finite.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        self.read_losses()?;
        if let Some(Begun { model, progress }) = self.begun.take().filter(|_| !self.is_settled()) {
            self.progress = Progress { seconds: self.progress.seconds, ..progress };
            (self.model, self.accumulator) = (model, Accumulator::default());
        }
        Ok(())
    }

    /// The last batch that was learned.
    fn place(&self) -> Place {
        let progress = &self.progress;
        Place { step: progress.step, epoch: progress.epoch + 1, batch: progress.batch }
    }

    /// The batch that is being learned.
    fn next_place(&self) -> Place {
        Place { batch: self.progress.batch + 1, ..self.place() }
    }

    /// An epoch whose validation has no finite loss is not judged at all.
    pub(crate) fn check_validation(&self, val: Option<&Metrics>) -> Result<(), Error> {
        match val.map(|val| val.get("loss")) {
            None => Ok(()),
            Some(Some(loss)) if loss.is_finite() => Ok(()),
            Some(_) => Err(self.place().diverged(format!("outputs for validation samples are not finite{HINT}"))),
        }
    }

    /// Ends the epoch: judges it by its validation, steps what follows epochs, and begins the next.
    pub(crate) fn end_epoch(&mut self, val: Option<&Metrics>) -> EpochSummary {
        let progress = &mut self.progress;
        progress.epoch += 1;
        progress.batch = 0;
        let sums = std::mem::take(&mut progress.sums);
        let best = judge(&mut progress.best, progress.epoch, val, &self.task);
        if let Some((value, higher_is_better)) = val.and_then(|val| monitored(val, &self.task)) {
            self.schedule.epoch_ended(value, higher_is_better);
            progress.plateau = self.schedule.state().clone();
        }
        EpochSummary {
            epoch: progress.epoch,
            seconds: progress.seconds,
            train_loss: sums.mean_loss(),
            train_accuracy: matches!(self.task, Task::Classification(_)).then(|| sums.accuracy()),
            val: val.map_or_else(Vec::new, |val| {
                self.task.metric_names().into_iter().map(|name| (name.to_owned(), val.get(name))).collect()
            }),
            lr: self.lr,
            best,
            weights: self.weights(),
        }
    }

    /// Why there is nothing to train any more, if there is a reason that no validation has to find: what a resumed run asks first.
    pub(crate) fn exhausted(&self) -> Option<Ended> {
        let (config, progress) = (self.config, &self.progress);
        let best = progress.best.as_ref().map_or(0, |best| best.epoch);
        if progress.reached.is_some() {
            progress.reached
        } else if progress.epoch >= config.epochs {
            Some(Ended::Epochs)
        } else if config.patience.is_some_and(|patience| progress.epoch - best >= patience.max(1)) {
            Some(Ended::Patience)
        } else {
            // An epoch that was begun is judged first.
            let begun = progress.batch > 0;
            let over = |limit: Duration| !begun && progress.step > 0 && progress.seconds >= limit.as_secs_f64();
            config.time.is_some_and(over).then_some(Ended::Time)
        }
    }

    /// Why to end after this epoch, if there is a reason. A goal that is reached stays so: resuming has no validation to ask again.
    pub(crate) fn reached(&mut self, val: Option<&Metrics>) -> Option<Ended> {
        let config = self.config;
        let loss = val.and_then(|val| val.get("loss"));
        if val.is_some_and(|val| config.target.is_some_and(|target| target.reached(val))) {
            self.progress.reached = Some(Ended::Target);
        } else if config.target_loss.zip(loss).is_some_and(|(limit, loss)| loss <= limit) {
            self.progress.reached = Some(Ended::TargetLoss);
        }
        self.exhausted()
    }

    /// What just happened, for the caller: the sums are those of the last reading.
    pub(crate) fn step_event(&self, samples: usize) -> Event {
        let progress = &self.progress;
        Event::Step {
            epoch: progress.epoch + 1,
            batch: progress.batch,
            samples,
            loss: progress.sums.mean_loss(),
            accuracy: matches!(self.task, Task::Classification(_)).then(|| progress.sums.accuracy()),
            lr: self.lr,
        }
    }

    /// Whether no batch waits for an update. One that does has moved running statistics already, so the state is none to go on from.
    pub(crate) fn is_settled(&self) -> bool {
        self.accumulator.batches() == 0
    }

    fn next_lr(&self) -> f64 {
        if let Some(lr) = self.given_lr {
            return lr;
        }
        let per_epoch = self.batches.div_ceil(self.config.accumulate) as u64;
        let total = per_epoch * self.config.epochs as u64;
        // Halves are exact: a run that went back is as reproducible as any.
        self.schedule.lr(self.progress.step, total, per_epoch) * 0.5f64.powi(self.progress.rollbacks)
    }
}
