//! Whether one model is better than another on the same samples: McNemar's test for answers that are right or wrong, and the paired
//! bootstrap for every other number. Plain numbers in and out; what the answers are is the caller's.

use data::random::{Purpose, Random};

/// What the answers of two models to the same samples say about which is right more often.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct McNemar {
    /// Samples that the first answers wrongly and the second rightly.
    pub fixed: u64,
    /// Samples that the first answers rightly and the second wrongly.
    pub broken: u64,
    /// The exact two-sided p-value: how often chance alone would make the two counts differ as much, from 0 to 1.
    pub exact: f64,
    /// The mid-p-value, which counts half of what is as probable as the counts found: less cautious than `exact`, and nearer to the
    /// level that it claims (Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs data", 2013).
    pub mid: f64,
}

impl McNemar {
    /// McNemar's test of `fixed` against `broken` samples: under chance alone, `fixed` is binomial with probability 1/2. Both p-values
    /// are twice those of one side, and at most 1; without any difference they are 1.
    pub fn of(fixed: u64, broken: u64) -> Self {
        let (n, k) = (fixed + broken, fixed.min(broken));
        // ln C(n, k), factor by factor: no factorial overflows.
        let ln_choose: f64 = (1..=k).map(|i| (((n - k + i) as f64) / i as f64).ln()).sum();
        let at_k = (ln_choose - n as f64 * std::f64::consts::LN_2).exp();
        // Each term from the one above it, until nothing is left to add.
        let (mut below, mut term) = (0.0, at_k);
        for i in (1..=k).rev() {
            term *= i as f64 / (n - i + 1) as f64;
            below += term;
            if term < below * 1e-18 {
                break;
            }
        }
        Self { fixed, broken, exact: (2.0 * (below + at_k)).min(1.0), mid: (2.0 * below + at_k).min(1.0) }
    }
}

/// Draws `samples` positions with replacement, `resamples` times, and shows each drawing to `observe`. The same for the same `seed`: models
/// that are measured on the same drawing are paired.
pub fn resample(samples: usize, resamples: u32, seed: u64, observe: &mut dyn FnMut(&[u32])) {
    let count = u32::try_from(samples).unwrap_or(u32::MAX);
    let mut drawn = vec![0; samples];
    for resample in 0..resamples {
        let mut random = Random::new(seed, Purpose::Resample, resample, 0);
        drawn.iter_mut().for_each(|position| *position = random.below(count));
        observe(&drawn);
    }
}

/// The middle 95 % of `values`: their 2.5th and 97.5th percentile, interpolated linearly between neighbours, as `numpy.percentile` does;
/// of a metric's values over [`resample`]d samples this is its 95 % bootstrap interval (Efron's percentile method). What isn't finite is left
/// out; `None` where nothing is left.
pub fn middle(values: &[f64]) -> Option<[f64; 2]> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let percentile = |share: f64| {
        let place = share * last as f64;
        let (below, part) = (place.floor() as usize, place.fract());
        sorted[below] + (sorted[(below + 1).min(last)] - sorted[below]) * part
    };
    Some([percentile(0.025), percentile(0.975)])
}
