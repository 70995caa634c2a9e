//! Work shared between cores, in parts that depend only on the number of threads: equal bits run after run. The calling thread does the
//! first part itself, so that nothing waits for a sleeping worker in order to begin.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::team;

/// About how much work, in multiply-adds or bytes touched, pays for waking a second thread.
const WORTH: usize = 1 << 17;

/// The parts of `0..items`, one for each thread, or a single one where all of the work is less than what sharing costs. `work` is what
/// one item takes, in multiply-adds or bytes touched. No part is empty, unless there are no items.
pub(crate) fn parts(items: usize, work: usize) -> Vec<Range<usize>> {
    let most = items.saturating_mul(work) / WORTH;
    let count = team::members().min(items).min(most).max(1);
    (0..count).map(|part| part * items / count..(part + 1) * items / count).collect()
}

/// Runs `body(part, state)` for each part on its own thread, with the state of that part: its slice of the output, its sums.
pub(crate) fn each<S: Send>(parts: &[Range<usize>], states: Vec<S>, body: impl Fn(Range<usize>, S) + Sync) {
    assert_eq!(parts.len(), states.len(), "a state for each part");
    if let [part] = parts {
        return states.into_iter().for_each(|state| body(part.clone(), state));
    }
    let states: Vec<Mutex<Option<S>>> = states.into_iter().map(|state| Mutex::new(Some(state))).collect();
    team::share(parts.len(), &|part| {
        let state = states[part].lock().unwrap_or_else(PoisonError::into_inner).take();
        state.into_iter().for_each(|state| body(parts[part].clone(), state));
    });
}

/// Cuts `values`, of `size` for each item, as the parts cut the items.
pub(crate) fn cut<'a, T>(parts: &[Range<usize>], mut values: &'a mut [T], size: usize) -> Vec<&'a mut [T]> {
    let mut cuts = Vec::with_capacity(parts.len());
    for part in parts {
        let (here, rest) = values.split_at_mut(part.len() * size);
        cuts.push(here);
        values = rest;
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_in_one_part_and_each_part_has_its_slice() {
        for items in [0, 1, 2, 3, 7, 64] {
            let mut values = vec![0; items * 3];
            let parts = parts(items, WORTH);
            let cuts = cut(&parts, &mut values, 3);
            each(&parts, cuts, |part, values| {
                assert_eq!(values.len(), part.len() * 3);
                values.iter_mut().for_each(|value| *value += 1);
            });
            assert!(values.iter().all(|&value| value == 1), "{values:?}");
        }
    }

    #[test]
    fn little_work_stays_on_its_thread() {
        assert_eq!(parts(1000, 1), vec![0..1000; 1]);
    }
}
