//! Batch normalisation of channels-last slices: statistics, the normalised map, and its gradients by hand.

use std::mem::MaybeUninit;

use crate::{
    fresh::fresh,
    relu::{behind, cut},
    rows::Rows,
};

/// Mean and biased variance of each channel.
pub(crate) struct Statistics {
    pub(crate) mean: Vec<f32>,
    pub(crate) variance: Vec<f32>,
}

impl Statistics {
    /// One pass: sums of the distances from a value in the middle of a sample of pixels, and of their squares. The distances are small,
    /// so that nothing is lost where the mean is large.
    pub(crate) fn of(x: &[f32], channels: usize) -> Self {
        let middle = sampled_mean(x, channels);
        let rows = Rows::new(x.len(), channels, 4);
        let wide = rows.repeat(&middle);
        let [sums, squares] = rows.sums(
            rows.nothing(),
            #[inline(always)]
            |(), at, sums, squares| add_distances(&x[at.all], &wide, sums, squares),
        );
        let count = (x.len() / channels.max(1)) as f64;
        let [mut mean, mut variance] = [Vec::with_capacity(channels), Vec::with_capacity(channels)];
        for ((sum, square), middle) in sums.iter().zip(&squares).zip(&middle) {
            let distance = sum / count;
            mean.push((f64::from(*middle) + distance) as f32);
            let squared = square / count - distance * distance;
            // Rounding may leave less than nothing; not a number stays what it is.
            variance.push(if squared < 0.0 { 0.0 } else { squared as f32 });
        }
        Self { mean, variance }
    }
}

/// The mean of some pixels from everywhere, zero where it isn't finite.
fn sampled_mean(x: &[f32], channels: usize) -> Vec<f32> {
    const SAMPLE: usize = 64;
    let pixels = x.len() / channels.max(1);
    let step = pixels.div_ceil(SAMPLE).max(1);
    let mut mean = vec![0.0; channels];
    for pixel in (0..pixels).step_by(step) {
        mean.iter_mut().zip(&x[pixel * channels..]).for_each(|(mean, x)| *mean += x);
    }
    let count = pixels.div_ceil(step).max(1) as f32;
    mean.iter().map(|sum| sum / count).map(|mean| if mean.is_finite() { mean } else { 0.0 }).collect()
}

/// What becomes of each channel: `(x - mean) * scale + bias`, where the scale is the weight by the standard deviation.
#[derive(Clone, Debug)]
pub(crate) struct Normal {
    mean: Vec<f32>,
    /// 1 by the standard deviation.
    inverse: Vec<f32>,
    scale: Vec<f32>,
    bias: Vec<f32>,
}

impl Normal {
    pub(crate) fn new(weight: &[f32], bias: &[f32], statistics: Statistics, epsilon: f64) -> Self {
        let inverse: Vec<f32> =
            statistics.variance.iter().map(|variance| (1.0 / (f64::from(*variance) + epsilon).sqrt()) as f32).collect();
        let scale = inverse.iter().zip(weight).map(|(inverse, weight)| inverse * weight).collect();
        Self { mean: statistics.mean, inverse, scale, bias: bias.to_vec() }
    }

    /// The normalised map, with `bridge` added, cut below zero if `relu`.
    pub(crate) fn forward(&self, x: &[f32], bridge: Option<&[f32]>, relu: bool) -> Vec<f32> {
        let rows = Rows::new(x.len(), self.mean.len(), if bridge.is_some() { 12 } else { 8 });
        let [mean, scale, bias] = [&self.mean, &self.scale, &self.bias].map(|values| rows.repeat(values));
        let write = |y: &mut [MaybeUninit<f32>]| {
            rows.each(
                rows.cut(y),
                #[inline(always)]
                |y, at| {
                    let (x, y) = (&x[at.all.clone()], &mut y[at.part]);
                    match (bridge, relu) {
                        (None, false) => scale_row::<false>(x, &mean, &scale, &bias, y),
                        (None, true) => scale_row::<true>(x, &mean, &scale, &bias, y),
                        (Some(bridge), false) => add_row::<false>(x, &mean, &scale, &bias, &bridge[at.all], y),
                        (Some(bridge), true) => add_row::<true>(x, &mean, &scale, &bias, &bridge[at.all], y),
                    }
                },
            );
        };
        // SAFETY: the rows are the whole map, and each of the four writes its row.
        unsafe { fresh(x.len(), write) }
    }

    /// The gradients, given the output's; that of the input if it is wanted. The statistics were those of `x`.
    pub(crate) fn backward(&self, x: &[f32], slope: &[f32], mask: Mask<'_>, want: bool) -> Slopes {
        let channels = self.mean.len();
        let rows = Rows::new(x.len(), channels, if matches!(mask, Mask::Output(_)) { 16 } else { 8 });
        let [mean, scale, bias] = [&self.mean, &self.scale, &self.bias].map(|values| rows.repeat(values));
        let mut bridge = None;
        let [sums, products] = match mask {
            Mask::None => rows.sums(
                rows.nothing(),
                #[inline(always)]
                |(), at, sums, products| add_slopes(&x[at.all.clone()], &mean, &slope[at.all], sums, products),
            ),
            Mask::Input => rows.sums(
                rows.nothing(),
                #[inline(always)]
                |(), at, sums, products| {
                    let (x, slope) = (&x[at.all.clone()], &slope[at.all]);
                    add_masked(x, [&mean, &scale, &bias], slope, sums, products);
                },
            ),
            Mask::Output(y) => {
                let mut totals = [Vec::new(), Vec::new()];
                let write = |masked: &mut [MaybeUninit<f32>]| {
                    totals = rows.sums(
                        rows.cut(masked),
                        #[inline(always)]
                        |masked, at, sums, products| {
                            let (x, y, slope) = (&x[at.all.clone()], &y[at.all.clone()], &slope[at.all]);
                            add_written(x, &mean, y, slope, &mut masked[at.part], sums, products);
                        },
                    );
                };
                // SAFETY: the rows are the whole map, and `add_written` writes its row.
                bridge = Some(unsafe { fresh(x.len(), write) });
                totals
            }
        };
        let input = want.then(|| {
            let slope = bridge.as_deref().unwrap_or(slope);
            self.input_slope(x, slope, matches!(mask, Mask::Input), [&sums, &products])
        });
        // Without pixels there is no variance either, but a sum of nothing is zero.
        let inverse = |inverse: f32| if x.is_empty() { 0.0 } else { f64::from(inverse) };
        let weight = products.iter().zip(&self.inverse).map(|(sum, i)| (sum * inverse(*i)) as f32);
        Slopes { input, weight: weight.collect(), bias: sums.iter().map(|sum| *sum as f32).collect(), bridge }
    }

    /// `scale * (slope - mean slope - distance * mean (slope * distance) / variance)`, as two coefficients and a constant.
    fn input_slope(&self, x: &[f32], slope: &[f32], masked: bool, sums: [&[f64]; 2]) -> Vec<f32> {
        let count = (x.len() / self.mean.len().max(1)) as f64;
        let rows = Rows::new(x.len(), self.mean.len(), 12);
        let scales = self.scale.iter().zip(&self.inverse).map(|(s, i)| (f64::from(*s), f64::from(*i)));
        let along: Vec<f32> =
            scales.clone().zip(sums[1]).map(|((s, i), sum)| (-s * i * i * (sum / count)) as f32).collect();
        let constant: Vec<f32> = scales.zip(sums[0]).map(|((s, _), sum)| (-s * (sum / count)) as f32).collect();
        let values = [&self.mean, &self.scale, &self.bias, &along, &constant].map(|values| rows.repeat(values));
        let write = |to: &mut [MaybeUninit<f32>]| {
            rows.each(
                rows.cut(to),
                #[inline(always)]
                |to, at| {
                    let (x, slope, to) = (&x[at.all.clone()], &slope[at.all], &mut to[at.part]);
                    match masked {
                        true => slope_row::<true>(x, slope, &values, to),
                        false => slope_row::<false>(x, slope, &values, to),
                    }
                },
            );
        };
        // SAFETY: the rows are the whole map, and `slope_row` writes its row.
        unsafe { fresh(x.len(), write) }
    }
}

/// Where the ReLU's mask is found again.
#[derive(Clone, Copy)]
pub(crate) enum Mask<'a> {
    /// There is no ReLU.
    None,
    /// By normalising the input again, with the same roundings.
    Input,
    /// In the output: something was added before the ReLU.
    Output(&'a [f32]),
}

/// Gradients.
pub(crate) struct Slopes {
    pub(crate) input: Option<Vec<f32>>,
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    /// With [`Mask::Output`]; else it is the output's.
    pub(crate) bridge: Option<Vec<f32>>,
}

#[inline(always)]
fn normal(x: f32, mean: f32, scale: f32, bias: f32) -> f32 {
    (x - mean) * scale + bias
}

#[inline(always)]
fn add_distances(x: &[f32], middle: &[f32], sums: &mut [f32], squares: &mut [f32]) {
    let n = x.len();
    let (middle, sums, squares) = (&middle[..n], &mut sums[..n], &mut squares[..n]);
    for i in 0..n {
        let distance = x[i] - middle[i];
        sums[i] += distance;
        squares[i] += distance * distance;
    }
}

#[inline(always)]
fn scale_row<const RELU: bool>(x: &[f32], mean: &[f32], scale: &[f32], bias: &[f32], y: &mut [MaybeUninit<f32>]) {
    let n = x.len();
    let (mean, scale, bias, y) = (&mean[..n], &scale[..n], &bias[..n], &mut y[..n]);
    for i in 0..n {
        y[i].write(cut::<RELU>(normal(x[i], mean[i], scale[i], bias[i])));
    }
}

#[inline(always)]
fn add_row<const RELU: bool>(
    x: &[f32],
    mean: &[f32],
    scale: &[f32],
    bias: &[f32],
    bridge: &[f32],
    y: &mut [MaybeUninit<f32>],
) {
    let n = x.len();
    let (mean, scale, bias, bridge, y) = (&mean[..n], &scale[..n], &bias[..n], &bridge[..n], &mut y[..n]);
    for i in 0..n {
        y[i].write(cut::<RELU>(normal(x[i], mean[i], scale[i], bias[i]) + bridge[i]));
    }
}

#[inline(always)]
fn add_slopes(x: &[f32], mean: &[f32], slope: &[f32], sums: &mut [f32], products: &mut [f32]) {
    let n = x.len();
    let (mean, slope, sums, products) = (&mean[..n], &slope[..n], &mut sums[..n], &mut products[..n]);
    for i in 0..n {
        sums[i] += slope[i];
        products[i] += slope[i] * (x[i] - mean[i]);
    }
}

#[inline(always)]
fn add_masked(x: &[f32], values: [&[f32]; 3], slope: &[f32], sums: &mut [f32], products: &mut [f32]) {
    let n = x.len();
    let [mean, scale, bias] = values.map(|values| &values[..n]);
    let (slope, sums, products) = (&slope[..n], &mut sums[..n], &mut products[..n]);
    for i in 0..n {
        let slope = behind(normal(x[i], mean[i], scale[i], bias[i]), slope[i]);
        sums[i] += slope;
        products[i] += slope * (x[i] - mean[i]);
    }
}

#[inline(always)]
fn add_written(
    x: &[f32],
    mean: &[f32],
    y: &[f32],
    slope: &[f32],
    masked: &mut [MaybeUninit<f32>],
    sums: &mut [f32],
    products: &mut [f32],
) {
    let n = x.len();
    let (mean, y, slope, masked) = (&mean[..n], &y[..n], &slope[..n], &mut masked[..n]);
    let (sums, products) = (&mut sums[..n], &mut products[..n]);
    for i in 0..n {
        let slope = behind(y[i], slope[i]);
        masked[i].write(slope);
        sums[i] += slope;
        products[i] += slope * (x[i] - mean[i]);
    }
}

#[inline(always)]
fn slope_row<const MASKED: bool>(x: &[f32], slope: &[f32], values: &[Vec<f32>; 5], to: &mut [MaybeUninit<f32>]) {
    let n = x.len();
    let [mean, scale, bias, along, constant] = values.each_ref().map(|values| &values[..n]);
    let (slope, to) = (&slope[..n], &mut to[..n]);
    for i in 0..n {
        let slope = match MASKED {
            true => behind(normal(x[i], mean[i], scale[i], bias[i]), slope[i]),
            false => slope[i],
        };
        to[i].write(scale[i] * slope + (along[i] * (x[i] - mean[i]) + constant[i]));
    }
}
