//! What the text of one field means: missing, a number, yes or no. The one place that knows, for training and inference.

use crate::error;

/// Spellings of a missing value, beside the empty field; compared without regard to case.
pub const MISSING: [&str; 8] = ["?", "na", "n/a", "#n/a", "<na>", "nan", "null", "none"];

/// Whether `field` stands for a value that isn't there.
pub(super) fn is_missing(field: &str) -> bool {
    field.is_empty() || MISSING.iter().any(|word| field.eq_ignore_ascii_case(word))
}

/// Whether `field` stands for a target that isn't there. "none" is a class of its own: damage can be none, minor or major.
pub(super) fn is_missing_target(field: &str) -> bool {
    is_missing(field) && !field.eq_ignore_ascii_case("none")
}

/// `field` as a number, which may be infinite (`inf`, `1e999`); `None` for text and missing values.
pub(super) fn number(field: &str) -> Option<f64> {
    if is_missing(field) { None } else { field.parse().ok().filter(|number: &f64| !number.is_nan()) }
}

/// Whether `number` can be computed with: finite in the 32 bits that networks use.
pub(super) fn is_usable(number: f64) -> bool {
    (number as f32).is_finite()
}

/// 0 or 1 for `0`, `1`, `false`, `true`, `no` and `yes`.
pub(super) fn flag(field: &str) -> Option<u8> {
    match field.to_ascii_lowercase().as_str() {
        "0" | "0.0" | "false" | "no" => Some(0),
        "1" | "1.0" | "true" | "yes" => Some(1),
        _ => None,
    }
}

/// A whole number without its decimals ("3.0" is "3"), so that codes written in two ways are one class; other text as it is.
pub(super) fn canonical(field: &str) -> String {
    match number(field) {
        // Above 2^53 neighbours would become one.
        Some(number) if number.fract() == 0.0 && number.abs() < 9e15 => format!("{}", number as i64),
        _ => field.to_owned(),
    }
}

/// `field` for a message: short, on one line.
pub(super) fn shown(field: &str) -> String {
    let mut short: String = field.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if field.chars().nth(40).is_some() {
        short.push_str("...");
    }
    format!("`{short}`")
}

/// The word of `words` that `wanted` most likely meant.
pub(super) fn near<'a>(wanted: &str, words: impl IntoIterator<Item = &'a String>) -> Option<&'a str> {
    error::near(wanted, words.into_iter().map(String::as_str))
}

/// `words`, the first twelve of them where there are more.
pub(super) fn list<S: AsRef<str>>(words: &[S]) -> String {
    let shown: Vec<&str> = words.iter().take(12).map(AsRef::as_ref).collect();
    match words.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
