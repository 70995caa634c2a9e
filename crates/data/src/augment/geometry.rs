//! Flip, crop, rotate, shift and scale, composed into one affine map and one resampling. What lies beyond the edges is mirrored in
//! photos and filled with the border's own colour in gray pictures, so that neither shows a seam.

use std::fmt;

use super::{Augment, Operation};
use crate::random::Random;

/// What stands beyond the edges of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// The median of the picture's own border pixels, for each channel: the background of drawings and characters.
    Border,
    /// The picture, mirrored at its edge.
    Mirror,
}

/// The amounts of the geometric operations.
pub(super) struct Geometry {
    flip: f32,
    vflip: f32,
    crop: f32,
    rotate: f32,
    shift: f32,
    scale: f32,
}

/// Where the pixels of one picture come from: output position `p` shows the source at `matrix * (p - centre) + centre + offset`, in
/// pixels, x before y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    matrix: [[f32; 2]; 2],
    offset: [f32; 2],
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Border => "beyond the edges the median colour of the border",
            Self::Mirror => "beyond the edges the mirrored picture",
        })
    }
}

impl Geometry {
    pub(super) fn of(augment: &Augment) -> Self {
        Self {
            flip: augment.amount(Operation::Flip),
            vflip: augment.amount(Operation::Vflip),
            crop: augment.amount(Operation::Crop),
            rotate: augment.amount(Operation::Rotate),
            shift: augment.amount(Operation::Shift),
            scale: augment.amount(Operation::Scale),
        }
    }

    /// Whether pictures change at all.
    pub(super) fn changes(&self) -> bool {
        self.flip != 0.0 || self.vflip != 0.0 || self.moves()
    }

    /// Whether anything from beyond the edges may come into the picture.
    pub(super) fn moves(&self) -> bool {
        self.crop != 0.0 || self.rotate != 0.0 || self.shift != 0.0 || self.scale != 0.0
    }

    /// Draws where one picture goes.
    pub(super) fn draw(&self, [_, height, width]: [usize; 3], random: &mut Random) -> Place {
        let mut sign = |chance: f32| if chance > 0.0 && random.chance(chance) { -1.0 } else { 1.0 };
        let (across, down) = (sign(self.flip), sign(self.vflip));
        let mut within = |amount: f32| if amount > 0.0 { random.range(-amount, amount) } else { 0.0 };
        let (angle, zoom) = (f64::from(within(self.rotate)).to_radians(), 1.0 + within(self.scale));
        let mut offset = [within(self.shift) * width as f32, within(self.shift) * height as f32];
        if self.crop > 0.0 {
            let pixels = self.crop as u32;
            offset = offset.map(|value| value + random.below(2 * pixels + 1) as f32 - pixels as f32);
        }
        // In f64 first, so that a quarter turn is as good as exact.
        let (sin, cos) = (angle.sin() as f32 / zoom, angle.cos() as f32 / zoom);
        Place { matrix: [[cos * across, -sin * down], [sin * across, cos * down]], offset }
    }
}

impl Place {
    /// Paints `source` into `out`, both `shape`.
    pub(super) fn sample(&self, source: &[u8], out: &mut [u8], shape: [usize; 3], fill: Fill, buffers: &mut Buffers) {
        let [_, height, width] = shape;
        if *self == (Self { matrix: [[1.0, 0.0], [0.0, 1.0]], offset: [0.0; 2] }) {
            out.copy_from_slice(source);
            return;
        }
        pad(source, shape, fill, &mut buffers.padded);
        let (plane, stride, whole) = (height * width, width + 3, self.is_whole());
        for y in 0..height {
            self.taps(y, [height, width], fill, &mut buffers.taps);
            let planes = buffers.padded.chunks_exact((height + 3) * stride).zip(out.chunks_exact_mut(plane));
            for (source, out) in planes {
                let out = &mut out[y * width..][..width];
                if whole {
                    out.iter_mut().zip(&buffers.taps).for_each(|(out, tap)| *out = source[tap.place as usize]);
                } else {
                    out.iter_mut().zip(&buffers.taps).for_each(|(out, tap)| *out = tap.of(source, stride));
                }
            }
        }
    }

    /// Whether each output pixel is one pixel of the source.
    fn is_whole(&self) -> bool {
        let [[a, b], [c, d]] = self.matrix;
        b == 0.0 && c == 0.0 && a.abs() == 1.0 && d.abs() == 1.0 && self.offset.iter().all(|value| value.fract() == 0.0)
    }

    /// Where the first pixel of output row `y` comes from, x before y. Positions have 16 binary places, which keeps floats and their
    /// conversions out of the inner loops and whole positions exact.
    pub(super) fn start(&self, y: usize, [height, width]: [usize; 2]) -> [i64; 2] {
        let [[a, b], [c, d]] = self.matrix.map(|row| row.map(f64::from));
        let (middle_x, middle_y) = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
        let from_y = y as f64 - middle_y;
        let x = fixed(b * from_y - a * middle_x + middle_x + f64::from(self.offset[0]));
        let y = fixed(d * from_y - c * middle_x + middle_y + f64::from(self.offset[1]));
        [x, y]
    }

    /// From the place of one pixel of a row to that of the next.
    pub(super) fn step(&self) -> [i64; 2] {
        let [[a, _], [c, _]] = self.matrix;
        [fixed(a.into()), fixed(c.into())]
    }

    /// Where the pixels of output row `y` come from.
    fn taps(&self, y: usize, [height, width]: [usize; 2], fill: Fill, taps: &mut Vec<Tap>) {
        let ([mut x, mut y], [step_x, step_y]) = (self.start(y, [height, width]), self.step());
        taps.clear();
        taps.extend((0..width).map(|_| {
            let (column, row) = (fill.inside(x, width), fill.inside(y, height));
            (x, y) = (x + step_x, y + step_y);
            let place = ((row >> 16) as usize * (width + 3) + (column >> 16) as usize) as u32;
            Tap { place, right: (column >> 8 & 255) as u16, below: (row >> 8 & 255) as u16 }
        }));
    }
}

/// A position in 65,536ths.
fn fixed(value: f64) -> i64 {
    (value * f64::from(1 << 16)).round() as i64
}

/// Buffers of [`Place::sample`], kept from picture to picture.
#[derive(Default)]
pub(super) struct Buffers {
    padded: Vec<u8>,
    taps: Vec<Tap>,
}

/// Where one output pixel comes from: a place in a padded channel, and the weights, of 256, of its neighbours to the right and below.
struct Tap {
    place: u32,
    right: u16,
    below: u16,
}

impl Tap {
    #[inline(always)]
    fn of(&self, source: &[u8], stride: usize) -> u8 {
        let place = self.place as usize;
        let (upper, lower) = (&source[place..place + 2], &source[place + stride..place + stride + 2]);
        let (right, below) = (u32::from(self.right), u32::from(self.below));
        let blend = |pair: &[u8]| u32::from(pair[0]) * (256 - right) + u32::from(pair[1]) * right;
        ((blend(upper) * (256 - below) + blend(lower) * below + (1 << 15)) >> 16) as u8
    }
}

impl Fill {
    /// A position along an axis of `len` pixels as one in the padded picture, at least 0 and at most `len + 1`; in 65,536ths.
    #[inline(always)]
    fn inside(self, position: i64, len: usize) -> i64 {
        let (one, last) = (1 << 16, (len as i64 - 1) << 16);
        one + match self {
            Self::Border => position.clamp(-one, last + one),
            Self::Mirror => (last - (last - position.abs()).abs()).max(0),
        }
    }
}

/// Copies `source` into `padded`, with one pixel of fill before and two after each side: then a position that is clamped to the first
/// pixel beyond the edge has all its four neighbours.
pub(crate) fn pad(source: &[u8], [channels, height, width]: [usize; 3], fill: Fill, padded: &mut Vec<u8>) {
    let (plane, stride) = (height * width, width + 3);
    padded.clear();
    padded.resize(channels * (height + 3) * stride, 0);
    for (source, padded) in source.chunks_exact(plane).zip(padded.chunks_exact_mut((height + 3) * stride)) {
        if fill == Fill::Border {
            padded.fill(border(source, height, width));
        }
        for (source, padded) in source.chunks_exact(width).zip(padded.chunks_exact_mut(stride).skip(1)) {
            padded[1..=width].copy_from_slice(source);
        }
    }
}

/// The median of the border pixels of one channel.
fn border(plane: &[u8], height: usize, width: usize) -> u8 {
    let mut counts = [0_u32; 256];
    for row in [0, height - 1] {
        plane[row * width..][..width].iter().for_each(|&value| counts[usize::from(value)] += 1);
    }
    for row in plane.chunks_exact(width) {
        counts[usize::from(row[0])] += 1;
        counts[usize::from(row[width - 1])] += 1;
    }
    let half = (width + height) as u32;
    let mut below = 0;
    let median = counts.iter().position(|count| {
        below += count;
        below >= half
    });
    median.unwrap_or(0) as u8
}
