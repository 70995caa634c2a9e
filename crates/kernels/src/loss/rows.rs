//! Softmax cross-entropy on slices, row by row.

use std::ops::Range;

use crate::parallel;
use crate::product::arch;

/// What is wanted of the outputs.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The class of each sample.
    pub(super) classes: Vec<u32>,
    /// What a sample of each class counts, if not all the same.
    pub(super) weights: Option<Vec<f32>>,
    /// How much of each target is spread over the classes.
    pub(super) smoothing: f32,
}

impl Target {
    /// The loss of `outputs` `[samples, k]`. `gradient`, of the same size or empty, becomes the loss's gradient.
    pub(super) fn loss(&self, outputs: &[f32], k: usize, gradient: &mut [f32]) -> f32 {
        let samples = self.classes.len();
        let total = match &self.weights {
            Some(weights) => self.classes.iter().map(|&class| f64::from(weights[class as usize])).sum(),
            None => samples as f64,
        };
        // An exponential is some twenty operations.
        let parts = parallel::parts(samples, 24 * k);
        let mut sums = vec![0.0; parts.len()];
        let tracked = if gradient.is_empty() { 0 } else { k };
        let states = sums.iter_mut().zip(parallel::cut(&parts, gradient, tracked)).collect();
        parallel::each(&parts, states, |part, (sum, gradient): (&mut f64, &mut [f32])| {
            arch().dispatch(
                #[inline(always)]
                || *sum = self.part(part, outputs, k, total, gradient),
            );
        });
        (sums.iter().sum::<f64>() / total) as f32
    }

    /// The sum of the losses of some samples, each times its weight.
    #[inline(always)]
    fn part(&self, part: Range<usize>, outputs: &[f32], k: usize, total: f64, gradient: &mut [f32]) -> f64 {
        let mut own = vec![0.0; k];
        let spread = f64::from(self.smoothing) / k as f64;
        let weights = self.weights.as_deref();
        let all = weights.map_or(k as f64, |weights| weights.iter().copied().map(f64::from).sum());
        let mut sum = 0.0;
        for (at, sample) in part.enumerate() {
            let x = &outputs[sample * k..(sample + 1) * k];
            let p = if gradient.is_empty() { &mut own[..] } else { &mut gradient[at * k..(at + 1) * k] };
            let most = x.iter().fold(f32::NEG_INFINITY, |most, &x| if x > most { x } else { most });
            p.iter_mut().zip(x).for_each(|(p, &x)| *p = exp(x - most));
            let norm = p.iter().copied().map(f64::from).sum::<f64>();
            let log = f64::from(most) + norm.ln();

            let class = self.classes[sample] as usize;
            let weight = weights.map_or(1.0, |weights| f64::from(weights[class]));
            let hit = weight * (1.0 - f64::from(self.smoothing));
            sum += hit * (log - f64::from(x[class]));
            if self.smoothing > 0.0 {
                let each = |(at, &x): (usize, &f32)| {
                    weights.map_or(1.0, |weights| f64::from(weights[at])) * (log - f64::from(x))
                };
                sum += spread * x.iter().enumerate().map(each).sum::<f64>();
            }
            if !gradient.is_empty() {
                let p = &mut gradient[at * k..(at + 1) * k];
                let factor = ((hit + spread * all) / norm / total) as f32;
                p.iter_mut().for_each(|p| *p *= factor);
                p[class] -= (hit / total) as f32;
                let spread = (spread / total) as f32;
                match weights {
                    _ if self.smoothing == 0.0 => {}
                    None => p.iter_mut().for_each(|p| *p -= spread),
                    Some(weights) => p.iter_mut().zip(weights).for_each(|(p, weight)| *p -= spread * weight),
                }
            }
        }
        sum
    }
}

/// e to the x for x of zero and less, to about an ulp (a polynomial of degree 6 after splitting off powers of two, as in Cephes);
/// zero below -87. A loop over it becomes vectors, which the library's function doesn't.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -87.0;
    // Adding it leaves no bits behind the point.
    const ROUND: f32 = 12_582_912.0;
    let bounded = if x < LOWEST { LOWEST } else { x };
    let power = bounded * std::f32::consts::LOG2_E + ROUND;
    let whole = power - ROUND;
    // ln 2 in two parts, so that nothing is lost in the difference.
    let r = (bounded - whole * 0.693_359_4) + whole * 2.121_944_4e-4;
    let mut sum = 1.987_569_1e-4;
    for term in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        sum = sum * r + term;
    }
    let scale = f32::from_bits((power.to_bits() << 23).wrapping_add(127 << 23));
    let value = (sum * r * r + r + 1.0) * scale;
    if x < LOWEST { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_good_to_an_ulp_or_two() {
        for step in 0..870_000 {
            let x = -step as f32 * 1e-4;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() <= 2.0e-7 * exact, "{x}: {} {exact}", exp(x));
        }
        assert_eq!([exp(0.0), exp(-88.0), exp(f32::NEG_INFINITY)], [1.0, 0.0, 0.0]);
        assert!(exp(f32::NAN).is_nan());
    }
}
