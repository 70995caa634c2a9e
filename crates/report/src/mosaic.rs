//! Numbers as pictures side by side: filters and feature maps, a PNG for each layer, transparent between them. Each is stretched by itself,
//! so that its form shows and not its size.

use std::collections::{BTreeMap, BTreeSet};

use crate::picture::{base64, encoded};

/// The longest side of a tile: larger ones are averaged down, of smaller ones each number becomes a square.
const SIDE: usize = 64;
/// Tiles in a row, and pixels between them.
const COLUMNS: usize = 8;
const GAP: usize = 6;
/// Units of a vector in a row, and the side of each.
const LINE: usize = 32;
const UNIT: usize = 16;
/// Of what isn't a number.
const GRAY: [u8; 3] = [128; 3];
/// From the least to the greatest: "viridis", which grows lighter evenly and is told apart by the colour-blind.
pub(crate) const VIRIDIS: [[u8; 3]; 9] = [
    [68, 1, 84],
    [72, 40, 120],
    [62, 74, 137],
    [49, 104, 142],
    [38, 130, 142],
    [31, 158, 137],
    [53, 183, 121],
    [110, 206, 88],
    [253, 231, 37],
];
/// Below zero, zero, above it.
pub(crate) const SIGNED: [[u8; 3]; 3] = [[33, 102, 172], [247, 247, 247], [178, 24, 43]];

/// Tiles in rows.
pub(crate) struct Mosaic {
    /// `[height, width, 4]`: red, green, blue, opacity.
    pixels: Vec<u8>,
    height: usize,
    width: usize,
}

impl Mosaic {
    /// Filters of `[filters, channels, height, width]`, each by its largest weight: three channels as colours around gray, else the first as blue
    /// below zero and red above.
    pub(crate) fn of_filters(values: &[f32], [channels, height, width]: [usize; 3]) -> Option<Self> {
        let size = height.checked_mul(width).filter(|size| *size > 0)?;
        let tile = |filter: &[f32]| {
            let most = filter.iter().filter(|v| v.is_finite()).fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
            // -1 to 1 becomes 0 to 1.
            let planes: Vec<Plane> = filter
                .chunks(size)
                .map(|plane| Plane::of(plane, [height, width]).mapped(|v| (v / most + 1.0) / 2.0))
                .collect();
            let first = planes.first()?;
            let colour = |at: usize| match &planes[..] {
                [_, _, _] => std::array::from_fn(|channel| shade(planes[channel].values[at])),
                _ => between(&SIGNED, first.values[at]),
            };
            Some(Tile { size: first.size, colours: (0..first.values.len()).map(colour).collect() })
        };
        let filters = values.chunks_exact(size.checked_mul(channels).filter(|size| *size > 0)?);
        Self::of(filters.map(tile).collect::<Option<Vec<_>>>()?, COLUMNS, GAP, SIDE)
    }

    /// Maps of `[channels, height, width]`, each from its least number to its greatest.
    pub(crate) fn of_maps(values: &[f32], [height, width]: [usize; 2]) -> Option<Self> {
        let size = height.checked_mul(width).filter(|size| *size > 0)?;
        let tile = |map: &[f32]| {
            let plane = Plane::of(map, [height, width]).stretched();
            Tile { size: plane.size, colours: plane.values.iter().map(|v| between(&VIRIDIS, *v)).collect() }
        };
        Self::of(values.chunks_exact(size).map(tile).collect(), COLUMNS, GAP, SIDE)
    }

    /// Units, from the least number to the greatest of them all.
    pub(crate) fn of_vector(values: &[f32]) -> Option<Self> {
        let plane = Plane { size: [1, values.len()], values: values.to_vec() }.stretched();
        let tile = |v: &f32| Tile { size: [1, 1], colours: vec![between(&VIRIDIS, *v)] };
        Self::of(plane.values.iter().map(tile).collect(), LINE, 0, UNIT)
    }

    /// Tiles of one size, which become `side` pixels high or wide at most.
    fn of(tiles: Vec<Tile>, columns: usize, gap: usize, side: usize) -> Option<Self> {
        let [rows, line] = tiles.first()?.size;
        let zoom = (side / rows.max(line)).max(1);
        let [high, wide] = [rows * zoom, line * zoom];
        let columns = tiles.len().min(columns);
        let width = columns * (wide + gap) - gap;
        let height = tiles.len().div_ceil(columns) * (high + gap) - gap;
        let mut pixels = vec![0; height * width * 4];
        for (at, tile) in tiles.iter().enumerate() {
            let (top, left) = (at / columns * (high + gap), at % columns * (wide + gap));
            for (y, x) in (0..high).flat_map(|y| (0..wide).map(move |x| (y, x))) {
                let [r, g, b] = tile.colours[y / zoom * line + x / zoom];
                pixels[((top + y) * width + left + x) * 4..][..4].copy_from_slice(&[r, g, b, 255]);
            }
        }
        Some(Self { pixels, height, width })
    }

    /// Width and height in pixels.
    pub(crate) fn size(&self) -> [usize; 2] {
        [self.width, self.height]
    }

    /// `data:image/png;base64,...`
    pub(crate) fn uri(&self) -> Option<String> {
        let size = [self.height, self.width];
        let png = self.indexed().or_else(|| encoded(&self.pixels, size, png::ColorType::Rgba))?;
        Some(format!("data:image/png;base64,{}", base64(&png)))
    }

    /// As PNG with a palette, a third as large; `None` where there are more than 256 colours.
    fn indexed(&self) -> Option<Vec<u8>> {
        let colours: BTreeSet<&[u8]> = self.pixels.chunks_exact(4).collect();
        if colours.len() > 256 {
            return None;
        }
        let places: BTreeMap<&[u8], u8> = colours.iter().copied().zip(0..=255).collect();
        let bytes: Vec<u8> = self.pixels.chunks_exact(4).map(|colour| places[colour]).collect();
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_filter(png::Filter::NoFilter);
        encoder.set_palette(colours.iter().flat_map(|colour| colour[..3].to_vec()).collect::<Vec<u8>>());
        encoder.set_trns(colours.iter().map(|colour| colour[3]).collect::<Vec<u8>>());
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&bytes).ok()?;
        writer.finish().ok()?;
        Some(file)
    }
}

struct Tile {
    /// Height and width.
    size: [usize; 2],
    colours: Vec<[u8; 3]>,
}

struct Plane {
    size: [usize; 2],
    values: Vec<f32>,
}

impl Plane {
    /// The means of squares where it would be too large.
    fn of(values: &[f32], [height, width]: [usize; 2]) -> Self {
        let step = height.max(width).div_ceil(SIDE).max(1);
        let size = [height.div_ceil(step), width.div_ceil(step)];
        let mean = |at: usize| {
            let (top, left) = (at / size[1] * step, at % size[1] * step);
            let (bottom, right) = ((top + step).min(height), (left + step).min(width));
            let sum: f32 = (top..bottom).map(|y| values[y * width + left..y * width + right].iter().sum::<f32>()).sum();
            sum / ((bottom - top) * (right - left)) as f32
        };
        Self { size, values: (0..size[0] * size[1]).map(mean).collect() }
    }

    fn mapped(mut self, of: impl Fn(f32) -> f32) -> Self {
        self.values.iter_mut().for_each(|value| *value = of(*value));
        self
    }

    /// From 0 for the least to 1 for the greatest; all 0 where there is nothing between.
    fn stretched(self) -> Self {
        let (low, high) = range(&self.values);
        let width = if high > low { high - low } else { f32::INFINITY };
        self.mapped(|v| (v - low) / width)
    }
}

/// The least and the greatest of the numbers that are finite.
pub(crate) fn range(values: &[f32]) -> (f32, f32) {
    let finite = values.iter().filter(|v| v.is_finite());
    finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
}

/// 0 to 1 as one channel of a colour.
fn shade(value: f32) -> u8 {
    if value.is_finite() { (value * 255.0).round().clamp(0.0, 255.0) as u8 } else { GRAY[0] }
}

/// 0 to 1 as a colour between those of `scale`, one of 255.
pub(crate) fn between(scale: &[[u8; 3]], value: f32) -> [u8; 3] {
    if !value.is_finite() {
        return GRAY;
    }
    let along = (value.clamp(0.0, 1.0) * 254.0).round() / 254.0 * (scale.len() - 1) as f32;
    let below = (along as usize).min(scale.len() - 2);
    let share = along - below as f32;
    std::array::from_fn(|channel| {
        let [low, high] = [below, below + 1].map(|at| f32::from(scale[at][channel]));
        (low + (high - low) * share).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel(mosaic: &Mosaic, y: usize, x: usize) -> [u8; 4] {
        mosaic.pixels[(y * mosaic.width + x) * 4..][..4].try_into().unwrap()
    }

    #[test]
    fn zero_weights_are_neutral_and_each_filter_is_scaled_by_its_largest() {
        let mosaic = Mosaic::of_filters(&[0.0, 0.5, -0.25, 0.0, 0.0, 8.0, -4.0, 0.0], [1, 2, 2]).unwrap();
        assert_eq!(mosaic.size(), [64 + 6 + 64, 64]);
        for left in [0, 70] {
            assert_eq!([(0, 0), (31, 31)].map(|(y, x)| pixel(&mosaic, y, left + x)), [[247, 247, 247, 255]; 2]);
            assert_eq!([(0, 32), (31, 63)].map(|(y, x)| pixel(&mosaic, y, left + x)), [[178, 24, 43, 255]; 2]);
            assert_eq!(pixel(&mosaic, 32, left), [141, 175, 210, 255], "half of the way to blue");
        }
        assert_eq!([pixel(&mosaic, 0, 64), pixel(&mosaic, 63, 69)], [[0; 4]; 2], "between two there is nothing");
        let colour = Mosaic::of_filters(&[1.0, 0.0, -1.0], [3, 1, 1]).unwrap();
        assert_eq!(pixel(&colour, 0, 0), [255, 128, 0, 255]);
        let dead = Mosaic::of_filters(&[0.0; 4], [1, 2, 2]).unwrap();
        assert_eq!(pixel(&dead, 0, 0), [247, 247, 247, 255]);
    }

    #[test]
    fn maps_are_stretched_one_by_one_and_those_without_change_are_dark() {
        let mosaic = Mosaic::of_maps(&[0.0, 1.0, -5.0, -3.0, 7.0, 7.0], [1, 2]).unwrap();
        let [low, high] = [[68, 1, 84, 255], [253, 231, 37, 255]];
        let places = [0, 32, 70, 102, 140, 172];
        assert_eq!(places.map(|x| pixel(&mosaic, 31, x)), [low, high, low, high, low, low]);
        let odd = Mosaic::of_maps(&[f32::NAN, 1.0, f32::INFINITY, 2.0], [2, 2]).unwrap();
        assert_eq!(pixel(&odd, 0, 0), [128, 128, 128, 255]);
        assert_eq!(pixel(&odd, 63, 63), high);
    }

    #[test]
    fn large_maps_are_averaged_down_and_what_has_no_size_is_none() {
        let large = Mosaic::of_maps(&vec![1.0; 20 * 300 * 200], [300, 200]).unwrap();
        assert_eq!(large.size(), [40 * 8 + 6 * 7, 60 * 3 + 6 * 2]);
        assert_eq!(Plane::of(&[1.0, 3.0, 5.0].repeat(100), [3, 100]).size, [2, 50]);
        assert_eq!(Plane::of(&[2.0].repeat(65), [1, 65]).values, [2.0; 33]);
        assert!(Mosaic::of_maps(&[], [2, 2]).is_none() && Mosaic::of_maps(&[1.0], [0, 2]).is_none());
        assert!(Mosaic::of_filters(&[1.0], [0, 1, 1]).is_none() && Mosaic::of_vector(&[]).is_none());
        let units = Mosaic::of_vector(&[0.5; 40]).unwrap();
        assert_eq!(
            (units.size(), pixel(&units, 31, 127), pixel(&units, 31, 128)),
            ([512, 32], [68, 1, 84, 255], [0; 4])
        );
        assert!(units.uri().unwrap().starts_with("data:image/png;base64,iVBORw0KGgo"));
    }

    #[test]
    fn a_palette_changes_no_pixel_and_many_colours_have_none() {
        let values: Vec<f32> = (0..3000).map(|at| (at as f32).sin()).collect();
        let mosaic = Mosaic::of_filters(&values, [1, 10, 10]).unwrap();
        let mut decoder = png::Decoder::new(std::io::Cursor::new(mosaic.indexed().unwrap()));
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::ALPHA);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert!(pixels == mosaic.pixels);
        let coloured = Mosaic::of_filters(&values, [3, 10, 10]).unwrap();
        assert!(coloured.indexed().is_none() && coloured.uri().is_some());
    }
}
