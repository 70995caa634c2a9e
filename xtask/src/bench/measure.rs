//! The order of things: everybody takes a turn in each round, so that a machine that slows down slows all of them, and only one process
//! computes at a time. Who is far behind after some rounds is left there.

use anyhow::Result;
use serde_json::{Value, json};

use super::cases::{self, Case, MEMORY};
use super::command::Peer;
use super::contest::{Contest, Runner};
use super::server::Server;

/// How long to measure.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    rounds: usize,
    /// About how long somebody runs in a round.
    seconds: f64,
    /// Whether `torch.compile` takes part: it takes half a minute for a network.
    compile: bool,
}

pub(crate) const QUICK: Clock = Clock { rounds: 3, seconds: 0.2, compile: false };
pub(crate) const FULL: Clock = Clock { rounds: 7, seconds: 0.5, compile: true };

/// Rounds in which everybody runs.
const OPEN_ROUNDS: usize = 3;
/// A variant that takes this many times as long as another of the same peer isn't that peer's best.
const BEATEN: f64 = 1.3;
/// And whoever takes this many times as long as the fastest needs no further digit.
const FAR_BEHIND: f64 = 4.0;

impl Clock {
    /// The matrix products: fewer rounds, for of them the fastest counts.
    pub(crate) fn sgemm(self, servers: &mut [Server]) -> Result<Contest> {
        Self { rounds: OPEN_ROUNDS, ..self }.measure(&cases::sgemm(), servers)
    }

    /// Measures one case.
    pub(crate) fn measure(self, case: &Case, servers: &mut [Server]) -> Result<Contest> {
        eprintln!("{} {} at batch {}", case.what, case.model, case.batch);
        let mut contest = Contest { case: case.clone(), runners: Vec::new(), flop: None };
        let mut homes = Vec::new();
        for (home, server) in servers.iter().enumerate() {
            for variant in server.variants(case.what).iter().filter(|variant| self.takes(case, variant)) {
                contest.runners.push(Runner::new(server.name(), variant));
                homes.push(home);
            }
        }
        // The first turn builds, compiles and warms up; it doesn't count.
        for (runner, home) in contest.runners.iter_mut().zip(&homes) {
            let answer = turn(case, runner, &mut servers[*home], self.seconds / 10.0)?;
            contest.flop = contest.flop.or(answer["flop"].as_u64());
        }
        for round in 0..self.rounds {
            let behind = left_behind(&contest.runners, round);
            for ((runner, home), behind) in contest.runners.iter_mut().zip(&homes).zip(behind) {
                let seconds = match behind || runner.error.is_some() {
                    true => None,
                    false => step_seconds(case, &turn(case, runner, &mut servers[*home], self.seconds)?),
                };
                runner.seconds.push(seconds);
            }
        }
        for server in servers {
            server.ask("forget")?;
        }
        Ok(contest)
    }

    fn takes(self, case: &Case, variant: &str) -> bool {
        // A perceptron has no maps whose channels could come last.
        let pointless = case.model == "mlp" && variant.contains("channels-last");
        !pointless && (self.compile || !variant.starts_with("compile"))
    }
}

fn turn(case: &Case, runner: &mut Runner, server: &mut Server, seconds: f64) -> Result<Value> {
    let Case { what, model, batch, .. } = case;
    let answer = server.ask(&format!("{what} {model} {batch} {} {seconds}", runner.variant))?;
    if let Some(error) = answer["error"].as_str() {
        eprintln!("{} {}: {error}", runner.who, runner.variant);
        runner.error = Some(error.to_owned());
    }
    runner.best = answer["best_s"].as_f64().unwrap_or(f64::INFINITY).min(runner.best);
    Ok(answer)
}

/// A single image is asked for its latency: the median. Otherwise it is the whole time that counts.
fn step_seconds(case: &Case, answer: &Value) -> Option<f64> {
    answer[if case.batch == 1 { "p50_s" } else { "step_s" }].as_f64()
}

fn left_behind(runners: &[Runner], round: usize) -> Vec<bool> {
    let fastest =
        |runners: &mut dyn Iterator<Item = &Runner>| runners.map(|runner| runner.best).fold(f64::INFINITY, f64::min);
    let of_all = fastest(&mut runners.iter());
    let behind = |runner: &Runner| {
        let of_same = fastest(&mut runners.iter().filter(|other| other.who == runner.who));
        runner.best > BEATEN * of_same || runner.best > FAR_BEHIND * of_all
    };
    let stays = |runner: &Runner| round < OPEN_ROUNDS || runner.who == "striate";
    runners.iter().map(|runner| !stays(runner) && behind(runner)).collect()
}

/// The peak memory of every process that trains, each with one variant alone: from its start on, libraries included.
pub(crate) fn memory(commands: &[Peer], clock: Clock) -> Result<Value> {
    let mut found = Vec::new();
    for command in commands {
        let variants = Server::start(command.command())?.variants(MEMORY.what);
        for variant in variants.iter().filter(|variant| *variant != "whole" && clock.takes(&MEMORY, variant)) {
            let mut server = Server::start(command.command())?;
            let mut runner = Runner::new(server.name(), variant);
            eprintln!("memory of {} {variant}", runner.who);
            turn(&MEMORY, &mut runner, &mut server, clock.seconds)?;
            let held = server.ask("memory")?;
            found.push(json!({
                "what": MEMORY.what, "model": MEMORY.model, "batch": MEMORY.batch,
                "who": runner.who, "variant": variant, "error": runner.error,
                "peak_bytes": held["peak_bytes"], "start_bytes": held["start_bytes"],
            }));
        }
    }
    Ok(json!(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_far_behind_is_left_there_but_never_we() {
        let runner = |who: &str, variant: &str, best| Runner { best, ..Runner::new(who, variant) };
        let runners = [
            runner("striate", "ours", 9.0),
            runner("striate", "plain", 9.0),
            runner("PyTorch", "eager", 1.4),
            runner("PyTorch", "compile", 1.0),
        ];
        assert_eq!(left_behind(&runners, OPEN_ROUNDS - 1), [false; 4]);
        assert_eq!(left_behind(&runners, OPEN_ROUNDS), [false, true, true, false]);
    }
}
