//! The curve of a range test, and what it says: where the loss falls fastest, where it is least, and which rate to train with.

use serde::Serialize;

/// Of the smoothed loss, the part that a step keeps.
const KEPT: f64 = 0.9;
/// The loss has diverged where it is above this many times its least.
const DIVERGED: f64 = 4.0;
/// Steps in which nothing is judged: the first losses are the noise of single batches.
const FIRST: usize = 10;
/// The least fall that counts as learning, as a part of the loss at the beginning.
const FALL: f64 = 0.05;

/// One step of the test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The rate of its update.
    pub lr: f64,
    /// The mean training loss of its batch, before the update.
    pub loss: f64,
    /// The same, smoothed: an exponential moving average without its bias to zero (Kingma and Ba, "Adam", 2015, section 3).
    pub smoothed: f64,
}

/// The losses by rate, in the order of the steps. All numbers are finite.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Curve {
    /// The steps.
    pub points: Vec<Point>,
}

/// The rates that a curve suggests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Suggestion {
    /// Where the smoothed loss falls fastest for each decade of the rate.
    pub steepest: f64,
    /// Where the smoothed loss is least.
    pub minimum: f64,
    /// A tenth of `minimum`.
    pub tenth: f64,
    /// The one to train with: the geometric mean of `steepest` and `tenth`. Either alone is off by a factor of ten now and then, the one where
    /// single batches are noisy, the other where the loss hardly changes for decades; `docs/tuning.md` has what they came to.
    pub lr: f64,
}

impl Curve {
    /// Adds a step; `loss` is finite.
    pub(super) fn push(&mut self, lr: f64, loss: f64) {
        // The weights of all losses so far, which the average is divided by: 1 - 0.9^n.
        let share = |steps: usize| 1.0 - KEPT.powi(steps.min(1000) as i32);
        let steps = self.points.len();
        let before = self.points.last().map_or(0.0, |last| last.smoothed * share(steps));
        let smoothed = (KEPT * before + (1.0 - KEPT) * loss) / share(steps + 1);
        self.points.push(Point { lr, loss, smoothed });
    }

    /// Whether the smoothed loss is above four times its least.
    pub(super) fn has_diverged(&self) -> bool {
        let judged = self.points.get(FIRST - 1..).unwrap_or_default();
        let least = judged.iter().map(|point| point.smoothed).fold(f64::INFINITY, f64::min);
        judged.last().is_some_and(|last| last.smoothed > DIVERGED * least)
    }

    /// The rates to train with. `None` where the smoothed loss falls by less than a twentieth: nothing was learned at any of the rates.
    pub fn suggestion(&self) -> Option<Suggestion> {
        let smoothed = |at: usize| self.points[at].smoothed;
        let lowest = (0..self.points.len()).min_by(|&a, &b| smoothed(a).total_cmp(&smoothed(b)))?;
        let first = &self.points[..FIRST.min(self.points.len())];
        let mean = first.iter().map(|point| point.loss).sum::<f64>() / first.len() as f64;
        // What diverges at once is no beginning to fall from.
        let start = mean.min(first[0].loss);
        if start - smoothed(lowest) <= FALL * start.abs() {
            return None;
        }
        // Slopes are those of straight lines through an eighth of the steps: between two steps there is mostly noise.
        let half = (self.points.len() / 16).max(1);
        let slope = |at: usize| {
            let window = &self.points[at.saturating_sub(half)..(at + half + 1).min(self.points.len())];
            fitted_slope(window)
        };
        let steepest = (FIRST.min(lowest)..=lowest).min_by(|&a, &b| slope(a).total_cmp(&slope(b)))?;
        let (steepest, minimum) = (self.points[steepest].lr, self.points[lowest].lr);
        let tenth = minimum / 10.0;
        Some(Suggestion { steepest, minimum, tenth, lr: (steepest.ln() / 2.0 + tenth.ln() / 2.0).exp() })
    }
}

/// The slope of the straight line through the smoothed losses over ln(rate), by least squares.
fn fitted_slope(window: &[Point]) -> f64 {
    let n = window.len() as f64;
    let x = window.iter().map(|point| point.lr.ln()).sum::<f64>() / n;
    let y = window.iter().map(|point| point.smoothed).sum::<f64>() / n;
    let both = window.iter().map(|point| (point.lr.ln() - x) * (point.smoothed - y)).sum::<f64>();
    let own = window.iter().map(|point| (point.lr.ln() - x).powi(2)).sum::<f64>();
    if own > 0.0 { both / own } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `loss` of each rate, 16 steps a decade from 1e-6 on.
    fn curve(steps: usize, loss: impl Fn(f64) -> f64) -> Curve {
        let mut curve = Curve::default();
        for step in 0..steps {
            let lr = 10f64.powf(-6.0 + step as f64 / 16.0);
            curve.push(lr, loss(lr));
        }
        curve
    }

    #[test]
    fn the_average_has_no_bias_to_zero() {
        assert!(curve(50, |_| 2.5).points.iter().all(|point| (point.smoothed - 2.5).abs() < 1e-12));
        let two = curve(2, |lr| if lr < 1.01e-6 { 1.0 } else { 2.0 });
        // (0.09 * 1 + 0.1 * 2) / 0.19
        assert!((two.points[1].smoothed - 0.29 / 0.19).abs() < 1e-12, "{two:?}");
    }

    #[test]
    fn the_steepest_point_and_the_minimum_are_those_of_the_curve() {
        // Falls as a logistic curve around 1e-3, and rises towards 1e-1.
        let loss = |lr: f64| 2.0 / (1.0 + (lr / 1e-3).powi(2)) + 0.2 + (lr / 1e-1).powi(2);
        let found = curve(96, loss).suggestion().unwrap();
        // The average lags: both are found late, by half a decade at most.
        assert!((1e-3..4e-3).contains(&found.steepest), "{found:?}");
        assert!((1e-2..1e-1).contains(&found.minimum), "{found:?}");
        assert_eq!(found.tenth, found.minimum / 10.0);
        assert!((found.lr.powi(2) / (found.steepest * found.tenth) - 1.0).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn a_curve_that_never_falls_suggests_nothing() {
        assert_eq!(Curve::default().suggestion(), None);
        assert_eq!(curve(1, |_| 2.0).suggestion(), None);
        assert_eq!(curve(96, |_| 0.0).suggestion(), None);
        assert_eq!(curve(96, |lr| 2.0 + lr * 1e3).suggestion(), None, "only rises");
        assert_eq!(curve(96, |lr| if lr < 1.01e-6 { 2.0 } else { 1e6 / lr }).suggestion(), None, "diverges at once");
        assert_eq!(curve(96, |lr| 2.0 + 0.05 * (lr.ln() * 9.0).sin()).suggestion(), None, "noise");
    }

    #[test]
    fn a_loss_above_four_times_its_least_has_diverged() {
        let rising = |factor: f64| curve(96, |lr| if lr > 0.11 { factor } else { 1.0 });
        let diverged = |curve: &Curve| (1..=96).find(|&n| Curve { points: curve.points[..n].to_vec() }.has_diverged());
        assert_eq!(diverged(&rising(3.9)), None);
        assert_eq!(diverged(&rising(1e30)), Some(82));
        assert_eq!(diverged(&curve(96, |lr| if lr < 2e-6 { 0.01 } else { 1.0 })), None, "a lucky batch at first");
    }
}
