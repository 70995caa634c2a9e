//! Occlusion (Zeiler 2014): a part of the input is replaced by the baseline, and the answers are compared. Needs no gradients, so that it
//! asks whatever answers: a plan on the CPU, or a network on any device.

use std::ops::Range;

/// Patches that cover a picture, each half over the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patches {
    /// Height and width of a patch.
    pub size: [usize; 2],
    /// `[channels, height, width]` of the picture.
    shape: [usize; 3],
    /// Row and column of each patch's corner.
    corners: Vec<[usize; 2]>,
}

impl Patches {
    /// Patches of `size` (height and width, which are cut down to the picture's) for a picture of `shape`, `[channels, height, width]`.
    pub fn new(size: [usize; 2], shape: [usize; 3]) -> Self {
        let [_, height, width] = shape;
        let size = [size[0].clamp(1, height.max(1)), size[1].clamp(1, width.max(1))];
        let [rows, columns] = [starts(size[0], height), starts(size[1], width)];
        let corners = rows.iter().flat_map(|&row| columns.iter().map(move |&column| [row, column])).collect();
        Self { size, shape, corners }
    }

    /// Patches of about a seventh of the picture's sides, and at least 2 pixels: some 200 of them, whatever its size.
    pub fn usual(shape: [usize; 3]) -> Self {
        let [_, height, width] = shape;
        Self::new([height, width].map(|side| ((side as f64 / 7.0).round() as usize).max(2)), shape)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.corners.len()
    }

    /// Whether there is none, as for a picture without pixels.
    pub fn is_empty(&self) -> bool {
        self.corners.is_empty()
    }

    /// Where in a sample each patch lies, as [`occlusion`] takes it: its rows in each channel.
    pub fn regions(&self) -> Vec<Vec<Range<usize>>> {
        let [channels, height, width] = self.shape;
        let region = |&[top, left]: &[usize; 2]| {
            let lines =
                (0..channels).flat_map(|channel| (top..top + self.size[0]).map(move |row| channel * height + row));
            lines.map(|line| line * width + left..line * width + left + self.size[1]).collect()
        };
        self.corners.iter().map(region).collect()
    }

    /// One number for each patch as a map of the picture, `[height, width]`: at each pixel the mean over the patches that hide it.
    ///
    /// # Panics
    /// Where `drops` aren't one for each patch.
    pub fn spread(&self, drops: &[f32]) -> Vec<f32> {
        assert_eq!(drops.len(), self.len(), "one number for each patch");
        let [_, height, width] = self.shape;
        let (mut sums, mut counts) = (vec![0.0_f64; height * width], vec![0_u32; height * width]);
        for (&[top, left], drop) in self.corners.iter().zip(drops) {
            for line in (top..top + self.size[0]).map(|row| row * width + left..row * width + left + self.size[1]) {
                sums[line.clone()].iter_mut().for_each(|sum| *sum += f64::from(*drop));
                counts[line].iter_mut().for_each(|count| *count += 1);
            }
        }
        sums.iter().zip(counts).map(|(sum, count)| (sum / f64::from(count.max(1))) as f32).collect()
    }
}

/// Where patches of `size` begin along a side of `length`: every half of a patch, and one that ends with the side.
fn starts(size: usize, length: usize) -> Vec<usize> {
    let Some(last) = length.checked_sub(size).filter(|_| length > 0) else { return Vec::new() };
    let mut starts: Vec<usize> = (0..=last).step_by(size.div_ceil(2)).collect();
    if starts.last() != Some(&last) {
        starts.push(last);
    }
    starts
}

/// What is answered where each of `regions` of `sample` is replaced by `baseline`, one region at a time: `[regions, outputs]`. `answer` takes
/// up to `batch` samples, one after the other, and gives the outputs of each.
///
/// # Errors
/// Those of `answer`.
///
/// # Panics
/// Where a region ends beyond the sample or the baseline.
pub fn occlusion<E>(
    sample: &[f32],
    baseline: &[f32],
    regions: &[Vec<Range<usize>>],
    batch: usize,
    mut answer: impl FnMut(Vec<f32>) -> Result<Vec<f32>, E>,
) -> Result<Vec<f32>, E> {
    let mut answers = Vec::new();
    for regions in regions.chunks(batch.max(1)) {
        let mut inputs = sample.repeat(regions.len());
        for (hidden, region) in inputs.chunks_exact_mut(sample.len().max(1)).zip(regions) {
            region.iter().for_each(|part| hidden[part.clone()].copy_from_slice(&baseline[part.clone()]));
        }
        answers.extend(answer(inputs)?);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_cover_every_pixel_and_stay_inside() {
        for shape in [[1, 8, 8], [3, 28, 28], [1, 5, 64], [3, 224, 224], [1, 1, 1], [2, 4096, 3]] {
            let patches = Patches::usual(shape);
            assert!(!patches.is_empty() && patches.len() <= 400, "{shape:?}: {}", patches.len());
            assert!(patches.regions().iter().flatten().all(|part| part.end <= shape.iter().product()), "{shape:?}");
            assert_eq!(patches.spread(&vec![2.0; patches.len()]), vec![2.0; shape[1] * shape[2]], "{shape:?}");
        }
        assert_eq!(starts(4, 10), [0, 2, 4, 6]);
        assert_eq!(starts(3, 8), [0, 2, 4, 5]);
        assert!(Patches::new([2, 2], [1, 0, 5]).is_empty());
    }

    #[test]
    fn a_sum_falls_by_what_was_hidden() {
        let (sample, baseline) = ((0..18).map(|at| at as f32).collect::<Vec<_>>(), vec![1.0; 18]);
        let patches = Patches::new([3, 1], [2, 3, 3]);
        let mut batches = Vec::new();
        let answers = occlusion(&sample, &baseline, &patches.regions(), 2, |inputs| {
            batches.push(inputs.len() / 18);
            Ok::<_, ()>(inputs.chunks(18).map(|one| one.iter().sum()).collect())
        });
        assert_eq!(batches, [2, 1]);
        // The columns sum up to 45, 51, 57; six ones stand in for each.
        assert_eq!(answers.unwrap(), [153.0 - 39.0, 153.0 - 45.0, 153.0 - 51.0]);
    }
}
