//! How much memory a training step takes, before the first one: so that a batch that cannot fit is refused with a number, instead of the
//! system ending the process. An estimate for the CPU; `docs/reliability.md` compares it with what was measured.

use std::path::Path;
use std::{fmt, fs};

use data::Dataset;

use crate::{Error, TrainConfig};

/// Bytes of a number.
const FLOAT: u64 = 4;
/// Outputs of layers, as large as the largest, that are there for a moment on the way back.
const IN_FLIGHT: u64 = 3;

/// What training takes beyond what is in memory before it begins, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Whatever the batch: weights, gradients, the optimizer's state, averages, and the copies that are saved.
    pub fixed: u64,
    /// For each sample of a batch.
    pub each: u64,
    /// Samples in a batch, no more than there are.
    pub batch: u64,
}

impl Estimate {
    /// For training with these settings on `dataset`, with `outputs` of the network.
    ///
    /// # Errors
    /// If the network cannot be made.
    pub fn of(config: &TrainConfig, dataset: &Dataset, outputs: usize) -> Result<Self, Error> {
        let net = models::footprint(&config.model, &dataset.input, outputs)?;
        let ema = u64::from(config.ema.is_some());
        let state = 1 + config.optimizer.state_per_parameter() as u64 + ema;
        // A save holds the state twice: as numbers, and as the bytes of a file. The best model and the last wait for the next one.
        let copies = state + 1 + u64::from(config.accumulate > 1) + 2 * state + 2;
        // The batch at hand, and for each worker one that waits and one in the making.
        let batches = 2 + 2 * config.workers.min(64) as u64;
        let inputs = (dataset.input.len() as u64).saturating_mul(batches);
        let each = inputs.saturating_add(net.kept).saturating_add(net.largest.saturating_mul(IN_FLIGHT));
        Ok(Self {
            fixed: net.parameters.saturating_mul(copies * FLOAT),
            each: each.saturating_mul(FLOAT),
            batch: config.batch.min(dataset.split.train.len()) as u64,
        })
    }

    /// Bytes in all.
    pub fn total(&self) -> u64 {
        self.fixed.saturating_add(self.each.saturating_mul(self.batch))
    }

    /// Refuses a batch that doesn't fit into `available` bytes.
    ///
    /// # Errors
    /// [`Error::Memory`] with the estimate, what there is, and the largest batch that fits.
    pub fn check(&self, available: u64) -> Result<(), Error> {
        if self.total() <= available {
            return Ok(());
        }
        let advice = match available.saturating_sub(self.fixed) / self.each.max(1) {
            0 => "not even one sample fits: use a smaller network or smaller images".to_owned(),
            most => {
                format!("the largest batch that fits is about {most}: try --batch {most}, and --accumulate for more")
            }
        };
        Err(Error::Memory(format!(
            "--batch: a step of {} samples takes about {}, and {} are available; {advice}",
            self.batch,
            readable(self.total()),
            readable(available)
        )))
    }
}

/// Bytes that this process may still take, by what the system says and by the limits of its control groups; `None` where nobody says.
pub fn available() -> Option<u64> {
    let free = fs::read_to_string("/proc/meminfo").ok().and_then(|text| meminfo(&text));
    let group = fs::read_to_string("/proc/self/cgroup").ok();
    let limit = group.and_then(|text| limit(Path::new("/sys/fs/cgroup"), &text));
    [free, limit].into_iter().flatten().min()
}

/// Bytes of memory that this process has now; `None` where nobody says.
pub fn resident() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

fn meminfo(text: &str) -> Option<u64> {
    kilobytes(text, "MemAvailable:")
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// What the tightest of the control groups (version 2) around the process leaves. Pages of files that were read before don't count: they go
/// when memory is wanted.
fn limit(root: &Path, groups: &str) -> Option<u64> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = root.join(own);
    let left = |folder: &Path| {
        let number = |file: &str| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let cached = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
        let cached = cached.and_then(|number| number.parse().ok()).unwrap_or(0);
        Some(number("memory.max")?.saturating_sub(number("memory.current")?.saturating_sub(cached)))
    };
    folder.ancestors().take_while(|folder| folder.starts_with(root)).filter_map(left).min()
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&readable(self.total()))
    }
}

/// Bytes as people write them: `1.5 GiB`.
pub fn readable(bytes: u64) -> String {
    let (mut number, mut unit) = (bytes as f64 / 1024.0, "KiB");
    for next in ["MiB", "GiB", "TiB"] {
        if number >= 1024.0 {
            (number, unit) = (number / 1024.0, next);
        }
    }
    format!("{number:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_does_not_fit_is_refused_with_the_largest_that_does() {
        let estimate = Estimate { fixed: 100 << 20, each: 1 << 20, batch: 4096 };
        estimate.check(5 << 30).unwrap();
        let error = estimate.check(1 << 30).unwrap_err();
        assert_eq!(error.exit_code(), 7);
        let expected = "--batch: a step of 4096 samples takes about 4.1 GiB, and 1.0 GiB are available; the largest batch that fits is \
                        about 924: try --batch 924, and --accumulate for more";
        assert_eq!(error.to_string(), expected);
        Estimate { batch: 924, ..estimate }.check(1 << 30).unwrap();
        assert!(Estimate { batch: 925, ..estimate }.check(1 << 30).is_err());
        assert!(estimate.check(100 << 20).unwrap_err().to_string().contains("not even one sample fits"));
        assert_eq!(Estimate { fixed: 1, each: u64::MAX, batch: 9 }.total(), u64::MAX);
    }

    #[test]
    fn the_tightest_limit_counts_and_pages_of_files_do_not() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("outer/inner");
        fs::create_dir_all(&inner).unwrap();
        let write = |folder: &Path, max: &str, current: &str, stat: &str| {
            for (file, text) in [("memory.max", max), ("memory.current", current), ("memory.stat", stat)] {
                fs::write(folder.join(file), text).unwrap();
            }
        };
        write(&inner, "max\n", "500\n", "");
        assert_eq!(limit(root.path(), "0::/outer/inner\n"), None);
        write(&root.path().join("outer"), "1000\n", "900\n", "anon 1\ninactive_file 300\n");
        assert_eq!(limit(root.path(), "1:cpu:/\n0::/outer/inner\n"), Some(400));
        write(&inner, "600\n", "500\n", "inactive_file 0\n");
        assert_eq!(limit(root.path(), "0::/outer/inner\n"), Some(100));
        assert_eq!(limit(root.path(), "3:memory:/x\n"), None, "version 1 says nothing here");
    }

    #[test]
    fn the_system_says_what_is_available() {
        assert_eq!(meminfo("MemTotal: 9 kB\nMemAvailable:    2048 kB\n"), Some(2 << 20));
        assert_eq!(meminfo("MemTotal: 9 kB\n"), None);
        if cfg!(target_os = "linux") {
            assert!(available().is_some_and(|bytes| bytes > 1 << 20));
            assert!(resident().is_some_and(|bytes| bytes > 1 << 20));
        }
    }
}
