//! What `auto` has found out about GPUs, kept over programs: whether one computed correctly, by what would change the answer. A file that
//! is damaged or cannot be written costs another check, never a failure.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde::{Deserialize, Serialize};

use crate::card::Card;

/// What an answer holds for: another card, driver or program asks anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    adapter: String,
    driver: String,
    binary: String,
}

/// Whether a device computed what it should; else the reason, one line.
pub(crate) type Verdict = Result<(), String>;

/// All answers, the latest last.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    /// Where they are kept; `None` where there is no place.
    file: Option<PathBuf>,
    known: Vec<(Key, Verdict)>,
}

/// The file: a version, and the answers in their order.
#[derive(Serialize, Deserialize)]
struct Stored {
    v: u32,
    checks: Vec<Check>,
}

#[derive(Serialize, Deserialize)]
struct Check {
    #[serde(flatten)]
    key: Key,
    /// Null where it passed.
    failed: Option<String>,
}

/// More answers than any machine asks for: programs come and go with every build, and the oldest leave.
const MOST: usize = 64;

impl Key {
    /// For `card`, device `number` of `backend`, by this program. The number tells equal cards apart.
    pub(crate) fn new(backend: &str, number: usize, card: &Card) -> Self {
        Self {
            adapter: format!("{backend}:{number} {}", card.name),
            driver: format!("{} {}", card.api, card.driver).trim().to_owned(),
            binary: binary().unwrap_or_default(),
        }
    }
}

/// This program as its file stands: size and time of writing, for reading all of it would take longer than the check.
fn binary() -> Option<String> {
    let path = env::current_exe().ok()?;
    let metadata = fs::metadata(&path).ok()?;
    let written = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let name = path.file_stem()?.to_string_lossy().into_owned();
    Some(format!("{name} {} {}", metadata.len(), written.as_nanos()))
}

/// The user's file of answers: `devices.json` in [`folder`].
pub(crate) fn place() -> Option<PathBuf> {
    Some(folder()?.join("devices.json"))
}

/// The user's folder for what can be found out again: `striate` in `$XDG_CACHE_HOME`, `~/.cache` or `%LOCALAPPDATA%`.
pub(crate) fn folder() -> Option<PathBuf> {
    let set = |key| env::var_os(key).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || set("HOME").map(|home| home.join(".cache"));
    let cache = set("XDG_CACHE_HOME").or_else(home).or_else(|| set("LOCALAPPDATA"))?;
    Some(cache.join("striate"))
}

impl Verdicts {
    /// What `file` holds; nothing where it isn't there or isn't ours.
    pub(crate) fn read(file: Option<PathBuf>) -> Self {
        let stored = file.as_deref().and_then(|file| fs::read(file).ok());
        let stored = stored.and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
        let checks = stored.filter(|stored| stored.v == 1).map_or_else(Vec::new, |stored| stored.checks);
        let known = checks.into_iter().map(|Check { key, failed }| (key, failed.map_or(Ok(()), Err))).collect();
        Self { file, known }
    }

    /// The answer, if there was one.
    pub(crate) fn get(&self, key: &Key) -> Option<&Verdict> {
        self.known.iter().rev().find(|(known, _)| known == key).map(|(_, verdict)| verdict)
    }

    /// Keeps an answer; the error says why it is only known to this process.
    pub(crate) fn keep(&mut self, key: Key, verdict: Verdict) -> io::Result<()> {
        self.known.retain(|(known, _)| *known != key);
        self.known.push((key, verdict));
        self.known.drain(..self.known.len().saturating_sub(MOST));
        let Some(file) = &self.file else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "neither HOME nor XDG_CACHE_HOME is set"));
        };
        let check = |(key, verdict): &(Key, Verdict)| Check { key: key.clone(), failed: verdict.clone().err() };
        let stored = Stored { v: 1, checks: self.known.iter().map(check).collect() };
        write(file, &serde_json::to_vec_pretty(&stored)?)
    }
}

/// All or nothing, whoever else writes or reads at the time.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = file.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::write(&draft, bytes).and_then(|()| fs::rename(&draft, file));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for each test, gone with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            Self(env::temp_dir().join(format!("striate-verdicts-{}-{name}", std::process::id())))
        }

        fn file(&self) -> PathBuf {
            self.0.join("striate/devices.json")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn key(driver: &str) -> Key {
        Key { adapter: "wgpu A".into(), driver: driver.into(), binary: "b".into() }
    }

    #[test]
    fn answers_are_found_again_by_card_driver_and_program() {
        let scratch = Scratch::new("again");
        let mut verdicts = Verdicts::read(Some(scratch.file()));
        assert!(verdicts.get(&key("1")).is_none());
        verdicts.keep(key("1"), Ok(())).unwrap();
        verdicts.keep(key("2"), Err("wrong".into())).unwrap();
        let again = Verdicts::read(Some(scratch.file()));
        assert_eq!([again.get(&key("1")), again.get(&key("2"))], [Some(&Ok(())), Some(&Err("wrong".into()))]);
        assert!(again.get(&Key { binary: "c".into(), ..key("1") }).is_none());
        assert!(again.get(&Key { adapter: "wgpu B".into(), ..key("1") }).is_none());
        let left: Vec<_> = fs::read_dir(scratch.0.join("striate")).unwrap().collect();
        assert_eq!(left.len(), 1, "no draft stays");
    }

    #[test]
    fn a_damaged_file_is_passed_over_and_written_again() {
        let scratch = Scratch::new("damaged");
        Verdicts::read(Some(scratch.file())).keep(key("1"), Ok(())).unwrap();
        let whole = fs::read(scratch.file()).unwrap();
        let damaged = [&whole[..whole.len() / 2], b"", b"[]", b"{\"v\": 2, \"checks\": []}", b"\xff\xfe"];
        for bytes in damaged {
            fs::write(scratch.file(), bytes).unwrap();
            let mut verdicts = Verdicts::read(Some(scratch.file()));
            assert!(verdicts.get(&key("1")).is_none());
            verdicts.keep(key("1"), Ok(())).unwrap();
            assert_eq!(fs::read(scratch.file()).unwrap(), whole);
        }
    }

    #[test]
    fn without_a_place_an_answer_is_known_to_this_process() {
        let mut nowhere = Verdicts::read(None);
        assert!(nowhere.keep(key("1"), Ok(())).is_err());
        assert_eq!(nowhere.get(&key("1")), Some(&Ok(())));
        let scratch = Scratch::new("blocked");
        fs::write(&scratch.0, "a file where the folder should be").unwrap();
        assert!(Verdicts::read(Some(scratch.file())).keep(key("1"), Ok(())).is_err());
        fs::remove_file(&scratch.0).unwrap();
    }

    #[test]
    fn the_oldest_answers_leave() {
        let mut verdicts = Verdicts::read(None);
        for number in 0..=MOST {
            let _ = verdicts.keep(key(&number.to_string()), Ok(()));
        }
        assert!(verdicts.get(&key("0")).is_none() && verdicts.get(&key("1")).is_some());
    }
}
