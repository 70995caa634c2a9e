//! The project's chores: `cargo xtask check | tidy | golden | bench | crash`. Owns the command line; every chore has a file of its own.
//! Depends on no crate of ours, so that it builds in seconds and can judge them all.

use std::process::ExitCode;

mod bench;
mod check;
mod crash;
mod golden;
mod gpu;
mod tidy;
mod workspace;

const USAGE: &str = "usage: cargo xtask COMMAND

  check            all that a change must pass: format, tidy, lints, tests, docs; cheapest first, each timed
  check --gpu      the same code on a GPU, or on a driver in software (apt-get install mesa-vulkan-drivers): builds with wgpu, compares
                   every layer, network, loss and optimizer with the CPU, trains, resumes and predicts across devices
  tidy             house rules that no compiler knows: arrows between crates, file headers and lengths, names, features
  golden           reruns the scripts that made the golden numbers and compares; needs a Python with torch (PYTHON=...)
  bench [--peers PYTHON] [--only WHAT[:MODEL[:BATCH]],..] [--quick] [--json] [--mnist DIR] [--photos DIR] [--threads N]
        [--device NAME] [--features LIST]
                   speed and memory of training and prediction against the same networks in plain Burn and, with a Python that
                   has xtask/peers/requirements.txt, in PyTorch and ONNX Runtime; WHAT is train, predict, memory,
                   start, mnist or folder; --features wgpu,cuda --device cuda measures a GPU
  crash [--kills N] [--power N] [--faults N|all] [--seed N] [--json]
                   kills a run N times at random moments, a good part of them inside of a save; cuts its power at N moments and
                   rebuilds what the disk might hold; lets the system refuse every call in turn: each time it is resumed and must come
                   to the bits of a run that nothing happened to. 200 kills if nothing is asked for";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["check"] => check::run(),
        ["check", "--gpu"] => check::gpu(),
        ["tidy"] => tidy::run(),
        ["golden"] => golden::run(),
        ["bench", options @ ..] => bench::run(options),
        ["crash", options @ ..] => crash::run(options),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
