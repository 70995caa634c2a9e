//! A convolution from a map in its margins to another, and which of two ways it is computed.

use std::ops::Range;

use super::direct::Direct;
use super::map::Map;
use super::pool::Pool;
use super::winograd::Winograd;

/// What a convolution is, without its weights.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) outputs: usize,
    pub(super) size: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) padding: [(usize, usize); 2],
    pub(super) groups: usize,
}

impl Shape {
    /// Height and width after a map of so many channels and that size; `None` where they don't fit.
    pub(super) fn output(&self, channels: usize, size: [usize; 2]) -> Option<[usize; 2]> {
        let groups = self.groups;
        if groups == 0 || !channels.is_multiple_of(groups) || !self.outputs.is_multiple_of(groups) {
            return None;
        }
        let along = |axis: usize| {
            let padded = size[axis] + self.padding[axis].0 + self.padding[axis].1;
            (self.size[axis] > 0 && self.stride[axis] > 0).then_some(())?;
            Some(padded.checked_sub(self.size[axis])? / self.stride[axis] + 1)
        };
        Some([along(0)?, along(1)?])
    }

    /// Where the first value that is read lies in a map; `None` where its margins are narrower than the padding.
    pub(super) fn first(&self, from: Map) -> Option<usize> {
        let [(above, _), (left, _)] = from.margins;
        let rows = above.checked_sub(self.padding[0].0)?;
        Some(rows * from.pitch() + left.checked_sub(self.padding[1].0)? * from.channels)
    }
}

/// What a convolution computes, from weights to pooling.
pub(super) struct Definition {
    pub(super) shape: Shape,
    /// `[outputs, inputs / groups, rows, columns]`.
    pub(super) weight: Vec<f32>,
    pub(super) bias: Option<Vec<f32>>,
    /// Before pooling.
    pub(super) relu: bool,
    pub(super) pool: Option<Pool>,
}

/// A convolution that is ready to run.
pub(super) enum Convolution {
    Direct(Direct),
    Winograd(Winograd),
}

impl Convolution {
    /// From a map with margins as wide as the padding at least to one of the size after pooling. `None` where these don't fit each other.
    pub(super) fn new(definition: &Definition, from: Map, to: Map) -> Option<Self> {
        if Winograd::pays(definition, from, to) {
            return Winograd::new(definition, from, to).map(Self::Winograd);
        }
        Direct::new(definition, from, to).map(Self::Direct)
    }

    /// Computes `rows` of the output, which begin with a multiple of [`grain`](Self::grain); `to` begins with the first of them.
    pub(super) fn run(&self, rows: Range<usize>, from: &[f32], to: &mut [f32]) {
        match self {
            Self::Direct(direct) => direct.run(rows, from, to),
            Self::Winograd(winograd) => winograd.run(rows, from, to),
        }
    }

    /// Rows of the output that are computed together.
    pub(super) fn grain(&self) -> usize {
        match self {
            Self::Direct(_) => 1,
            Self::Winograd(winograd) => winograd.side(),
        }
    }

    /// Multiply-adds.
    pub(super) fn work(&self) -> usize {
        match self {
            Self::Direct(direct) => direct.work,
            Self::Winograd(winograd) => winograd.work,
        }
    }
}
