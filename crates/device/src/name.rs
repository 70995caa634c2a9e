//! The grammar of `--device`: `auto`, `cpu`, or a backend with an optional `:n`. What the name stands for is opened elsewhere.

use crate::{Backend, Error};

/// A name, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The best device that answers.
    Auto,
    /// The best CPU backend of this build.
    Cpu,
    /// One backend, and which of its devices.
    Backend(Backend, Option<usize>),
}

/// Understands `name`, whatever its case.
pub(crate) fn parse(name: &str) -> Result<Choice, Error> {
    let lower = name.trim().to_lowercase();
    let (word, index) = match lower.split_once(':') {
        Some((word, index)) => (word, Some(index)),
        None => (lower.as_str(), None),
    };
    let backend = Backend::ALL.into_iter().find(|backend| backend.name() == word);
    match (word, backend, index) {
        ("auto", _, None) => Ok(Choice::Auto),
        ("cpu", _, None) => Ok(Choice::Cpu),
        (_, Some(backend), None) => Ok(Choice::Backend(backend, None)),
        (_, Some(backend), Some(index)) if backend.is_gpu() => match index.parse() {
            // Device numbers are 16 bits wide in the runtimes below; a larger one would wrap around there.
            Ok(index) if index <= usize::from(u16::MAX) => Ok(Choice::Backend(backend, Some(index))),
            _ => Err(wrong_index(name, format!("expected a number from 0 after the colon, such as {word}:0"))),
        },
        ("auto" | "cpu", ..) | (_, Some(_), Some(_)) => {
            Err(wrong_index(name, format!("{word} takes no number; write {word}")))
        }
        _ => Err(Error::Unknown { name: name.to_owned(), nearest: nearest(word), available: available() }),
    }
}

fn wrong_index(name: &str, what: String) -> Error {
    Error::Index { name: name.to_owned(), what }
}

/// The names that this build accepts, for messages.
pub(crate) fn available() -> String {
    let mut names = vec!["auto", "cpu"];
    names.extend(Backend::ALL.into_iter().filter(|backend| backend.is_built()).map(Backend::name));
    names.join(", ")
}

/// What people call these things elsewhere, and the name here.
const ALIASES: [(&str, &str); 7] = [
    ("gpu", "auto"),
    ("nvidia", "cuda"),
    ("mps", "metal"),
    ("apple", "metal"),
    ("webgpu", "wgpu"),
    ("host", "cpu"),
    ("rocm", "vulkan"),
];

fn nearest(word: &str) -> Option<&'static str> {
    if let Some((_, here)) = ALIASES.iter().find(|(alias, _)| *alias == word) {
        return Some(here);
    }
    let known = ["auto", "cpu"].into_iter().chain(Backend::ALL.into_iter().map(Backend::name));
    let scored = known.map(|known| (strsim::jaro_winkler(word, known), known));
    scored.filter(|(score, _)| *score > 0.7).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood_in_any_case() {
        assert_eq!(parse("auto").unwrap(), Choice::Auto);
        assert_eq!(parse(" CPU ").unwrap(), Choice::Cpu);
        assert_eq!(parse("Wgpu:1").unwrap(), Choice::Backend(Backend::Wgpu, Some(1)));
        assert_eq!(parse("cuda").unwrap(), Choice::Backend(Backend::Cuda, None));
    }

    #[test]
    fn a_misspelt_name_gets_the_nearest() {
        for (written, meant) in
            [("flexx", "flex"), ("wpgu", "wgpu"), ("ndaray", "ndarray"), ("gpu", "auto"), ("mps", "metal")]
        {
            let message = parse(written).unwrap_err().to_string();
            assert!(message.contains(&format!("did you mean {meant}?")), "{message}");
        }
        assert!(!parse("xyzzy").unwrap_err().to_string().contains("did you mean"));
    }

    #[test]
    fn an_index_must_be_a_number_and_belong_to_a_gpu() {
        for wrong in ["cuda:", "cuda:x", "cuda:-1", "wgpu:1:2", "cuda:65536", "vulkan:99999999999999999999999"] {
            let message = parse(wrong).unwrap_err().to_string();
            assert!(message.contains("expected a number from 0"), "{message}");
        }
        for wrong in ["auto:0", "cpu:1", "flex:0", "ndarray:2"] {
            let message = parse(wrong).unwrap_err().to_string();
            assert!(message.contains("takes no number"), "{message}");
        }
    }
}
