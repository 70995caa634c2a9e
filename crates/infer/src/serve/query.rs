//! What stands behind the question mark of a request's target: names and values, decoded. Unknown names are refused, so that a misspelt one isn't
//! silently ignored.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use axum::http::Uri;

use super::problem::{Kind, Problem};

/// The parameters of a request.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Those in `uri`, whose names must be among `known`.
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs = Vec::new();
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = decode(name).zip(decode(value));
            let (name, value) = decoded.ok_or_else(|| malformed("expected UTF-8, percent-encoded, in the query"))?;
            if !known.contains(&name.as_str()) {
                return Err(malformed(format!("expected no parameters but {} in the query", known.join(", "))));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The last value of `name`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same as something else than text.
    pub(crate) fn value<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.text(name).map(|text| text.parse().map_err(|error| malformed(format!("{name}: {error}")))).transpose()
    }

    /// A whole number from 1 to `most`.
    pub(crate) fn count(&self, name: &str, most: usize) -> Result<Option<usize>, Problem> {
        let count = self.text(name).map(|text| text.parse().ok().filter(|count| (1..=most).contains(count)));
        match count {
            Some(None) => Err(malformed(format!("{name}: expected a whole number from 1 to {most}"))),
            count => Ok(count.flatten()),
        }
    }
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::MalformedRequest, detail)
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
                bytes.push(u8::from_str_radix(&String::from_utf8_lossy(digits), 16).ok()?);
                rest = &after[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(text) => Some(text.to_owned()),
        Cow::Owned(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &'static str) -> Result<Query, Problem> {
        Query::of(&Uri::try_from(format!("/x?{text}")).unwrap(), &["class", "n"])
    }

    #[test]
    fn values_are_decoded_and_the_last_one_counts() {
        let decoded = query("n=7&class=a+b%26%e2%82%ac&&n=8").unwrap();
        assert_eq!(decoded.text("class"), Some("a b&\u{20ac}"));
        assert_eq!((decoded.count("n", 9).unwrap(), decoded.count("n", 7).is_err()), (Some(8), true));
        assert_eq!(query("").unwrap().text("n"), None);
        for bad in ["class=%", "class=%4", "class=%+1", "class=%ff", "colour=1"] {
            assert!(query(bad).is_err(), "{bad}");
        }
    }
}
