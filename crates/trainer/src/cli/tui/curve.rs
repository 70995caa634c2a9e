//! A curve that is as long as a run and never takes more memory than a screen can show.

/// Points that are kept, at most; beyond, every second one goes.
const MOST: usize = 2048;

/// Points from left to right, in pieces between numbers that aren't finite.
#[derive(Clone, Debug, Default)]
pub(super) struct Curve {
    points: Vec<(f64, f64)>,
    /// Of so many points that come, one is kept.
    stride: usize,
    /// Points that came since one was kept.
    passed: usize,
    /// The newest, where it was passed over.
    newest: Option<(f64, f64)>,
}

impl Curve {
    /// Adds a point to the right. One that lies to the left of others takes their place, for the run went back; one at the same place is newer.
    pub(super) fn push(&mut self, x: f64, y: f64) {
        while self.points.last().is_some_and(|last| last.0 >= x) {
            self.points.pop();
        }
        self.newest = Some((x, y));
        self.passed += 1;
        if self.passed < self.stride.max(1) {
            return;
        }
        (self.passed, self.newest) = (0, None);
        self.points.push((x, y));
        if self.points.len() > MOST {
            let mut at = 0;
            self.points.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.stride = self.stride.max(1) * 2;
        }
    }

    /// All points, the newest too.
    pub(super) fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points.iter().copied().chain(self.newest)
    }

    /// The newest number.
    pub(super) fn last(&self) -> Option<f64> {
        self.points().last().map(|point| point.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_keeps_its_ends_and_its_order() {
        let mut curve = Curve::default();
        (0..100_001).for_each(|at| curve.push(f64::from(at), f64::from(at) * 2.0));
        let points: Vec<_> = curve.points().collect();
        assert!((MOST / 2..=MOST + 1).contains(&points.len()), "{}", points.len());
        assert!(points.is_sorted());
        assert_eq!((points[0], curve.last()), ((0.0, 0.0), Some(200_000.0)));
    }

    #[test]
    fn a_run_that_goes_back_takes_its_curve_with_it() {
        let mut curve = Curve::default();
        (0..10).for_each(|at| curve.push(f64::from(at), 1.0));
        curve.push(4.5, 2.0);
        assert_eq!(curve.points().skip(4).collect::<Vec<_>>(), [(4.0, 1.0), (4.5, 2.0)]);
    }
}
