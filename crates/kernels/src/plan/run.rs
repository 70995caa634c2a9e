//! Takes a batch through a plan: blocks of images through the whole network, each block on one thread, so that what lies between two
//! layers stays in its cache; a few images one after the other, each step on all threads.

use std::ops::Range;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Plan;
use super::intake::Source;
use super::step::{Place, Step, Work};
use crate::team::{self, Split};

/// Multiply-adds of a batch that pay for a second thread.
const WORTH: usize = 1 << 17;

/// The buffers of one thread.
pub(super) struct Workspace {
    buffers: Vec<Vec<f32>>,
}

impl Plan {
    /// Numbers of a sample.
    pub fn inputs(&self) -> usize {
        self.intake.place.map.values()
    }

    /// Numbers of an answer.
    pub fn outputs(&self) -> usize {
        self.output.map.values()
    }

    /// The outputs, sample by sample, for samples `[channels, height, width]` one after the other.
    ///
    /// # Panics
    /// Where that is no whole number of samples.
    pub fn floats(&self, samples: &[f32]) -> Vec<f32> {
        self.run(Source::Floats(samples))
    }

    /// The same for pixels, of which 255 is 1.
    ///
    /// # Panics
    /// As [`floats`](Self::floats).
    pub fn pixels(&self, samples: &[u8]) -> Vec<f32> {
        self.run(Source::Pixels(samples))
    }

    fn run(&self, source: Source<'_>) -> Vec<f32> {
        let size = self.inputs();
        assert!(source.len().is_multiple_of(size), "{} values are no samples of {size}", source.len());
        let samples = source.len() / size;
        let mut out = vec![0.0; samples * self.outputs()];
        let threads = team::members().min(samples.saturating_mul(self.work) / WORTH).max(1);
        if samples < threads || samples == 1 {
            self.with_workspace(|workspace| {
                for (sample, out) in out.chunks_exact_mut(self.outputs()).enumerate() {
                    self.block(source, sample..sample + 1, out, threads, workspace);
                }
            });
        } else {
            self.blocks(source, samples, &mut out, threads);
        }
        out
    }

    /// Blocks of equal size, as many as there are for each thread.
    fn blocks(&self, source: Source<'_>, samples: usize, out: &mut [f32], threads: usize) {
        let each = samples.div_ceil(threads);
        let size = each.div_ceil(each.div_ceil(self.block).max(1)).max(1);
        let (out, next) = (Split::new(out), AtomicUsize::new(0));
        team::share(threads, &|_| {
            self.with_workspace(|workspace| {
                loop {
                    let first = next.fetch_add(size, Ordering::Relaxed);
                    if first >= samples {
                        break;
                    }
                    let block = first..(first + size).min(samples);
                    // SAFETY: every block is given out once.
                    let out = unsafe { out.range(block.start * self.outputs()..block.end * self.outputs()) };
                    self.block(source, block, out, 1, workspace);
                }
            });
        });
    }

    /// Lends buffers that are kept between calls.
    fn with_workspace(&self, body: impl FnOnce(&mut Workspace)) {
        let kept = || self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let workspace = kept().pop();
        let mut workspace = workspace.unwrap_or_else(|| {
            let len = |(buffer, len): (usize, &usize)| if buffer < self.shared { *len } else { len * self.block };
            Workspace { buffers: self.buffers.iter().enumerate().map(len).map(|len| vec![0.0; len]).collect() }
        });
        body(&mut workspace);
        kept().push(workspace);
    }

    /// A block of samples through all steps, of which a single one may be shared between `threads`.
    fn block(
        &self,
        source: Source<'_>,
        samples: Range<usize>,
        out: &mut [f32],
        threads: usize,
        workspace: &mut Workspace,
    ) {
        let count = samples.len();
        for (index, sample) in samples.enumerate() {
            let place = self.intake.place;
            let range = self.range(place, index);
            self.intake.run(source, sample, &mut workspace.buffers[place.buffer][range]);
            for step in &self.images {
                self.step(step, index, threads, workspace);
            }
        }
        for step in &self.rows {
            match &step.work {
                Work::Linear(linear) if count > 1 => {
                    let mut to = std::mem::take(&mut workspace.buffers[step.to.buffer]);
                    linear.run(count, &workspace.buffers[step.from.buffer], &mut to);
                    workspace.buffers[step.to.buffer] = to;
                }
                _ => (0..count).for_each(|index| self.step(step, index, threads, workspace)),
            }
        }
        let end = self.range(self.output, count - 1).end;
        out.copy_from_slice(&workspace.buffers[self.output.buffer][..end]);
    }

    /// A step for one image of the block.
    fn step(&self, step: &Step, index: usize, threads: usize, workspace: &mut Workspace) {
        let (from, to) = (self.range(step.from, index), self.range(step.to, index));
        let mut values = std::mem::take(&mut workspace.buffers[step.to.buffer]);
        if step.from.buffer == step.to.buffer {
            step.in_place(&mut values[to]);
        } else {
            step.image(&workspace.buffers[step.from.buffer][from], &mut values[to], threads);
        }
        workspace.buffers[step.to.buffer] = values;
    }

    /// Where in its buffer the map of an image lies.
    fn range(&self, place: Place, index: usize) -> Range<usize> {
        let len = place.map.len();
        if place.buffer < self.shared { 0..len } else { index * len..(index + 1) * len }
    }
}
