//! How the benchmarks time: variants take turns, so that a machine that slows down slows all of them, and what is compared is the
//! median over rounds. Included by the benchmarks of `trainer` and `infer`.

use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

/// How long to measure.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    /// Rounds; each times every variant once.
    pub(crate) rounds: usize,
    /// About how long a variant runs in a round.
    pub(crate) seconds: f64,
}

/// One thing to time: does this many steps and returns the seconds they took.
pub(crate) type Variant<'a> = Box<dyn FnMut(usize) -> Result<f64> + 'a>;

impl Clock {
    /// From the command line: `--quick` measures shortly.
    pub(crate) fn from_args() -> Self {
        match std::env::args().any(|argument| argument == "--quick") {
            true => Self { rounds: 3, seconds: 0.2 },
            false => Self { rounds: 9, seconds: 0.6 },
        }
    }

    /// Seconds per step of each variant, for each round. Every variant does as many steps as the first needs to fill the time.
    pub(crate) fn rounds(self, variants: &mut [Variant<'_>]) -> Result<Vec<Vec<f64>>> {
        let Some(first) = variants.first_mut() else { return Ok(Vec::new()) };
        // The first steps allocate and, on a GPU, compile; the second go tells the speed.
        first(3)?;
        let steps = (self.seconds * 5.0 / first(5)?).ceil().clamp(4.0, 100_000.0) as usize;
        for variant in variants.iter_mut() {
            variant(steps.min(8))?;
        }
        let mut times = vec![Vec::new(); variants.len()];
        for _ in 0..self.rounds {
            for (variant, times) in variants.iter_mut().zip(&mut times) {
                times.push(variant(steps)? / steps as f64);
            }
        }
        Ok(times)
    }
}

/// Runs `step` so often and returns the seconds, what the device still has in its queue included.
pub(crate) fn timed(steps: usize, device: &burn::tensor::Device, mut step: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..steps {
        step()?;
    }
    device.sync().map_err(|error| anyhow::anyhow!("{error:?}"))?;
    Ok(start.elapsed().as_secs_f64())
}

/// One row of the result: `times` are those of plain Burn, of our bare network, and of the whole path.
pub(crate) fn row(what: &str, model: &str, batch: usize, device: &str, times: &[Vec<f64>]) -> Value {
    let [plain, bare, whole] = times else { return Value::Null };
    let ratio =
        |over: &[f64], under: &[f64]| median(over.iter().zip(under).map(|(over, under)| over / under).collect());
    let overhead = ratio(whole, bare) - 1.0;
    json!({
        "what": what,
        "model": model,
        "batch": batch,
        "device": device,
        "images_per_s": batch as f64 / median(whole.clone()),
        "spread": spread(whole.clone()),
        "plain_burn": batch as f64 / median(plain.clone()),
        "bare": batch as f64 / median(bare.clone()),
        "ratio": ratio(plain, bare),
        "overhead": overhead,
        "note": format!("network alone {:.0} images/s; the rest of the path {:+.1} %", batch as f64 / median(bare.clone()), 100.0 * overhead),
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Half the distance between the quartiles, as a part of the median.
fn spread(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at =
        |part: f64| values.get((part * (values.len().max(1) - 1) as f64).round() as usize).copied().unwrap_or(f64::NAN);
    (at(0.75) - at(0.25)) / 2.0 / at(0.5)
}
