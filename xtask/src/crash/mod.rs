//! `cargo xtask crash`: the trainer is killed, its power is cut, the system refuses it things; each time the run is resumed and must
//! end with the bits of one that nothing happened to. Owns the options and the report; each way to fail has a file of its own.

mod disk;
mod faults;
mod kills;
mod lab;
mod power;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::workspace::Scratch;
use lab::Lab;

/// What is asked for.
struct Options {
    kills: usize,
    states: usize,
    /// Refusals; all there can be, at most.
    faults: usize,
    seed: u64,
    json: bool,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self { kills: 0, states: 0, faults: 0, seed: 1, json: false };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            if word == "--json" {
                options.json = true;
                continue;
            }
            let text = *words.next().with_context(|| format!("{word}: expected a number behind it"))?;
            let number = || text.parse().with_context(|| format!("{word}: expected a number, found `{text}`"));
            match word {
                "--kills" => options.kills = number()?,
                "--power" => options.states = number()?,
                "--faults" if text == "all" => options.faults = usize::MAX,
                "--faults" => options.faults = number()?,
                "--seed" => options.seed = number()? as u64,
                _ => bail!(
                    "unknown option `{word}`; there are --kills N, --power N, --faults N|all, --seed N and --json"
                ),
            }
        }
        if options.kills == 0 && options.states == 0 && options.faults == 0 {
            options.kills = 200;
        }
        Ok(options)
    }
}

/// Does what is asked for; an error as soon as anything is lost.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    let scratch = Scratch::new("crash")?;
    let labs = Lab::all(&scratch.0)?;
    let mut report = serde_json::Map::new();
    for (number, lab) in labs.iter().enumerate() {
        // Each its share, the first ones what is left over.
        let share = |all: usize| all / labs.len() + usize::from(number < all % labs.len());
        let seed = options.seed;
        let mut found = serde_json::Map::new();
        if share(options.kills) > 0 {
            found.insert("kills".into(), kills::run(lab, share(options.kills), seed)?);
        }
        if share(options.states) > 0 {
            found.insert("power".into(), power::run(lab, share(options.states), seed)?);
        }
        if share(options.faults) > 0 {
            found.insert("faults".into(), faults::run(lab, share(options.faults), seed)?);
        }
        if !options.json {
            found.iter().for_each(|(what, found)| println!("{}, {what}: {}", lab.name(), line(found)));
        }
        report.insert(lab.name().into(), found.into());
    }
    if options.json {
        println!("{}", json!({ "v": 2, "seed": options.seed, "report": report }));
    }
    Ok(())
}

/// Numbers with their names, in a line.
fn line(found: &Value) -> String {
    let numbers = found.as_object().into_iter().flatten();
    numbers.map(|(name, value)| format!("{value} {}", name.replace('_', " "))).collect::<Vec<_>>().join(", ")
}

/// Numbers that look random (xorshift), the same for the same seed.
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// One of `0..most`.
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as usize) % most.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_what_is_unknown_is_refused() {
        let options = Options::parse(&["--power", "7", "--seed", "3"]).unwrap();
        assert_eq!((options.kills, options.states, options.seed), (0, 7, 3));
        assert_eq!(Options::parse(&[]).unwrap().kills, 200);
        for words in [&["--kills"][..], &["--kills", "many"], &["--murders", "3"]] {
            assert!(Options::parse(words).is_err(), "{words:?}");
        }
    }
}
