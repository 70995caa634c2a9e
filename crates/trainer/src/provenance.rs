//! What a run is made from: `run.json`, written before the first step. The program, the settings, the machine as far as it matters for
//! the bits, and a fingerprint of the data. No clock, no host name. What the model file says of its making is the caller's.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use data::{Dataset, Fingerprint};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::run_folder::MOST_TEXT;
use crate::{Error, Origin, RunFolder, Settings};

/// The versions of everything in this program, as it was built.
const LOCK: &str = include_str!("../../../Cargo.lock");
/// What of it is named one by one: what computes, and what writes weights.
const NAMED: [&str; 8] =
    ["burn", "burn-autodiff", "burn-flex", "burn-ndarray", "burn-tensor", "pulp", "safetensors", "image"];

/// What a run is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The version of this schema.
    pub v: u32,
    /// The version of this workspace's crates.
    pub striate: String,
    /// SHA-256 of the program's file; empty where the system doesn't show it.
    pub binary_sha256: String,
    /// SHA-256 of the Cargo.lock that the program was built with.
    pub lock_sha256: String,
    /// Versions of the crates that compute and that write weights.
    pub crates: BTreeMap<String, String>,
    /// SHA-256 of `args.toml` as the run began.
    pub config_sha256: String,
    /// What the run is trained by, as it began: the same that its checkpoints hold. Empty in files of version 1.
    #[serde(default)]
    pub settings: Settings,
    /// Decides every random draw.
    pub seed: u64,
    /// The device's name, and what the hardware calls itself.
    pub device: [String; 2],
    /// What the bits of a CPU's results depend on.
    pub machine: Machine,
    /// What was trained, validated and tested on.
    pub data: Fingerprint,
    /// Where the first weights came from, if not from the seed alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<Origin>,
}

/// What the bits of a CPU's results depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// `linux`, `macos`, `windows` ...
    pub os: String,
    /// `x86_64`, `aarch64` ...
    pub arch: String,
    /// The vectors that the kernels compute with: `avx512`, `avx2`, `neon`, `scalar`.
    pub vectors: String,
    /// The threads that operations are shared between. Sums are cut for them.
    pub threads: usize,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let (os, arch) = (std::env::consts::OS.to_owned(), std::env::consts::ARCH.to_owned());
        Self { os, arch, vectors: kernels::vectors().to_owned(), threads: kernels::threads() }
    }
}

impl Provenance {
    /// The version of the schema that is written, and the newest that is read. The first had no settings.
    pub const VERSION: u32 = 2;

    /// Of a run with this `args.toml`, on the device of this name and hardware, on `dataset`. Its settings are known once the run has a folder:
    /// they are the caller's to set. Reads the program's file and, where images are decoded while training, every image file.
    ///
    /// # Errors
    /// If an image file cannot be read.
    pub fn of(config: &str, seed: u64, device: [&str; 2], dataset: &Dataset) -> Result<Self, Error> {
        let (binary, data) = std::thread::scope(|scope| {
            let binary = scope.spawn(binary_hash);
            let data = dataset.fingerprint();
            (binary.join().unwrap_or_default(), data)
        });
        Ok(Self {
            v: Self::VERSION,
            striate: env!("CARGO_PKG_VERSION").to_owned(),
            binary_sha256: binary,
            lock_sha256: sha256(LOCK.as_bytes()),
            crates: crates(),
            config_sha256: sha256(config.as_bytes()),
            settings: Settings::new(),
            seed,
            device: device.map(str::to_owned),
            machine: Machine::here(),
            data: data?,
            initial: None,
        })
    }

    /// Writes it into a run's folder.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn write(&self, run: &RunFolder) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::checkpoint(&run.provenance(), error))?;
        RunFolder::write(&run.provenance(), &text)
    }

    /// That of a run; `None` for a run from before there was `run.json`.
    ///
    /// # Errors
    /// If it cannot be read, isn't what this program writes, or is of a newer version.
    pub fn read(run: &RunFolder) -> Result<Option<Self>, Error> {
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        let path = run.provenance();
        let bytes = match data::read_regular(&path, MOST_TEXT) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        let damaged = |error: serde_json::Error| {
            let what = format!("not what a run writes there: {error}; restore it, or remove it to go on unchecked");
            Error::checkpoint(&path, what)
        };
        // What a newer version means by the names that it shares with this one, nobody knows.
        let Versioned { v } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if !(1..=Self::VERSION).contains(&v) {
            let newest = Self::VERSION;
            let what =
                format!("version {v}, this build reads versions up to {newest}; go on with the striate that wrote it");
            return Err(Error::checkpoint(&path, what));
        }
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// Whether `config` is the `args.toml` that the run began with, to the byte: all that version 1 says of its settings.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] with both hashes.
    pub fn check_config(&self, config: &str, run: &RunFolder) -> Result<(), Error> {
        let found = sha256(config.as_bytes());
        if found == self.config_sha256 {
            return Ok(());
        }
        let what = format!(
            "its SHA-256 is {found}, but the run began with {}; put the old file back, or train anew with `trainer train`",
            self.config_sha256
        );
        Err(Error::checkpoint(&run.args(), what))
    }

    /// Compares the data with what the run began with, before any step.
    ///
    /// # Errors
    /// [`Error::Data`], naming the first split that differs.
    pub fn check_data(&self, dataset: &Dataset, run: &Path) -> Result<(), Error> {
        match self.data.difference(&dataset.fingerprint()?) {
            None => Ok(()),
            Some(what) => Err(Error::Data(data::Error::unusable(
                if dataset.found.path.as_os_str().is_empty() { Path::new("digits") } else { &dataset.found.path },
                format!("the data are not those that `{}` began with: {what}", run.display()),
                "restore them, or start a new run with `trainer train`",
            ))),
        }
    }

    /// What is other here than where the run began and may change the last bits, a line each.
    pub fn differences(&self) -> Vec<String> {
        let (then, now) = (&self.machine, Machine::here());
        let pairs = [
            ("the processor", format!("{} {}", then.arch, then.vectors), format!("{} {}", now.arch, now.vectors)),
            ("compute threads", then.threads.to_string(), now.threads.to_string()),
        ];
        let differ = pairs.into_iter().filter(|(_, then, now)| then != now);
        let machine = differ.map(|(what, then, now)| format!("{what}: {then} then, {now} now"));
        self.program(&binary_hash()).into_iter().chain(machine).collect()
    }

    /// How the program of this hash differs from the one that the run began with, and which of its crates do.
    fn program(&self, now: &str) -> Option<String> {
        if self.binary_sha256 == now {
            return None;
        }
        let here = crates();
        let own = ("striate".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let versions = here.iter().map(|(name, now)| (name, self.crates.get(name), now));
        let versions = std::iter::once((&own.0, Some(&self.striate), &own.1)).chain(versions);
        let differ = versions.filter(|(_, then, now)| *then != Some(*now));
        let mut why: Vec<String> = differ
            .map(|(name, then, now)| format!("{name} {} then, {now} now", then.map_or("unknown", String::as_str)))
            .collect();
        if why.is_empty() && self.lock_sha256 != sha256(LOCK.as_bytes()) {
            why.push("other versions of other crates".to_owned());
        }
        let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join(", ")) };
        Some(format!("the program: {:.16} then, {now:.16} now{why}", self.binary_sha256))
    }
}

/// The version of a crate in the lock file, the newest where there are several: dependencies may bring older ones.
fn locked(name: &str) -> Option<&'static str> {
    let at = LOCK.rfind(&format!("\nname = \"{name}\"\n"))?;
    LOCK[at..].lines().nth(2)?.strip_prefix("version = \"")?.strip_suffix('"')
}

/// The versions that are named one by one, of this program.
fn crates() -> BTreeMap<String, String> {
    NAMED.iter().filter_map(|name| Some(((*name).to_owned(), locked(name)?.to_owned()))).collect()
}

fn binary_hash() -> String {
    let hash = || -> std::io::Result<String> {
        let (mut file, mut hash) = (File::open(std::env::current_exe()?)?, Sha256::new());
        // In pieces: the program is larger than what a small training takes.
        std::io::copy(&mut file, &mut hash)?;
        Ok(hex(&hash.finalize()))
    };
    hash().unwrap_or_default()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        assert_eq!(locked("burn"), Some("0.22.1"));
        assert!(
            locked("safetensors").is_some_and(|version| version.starts_with("0.8.")),
            "{:?}",
            locked("safetensors")
        );
        assert_eq!(locked("no-such-crate"), None);
        for name in NAMED {
            assert!(locked(name).is_some_and(|version| version.contains('.')), "{name}");
        }
    }

    #[test]
    fn a_run_whose_data_changed_says_so_and_how() {
        let options = data::OpenOptions { limit: Some(100), ..data::OpenOptions::default() };
        let dataset = data::open("digits".as_ref(), &options).unwrap();
        let provenance = Provenance::of("seed = 3\n", 3, ["flex", "CPU"], &dataset).unwrap();
        provenance.check_data(&dataset, Path::new("runs/r")).unwrap();
        assert_eq!(provenance.differences(), Vec::<String>::new());
        let mut changed = dataset.clone();
        changed.split.val.pop();
        let error = provenance.check_data(&changed, Path::new("runs/r")).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("`runs/r` began with: the validation split: expected"), "{error}");
    }

    #[test]
    fn another_program_is_told_with_the_crates_that_are_other() {
        let dataset = data::open("digits".as_ref(), &data::OpenOptions::default()).unwrap();
        let mut made = Provenance::of("", 0, ["flex", "CPU"], &dataset).unwrap();
        // Without another program the versions are what they were, whatever stands there.
        made.crates.insert("burn".to_owned(), "0.21.0".to_owned());
        assert_eq!(made.differences(), Vec::<String>::new());
        made.binary_sha256 = "0123456789abcdef0123".to_owned();
        let told = made.differences().remove(0);
        assert!(told.starts_with("the program: 0123456789abcdef then, "), "{told}");
        assert!(told.ends_with(" now (burn 0.21.0 then, 0.22.1 now)"), "{told}");
        made.crates.remove("burn");
        made.striate = "0.0.1".to_owned();
        let told = made.differences().remove(0);
        assert!(told.contains("(striate 0.0.1 then, ") && told.contains(", burn unknown then, 0.22.1 now)"), "{told}");
        made = Provenance { striate: env!("CARGO_PKG_VERSION").to_owned(), crates: crates(), ..made };
        assert!(made.differences()[0].ends_with(" now"), "{:?}", made.differences());
        made.lock_sha256.clear();
        assert!(made.differences()[0].ends_with(" now (other versions of other crates)"), "{:?}", made.differences());
    }

    #[test]
    fn the_first_version_is_read_and_a_newer_one_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let run = RunFolder::create(scratch.path(), "r").unwrap();
        let dataset = data::open("digits".as_ref(), &data::OpenOptions::default()).unwrap();
        let made = Provenance::of("lr = 1\n", 0, ["flex", "CPU"], &dataset).unwrap();
        let mut json = serde_json::to_value(&made).unwrap();
        let object = json.as_object_mut().unwrap();
        object.remove("settings");
        object.insert("v".to_owned(), 1.into());
        std::fs::write(run.provenance(), json.to_string()).unwrap();
        let first = Provenance::read(&run).unwrap().unwrap();
        assert_eq!(first, Provenance { v: 1, ..made });
        first.check_config("lr = 1\n", &run).unwrap();
        let error = first.check_config("lr = 2\n", &run).unwrap_err();
        let both = [sha256(b"lr = 2\n"), sha256(b"lr = 1\n")];
        assert!(error.exit_code() == 4 && both.iter().all(|hash| error.to_string().contains(hash)), "{error}");
        for v in [0, Provenance::VERSION + 1] {
            std::fs::write(run.provenance(), format!("{{\"v\": {v}}}")).unwrap();
            let error = Provenance::read(&run).unwrap_err();
            assert!(
                error.exit_code() == 4 && error.to_string().contains("this build reads versions up to 2"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let scratch = tempfile::tempdir().unwrap();
        let run = RunFolder::create(scratch.path(), "r").unwrap();
        assert_eq!(Provenance::read(&run).unwrap(), None);
        let dataset = data::open("digits".as_ref(), &data::OpenOptions::default()).unwrap();
        let provenance = Provenance::of("", 0, ["flex", "CPU"], &dataset).unwrap();
        provenance.write(&run).unwrap();
        assert_eq!(Provenance::read(&run).unwrap(), Some(provenance));
        std::fs::write(run.provenance(), "{").unwrap();
        assert_eq!(Provenance::read(&run).unwrap_err().exit_code(), 4);
    }
}
