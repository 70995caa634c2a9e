//! Places inside of a save, and before an image is decoded, where a test may end the process, delay it, or make the system refuse: all of their
//! names, and what the environment variable `FAILPOINTS` asks for at them. Without the feature `failpoints`, which no released binary has, a point is nothing.
//!
//! `FAILPOINTS` is a list of `NAME=ACTIONS` with `;` between; `ACTIONS` are tried one after the other, with `->` between, each as often as
//! the number before its `*` says, the last one (without a number) for ever; `*` as a name is any point:
//!
//! ```text
//! FAILPOINTS='checkpoint::renamed=3*off->abort'       the process dies the fourth time it gets there
//! FAILPOINTS='*=41*off->abort'                        the process dies at the 42nd point, whichever that is
//! FAILPOINTS='replace::created=1*return(enospc)->off' the disk is full once
//! ```
//!
//! `abort` ends the process by kill -9: nothing is unwound, flushed or removed. `sleep(MS)` waits, for a kill from outside. `panic`
//! panics. `return(enospc | eio | erofs | edquot | eacces | enoent)` is that error of the system. `off` does nothing.

use std::io;

/// Every point, in the order of a save: the files before a checkpoint, the checkpoint, and what is removed after it.
/// A point may be reached several times in one save: `replace::*` for each file, `checkpoint::half` and `checkpoint::written` too.
pub const POINTS: [&str; 20] = [
    "save::begin",
    "replace::created",
    "replace::filled",
    "replace::synced",
    "replace::renamed",
    "replace::done",
    "save::last",
    "save::best",
    "save::results",
    "checkpoint::begin",
    "checkpoint::created",
    "checkpoint::half",
    "checkpoint::written",
    "checkpoint::files",
    "checkpoint::synced",
    "checkpoint::renamed",
    "checkpoint::committed",
    "checkpoint::verified",
    "checkpoint::pruning",
    "save::done",
];

/// The point before the pixels of an image are decoded, which no save reaches.
pub const DECODE: &str = "image::decode";

/// Reaches the point `name`.
///
/// # Errors
/// The one that `FAILPOINTS` asks for; none without the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn failpoint(_: &'static str) -> io::Result<()> {
    Ok(())
}

/// Reaches the point `name`.
///
/// # Errors
/// The one that `FAILPOINTS` asks for.
///
/// # Panics
/// If `FAILPOINTS` asks for it, is not to be understood, or names no point: a test that tests nothing must not pass.
#[cfg(feature = "failpoints")]
pub fn failpoint(name: &'static str) -> io::Result<()> {
    asked::reach(name)
}

#[cfg(feature = "failpoints")]
mod asked {
    use std::io;
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Duration;

    use super::{DECODE, POINTS};

    /// What to do at a point, and how often it still may be done; without a number, for ever.
    #[derive(Clone, Debug, PartialEq)]
    pub(super) struct Term {
        left: Option<u64>,
        action: Action,
    }

    /// A name, or `*`, and what to do there.
    type Point = (String, Vec<Term>);

    #[derive(Clone, Debug, PartialEq)]
    enum Action {
        Off,
        Sleep(u64),
        Panic,
        Abort,
        Return(i32),
    }

    pub(super) fn reach(name: &str) -> io::Result<()> {
        static ASKED: OnceLock<Mutex<Vec<Point>>> = OnceLock::new();
        assert!(is_known(name), "`{name}` is not in the list of points");
        let asked = ASKED.get_or_init(|| match parse(&std::env::var("FAILPOINTS").unwrap_or_default()) {
            Ok(asked) => Mutex::new(asked),
            Err(what) => panic!("FAILPOINTS: {what}"),
        });
        let mut actions = Vec::new();
        {
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            for (_, terms) in asked.iter_mut().filter(|(point, _)| point == "*" || point == name) {
                actions.extend(next(terms));
            }
        }
        actions.into_iter().try_for_each(|action| match action {
            Action::Off => Ok(()),
            Action::Sleep(ms) => {
                std::thread::sleep(Duration::from_millis(ms));
                Ok(())
            }
            Action::Panic => panic!("failpoint `{name}`"),
            Action::Abort => die(),
            Action::Return(code) => Err(io::Error::from_raw_os_error(code)),
        })
    }

    /// As by kill -9, which unlike an abort leaves no image of the memory behind.
    fn die() -> ! {
        if cfg!(unix) {
            let me = std::process::id().to_string();
            let _ = std::process::Command::new("kill").args(["-9", &me]).status();
            std::thread::sleep(Duration::from_secs(5));
        }
        std::process::abort()
    }

    fn is_known(name: &str) -> bool {
        name == DECODE || POINTS.contains(&name)
    }

    fn next(terms: &mut [Term]) -> Option<Action> {
        let term = terms.iter_mut().find(|term| term.left != Some(0))?;
        if let Some(left) = &mut term.left {
            *left -= 1;
        }
        Some(term.action.clone())
    }

    pub(super) fn parse(text: &str) -> Result<Vec<Point>, String> {
        let points = text.split(';').map(str::trim).filter(|point| !point.is_empty());
        points
            .map(|point| {
                let (name, terms) = point.split_once('=').ok_or(format!("expected NAME=ACTIONS, found `{point}`"))?;
                if name != "*" && !is_known(name) {
                    return Err(format!("unknown point `{name}`; there are {}", POINTS.join(", ")));
                }
                Ok((name.to_owned(), terms.split("->").map(|term| self::term(term.trim())).collect::<Result<_, _>>()?))
            })
            .collect()
    }

    fn term(text: &str) -> Result<Term, String> {
        let (left, action) = match text.split_once('*') {
            Some((count, action)) => {
                (Some(count.parse().map_err(|_| format!("expected a number before `*` in `{text}`"))?), action)
            }
            None => (None, text),
        };
        let inside = |name: &str| action.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        let action = match action {
            "off" => Action::Off,
            "panic" => Action::Panic,
            "abort" => Action::Abort,
            _ => match (inside("sleep").and_then(|ms| ms.parse().ok()), inside("return").and_then(code)) {
                (Some(ms), _) => Action::Sleep(ms),
                (_, Some(code)) => Action::Return(code),
                _ => return Err(format!("expected off, sleep(MS), panic, abort or return(ERROR), found `{action}`")),
            },
        };
        Ok(Term { left, action })
    }

    /// Numbers as on Linux.
    fn code(name: &str) -> Option<i32> {
        let codes = [("enoent", 2), ("eio", 5), ("eacces", 13), ("enospc", 28), ("erofs", 30), ("edquot", 122)];
        codes.into_iter().find(|(known, _)| *known == name).map(|(_, code)| code)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn actions_come_one_after_the_other() {
            let mut asked = parse("save::best=2*off->1*return(eio)->sleep(0); *=panic").unwrap();
            let terms = &mut asked[0].1;
            let taken: Vec<Action> = (0..5).filter_map(|_| next(terms)).collect();
            assert_eq!(taken, [Action::Off, Action::Off, Action::Return(5), Action::Sleep(0), Action::Sleep(0)]);
            let (name, terms) = &mut asked[1];
            assert_eq!((name.as_str(), next(terms)), ("*", Some(Action::Panic)));
        }

        #[test]
        fn what_is_not_understood_is_refused() {
            for text in ["save::bets=abort", "save::best", "save::best=explode", "*=x*off", "*=return(what)"] {
                assert!(parse(text).is_err(), "{text}");
            }
        }
    }
}
