//! Losses and counts of steps that still lie on the device. Reading a number waits for all work before it, so many are read at once, and
//! the device never runs dry meanwhile. What the numbers mean is the learner's.

use burn::tensor::Tensor;

use crate::divergence::HINT;
use crate::evaluate::read;
use crate::progress::Sums;
use crate::{Error, Ranks};

/// Steps between two readings: a loss that isn't finite is found at most this many late.
const EVERY: usize = 16;

/// Where a batch stands in its run, as errors name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Optimizer steps done before.
    pub(crate) step: u64,
    /// Counted from 1.
    pub(crate) epoch: usize,
    /// In the epoch, counted from 1.
    pub(crate) batch: usize,
}

impl Place {
    pub(crate) fn diverged(self, what: String) -> Error {
        Error::Diverged { step: self.step, epoch: self.epoch, batch: self.batch, what }
    }
}

/// A batch that was learned and not yet counted.
#[derive(Debug)]
struct Entry {
    place: Place,
    samples: usize,
    /// `[1]`; of this rank's share of the batch.
    loss: Tensor<1>,
    /// `[1]`, where the task counts them.
    hits: Option<Tensor<1>>,
}

/// What happened since the last reading, in order.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    batches: Vec<Entry>,
    /// Norms of gradients that were clipped by them, `[1]` each, the same on all ranks; and the last batch of each update.
    norms: Vec<(Place, Tensor<1>)>,
}

impl Unread {
    /// Takes in a batch of so many samples: this rank's part of the sum that is its mean loss, and how many of the rank's samples were right,
    /// `[1]` each and without autodiff.
    pub(crate) fn push(&mut self, place: Place, samples: usize, loss: Tensor<1>, hits: Option<Tensor<1>>) {
        self.batches.push(Entry { place, samples, loss, hits });
    }

    /// Takes in the norm of the gradients of an update, `[1]` and without autodiff.
    pub(crate) fn push_norm(&mut self, place: Place, norm: Tensor<1>) {
        self.norms.push((place, norm));
    }

    /// Whether it is time to read: after the first batch of an epoch, which shows that all is well, and then now and again.
    pub(crate) fn is_due(&self) -> bool {
        self.batches.len() >= EVERY || self.batches.first().is_some_and(|entry| entry.place.batch == 1)
    }

    /// Reads everything, with one wait, adds up what the ranks have, and gives it to `add` in order.
    ///
    /// # Errors
    /// [`Error::Diverged`] with the first place where a loss isn't finite, or the norm of an update's gradients.
    pub(crate) fn read(&mut self, ranks: &Ranks, mut add: impl FnMut(Place, Sums)) -> Result<(), Error> {
        let Self { batches, norms } = std::mem::take(self);
        if batches.is_empty() && norms.is_empty() {
            return Ok(());
        }
        let numbers = batches.iter().flat_map(|entry| [Some(&entry.loss), entry.hits.as_ref()]).flatten();
        let numbers = numbers.chain(norms.iter().map(|(_, norm)| norm));
        let mut numbers = read(Tensor::cat(numbers.cloned().collect(), 0))?;
        ranks.sum(&mut numbers)?;
        let (losses, of_norms) = numbers.split_at(numbers.len() - norms.len());
        let no_norm = norms.iter().zip(of_norms).find(|(_, norm)| !norm.is_finite());
        let no_norm = no_norm.map(|((place, _), norm)| (*place, format!("the norm of the gradients is {norm}{HINT}")));
        let mut losses = losses.iter();
        for Entry { place, samples, hits, .. } in batches {
            let loss = f64::from(losses.next().copied().unwrap_or(f32::NAN));
            let correct = hits.map_or(0, |_| losses.next().copied().unwrap_or(0.0) as u64);
            if !loss.is_finite() {
                // An update that went wrong before is the cause.
                let (place, what) = no_norm
                    .filter(|(earlier, _)| earlier.batch < place.batch)
                    .unwrap_or_else(|| (place, format!("the loss is {loss}{HINT}")));
                return Err(place.diverged(what));
            }
            add(place, Sums { loss: loss * samples as f64, samples: samples as u64, correct });
        }
        no_norm.map_or(Ok(()), |(place, what)| Err(place.diverged(what)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(unread: &mut Unread, batch: usize, loss: f32) {
        let device = device::select("cpu").unwrap().device;
        let number = |value: f32| Tensor::<1>::from_floats([value], &device);
        let place = Place { step: batch as u64 - 1, epoch: 1, batch };
        unread.push(place, 10, number(loss), Some(number(4.0)));
    }

    #[test]
    fn numbers_are_added_in_order() {
        let (mut unread, mut sums) = (Unread::default(), Sums::default());
        (1..=5).for_each(|batch| push(&mut unread, batch, batch as f32));
        unread.read(&Ranks::alone(), |_, more| sums += more).unwrap();
        assert_eq!((sums.loss, sums.samples, sums.correct), (150.0, 50, 20));
        unread.read(&Ranks::alone(), |_, more| sums += more).unwrap();
        assert_eq!(sums.samples, 50, "nothing is left");
    }

    #[test]
    fn the_first_loss_that_is_not_finite_is_named_by_its_place() {
        let mut unread = Unread::default();
        for (batch, loss) in [(7, 1.0), (8, f32::NAN), (9, f32::INFINITY)] {
            push(&mut unread, batch, loss);
        }
        let error = unread.read(&Ranks::alone(), |_, _| ()).unwrap_err();
        assert!(matches!(error, Error::Diverged { step: 7, epoch: 1, batch: 8, .. }), "{error}");
    }

    #[test]
    fn gradients_that_have_no_norm_are_found_behind_losses_that_are_fine() {
        let mut unread = Unread::default();
        let device = device::select("cpu").unwrap().device;
        for (batch, norm) in [(1, 2.0), (2, f32::INFINITY)] {
            push(&mut unread, batch, 1.0);
            let place = Place { step: batch as u64 - 1, epoch: 1, batch };
            unread.push_norm(place, Tensor::from_floats([norm], &device));
        }
        let mut sums = Sums::default();
        let error = unread.read(&Ranks::alone(), |_, more| sums += more).unwrap_err();
        assert!(matches!(error, Error::Diverged { batch: 2, .. }), "{error}");
        assert!(error.to_string().contains("the norm of the gradients is inf") && sums.samples == 20, "{error}");
        unread.read(&Ranks::alone(), |_, _| ()).unwrap();
    }

    #[test]
    fn of_a_loss_and_a_norm_the_first_is_the_cause() {
        let device = device::select("cpu").unwrap().device;
        for (bad_norm, cause, batch) in [(2, "norm", 2), (3, "loss", 3), (4, "loss", 3)] {
            let mut unread = Unread::default();
            for batch in 1..=4 {
                push(&mut unread, batch, if batch < 3 { 1.0 } else { f32::NAN });
                let norm = if batch < bad_norm { 2.0 } else { f32::NAN };
                let place = Place { step: batch as u64 - 1, epoch: 1, batch };
                unread.push_norm(place, Tensor::from_floats([norm], &device));
            }
            let error = unread.read(&Ranks::alone(), |_, _| ()).unwrap_err();
            assert!(matches!(error, Error::Diverged { batch: found, .. } if found == batch), "{bad_norm}: {error}");
            assert!(error.to_string().contains(cause), "{bad_norm}: {error}");
        }
    }

    #[test]
    fn an_epoch_is_read_after_its_first_batch_and_then_now_and_again() {
        let mut unread = Unread::default();
        push(&mut unread, 1, 1.0);
        assert!(unread.is_due());
        unread.read(&Ranks::alone(), |_, _| ()).unwrap();
        for batch in 2..2 + EVERY {
            assert!(!unread.is_due());
            push(&mut unread, batch, 1.0);
        }
        assert!(unread.is_due());
    }
}
