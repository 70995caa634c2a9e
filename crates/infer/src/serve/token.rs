//! The bearer token that clients must show, where the server has one. Its text is never printed, logged or compared letter by letter.

use std::ffi::OsStr;
use std::path::Path;

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// What holds the token in the environment, where there is no file: an option would show it to everybody who lists processes.
pub(crate) const VARIABLE: &str = "STRIATE_TOKEN";

/// Bytes that a file with a token may have.
const LARGEST: u64 = 4096;
/// Letters that a token must have at least.
const SHORTEST: usize = 8;

/// The hash of a token.
pub(crate) struct Token([u8; 32]);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// The token in the first line of `file`, or `given` where there is no file.
    pub(crate) fn read(file: Option<&Path>, given: Option<&OsStr>) -> Result<Option<Self>, Failure> {
        let (text, from) = match (file, given) {
            (Some(path), _) => {
                let bytes = data::read_regular(path, LARGEST).map_err(|error| data::Error::io(path, error))?;
                (String::from_utf8_lossy(&bytes).into_owned(), path.display().to_string())
            }
            (None, Some(text)) => (text.to_string_lossy().into_owned(), VARIABLE.to_owned()),
            (None, None) => return Ok(None),
        };
        let token = text.lines().next().unwrap_or_default().trim();
        if token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let what = format!(
                "{from}: expected a token of at least {SHORTEST} visible ASCII letters, without spaces, in the first line"
            );
            return Err(Failure::usage(anyhow::anyhow!(what)));
        }
        Ok(Some(Self(Sha256::digest(token).into())))
    }

    /// Whether `headers` show it. Hashes are compared, and all of them: the time says nothing of the token.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let shown = shown.and_then(|value| {
            let (scheme, token) = value.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
        });
        let found: [u8; 32] = Sha256::digest(shown.unwrap_or_default()).into();
        let differing = self.0.iter().zip(found).fold(0, |all, (one, other)| all | (one ^ other));
        std::hint::black_box(differing) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn only_the_whole_token_opens() {
        let token = Token::read(None, Some("open-sesame".as_ref())).unwrap().unwrap();
        for value in ["Bearer open-sesame", "bearer  open-sesame "] {
            assert!(token.is_in(&shown(value)), "{value}");
        }
        for value in
            ["", "Bearer", "Bearer ", "Bearer open-sesam", "Bearer open-sesame2", "Basic open-sesame", "open-sesame"]
        {
            assert!(!token.is_in(&shown(value)), "{value}");
        }
        assert!(!token.is_in(&HeaderMap::new()));
    }

    #[test]
    fn a_token_that_is_none_is_refused() {
        for text in ["", "short", "with spaces in it", "\nsecond-line"] {
            assert!(Token::read(None, Some(text.as_ref())).is_err(), "{text:?}");
        }
        assert!(Token::read(None, None).unwrap().is_none());
    }
}
