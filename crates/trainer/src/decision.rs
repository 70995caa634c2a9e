//! What is decided after a step, by all ranks together: none goes on, stops or saves alone.

use crate::keeper::Keeper;
use crate::learner::Learner;
use crate::{Error, Event, Job};

/// What is to be done after a step.
pub(crate) struct Decision {
    /// Somebody was told to stop, and no batch waits for an update.
    pub(crate) stop: bool,
    /// Seconds of training so far, by the clock of rank 0.
    pub(crate) seconds: f64,
    /// Rank 0 has a reason to save.
    pub(crate) save: bool,
}

impl Decision {
    /// Asks everybody.
    ///
    /// # Errors
    /// If a rank failed; the run's folder may be gone.
    pub(crate) fn of(
        job: &Job<'_>,
        learner: &Learner<'_>,
        keeper: &mut Option<Keeper<'_>>,
        stop: &dyn Fn() -> bool,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Self, Error> {
        let settled = learner.is_settled();
        let stop = settled && stop();
        let due = match keeper {
            Some(keeper) if settled && !stop => keeper.is_due(&learner.progress, on_event),
            _ => Ok(false),
        };
        let save = settled && !stop && (job.is_save_wanted() | *due.as_ref().unwrap_or(&false));
        let number = |yes: bool| f64::from(u8::from(yes));
        let (_, said) = job.ranks.agree(due, [number(stop), learner.progress.seconds, number(save)])?;
        let [_, seconds, save] = said[0];
        Ok(Self { stop: said.iter().any(|[stop, ..]| *stop > 0.0), seconds, save: save > 0.0 })
    }
}
