//! One step of a plan: from one buffer to another, or in place; alone, or shared between threads where it is large enough.

use super::convolution::Convolution;
use super::linear::Linear;
use super::map::Map;
use super::pointwise::{self, Pointwise};
use super::pool::{self, Pool};
use crate::team::{self, Split};

/// Multiply-adds of a step that pay for a second thread that is awake.
const WORTH: usize = 1 << 16;

/// What a step does, and the buffers it does it with.
pub(super) struct Step {
    pub(super) work: Work,
    pub(super) from: Place,
    /// The same as `from` where it happens in place.
    pub(super) to: Place,
}

/// A map in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) buffer: usize,
    pub(super) map: Map,
}

pub(super) enum Work {
    Convolve(Convolution),
    Pool(Pool),
    GlobalAverage,
    Subsample {
        stride: usize,
        before: usize,
    },
    /// In place.
    Pointwise(Pointwise),
    /// Adds `from` to what is there.
    Add {
        relu: bool,
    },
    Linear(Linear),
}

impl Step {
    /// For one image: `from` and `to` hold its maps.
    pub(super) fn image(&self, from: &[f32], to: &mut [f32], parts: usize) {
        let maps = (&self.from.map, &self.to.map);
        if !matches!(self.work, Work::Add { .. }) {
            maps.1.clear(to);
        }
        match &self.work {
            Work::Convolve(convolution) => self.convolve(convolution, from, to, parts),
            Work::Pool(pool) => pool.run(maps.0, from, maps.1, to),
            Work::GlobalAverage => pool::global_average(maps.0, from, to),
            Work::Subsample { stride, before } => pool::subsample(maps.0, from, maps.1, to, *stride, *before),
            Work::Add { relu } => pointwise::add(maps.0, from, maps.1, to, *relu),
            Work::Linear(linear) => self.linear(linear, from, to, parts),
            Work::Pointwise(_) => {}
        }
    }

    /// For one image, in place.
    pub(super) fn in_place(&self, values: &mut [f32]) {
        if let Work::Pointwise(pointwise) = &self.work {
            pointwise.run(&self.to.map, values);
        }
    }

    /// Multiply-adds for one image.
    pub(super) fn work(&self) -> usize {
        match &self.work {
            Work::Convolve(convolution) => convolution.work(),
            Work::Linear(linear) => linear.inputs * linear.outputs,
            _ => self.to.map.values(),
        }
    }

    /// Rows of the output for each thread.
    fn convolve(&self, convolution: &Convolution, from: &[f32], to: &mut [f32], parts: usize) {
        let map = &self.to.map;
        let (rows, grain) = (map.size[0], convolution.grain());
        let grains = rows.div_ceil(grain);
        let parts = parts.min(grains).min(convolution.work() / WORTH).max(1);
        if parts == 1 {
            return convolution.run(0..rows, from, &mut to[map.row(0)..]);
        }
        let to = Split::new(to);
        team::share(parts, &|part| {
            let part = part * grains / parts * grain..((part + 1) * grains / parts * grain).min(rows);
            // SAFETY: rows of the map, which don't overlap.
            let to = unsafe { to.range(map.row(part.start)..map.row(part.end - 1) + map.line()) };
            convolution.run(part, from, to);
        });
    }

    /// Columns of the output for each thread.
    fn linear(&self, linear: &Linear, from: &[f32], to: &mut [f32], parts: usize) {
        let panels = linear.panels();
        let parts = parts.min(panels).min(linear.inputs * linear.outputs / WORTH).max(1);
        if parts == 1 {
            return linear.columns(0..panels, from, to);
        }
        let to = Split::new(to);
        team::share(parts, &|part| {
            let part = part * panels / parts..(part + 1) * panels / parts;
            // SAFETY: columns of panels, which don't overlap.
            let to = unsafe { to.range(linear.range(part.clone())) };
            linear.columns(part, from, to);
        });
    }
}
