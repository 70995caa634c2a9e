//! The times of one case: who ran, what each round took, and what follows from that: the best variant of each, ratios, spreads.

use serde_json::{Value, json};

use super::cases::{Case, PLAIN};

/// One variant of somebody in a case.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    /// Who: `striate`, `Burn`, `PyTorch`, `ONNX Runtime`.
    pub(crate) who: String,
    /// Such as `ours` or `channels-last-fused`.
    pub(crate) variant: String,
    /// Seconds of a step, for each round in which it ran; missing where it had been left behind.
    pub(crate) seconds: Vec<Option<f64>>,
    /// Of its fastest step.
    pub(crate) best: f64,
    /// Why it doesn't run.
    pub(crate) error: Option<String>,
}

/// A case with all who ran in it.
#[derive(Clone, Debug)]
pub(crate) struct Contest {
    pub(crate) case: Case,
    pub(crate) runners: Vec<Runner>,
    /// Floating-point operations in a step.
    pub(crate) flop: Option<u64>,
}

impl Runner {
    pub(crate) fn new(server: &str, variant: &str) -> Self {
        let who = if server == "striate" && (variant == "plain" || variant == "burn") { PLAIN } else { server };
        let (who, variant) = (who.to_owned(), variant.to_owned());
        Self { who, variant, seconds: Vec::new(), best: f64::INFINITY, error: None }
    }

    /// The median over its rounds.
    pub(crate) fn median(&self) -> Option<f64> {
        median(self.seconds.iter().flatten().copied().collect())
    }

    /// Half the distance between the quartiles, as a part of the median.
    fn spread(&self) -> Option<f64> {
        let mut seconds: Vec<f64> = self.seconds.iter().flatten().copied().collect();
        seconds.sort_by(f64::total_cmp);
        let at = |part: f64| seconds.get((part * (seconds.len().max(1) - 1) as f64).round() as usize).copied();
        Some((at(0.75)? - at(0.25)?) / 2.0 / at(0.5)?)
    }

    /// How many times as long as `other` it took: the median over the rounds in which both ran.
    fn over(&self, other: &Self) -> Option<f64> {
        let rounds = self.seconds.iter().zip(&other.seconds);
        median(rounds.filter_map(|(own, other)| Some((*own)? / (*other)?)).collect())
    }
}

impl Contest {
    /// Our own, without what surrounds the network.
    pub(crate) fn ours(&self) -> Option<&Runner> {
        self.runners.iter().find(|runner| runner.variant == "ours" && runner.error.is_none())
    }

    /// The variant of `who` that has the smallest median.
    pub(crate) fn best(&self, who: &str) -> Option<&Runner> {
        let found = self.runners.iter().filter(|runner| runner.who == who && runner.median().is_some());
        found.min_by(|a, b| a.median().unwrap_or(f64::INFINITY).total_cmp(&b.median().unwrap_or(f64::INFINITY)))
    }

    /// GFLOP/s of a step of so many seconds.
    pub(crate) fn gflops(&self, seconds: f64) -> Option<f64> {
        Some(self.flop? as f64 / seconds / 1e9)
    }

    /// The row of the report; `who` are those we are compared with.
    pub(crate) fn json(&self, who: &[&str]) -> Value {
        let Case { what, model, batch, .. } = self.case;
        let mut row = json!({"what": what, "model": model, "batch": batch, "flop": self.flop});
        let per_second = |seconds: f64| batch as f64 / seconds;
        if let Some(ours) = self.ours() {
            row["step_s"] = json!(ours.median());
            row["images_per_s"] = json!(ours.median().map(per_second));
            row["best_images_per_s"] = json!(per_second(ours.best));
            row["spread"] = json!(ours.spread());
            row["gflops"] = json!(ours.median().and_then(|seconds| self.gflops(seconds)));
            let whole = self.runners.iter().find(|runner| runner.variant == "whole");
            row["whole_images_per_s"] = json!(whole.and_then(Runner::median).map(per_second));
            row["overhead"] = json!(whole.and_then(|whole| whole.over(ours)).map(|ratio| ratio - 1.0));
            for who in who {
                let Some(peer) = self.best(who) else { continue };
                row["against"][*who] = json!({
                    "variant": peer.variant,
                    "images_per_s": peer.median().map(per_second),
                    "ratio": peer.over(ours),
                    "best_ratio": peer.best / ours.best,
                });
            }
            row["must"] = json!(self.must());
        }
        row["runners"] = self.runners.iter().map(|runner| self.runner_json(runner)).collect();
        row
    }

    fn runner_json(&self, runner: &Runner) -> Value {
        json!({
            "who": runner.who,
            "variant": runner.variant,
            "images_per_s": runner.median().map(|seconds| self.case.batch as f64 / seconds),
            "spread": runner.spread(),
            "gflops": runner.median().and_then(|seconds| self.gflops(seconds)),
            "best_step_s": runner.best.is_finite().then_some(runner.best),
            "seconds": runner.seconds,
            "error": runner.error,
        })
    }

    /// The promise: whom, how many times, and whether it is kept; `None` while the other hasn't run.
    fn must(&self) -> Option<Value> {
        let (who, least) = self.case.least?;
        let reached = self.ours().and_then(|ours| self.best(who)?.over(ours));
        Some(json!({"who": who, "ratio": least, "kept": reached.map(|reached| reached >= least)}))
    }
}

/// The middle of `values`.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (lower, upper) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::super::cases::TORCH;
    use super::*;

    fn runner(who: &str, variant: &str, seconds: &[f64]) -> Runner {
        let seconds = seconds.iter().map(|seconds| Some(*seconds)).collect();
        Runner { seconds, best: 0.5, ..Runner::new(who, variant) }
    }

    fn contest() -> Contest {
        let case = Case { what: "train", model: "cnn", batch: 10, least: Some((TORCH, 1.3)) };
        let runners = vec![
            runner("striate", "ours", &[1.0, 2.0, 1.0]),
            runner("striate", "plain", &[3.0, 6.0, 3.0]),
            runner("striate", "whole", &[1.1, 2.2, 1.1]),
            runner(TORCH, "eager", &[4.0, 4.0, 4.0]),
            runner(TORCH, "compile", &[1.5, 3.0, 1.5]),
        ];
        Contest { case, runners, flop: Some(2_000_000_000) }
    }

    #[test]
    fn ratios_are_those_of_rounds_against_the_best_variant() {
        let row = contest().json(&[PLAIN, TORCH]);
        let near = |value: &Value, wanted: f64| (value.as_f64().unwrap() - wanted).abs() < 1e-9;
        assert_eq!(row["against"][TORCH]["variant"], "compile");
        assert!(near(&row["against"][TORCH]["ratio"], 1.5) && near(&row["against"][PLAIN]["ratio"], 3.0));
        assert!(near(&row["overhead"], 0.1) && near(&row["gflops"], 2.0) && near(&row["images_per_s"], 10.0));
        assert_eq!(row["must"]["kept"], true);
    }

    #[test]
    fn a_promise_to_nobody_is_neither_kept_nor_broken() {
        let mut contest = contest();
        contest.runners.truncate(3);
        assert_eq!(contest.json(&[TORCH])["must"]["kept"], Value::Null);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!((median(vec![4.0, 1.0, 3.0, 2.0]), median(Vec::new())), (Some(2.5), None));
    }
}
