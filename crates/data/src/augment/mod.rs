//! What is done to training samples so that the network sees each of them differently in every epoch. Owns the list of operations, its
//! presets and its statement; each family of operations has its own file. Which draws a sample gets is the loader's decision.

mod colour;
mod erase;
mod geometry;
mod mix;
mod parse;

use std::fmt;

use crate::random::Random;
use crate::{Batch, Error, InputSpec, Targets};

use geometry::{Buffers, Geometry, Place};

pub(crate) use colour::{Jitter, LUMA};
pub(crate) use geometry::{Fill, pad};
pub(crate) use mix::{Mixture, Way};

/// One operation. Its amount is a single number, and zero leaves it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Mirrors left and right, with this probability.
    Flip,
    /// Mirrors top and bottom, with this probability.
    Vflip,
    /// Pads by this many pixels and cuts the size out again: moves by whole pixels.
    Crop,
    /// Rotates by at most this many degrees.
    Rotate,
    /// Moves by at most this part of each side.
    Shift,
    /// Zooms by a factor that differs from 1 by at most this much.
    Scale,
    /// Changes brightness, contrast and saturation by factors that differ from 1 by at most this much.
    Jitter,
    /// Paints a rectangle over, with this probability.
    Erase,
    /// Blends pairs of samples; the parameter of the Beta distribution of the weights.
    Mixup,
    /// Pastes a rectangle of another sample; the parameter of the Beta distribution of its area.
    Cutmix,
}

/// The augmentation of a training split: an amount for each operation, zero for those left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augment {
    amounts: [f32; Operation::ALL.len()],
    pub(crate) fill: Fill,
}

impl Operation {
    /// All of them, in the order of their discriminants, which is the order in which they are applied.
    pub(crate) const ALL: [Self; 10] = [
        Self::Flip,
        Self::Vflip,
        Self::Crop,
        Self::Rotate,
        Self::Shift,
        Self::Scale,
        Self::Jitter,
        Self::Erase,
        Self::Mixup,
        Self::Cutmix,
    ];

    /// Whether it makes sense for images only.
    fn is_for_images(self) -> bool {
        self != Self::Mixup
    }

    /// Whether it works on pairs of samples.
    fn is_mix(self) -> bool {
        matches!(self, Self::Mixup | Self::Cutmix)
    }
}

impl Augment {
    /// No augmentation at all.
    pub const NONE: Self = Self { amounts: [0.0; Operation::ALL.len()], fill: Fill::Border };

    /// Whether nothing is done.
    pub fn is_none(&self) -> bool {
        self.amounts.iter().all(|&amount| amount == 0.0)
    }

    /// Whether samples are mixed: then class targets come as probabilities, [`BatchTargets::Dense`](crate::BatchTargets::Dense) with a
    /// column for each class.
    pub fn mixes(&self) -> bool {
        self.operations().any(|(operation, _)| operation.is_mix())
    }

    /// Whether single images change.
    pub(crate) fn changes_images(&self) -> bool {
        self.operations().any(|(operation, _)| !operation.is_mix())
    }

    /// The amount of `operation`, zero where it is left out.
    fn amount(&self, operation: Operation) -> f32 {
        self.amounts[operation as usize]
    }

    /// The operations that aren't left out, with their amounts.
    fn operations(&self) -> impl Iterator<Item = (Operation, f32)> {
        Operation::ALL.into_iter().zip(self.amounts).filter(|&(_, amount)| amount != 0.0)
    }

    /// Refuses what makes no sense for the data.
    pub(crate) fn check(&self, input: &InputSpec, targets: &Targets) -> Result<(), Error> {
        for (operation, _) in self.operations() {
            let name = operation.name();
            if operation.is_for_images() && matches!(input, InputSpec::Table(_)) {
                return Err(Error::option(
                    "--augment",
                    format!("`{name}` is for images; tables take `none` or `mixup`"),
                ));
            }
            if operation == Operation::Cutmix && matches!(targets, Targets::Values { .. }) {
                let why = "`cutmix` is for classes and labels, and the targets are numbers; `mixup` blends those";
                return Err(Error::option("--augment", why));
            }
        }
        Ok(())
    }

    /// What changes single images of `input`, with its buffers.
    pub(crate) fn painter(&self, input: &InputSpec) -> Painter {
        Painter { augment: *self, shape: input.shape(), mean: mean_colour(input), buffers: Buffers::default() }
    }

    /// Whether pictures are moved, turned, zoomed or mirrored.
    pub(crate) fn changes_geometry(&self) -> bool {
        Geometry::of(self).changes()
    }

    /// Whether their colours change.
    pub(crate) fn jitters(&self) -> bool {
        self.amount(Operation::Jitter) != 0.0
    }

    /// Whether parts of them may be painted over.
    pub(crate) fn erases(&self) -> bool {
        self.amount(Operation::Erase) != 0.0
    }

    /// Draws what is done to one picture of `shape`, by the numbers of `random`.
    pub(crate) fn draw(&self, shape: [usize; 3], random: &mut Random) -> Stroke {
        Stroke {
            place: Geometry::of(self).draw(shape, random),
            jitter: Jitter::draw(self.amount(Operation::Jitter), shape[0], random),
            hole: erase::draw(self.amount(Operation::Erase), shape, random),
        }
    }

    /// Mixes the samples of a batch with each other: class targets become probabilities, in a batch of one sample too. `classes` is the
    /// number of class names.
    pub(crate) fn mix(&self, batch: &mut Batch, classes: usize, random: &mut Random) {
        if !self.mixes() {
            return;
        }
        mix::soften(batch, classes);
        let [n, _, height, width] = batch.shape;
        let amounts = [self.amount(Operation::Mixup), self.amount(Operation::Cutmix)];
        if let Some(mixture) = Mixture::draw(n, [height, width], amounts, random) {
            mixture.apply(batch);
        }
    }
}

/// The mean colour of the training split, with which rectangles are painted over.
pub(crate) fn mean_colour(input: &InputSpec) -> Vec<u8> {
    let (mean, _) = input.normalisation();
    mean.into_iter().map(|value| (value * 255.0 + 0.5) as u8).collect()
}

/// What is done to one picture. Nothing of it depends on the picture, so that whatever holds the pictures may do it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stroke {
    place: Place,
    pub(crate) jitter: Option<Jitter>,
    /// What is painted over: top, left, rows and columns.
    pub(crate) hole: Option<[usize; 4]>,
}

impl Stroke {
    /// Where the first pixel of each of `height` rows comes from, and how far it is from one pixel to the next, x before y; in 65,536ths.
    pub(crate) fn positions(&self, size: [usize; 2]) -> (impl Iterator<Item = [i64; 2]>, [i64; 2]) {
        ((0..size[0]).map(move |y| self.place.start(y, size)), self.place.step())
    }
}

/// Changes images one after the other.
pub(crate) struct Painter {
    augment: Augment,
    shape: [usize; 3],
    mean: Vec<u8>,
    buffers: Buffers,
}

impl Painter {
    /// Paints `source` into `out`, both `[channels, height, width]`, by the numbers of `random`. All geometric operations are one affine
    /// map, so a picture is resampled once, and not at all where it only moves by whole pixels.
    pub(crate) fn paint(&mut self, source: &[u8], out: &mut [u8], random: &mut Random) {
        let Stroke { place, jitter, hole } = self.augment.draw(self.shape, random);
        place.sample(source, out, self.shape, self.augment.fill, &mut self.buffers);
        if let Some(jitter) = jitter {
            jitter.apply(out, self.shape[0]);
        }
        if let Some(hole) = hole {
            erase::erase(out, self.shape, hole, &self.mean);
        }
    }
}

/// What is done, in one line.
impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        for (i, (operation, amount)) in self.operations().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            operation.state(amount, self.fill, f)?;
        }
        if Geometry::of(self).moves() {
            write!(f, "; {}", self.fill)?;
        }
        let both = self.amount(Operation::Mixup) > 0.0 && self.amount(Operation::Cutmix) > 0.0;
        f.write_str(if both { "; mixup or cutmix by the toss of a coin for each batch" } else { "" })
    }
}

#[cfg(test)]
mod tests;
