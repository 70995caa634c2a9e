//! The option `--batch`: a number of samples, or `auto`, to be chosen by memory, with or without a budget. What is chosen is `settle`'s.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// Samples in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Batch {
    /// That many.
    Size(usize),
    /// As many as fit into these bytes, or into a part of what is free.
    Auto(Option<u64>),
}

/// What is expected, in words that go on after "expected".
const EXPECTED: &str = "a whole number of 0 or more, auto, or auto:SIZE such as auto:2GiB";

impl Batch {
    /// How many samples; none before that is settled.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Size(size) => size,
            Self::Auto(_) => 0,
        }
    }

    /// From the command line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected {EXPECTED}");
        match text.strip_prefix("auto") {
            Some("") => Ok(Self::Auto(None)),
            Some(budget) => {
                budget.strip_prefix(':').and_then(bytes).map(|bytes| Self::Auto(Some(bytes))).ok_or_else(wrong)
            }
            None => text.parse().map(Self::Size).map_err(|_| wrong()),
        }
    }
}

/// `2GiB`, `512 MiB`; powers of 1024 only.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let scale: u64 = match unit {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok()?;
    Some((number * scale as f64) as u64).filter(|bytes| number.is_finite() && *bytes > 0)
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Size(size) => serializer.serialize_u64(*size as u64),
            Self::Auto(None) => serializer.serialize_str("auto"),
            Self::Auto(Some(bytes)) => serializer.serialize_str(&format!("auto:{}KiB", bytes.div_ceil(1 << 10))),
        }
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected;
        impl Visitor<'_> for Expected {
            type Value = Batch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Batch, E> {
                let found = serde::de::Unexpected::Signed(value);
                usize::try_from(value).map(Batch::Size).map_err(|_| E::invalid_value(found, &self))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Batch, E> {
                let found = serde::de::Unexpected::Unsigned(value);
                usize::try_from(value).map(Batch::Size).map_err(|_| E::invalid_value(found, &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Batch, E> {
                // A number in quotes is a slip, and no word.
                let found = serde::de::Unexpected::Str(text);
                match Batch::parse(text) {
                    Ok(auto @ Batch::Auto(_)) => Ok(auto),
                    _ => Err(E::invalid_value(found, &self)),
                }
            }
        }
        deserializer.deserialize_any(Expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_auto_and_auto_with_a_budget_are_understood_and_nothing_else() {
        let read = |text: &str| Batch::parse(text).ok();
        assert_eq!(read("64"), Some(Batch::Size(64)));
        assert_eq!(read("auto"), Some(Batch::Auto(None)));
        assert_eq!(read("auto:2GiB"), Some(Batch::Auto(Some(2 << 30))));
        assert_eq!(read("auto:1.5 MiB"), Some(Batch::Auto(Some(3 << 19))));
        for bad in [
            "",
            "-1",
            "1.5",
            "Auto",
            "auto:",
            "auto2GiB",
            "auto:2",
            "auto:2GB",
            "auto:-1GiB",
            "auto:NaNGiB",
            "auto:0KiB",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
