//! Named ranges, and what is drawn from them: a pure function of the seed, the trial and the place of the name.

use std::collections::BTreeMap;

use data::random::{Purpose, Random};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The values that an option may have. In a recipe a table of one key: `{ log = [1e-4, 1e-1] }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Range {
    /// Numbers above 0 between two ends, evenly spaced by their logarithms.
    Log([f64; 2]),
    /// Numbers between two ends, evenly spaced.
    Uniform([f64; 2]),
    /// Whole numbers between two ends, both included.
    Int([i64; 2]),
    /// One of a list.
    Choice(Vec<Value>),
}

impl Range {
    /// Refuses a range that holds nothing.
    ///
    /// # Errors
    /// What is wrong, in words that go on after its name.
    pub fn check(&self) -> Result<(), String> {
        let found = |low: &dyn std::fmt::Display, high: &dyn std::fmt::Display| format!("found [{low}, {high}]");
        match self {
            Self::Log([low, high]) | Self::Uniform([low, high]) if !(low.is_finite() && high.is_finite()) => {
                Err(format!("expected two numbers, {}", found(low, high)))
            }
            Self::Log([low, high]) if *low <= 0.0 => {
                Err(format!("log: expected numbers above 0, {}", found(low, high)))
            }
            Self::Log([low, high]) | Self::Uniform([low, high]) if low >= high => {
                Err(format!("expected the smaller end first, {}", found(low, high)))
            }
            Self::Int([low, high]) if low >= high => {
                Err(format!("expected the smaller end first, {}", found(low, high)))
            }
            Self::Int([low, high]) if high.checked_sub(*low).is_none_or(|width| width >= i64::from(u32::MAX)) => {
                Err(format!("int: expected ends that are less than 2^32 - 1 apart, {}", found(low, high)))
            }
            Self::Choice(values) if values.is_empty() => Err("choice: expected at least one value, found none".into()),
            _ => Ok(()),
        }
    }

    /// The values that show whether an option takes what is drawn: both ends, or all of the list.
    pub fn extremes(&self) -> Vec<Value> {
        match self {
            Self::Log(ends) | Self::Uniform(ends) => ends.iter().map(|end| Value::from(*end)).collect(),
            Self::Int(ends) => ends.iter().map(|end| Value::from(*end)).collect(),
            Self::Choice(values) => values.clone(),
        }
    }

    fn draw(&self, random: &mut Random) -> Value {
        match self {
            Self::Log([low, high]) => {
                let drawn = (low.ln() + (high.ln() - low.ln()) * f64::from(random.uniform())).exp();
                Value::from(short(drawn).clamp(*low, *high))
            }
            Self::Uniform([low, high]) => {
                // Halves first: the width of the range may be beyond the largest number.
                let share = f64::from(random.uniform());
                let drawn = 2.0 * (low / 2.0 + (high / 2.0 - low / 2.0) * share);
                Value::from(short(drawn).clamp(*low, *high))
            }
            Self::Int([low, high]) => {
                let width = u32::try_from(high - low).unwrap_or(u32::MAX - 1);
                Value::from(low + i64::from(random.below(width + 1)))
            }
            Self::Choice(values) => values[random.below(values.len() as u32) as usize].clone(),
        }
    }
}

/// To four digits: a recipe that people read.
fn short(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// Ranges by the names of options.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Space(BTreeMap<String, Range>);

impl Space {
    /// Of these ranges.
    pub fn new(ranges: BTreeMap<String, Range>) -> Self {
        Self(ranges)
    }

    /// The ranges, by name.
    pub fn ranges(&self) -> &BTreeMap<String, Range> {
        &self.0
    }

    /// Refuses a space without ranges, or with one that holds nothing.
    ///
    /// # Errors
    /// What is wrong, with the range's name.
    pub fn check(&self) -> Result<(), String> {
        if self.0.is_empty() {
            return Err("expected at least one range, such as lr = { log = [1e-4, 1e-1] }, found none".into());
        }
        self.0.iter().try_for_each(|(name, range)| range.check().map_err(|what| format!("{name}: {what}")))
    }

    /// The values of `trial`, counted from 1: those of the first are the recipe's own, so that none are drawn.
    pub fn draw(&self, seed: u64, trial: u32) -> BTreeMap<String, Value> {
        if trial <= 1 {
            return BTreeMap::new();
        }
        let drawn = |(place, (name, range)): (usize, (&String, &Range))| {
            let mut random = Random::new(seed, Purpose::Tune, trial, place as u32);
            (name.clone(), range.draw(&mut random))
        };
        self.0.iter().enumerate().map(drawn).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn space(value: Value) -> Space {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_drawn_lies_in_its_range_and_reaches_all_of_it() {
        let space = space(json!({
            "a": { "log": [1e-4, 1e-1] }, "b": { "uniform": [-1.0, 1.0] }, "c": { "int": [-1, 2] }, "d": { "choice": ["x", 7, [1, 2]] },
        }));
        space.check().unwrap();
        let all: Vec<_> = (2..2002).map(|trial| space.draw(3, trial)).collect();
        let numbers = |name: &str| all.iter().map(|drawn| drawn[name].as_f64().unwrap()).collect::<Vec<_>>();
        let share = |values: &[f64], below: f64| values.iter().filter(|value| **value < below).count() as f64 / 2000.0;
        let (log, uniform, int) = (numbers("a"), numbers("b"), numbers("c"));
        assert!(log.iter().all(|value| (1e-4..=1e-1).contains(value)));
        assert!((share(&log, 1e-3) - 1.0 / 3.0).abs() < 0.04, "a third of the decades");
        assert!(uniform.iter().all(|value| (-1.0..=1.0).contains(value)) && (share(&uniform, 0.5) - 0.75).abs() < 0.04);
        assert!([-1.0, 0.0, 1.0, 2.0].iter().all(|whole| int.iter().filter(|value| *value == whole).count() > 400));
        assert!(all.iter().any(|drawn| drawn["d"] == json!([1, 2])) && all.iter().any(|drawn| drawn["d"] == "x"));
        assert!(all.iter().all(|drawn| drawn["a"].to_string().len() <= 10), "few digits");
    }

    #[test]
    fn a_draw_is_a_function_of_seed_trial_and_the_names() {
        let space = space(json!({ "a": { "uniform": [0, 1] }, "b": { "uniform": [0, 1] } }));
        assert_eq!(space.draw(1, 5), space.draw(1, 5));
        assert_ne!(space.draw(1, 5), space.draw(1, 6));
        assert_ne!(space.draw(1, 5), space.draw(2, 5));
        let drawn = space.draw(1, 5);
        assert_ne!(drawn["a"], drawn["b"]);
        assert!(space.draw(1, 1).is_empty(), "the recipe itself");
    }

    #[test]
    fn ranges_that_hold_nothing_are_refused() {
        let wrong = |range: Value| space(json!({ "lr": range })).check().unwrap_err();
        assert_eq!(wrong(json!({ "log": [1e-1, 1e-4] })), "lr: expected the smaller end first, found [0.1, 0.0001]");
        assert_eq!(wrong(json!({ "log": [0, 1] })), "lr: log: expected numbers above 0, found [0, 1]");
        assert_eq!(wrong(json!({ "int": [3, 3] })), "lr: expected the smaller end first, found [3, 3]");
        assert!(wrong(json!({ "int": [i64::MIN, i64::MAX] })).contains("less than 2^32 - 1 apart"));
        assert_eq!(wrong(json!({ "choice": [] })), "lr: choice: expected at least one value, found none");
        assert_eq!(Range::Uniform([f64::NAN, 1.0]).check().unwrap_err(), "expected two numbers, found [NaN, 1]");
        assert_eq!(Range::Log([1.0, f64::INFINITY]).check().unwrap_err(), "expected two numbers, found [1, inf]");
        assert!(Space::default().check().is_err());
    }
}
