//! One trainer for each run folder. The operating system's lock on the file `lock` decides, since it ends with its process whatever ends
//! that; what stands in the file says who holds it, and is all there is to go by on a file system without locks.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Bytes that say who holds a lock, at most.
const MOST: u64 = 4096;

/// A run folder that is held; dropping it lets go.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    /// What the user should know about how it was got.
    note: Option<String>,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Owner {
    pid: u32,
    host: String,
    /// When the process began, in ticks since the machine did: another process of the same number began at another time.
    started: Option<u64>,
}

impl Lock {
    /// Takes the run in `folder`.
    ///
    /// # Errors
    /// If another process holds it, or the system refuses.
    pub(crate) fn take(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("lock");
        if path.metadata().is_ok_and(|there| !there.is_file()) {
            let what = "expected a regular file, found something else; remove it: whoever holds the run makes it anew";
            return Err(Error::checkpoint(&path, what));
        }
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(Error::io("lock", &path))?;
        let locked = file.try_lock();
        // Where the lock also keeps others from reading, nobody can be named.
        let mut text = String::new();
        let _ = (&mut file).take(MOST).read_to_string(&mut text);
        let before: Option<Owner> = serde_json::from_str(&text).ok();
        let note = judge(locked, before.as_ref(), folder)?;
        let mut lock = Self { file, note };
        lock.write(&Owner::this()).map_err(Error::io("lock", &path))?;
        Ok(lock)
    }

    /// Whether a trainer holds the run in `folder`, without taking anything from it. What the file says decides where it can be checked;
    /// elsewhere the system is asked, which needs the lock for a moment.
    pub(crate) fn is_held(folder: &Path) -> bool {
        let path = folder.join("lock");
        // A pipe would wait for its writer.
        let Some(file) = path.metadata().ok().filter(fs::Metadata::is_file).and_then(|_| File::open(&path).ok()) else {
            return false;
        };
        let mut text = String::new();
        let read = (&file).take(MOST).read_to_string(&mut text);
        match serde_json::from_str::<Owner>(&text) {
            // Whoever holds it has written its name.
            _ if read.is_ok() && text.is_empty() => false,
            Ok(owner) if owner.host == host() && owner.started.is_some() => owner.is_alive(),
            _ => matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)),
        }
    }

    /// What the user should know: that an owner before ended without letting go, or that there are no locks.
    pub(crate) fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    fn write(&mut self, owner: &Owner) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(serde_json::to_string(owner)?.as_bytes())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file stays: were it removed, two that have opened it could each hold one of two files of that name.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

impl Owner {
    fn this() -> Self {
        let pid = std::process::id();
        Self { pid, host: host(), started: started(pid) }
    }

    /// Whether it is known to be running on this machine.
    fn is_alive(&self) -> bool {
        self.host == host() && self.started.is_some() && started(self.pid) == self.started
    }

    fn gone(&self) -> String {
        let Self { pid, host, .. } = self;
        if *host == self::host() {
            format!("the trainer that held the run (process {pid}) ended without letting go; its lock is taken over")
        } else {
            format!(
                "a trainer on another machine (process {pid} on `{host}`) held the run; its lock is taken over: if it still runs, stop it"
            )
        }
    }
}

/// What the system's answer means, given who stands in the file: a note for the user, if there is something to say.
fn judge(locked: Result<(), TryLockError>, before: Option<&Owner>, folder: &Path) -> Result<Option<String>, Error> {
    match locked {
        Ok(()) => Ok(before.map(Owner::gone)),
        Err(TryLockError::WouldBlock) => Err(held(folder, before)),
        Err(TryLockError::Error(_)) if before.is_some_and(Owner::is_alive) => Err(held(folder, before)),
        Err(TryLockError::Error(error)) => {
            let what =
                format!("this file system has no locks ({error}): see to it that no other trainer works on the run");
            Ok(Some([Some(what), before.map(Owner::gone)].into_iter().flatten().collect::<Vec<_>>().join("; ")))
        }
    }
}

fn held(folder: &Path, owner: Option<&Owner>) -> Error {
    let who = owner.map_or("another process".to_owned(), |owner| format!("process {} on `{}`", owner.pid, owner.host));
    Error::checkpoint(folder, format!("{who} is at work on this run; wait until it ends, or stop it"))
}

fn host() -> String {
    let linux = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = || ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok());
    linux.or_else(named).map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// When a process began, as Linux tells it; `None` where there is none of that number, or nothing to ask.
fn started(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; the 20th field behind it is the 22nd of all.
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_and_told_of_the_first() {
        let scratch = tempfile::tempdir().unwrap();
        let first = Lock::take(scratch.path()).unwrap();
        let error = Lock::take(scratch.path()).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains(&format!("process {} on `{}`", std::process::id(), host())), "{error}");
        assert!(Lock::is_held(scratch.path()));
        drop(first);
        assert!(!Lock::is_held(scratch.path()));
        assert_eq!(Lock::take(scratch.path()).unwrap().note(), None, "it was let go");
    }

    #[test]
    fn a_lock_that_is_no_file_is_a_fault_of_the_run() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("lock")).unwrap();
        let error = Lock::take(scratch.path()).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains("lock`: expected a regular file"), "{error}");
    }

    #[test]
    fn the_lock_of_a_process_that_is_gone_is_taken_over_and_told_of() {
        let scratch = tempfile::tempdir().unwrap();
        let leave = |owner: &Owner| {
            fs::write(scratch.path().join("lock"), serde_json::to_string(owner).unwrap()).unwrap();
            Lock::take(scratch.path()).unwrap().note().unwrap().to_owned()
        };
        let dead = Owner { started: Some(1), ..Owner::this() };
        fs::write(scratch.path().join("lock"), serde_json::to_string(&dead).unwrap()).unwrap();
        assert!(!Lock::is_held(scratch.path()));
        assert!(leave(&dead).contains("ended without letting go"));
        let elsewhere = Owner { host: "elsewhere".into(), ..Owner::this() };
        assert!(leave(&elsewhere).contains("on `elsewhere`"));
        fs::write(scratch.path().join("lock"), "torn {").unwrap();
        assert_eq!(Lock::take(scratch.path()).unwrap().note(), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn without_locks_a_living_owner_on_this_machine_still_counts_and_others_are_told_of() {
        let without = || Err(TryLockError::Error(io::Error::from(io::ErrorKind::Unsupported)));
        let note = |before: Option<&Owner>| judge(without(), before, Path::new("run"));
        assert!(note(None).unwrap().unwrap().contains("no locks"));
        assert!(note(Some(&Owner::this())).unwrap_err().to_string().contains("is at work on this run"));
        let elsewhere = Owner { host: "elsewhere".into(), ..Owner::this() };
        assert!(note(Some(&elsewhere)).unwrap().unwrap().contains("if it still runs, stop it"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_of_the_same_number_that_began_later_is_another() {
        let this = Owner::this();
        assert!(this.is_alive());
        assert!(!Owner { started: this.started.map(|ticks| ticks + 1), ..this.clone() }.is_alive());
        assert!(!Owner { host: "elsewhere".into(), ..this }.is_alive());
    }
}
