//! Maps in channels-last memory as rows: some pixels side by side, so wide that loops over a row fill the processor's vectors however
//! few channels there are. A coefficient for each channel is repeated to a row; sums are taken for each place of a row, then for each
//! channel. It knows no tensors. The loops that callers hand over are compiled for the processor at hand, if they are inlined.

use std::ops::Range;

use crate::{parallel, product::arch};

/// Values of a row, about: what keeps loops long and a handful of coefficients in the first cache.
const WIDTH: usize = 256;
/// Rows whose sums are taken in f32 before they are added up in f64: few, for the sake of both speed and precision.
const RUN: usize = 32;

/// How a map is cut into rows, and into parts for the threads.
pub(crate) struct Rows {
    channels: usize,
    width: usize,
    parts: Vec<Range<usize>>,
}

/// Where a row lies.
pub(crate) struct Place {
    /// Among all values.
    pub(crate) all: Range<usize>,
    /// Among those of the part.
    pub(crate) part: Range<usize>,
}

impl Rows {
    /// `values` in pixels of `channels`; each value costs `work` bytes of memory traffic.
    pub(crate) fn new(values: usize, channels: usize, work: usize) -> Self {
        let pixels = values / channels.max(1);
        let mut repeat = WIDTH.div_ceil(channels.max(1));
        while channels < WIDTH && !(repeat * channels).is_multiple_of(16) {
            repeat += 1;
        }
        Self {
            channels,
            width: (repeat.min(pixels) * channels).max(1),
            parts: parallel::parts(pixels, work * channels),
        }
    }

    /// Cuts what is of the map's size, for [`Rows::each`] and [`Rows::sums`].
    pub(crate) fn cut<'a, T>(&self, values: &'a mut [T]) -> Vec<&'a mut [T]> {
        parallel::cut(&self.parts, values, self.channels)
    }

    /// What stands for the parts where nothing is written.
    pub(crate) fn nothing(&self) -> Vec<()> {
        vec![(); self.parts.len()]
    }

    /// A value for each channel, repeated to a row.
    pub(crate) fn repeat(&self, values: &[f32]) -> Vec<f32> {
        values.iter().copied().cycle().take(if values.is_empty() { 0 } else { self.width }).collect()
    }

    /// Runs `body` for each row of each part. The last row of a part may be shorter.
    #[inline(always)]
    pub(crate) fn each<S: Send>(&self, states: Vec<S>, body: impl Fn(&mut S, Place) + Sync) {
        parallel::each(&self.parts, states, |part, mut state| {
            arch().dispatch(
                #[inline(always)]
                || {
                    let (start, end) = (part.start * self.channels, part.end * self.channels);
                    let mut at = start;
                    while at < end {
                        let next = (at + self.width).min(end);
                        body(&mut state, Place { all: at..next, part: at - start..next - start });
                        at = next;
                    }
                },
            );
        });
    }

    /// Two sums for each channel. `add` adds the values of a row to two rows of sums.
    #[inline(always)]
    pub(crate) fn sums<S: Send>(
        &self,
        states: Vec<S>,
        add: impl Fn(&mut S, Place, &mut [f32], &mut [f32]) + Sync,
    ) -> [Vec<f64>; 2] {
        let mut sums: Vec<Sums> = self.parts.iter().map(|_| Sums::new(self.width)).collect();
        let states = states.into_iter().zip(&mut sums).collect();
        self.each(
            states,
            #[inline(always)]
            |(state, sums), place| {
                let [first, second] = &mut sums.near;
                add(state, place, first, second);
                sums.rows += 1;
                if sums.rows == RUN {
                    sums.settle();
                }
            },
        );
        let mut totals = [vec![0.0; self.channels], vec![0.0; self.channels]];
        // In the order of the parts, whichever of them was done first.
        for mut part in sums {
            part.settle();
            for (totals, far) in totals.iter_mut().zip(&part.far) {
                for pixel in far.chunks_exact(self.channels.max(1)) {
                    totals.iter_mut().zip(pixel).for_each(|(total, sum)| *total += sum);
                }
            }
        }
        totals
    }
}

/// Sums for each place of a row: the last few rows, and those before.
struct Sums {
    near: [Vec<f32>; 2],
    far: [Vec<f64>; 2],
    rows: usize,
}

impl Sums {
    fn new(width: usize) -> Self {
        Self { near: [vec![0.0; width], vec![0.0; width]], far: [vec![0.0; width], vec![0.0; width]], rows: 0 }
    }

    #[inline(always)]
    fn settle(&mut self) {
        for (near, far) in self.near.iter_mut().zip(&mut self.far) {
            for (near, far) in near.iter_mut().zip(far) {
                *far += f64::from(*near);
                *near = 0.0;
            }
        }
        self.rows = 0;
    }
}
