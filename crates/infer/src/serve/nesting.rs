//! How much JSON may hold, counted before it is read: in memory a value has 32 bytes however short its text is, a list of one some 170, and an object
//! of one some 600. Without a bound on these a body would unfold to a hundred times its size.

use data::InputSpec;

use super::problem::{Kind, Problem};
use super::rows::too_many;

/// Lists and objects beside those of the inputs.
const BESIDE: usize = 256;
/// How deep they may lie in one another; what reads them would stop there, too.
const DEEPEST: usize = 127;

/// Refuses text with more lists or objects than `most` inputs can have.
pub(crate) fn check(bytes: &[u8], input: &InputSpec, most: usize) -> Result<(), Problem> {
    let (lists, objects) = match input {
        InputSpec::Image(spec) => (1 + spec.channels * (1 + spec.height), 0),
        // A row is a list or an object; a column may be a list of lists of one.
        InputSpec::Table(spec) => (1 + spec.columns.len(), 1),
    };
    let columns = if let InputSpec::Table(spec) = input { spec.columns.len() } else { 0 };
    let (lists, objects) = (BESIDE + columns + lists.saturating_mul(most), BESIDE + columns + objects * most);
    let found = count(bytes);
    if found.deepest > DEEPEST {
        let what = format!("expected lists and objects at most {DEEPEST} deep in one another, found more");
        return Err(Problem::new(Kind::MalformedJson, what));
    }
    if found.lists > lists || found.objects > objects { Err(too_many(most)) } else { Ok(()) }
}

/// Lists and objects that a text begins.
#[derive(Debug, Default, PartialEq)]
struct Found {
    lists: usize,
    objects: usize,
    deepest: usize,
}

fn count(bytes: &[u8]) -> Found {
    let (mut found, mut depth) = (Found::default(), 0_usize);
    let (mut quoted, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                if *byte == b'[' {
                    found.lists += 1
                } else {
                    found.objects += 1
                }
                depth += 1;
                found.deepest = found.deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_outside_of_strings_is_counted() {
        let text = br#"{"[{": ["\"[", "\\", {}, [[]]], "a": []}"#;
        assert_eq!(count(text), Found { lists: 4, objects: 2, deepest: 4 });
        assert_eq!(count(b"]]][\"\\\\\"["), Found { lists: 2, objects: 0, deepest: 2 });
    }
}
