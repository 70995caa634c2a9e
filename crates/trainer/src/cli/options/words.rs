//! What the TOML parser says of a recipe, in the words of those who write them. Where a key belongs is `options`' business.

/// The parser's own message draws the line over several.
pub(super) fn not_toml(text: &str, place: &str, error: &toml::de::Error) -> anyhow::Error {
    anyhow::anyhow!("recipe `{place}` line {}: not TOML: {}", line_of(text, error).0, error.message())
}

/// The line that an error is about, counted from 1, and what stands there.
pub(super) fn line_of<'a>(text: &'a str, error: &toml::de::Error) -> (usize, &'a str) {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count();
    (line + 1, text.lines().nth(line).unwrap_or_default().trim())
}

/// A message of serde's in the words of those who write recipes.
pub(crate) fn plain(message: &str) -> String {
    let mut text = message.trim().replace('\n', " ");
    for (from, to) in [
        ("data did not match any variant of untagged enum Choice", "expected a name, or a table with a name"),
        ("expected usize", "expected a whole number of 0 or more"),
        ("expected u64", "expected a whole number of 0 or more"),
        ("expected u32", "expected a whole number of 0 or more"),
        ("expected f64", "expected a number"),
        ("expected a sequence", "expected a list"),
        ("expected a string", "expected text in quotes"),
        ("invalid type: sequence", "invalid type: a list"),
    ] {
        text = text.replace(from, to);
    }
    match text.split_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid type: ") || found.starts_with("invalid value: ") => {
            let found = found.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
            format!("expected {expected}, found {found}")
        }
        _ => text,
    }
}
