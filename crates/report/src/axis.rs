//! Axes of charts: where numbers lie on a drawing, and the round ones that are written beside it.

use crate::html::number;

/// A range of numbers and where they lie on the drawing.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    pub(crate) from: f64,
    pub(crate) to: f64,
    scale: Scale,
}

/// How numbers are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// By themselves.
    Even,
    /// By their logarithms; only numbers above zero have a place.
    Logarithmic,
}

impl Axis {
    /// Over all finite `values`, which lie on the drawing between the two ends; something with a width even where they have none.
    pub fn over(values: impl Iterator<Item = f64>, scale: Scale, [from, to]: [f64; 2]) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite() && (scale == Scale::Even || *value > 0.0)) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if scale == Scale::Logarithmic {
            low = if low > 0.0 { low } else { high / 10.0 };
            // Something with a width, as below.
            let (low, high) = if high / low < 1.01 { (low / 3.0, high * 3.0) } else { (low, high) };
            return Self { low: low.max(f64::MIN_POSITIVE), high: high.min(f64::MAX), from, to, scale };
        }
        let least = low.abs().max(high.abs()).max(1e-30) * 1e-6;
        if high - low <= least {
            (low, high) = (low - low.abs().max(1e-3) * 0.5, high + high.abs().max(1e-3) * 0.5);
        }
        Self { low, high, from, to, scale }
    }

    /// Where `value` lies on the drawing.
    pub fn at(&self, value: f64) -> f64 {
        if self.scale == Scale::Logarithmic {
            let share = (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln());
            return self.from + share * (self.to - self.from);
        }
        // Halves first: the width of the range may be beyond the largest number.
        let share = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        self.from + share * (self.to - self.from)
    }

    /// Round numbers inside the range: steps of 1, 2 or 5; of logarithms powers of ten.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        if self.scale == Scale::Logarithmic {
            return self.decades();
        }
        let rough = (self.high / 7.0) - (self.low / 7.0);
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|step| *step >= rough);
        let Some(step) = step.filter(|step| step.is_finite() && *step > 0.0) else { return Vec::new() };
        let first = (self.low / step).ceil();
        let ticks = (0..12).map(|n| (first + f64::from(n)) * step);
        // The last one may be rounded beyond the end.
        ticks.take_while(|tick| *tick <= self.high + step * 1e-6).map(|tick| tick.min(self.high)).collect()
    }

    /// Powers of ten inside the range, every so many that there are no more than nine; within one or two decades 2 and 5 of each too.
    fn decades(&self) -> Vec<f64> {
        let [first, last] = [self.low.log10().floor(), self.high.log10().ceil()].map(|power| power as i32);
        let every = ((last - first) / 8).max(1);
        let digits: &[f64] = if last - first <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let powers = (first..=last).filter(|power| power.rem_euclid(every) == 0);
        // Parsed, for 10^-5 by multiplication is no round number.
        let ticks =
            powers.flat_map(|power| digits.iter().filter_map(move |digit| format!("{digit}e{power}").parse().ok()));
        ticks.filter(|tick| (self.low * 0.999..=self.high * 1.001).contains(tick)).collect()
    }
}

/// A round number without zeros at its end.
pub(crate) fn short(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        // Multiples of a step are rounded: 6.000000000000001e-4.
        let round: f64 = format!("{value:.4e}").parse().unwrap_or(value);
        return format!("{round:e}");
    }
    let text = number(value);
    match text.contains('.') && !text.contains('e') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_as_short_as_large_ones() {
        let axis = Axis { low: 5e-4, high: 1e-3, from: 0.0, to: 100.0, scale: Scale::Even };
        let words: Vec<String> = axis.ticks().iter().map(|tick| short(*tick)).collect();
        assert_eq!(words, ["5e-4", "6e-4", "7e-4", "8e-4", "9e-4", "0.001"]);
        assert_eq!([1.5e-9, -2.0 * 3e-7, 3e-5 * 7.0].map(short), ["1.5e-9", "-6e-7", "2.1e-4"]);
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = |low, high| Axis { low, high, from: 0.0, to: 100.0, scale: Scale::Even };
        assert_eq!(
            axis(0.0, 1.0).ticks().iter().map(|tick| short(*tick)).collect::<Vec<_>>(),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(axis(-3.0, 47.0).ticks(), [0.0, 10.0, 20.0, 30.0, 40.0]);
        for (low, high) in [(1e-30, 2e-30), (-1e300, 1e300), (5.0, 5.0 + 1e-4)] {
            let ticks = axis(low, high).ticks();
            assert!(
                ticks.len() >= 2 && ticks.iter().all(|tick| *tick >= low && *tick <= high),
                "{low} {high} {ticks:?}"
            );
        }
    }

    #[test]
    fn logarithms_are_evenly_spaced_and_what_has_none_has_no_place() {
        let axis = |values: &[f64]| Axis::over(values.iter().copied(), Scale::Logarithmic, [0.0, 80.0]);
        let decades = axis(&[1e-7, 10.0, -3.0, 0.0, f64::NAN, f64::INFINITY]);
        assert_eq!((decades.low, decades.high, decades.at(1e-7), decades.at(10.0)), (1e-7, 10.0, 0.0, 80.0));
        assert!((decades.at(1e-3) - 40.0).abs() < 1e-9);
        let written = |axis: Axis| axis.ticks().into_iter().map(short).collect::<Vec<_>>();
        assert_eq!(written(decades), ["1e-7", "1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1", "1", "10"]);
        assert_eq!(written(axis(&[0.15, 3.0])), ["0.2", "0.5", "1", "2"]);
        for odd in [&[][..], &[0.0], &[-1.0], &[5.0], &[f64::MIN_POSITIVE, f64::MAX]] {
            let axis = axis(odd);
            assert!(axis.low > 0.0 && axis.high > axis.low && axis.ticks().len() <= 12, "{odd:?}: {:?}", axis.ticks());
        }
    }
}
