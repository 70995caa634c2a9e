//! Where a run is, as its events tell it: the step that `events.jsonl` and TensorBoard's files write beside everything.

use trainer::Event;

/// Batches that were learned since the run began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    /// In an epoch.
    batches: u64,
    step: u64,
}

impl Position {
    /// Goes where `event` happens; a note happens nowhere, and a save while training goes on.
    pub(crate) fn follow(&mut self, event: &Event) {
        match event {
            Event::Started { done, done_batches, batches, .. } => {
                self.batches = *batches as u64;
                self.step = *done as u64 * self.batches + *done_batches as u64;
            }
            Event::Step { epoch, batch, .. } => {
                self.step = (*epoch as u64).saturating_sub(1) * self.batches + *batch as u64;
            }
            Event::Epoch(summary) => self.end(summary.epoch),
            Event::Note(_) | Event::Saved { .. } => {}
        }
    }

    /// Goes to the end of `epoch`, counted from 1.
    pub(crate) fn end(&mut self, epoch: usize) {
        self.step = epoch as u64 * self.batches;
    }

    /// How many batches.
    pub(crate) fn step(self) -> u64 {
        self.step
    }
}
