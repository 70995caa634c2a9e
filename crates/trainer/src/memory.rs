//! How much memory a training step takes, before the first one: so that a batch that cannot fit is refused with a number, instead of the
//! system ending the process. An estimate for the CPU; `docs/reliability.md` compares it with what was measured.

use std::path::Path;
use std::{fmt, fs};

use data::Dataset;
use models::Precision;

use crate::{Error, TrainConfig};

/// Bytes of a number.
const FLOAT: u64 = 4;
/// Outputs of layers, as large as the largest, that are there for a moment on the way back.
const IN_FLIGHT: u64 = 3;

/// What training takes beyond what is in memory before it begins, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Whatever the batch: weights, gradients, the optimizer's state, averages, the copies that are saved, and what the program itself takes.
    pub fixed: u64,
    /// For each sample of a batch that trains.
    pub each: u64,
    /// Samples in a batch, no more than there are.
    pub batch: u64,
    /// What measuring takes.
    pub measuring: Measuring,
}

/// What measuring on held-out samples takes, between epochs and at the end: nothing waits for a way back then, but all outputs are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measuring {
    /// Bytes for each sample of a batch, whose size is that of training or 256, if that is more.
    pub each: u64,
    /// Samples of the largest held-out split.
    pub samples: u64,
    /// Bytes of the outputs that are kept for rankings, calibration and the report.
    pub kept: u64,
}

/// What the program takes for itself while it trains: its threads, what the allocator keeps, the pictures of the report and what its answers went
/// by. Runs differ by 15 MiB with what their threads happen to do at once; this is above the most that digits and the smallest network took.
const PROGRAM: u64 = 64 << 20;
/// Samples in a batch that is measured, unless those that train are larger.
pub(crate) const MEASURED: usize = 256;
/// Bytes of an output that is kept: once for rankings, with its truth, once for calibration or the report; twice that while a list grows.
const KEPT: u64 = 2 * (FLOAT + 1 + FLOAT);
/// Outputs beyond which none are kept: see `tasks`.
const MOST_KEPT: u64 = 1 << 26;

impl Estimate {
    /// For one of `ranks` that share each batch, else as [`Estimate::of`].
    ///
    /// # Errors
    /// If the network cannot be made.
    pub fn of_rank(
        config: &TrainConfig,
        dataset: &Dataset,
        outputs: usize,
        frozen: u64,
        ranks: usize,
    ) -> Result<Self, Error> {
        let share = TrainConfig { batch: config.batch.div_ceil(ranks.max(1)), ..config.clone() };
        Self::of(&share, dataset, outputs, frozen)
    }

    /// For training with these settings on `dataset`, with `outputs` of the network, of whose numbers `frozen` stay as they are.
    ///
    /// # Errors
    /// If the network cannot be made.
    pub fn of(config: &TrainConfig, dataset: &Dataset, outputs: usize, frozen: u64) -> Result<Self, Error> {
        let net = models::footprint(&config.model, &dataset.input, outputs)?;
        let (weights, slots) = (1 + u64::from(config.ema.is_some()), config.optimizer.state_per_parameter() as u64);
        // A save holds the state twice: as numbers, and as the bytes of a file. The best model and the last wait for the next one.
        let all = net.parameters.saturating_mul(3 * weights + 2);
        // Only what trains has gradients and a state of the optimizer.
        let trained =
            net.parameters.saturating_sub(frozen).saturating_mul(3 * slots + 1 + u64::from(config.accumulate > 1));
        // The batch at hand, and for each worker one that waits and one in the making.
        let batches = 2 + 2 * config.workers.min(64) as u64;
        let inputs = (dataset.input.len() as u64).saturating_mul(batches);
        let in_flight = inputs.saturating_add(net.largest.saturating_mul(IN_FLIGHT));
        // In 16 bits the kernels keep what they were given in f32, beside the halves.
        let halves = if config.precision == Precision::F32 { 0 } else { net.kept / 2 };
        let each = in_flight.saturating_add(net.kept).saturating_add(halves);
        let held_out = [&dataset.split.val, &dataset.split.test].map(|split| split.len() as u64);
        let kept = |samples: u64| samples.saturating_mul(outputs as u64).min(MOST_KEPT);
        let measuring = Measuring {
            each: in_flight.saturating_mul(FLOAT),
            samples: held_out.into_iter().max().unwrap_or(0),
            kept: held_out.into_iter().map(kept).sum::<u64>() * KEPT,
        };
        Ok(Self {
            fixed: all.saturating_add(trained).saturating_mul(FLOAT).saturating_add(PROGRAM),
            each: each.saturating_mul(FLOAT),
            batch: config.batch.min(dataset.split.train.len()) as u64,
            measuring,
        })
    }

    /// Bytes in all.
    pub fn total(&self) -> u64 {
        self.with(self.batch)
    }

    /// Bytes in all with another batch.
    fn with(&self, batch: u64) -> u64 {
        let measured = self.measuring.each.saturating_mul(batch.max(MEASURED as u64).min(self.measuring.samples));
        let most = self.each.saturating_mul(batch).max(measured);
        self.fixed.saturating_add(self.measuring.kept).saturating_add(most)
    }

    /// The largest batch that takes no more than `bytes`; 0 where not even one sample does.
    fn largest(&self, bytes: u64) -> u64 {
        // Found by halves: more samples never take less.
        let (mut fits, mut too_many) = (0, u64::from(u32::MAX) + 1);
        while too_many - fits > 1 {
            let middle = u64::midpoint(fits, too_many);
            if self.with(middle) <= bytes { fits = middle } else { too_many = middle }
        }
        fits
    }

    /// The batch that `--batch auto` takes: the largest power of two that takes no more than `bytes` and is no more than [`most_useful`] for
    /// `samples` that train. Powers of two, so that it isn't another one each time that a little more or less memory is free.
    ///
    /// # Errors
    /// [`Error::Memory`] where not even one sample fits.
    pub fn batch_within(&self, bytes: u64, samples: usize) -> Result<usize, Error> {
        match self.largest(bytes).min(most_useful(samples) as u64) {
            0 => Err(Error::Memory(format!(
                "--batch auto: one sample takes about {}, and {} may be taken; use a smaller network or smaller images, or give more",
                readable(self.with(1)),
                readable(bytes)
            ))),
            most => Ok(1 << most.ilog2()),
        }
    }

    /// Refuses a batch that doesn't fit into `available` bytes.
    ///
    /// # Errors
    /// [`Error::Memory`] with the estimate, what there is, and the largest batch that fits.
    pub fn check(&self, available: u64) -> Result<(), Error> {
        if self.total() <= available {
            return Ok(());
        }
        let advice = match self.largest(available) {
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

/// The largest batch that is of use for training on so many samples: a twentieth of them, between 8 and 1,024, and no more than there are. The
/// memory of most machines would hold all samples at once, but what a training comes to goes by the number of its updates: Masters and Luschi
/// ("Revisiting Small Batch Training for Deep Neural Networks", 2018) find the best results between 2 and 32, and nothing better above, and the
/// default learning rates are those of small batches.
pub fn most_useful(samples: usize) -> usize {
    (samples / 20).clamp(8, 1024).min(samples)
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
        let measuring = Measuring::default();
        let estimate = Estimate { fixed: 100 << 20, each: 1 << 20, batch: 4096, measuring };
        estimate.check(5 << 30).unwrap();
        let error = estimate.check(1 << 30).unwrap_err();
        assert_eq!(error.exit_code(), 7);
        let expected = "--batch: a step of 4096 samples takes about 4.1 GiB, and 1.0 GiB are available; the largest batch that fits is \
                        about 924: try --batch 924, and --accumulate for more";
        assert_eq!(error.to_string(), expected);
        Estimate { batch: 924, ..estimate }.check(1 << 30).unwrap();
        assert!(Estimate { batch: 925, ..estimate }.check(1 << 30).is_err());
        assert!(estimate.check(100 << 20).unwrap_err().to_string().contains("not even one sample fits"));
        assert_eq!(Estimate { fixed: 1, each: u64::MAX, batch: 9, measuring }.total(), u64::MAX);
    }

    #[test]
    fn what_is_frozen_has_no_gradients_and_no_state_of_the_optimizer() {
        let dataset = data::digits::load(&data::OpenOptions::default()).unwrap();
        let mut config = TrainConfig::new(models::ModelConfig::named("mlp").unwrap());
        config.ema = None;
        let all = models::footprint(&config.model, &dataset.input, 10).unwrap().parameters;
        let numbers = |config: &TrainConfig, frozen| {
            (Estimate::of(config, &dataset, 10, frozen).unwrap().fixed - PROGRAM) / FLOAT
        };
        // The weights thrice (here, and twice in a save), and the best and the last model.
        assert_eq!(numbers(&config, all), 5 * all);
        // And two moments of each, thrice, with its gradient.
        assert_eq!(config.optimizer.state_per_parameter(), 2);
        assert_eq!(numbers(&config, 0), (5 + 7) * all);
        assert_eq!(numbers(&config, all - 100), 5 * all + 7 * 100);
        (config.accumulate, config.ema) = (2, Some(0.9));
        assert_eq!(numbers(&config, all - 100), 8 * all + 8 * 100, "averages are of all, gradients that wait are not");
    }

    #[test]
    fn measuring_counts_where_it_takes_more_than_training() {
        let measuring = Measuring { each: 1 << 10, samples: 1000, kept: 5 << 20 };
        let estimate = |batch| Estimate { fixed: 1 << 20, each: 4 << 10, batch, measuring }.total();
        assert_eq!(estimate(8), (6 << 20) + 256 * (1 << 10), "a batch that is measured has 256 samples");
        assert_eq!(estimate(128), (6 << 20) + 128 * (4 << 10));
        let few = Measuring { samples: 3, ..measuring };
        assert_eq!(Estimate { fixed: 0, each: 1, batch: 1, measuring: few }.total(), (5 << 20) + 3 * (1 << 10));
    }

    #[test]
    fn the_chosen_batch_is_the_largest_power_of_two_that_fits_and_is_of_use() {
        let measuring = Measuring::default();
        let estimate = Estimate { fixed: 100 << 20, each: 1 << 20, batch: 1, measuring };
        let chosen = |mib: u64, samples| estimate.batch_within(mib << 20, samples).ok();
        assert_eq!(
            [99, 100, 101, 227, 228, 1 << 40].map(|mib| chosen(mib, 1 << 20)),
            [None, None, Some(1), Some(64), Some(128), Some(1024)]
        );
        let of_use = |samples| chosen(1 << 40, samples).unwrap();
        assert_eq!([1, 7, 100, 1294, 54_000].map(of_use), [1, 4, 8, 64, 1024]);
        let error = estimate.batch_within(1 << 20, 100).unwrap_err();
        assert_eq!(error.exit_code(), 7);
        assert!(
            error.to_string().starts_with("--batch auto: one sample takes about 101.0 MiB, and 1.0 MiB may"),
            "{error}"
        );
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
