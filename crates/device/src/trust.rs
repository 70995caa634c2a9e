//! Which GPU `auto` may take: the first that is known to compute correctly, or is found to now; or, where processes share a machine, the one
//! of its own for each. How one is opened and compared is the caller's; this is the decision alone.

use crate::verdicts::{Key, Verdict, Verdicts};

/// A device that may be taken, and what its answer is kept under.
pub(crate) struct Candidate<T> {
    /// Such as `wgpu:0`.
    pub(crate) name: String,
    /// What it is reached through: a card may be reached in several ways.
    pub(crate) backend: &'static str,
    pub(crate) key: Key,
    pub(crate) device: T,
}

/// What came of it.
pub(crate) struct Decision<T> {
    pub(crate) chosen: Option<T>,
    /// Why each of those before it was not taken, one line each.
    pub(crate) reasons: Vec<String>,
    /// How many before it compute correctly, which others take.
    pub(crate) good: usize,
}

/// Goes through `candidates` in their order, up to the one that computes correctly behind as many others of its backend as `before` says; one
/// that could not be opened is its reason. `check` is asked about those that `verdicts` doesn't know, and its answer kept; its error is why there
/// is none, which another time may find. Whatever the user should know of that goes to `tell`.
pub(crate) fn decide<T>(
    candidates: impl Iterator<Item = Result<Candidate<T>, String>>,
    before: usize,
    verdicts: &mut Verdicts,
    mut check: impl FnMut(&Candidate<T>) -> Result<Verdict, String>,
    tell: &mut dyn FnMut(&str),
) -> Decision<T> {
    let (mut reasons, mut good, mut through) = (Vec::new(), 0, "");
    for candidate in candidates {
        let candidate = match candidate {
            Ok(candidate) => candidate,
            Err(reason) => {
                reasons.push(reason);
                continue;
            }
        };
        if good > 0 && candidate.backend != through {
            break;
        }
        let verdict = match verdicts.get(&candidate.key) {
            Some(known) => known.clone(),
            None => match check(&candidate) {
                Ok(verdict) => {
                    if let Err(error) = verdicts.keep(candidate.key.clone(), verdict.clone()) {
                        tell(&format!("what was found cannot be kept for the next time: {error}"));
                    }
                    verdict
                }
                Err(why) => {
                    reasons.push(format!("{} could not be compared with the CPU: {why}", candidate.name));
                    continue;
                }
            },
        };
        match verdict {
            Ok(()) if good == before => return Decision { chosen: Some(candidate.device), reasons, good },
            Ok(()) => (good, through) = (good + 1, candidate.backend),
            Err(reason) => reasons.push(format!("{} computes wrongly: {reason}", candidate.name)),
        }
    }
    Decision { chosen: None, reasons, good }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::{Card, Kind};

    fn candidate(name: &str) -> Result<Candidate<String>, String> {
        let (api, driver) = ("Vulkan".to_owned(), "1".to_owned());
        let card = Card { name: name.into(), kind: Kind::Discrete, api, driver, memory: None, precision: vec!["f32"] };
        let backend = if name.starts_with("other") { "vulkan" } else { "wgpu" };
        Ok(Candidate { name: name.to_owned(), backend, key: Key::new(backend, 0, &card), device: name.to_owned() })
    }

    /// Who was checked, who was chosen, and why the others were not.
    fn decided(
        candidates: Vec<Result<Candidate<String>, String>>,
        verdicts: &mut Verdicts,
        wrong: &[&str],
    ) -> (Vec<String>, Option<String>, Vec<String>) {
        let mut checked = Vec::new();
        let check = |candidate: &Candidate<String>| {
            checked.push(candidate.name.clone());
            Ok(if wrong.contains(&candidate.name.as_str()) { Err("3 of 17 operations".to_owned()) } else { Ok(()) })
        };
        let Decision { chosen, reasons, .. } = decide(candidates.into_iter(), 0, verdicts, check, &mut |_| ());
        (checked, chosen, reasons)
    }

    #[test]
    fn a_device_is_checked_once() {
        let mut verdicts = Verdicts::default();
        let first = decided(vec![candidate("a")], &mut verdicts, &[]);
        assert_eq!(first, (vec!["a".to_owned()], Some("a".to_owned()), vec![]));
        let (checked, chosen, _) = decided(vec![candidate("a")], &mut verdicts, &["a"]);
        assert_eq!((checked, chosen), (vec![], Some("a".to_owned())), "the answer is known");
    }

    #[test]
    fn a_device_that_failed_is_passed_over_with_the_reason_then_and_later() {
        let mut verdicts = Verdicts::default();
        let reason = vec!["a computes wrongly: 3 of 17 operations".to_owned()];
        for checked in [vec!["a".to_owned(), "b".to_owned()], vec![]] {
            let found = decided(vec![candidate("a"), candidate("b")], &mut verdicts, &["a"]);
            assert_eq!(found, (checked, Some("b".to_owned()), reason.clone()));
        }
        let (_, chosen, reasons) = decided(vec![candidate("a"), Err("cuda: none found".into())], &mut verdicts, &[]);
        assert_eq!((chosen, reasons.len()), (None, 2), "{reasons:?}");
        assert_eq!(reasons[1], "cuda: none found");
    }

    #[test]
    fn nothing_behind_the_first_good_one_is_opened() {
        let mut verdicts = Verdicts::default();
        let candidates = [candidate("a"), candidate("b")].into_iter().inspect(|candidate| {
            assert!(candidate.as_ref().is_ok_and(|candidate| candidate.name == "a"), "b was asked for");
        });
        let decision = decide(candidates, 0, &mut verdicts, |_| Ok(Ok(())), &mut |_| ());
        assert_eq!(decision.chosen.as_deref(), Some("a"));
    }

    #[test]
    fn a_device_that_failed_to_answer_is_passed_over_once() {
        let mut verdicts = Verdicts::default();
        let mut fails = |_: &Candidate<String>| Err("the driver was reset".to_owned());
        let decision = decide([candidate("a")].into_iter(), 0, &mut verdicts, &mut fails, &mut |_| ());
        assert_eq!((decision.chosen, decision.good), (None, 0));
        assert_eq!(decision.reasons, ["a could not be compared with the CPU: the driver was reset"]);
        let (checked, chosen, _) = decided(vec![candidate("a")], &mut verdicts, &[]);
        assert_eq!((checked, chosen), (vec!["a".to_owned()], Some("a".to_owned())), "asked again");
    }

    #[test]
    fn processes_that_share_a_machine_take_a_good_device_each_all_through_one_backend() {
        let chosen = |before| {
            let (names, mut verdicts) = (["a", "b", "c", "other a"], Verdicts::default());
            let check = |one: &Candidate<String>| Ok(if one.name == "b" { Err("3 of 17".into()) } else { Ok(()) });
            decide(names.into_iter().map(candidate), before, &mut verdicts, check, &mut |_| ())
        };
        assert_eq!([0, 1].map(|before| chosen(before).chosen), [Some("a".to_owned()), Some("c".to_owned())]);
        let none = chosen(2);
        assert_eq!((none.chosen, none.good), (None, 2), "the other backend's is one of them");
    }

    #[test]
    fn an_answer_that_cannot_be_kept_is_told_and_counts_all_the_same() {
        let mut told = Vec::new();
        let mut verdicts = Verdicts::default();
        let mut tell = |line: &str| told.push(line.to_owned());
        let decision = decide([candidate("a")].into_iter(), 0, &mut verdicts, |_| Ok(Ok(())), &mut tell);
        assert!(decision.chosen.is_some() && told.len() == 1 && told[0].contains("XDG_CACHE_HOME"), "{told:?}");
    }
}
