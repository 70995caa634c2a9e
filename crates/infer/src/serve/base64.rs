//! Base64 (RFC 4648, section 4) read: images in JSON. Written it is by [`report::base64`].

/// The bytes that `text` stands for, or the place where it is none. Padding may be missing; the alphabet for URLs is taken too.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, usize> {
    let letters = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(letters.len() / 4 * 3 + 2);
    for (index, part) in letters.chunks(4).enumerate() {
        if part.len() == 1 {
            return Err(index * 4);
        }
        let mut word = 0_u32;
        for (at, &letter) in part.iter().enumerate() {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => return Err(index * 4 + at),
            };
            word |= u32::from(value) << (18 - 6 * at);
        }
        bytes.extend_from_slice(&word.to_be_bytes()[1..part.len()]);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use report::base64 as encode;

    #[test]
    fn text_and_bytes_are_those_of_the_standard() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in vectors {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
            assert_eq!(decode(text.trim_end_matches('=')).unwrap(), bytes.as_bytes());
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
        assert_eq!(decode("-_8"), decode("+/8="));
    }

    #[test]
    fn what_is_no_base64_is_told_by_its_place() {
        for (text, place) in [("Zm9v!", 4), ("Zm9 v", 3), ("Zm9vY", 4), ("=Zg", 0), ("Z\u{e9}", 1)] {
            assert_eq!(decode(text), Err(place), "{text}");
        }
    }
}
