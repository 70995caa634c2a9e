//! Successive halving (Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", 2016): all trials are
//! trained for a few epochs, the best part of them for more, and so on; only a few are trained to their end.

use serde::{Deserialize, Serialize};

/// How far some trials are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// Epochs that each has behind it at the end.
    pub epochs: usize,
    /// How many trials.
    pub trials: usize,
}

/// The rungs, from the first to the last, which has all epochs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Halving(Vec<Rung>);

impl Halving {
    /// For so many trials of so many epochs, each at least 1: rung by rung, one in `eta` goes on, to `eta` times the epochs. An `eta` of 1 has
    /// one rung: plain random search.
    ///
    /// There are as many rungs as trials and epochs can be divided by `eta`; at each trials are rounded down, and epochs up, so that none is
    /// judged before its first epoch.
    pub fn new(trials: usize, epochs: usize, eta: usize) -> Self {
        let (trials, epochs) = (trials.max(1), epochs.max(1));
        let mut divisors = vec![1];
        while eta > 1
            && let Some(next) = divisors.last().and_then(|last: &usize| last.checked_mul(eta))
            && next <= trials.min(epochs)
        {
            divisors.push(next);
        }
        let most = divisors.len() - 1;
        let rung = |at: usize| Rung { epochs: epochs.div_ceil(divisors[most - at]), trials: trials / divisors[at] };
        Self((0..=most).map(rung).collect())
    }

    /// The rungs.
    pub fn rungs(&self) -> &[Rung] {
        &self.0
    }

    /// Epochs that are trained in all: a trial that goes on doesn't begin again.
    pub fn epochs(&self) -> u64 {
        let before = [0].into_iter().chain(self.0.iter().map(|rung| rung.epochs));
        self.0.iter().zip(before).map(|(rung, before)| rung.trials as u64 * (rung.epochs - before) as u64).sum()
    }

    /// Refuses rungs that no plan has: as a file may hold them.
    ///
    /// # Errors
    /// What was expected.
    pub fn check(&self) -> Result<(), String> {
        let orderly = self.0.windows(2).all(|two| two[0].epochs < two[1].epochs && two[0].trials >= two[1].trials);
        let whole = self.0.iter().all(|rung| (1..=u32::MAX as usize).contains(&rung.epochs) && rung.trials > 0);
        match !self.0.is_empty() && orderly && whole {
            true => Ok(()),
            false => {
                Err("rungs: expected at least one, each of more epochs and no more trials than the one before".into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rungs(trials: usize, epochs: usize, eta: usize) -> Vec<[usize; 2]> {
        Halving::new(trials, epochs, eta).0.iter().map(|rung| [rung.trials, rung.epochs]).collect()
    }

    #[test]
    fn a_third_goes_on_to_three_times_the_epochs() {
        assert_eq!(rungs(27, 27, 3), [[27, 1], [9, 3], [3, 9], [1, 27]]);
        assert_eq!(Halving::new(27, 27, 3).epochs(), 27 + 9 * 2 + 3 * 6 + 18);
        assert_eq!(rungs(27, 20, 3), [[27, 3], [9, 7], [3, 20]]);
        assert_eq!(rungs(10, 100, 3), [[10, 12], [3, 34], [1, 100]]);
    }

    #[test]
    fn few_trials_few_epochs_and_no_halving_have_fewer_rungs() {
        assert_eq!(rungs(1, 20, 3), [[1, 20]]);
        assert_eq!(rungs(2, 20, 3), [[2, 20]]);
        assert_eq!(rungs(27, 1, 3), [[27, 1]]);
        assert_eq!(rungs(27, 20, 1), [[27, 20]]);
        assert_eq!(rungs(0, 0, 0), [[1, 1]]);
        assert_eq!(rungs(usize::MAX, usize::MAX, usize::MAX).len(), 2);
    }

    #[test]
    fn every_plan_is_one_that_a_file_may_hold_and_nonsense_is_none() {
        for (trials, epochs, eta) in [(1, 1, 3), (5, 17, 2), (27, 20, 3), (1000, 50, 10)] {
            Halving::new(trials, epochs, eta).check().unwrap();
        }
        let rung = |epochs, trials| Rung { epochs, trials };
        for wrong in [vec![], vec![rung(0, 1)], vec![rung(3, 1), rung(2, 1)], vec![rung(1, 1), rung(2, 5)]] {
            assert!(Halving(wrong.clone()).check().is_err(), "{wrong:?}");
        }
    }
}
