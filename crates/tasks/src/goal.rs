//! A goal that ends training: `--target accuracy=0.99`.

use std::fmt;

use crate::metrics::{SCALARS, Scalar};
use crate::{Error, Metrics};

/// A metric and the value that it should reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// The metric, one of [`Task::metric_names`](crate::Task::metric_names).
    pub name: &'static str,
    /// The value to reach.
    pub value: f64,
    /// Whether the metric should be at least `value`, or at most.
    pub higher_is_better: bool,
}

impl Goal {
    /// Reads `NAME=VALUE`, where NAME is one of `names`; `-` and `_` are the same in names. VALUE may be a percentage (`99%`).
    pub(crate) fn parse(text: &str, names: &[&'static str]) -> Result<Self, Error> {
        let wrong = |what: String| Error::option("--target", what);
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| wrong(format!("expected METRIC=VALUE such as accuracy=0.99, found `{text}`")))?;
        let name = name.trim().to_lowercase().replace('-', "_");
        let scalar = SCALARS.iter().find(|scalar| scalar.name == name && names.contains(&scalar.name));
        let scalar = scalar.ok_or_else(|| wrong(unknown(&name, names)))?;
        let value = value.trim();
        let number = match value.strip_suffix('%') {
            Some(percent) => percent.trim_end().parse::<f64>().map(|number| number / 100.0),
            None => value.parse(),
        };
        match number {
            Ok(number) if scalar.reaches(number) => {
                Ok(Self { name: scalar.name, value: number, higher_is_better: scalar.higher_is_better })
            }
            _ => Err(wrong(format!("{name}: expected {}, found `{value}`", scalar.range()))),
        }
    }

    /// Whether `metrics` reach the goal; a metric that is undefined doesn't.
    pub fn reached(&self, metrics: &Metrics) -> bool {
        metrics.get(self.name).is_some_and(|value| match self.higher_is_better {
            true => value >= self.value,
            false => value <= self.value,
        })
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, if self.higher_is_better { ">=" } else { "<=" }, self.value)
    }
}

impl Scalar {
    fn reaches(&self, value: f64) -> bool {
        value.is_finite() && (self.low.is_none_or(|low| value >= low)) && (self.high.is_none_or(|high| value <= high))
    }

    fn range(&self) -> String {
        match (self.low, self.high) {
            (Some(low), Some(high)) => format!("a number from {low} to {high}"),
            (Some(low), None) => format!("a number of at least {low}"),
            (None, Some(high)) => format!("a number up to {high}"),
            (None, None) => "a number".into(),
        }
    }
}

fn unknown(name: &str, names: &[&'static str]) -> String {
    let near = data::near(name, names.iter().copied());
    let hint = near.map(|known| format!("did you mean `{known}`? ")).unwrap_or_default();
    format!("unknown metric `{name}`; {hint}this task has {}", names.join(", "))
}
