//! A sum without rounding: Shewchuk's expansion ("Adaptive precision floating-point arithmetic", 1997), read as Python's `fsum`
//! reads it. The value is the correctly rounded true sum, so it doesn't depend on the order in which numbers and parts were added.

/// The exact sum of finite numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct ExactSum {
    /// Non-overlapping parts, the smallest first.
    parts: Vec<f64>,
}

impl ExactSum {
    /// Adds a finite number.
    pub(super) fn add(&mut self, mut x: f64) {
        let mut kept = 0;
        for index in 0..self.parts.len() {
            let mut y = self.parts[index];
            if x.abs() < y.abs() {
                std::mem::swap(&mut x, &mut y);
            }
            let high = x + y;
            let low = y - (high - x);
            if low != 0.0 {
                self.parts[kept] = low;
                kept += 1;
            }
            x = high;
        }
        self.parts.truncate(kept);
        self.parts.push(x);
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: &Self) {
        other.parts.iter().for_each(|&part| self.add(part));
    }

    /// The sum, rounded once; zero for no numbers.
    pub(super) fn value(&self) -> f64 {
        let Some((&last, rest)) = self.parts.split_last() else { return 0.0 };
        let (mut high, mut low, mut left) = (last, 0.0, rest.len());
        while left > 0 && low == 0.0 {
            left -= 1;
            let sum = high + rest[left];
            low = rest[left] - (sum - high);
            high = sum;
        }
        // Halfway cases round by what lies below, not to even.
        if left > 0 && ((low < 0.0 && rest[left - 1] < 0.0) || (low > 0.0 && rest[left - 1] > 0.0)) {
            let doubled = low * 2.0;
            let other = high + doubled;
            if doubled == other - high {
                return other;
            }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(numbers: &[f64]) -> ExactSum {
        let mut sum = ExactSum::default();
        numbers.iter().for_each(|&number| sum.add(number));
        sum
    }

    #[test]
    fn small_numbers_survive_large_ones() {
        assert_eq!(sum(&[1e100, 1.0, -1e100, 1e-50]).value(), 1.0);
        assert_eq!(sum(&[0.1; 10]).value(), 1.0);
        assert_eq!(sum(&[]).value(), 0.0);
        assert_eq!(sum(&[1.0, 2f64.powi(-53), 2f64.powi(-110)]).value(), 1.0 + f64::EPSILON);
    }

    proptest! {
        #[test]
        fn order_and_grouping_change_nothing(numbers in prop::collection::vec(-1e30..1e30_f64, 0..40), cut in 0..40_usize) {
            let cut = cut.min(numbers.len());
            let mut parts = sum(&numbers[cut..]);
            parts.merge(&sum(&numbers[..cut]));
            let reversed: Vec<f64> = numbers.iter().rev().copied().collect();
            prop_assert_eq!(parts.value(), sum(&numbers).value());
            prop_assert_eq!(sum(&reversed).value(), sum(&numbers).value());
        }
    }
}
