//! One of several equal parts of the inputs, so that programs on many machines share them without talking to one another.

use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Parts that inputs may be cut into.
const MOST: u64 = 1 << 20;

/// `3/8`: the third of eight parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From 0.
    index: u64,
    count: u64,
}

impl Shard {
    /// Whether the input called `source` is of this part: its name alone says so, whatever other inputs there are and in whichever order they
    /// are found. The first 8 bytes of the name's SHA-256 as a big-endian number, modulo the number of parts.
    pub(crate) fn takes(self, source: &str) -> bool {
        let digest = Sha256::digest(source.as_bytes());
        let number = digest.iter().take(8).fold(0_u64, |number, &byte| (number << 8) | u64::from(byte));
        number % self.count == self.index
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(part, count)| Some((part.parse().ok()?, count.parse().ok()?)));
        match parts {
            Some((part, count)) if (1..=count).contains(&part) && count <= MOST => Ok(Self { index: part - 1, count }),
            _ => Err(format!("expected a part of so many, such as 3/8 (1/8 to 8/8, at most {MOST} of them)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_of_one_part_and_parts_are_alike() {
        let shards: Vec<Shard> = (1..=8).map(|part| format!("{part}/8").parse().unwrap()).collect();
        let mut sizes = [0_u32; 8];
        for at in 0..8000 {
            let name = format!("pictures/{at}.png");
            let takers: Vec<usize> = (0..8).filter(|&part| shards[part].takes(&name)).collect();
            assert_eq!(takers.len(), 1, "{name}");
            sizes[takers[0]] += 1;
        }
        assert!(sizes.iter().all(|size| (850..1150).contains(size)), "{sizes:?}");
    }

    #[test]
    fn the_rule_is_the_documented_one() {
        // printf a.png | sha256sum | cut -c1-16, as a number modulo 3
        let parts: Vec<bool> =
            (1..=3).map(|part| format!("{part}/3").parse::<Shard>().unwrap().takes("a.png")).collect();
        assert_eq!(parts, [false, false, true]);
    }

    #[test]
    fn parts_that_do_not_exist_are_refused() {
        for text in ["0/8", "9/8", "3", "3/", "/8", "a/b", "1/0", "-1/8", "1/99999999", "1.5/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert!("1/1".parse::<Shard>().unwrap().takes("anything"));
    }
}
