//! How each process of the benchmark is started: our two examples, built first, and the peers' scripts. All get the same threads.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::Options;
use crate::workspace::{self, build};

/// Package, example, and what it does.
const EXAMPLES: [(&str, &str, &[&str]); 2] =
    [("trainer", "bench_train", &["train", "sgemm"]), ("infer", "bench_predict", &["predict"])];
const SCRIPTS: [(&str, &[&str]); 2] =
    [("torch_peer.py", &["train", "predict", "sgemm"]), ("onnx_peer.py", &["predict", "sgemm"])];

/// What the libraries below take their number of threads from.
const THREADS: [&str; 4] = ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"];

/// Where examples and scripts read which device to compute on.
const DEVICE: &str = "BENCH_DEVICE";

/// A process that can be started more than once.
pub(crate) struct Peer {
    program: PathBuf,
    arguments: Vec<String>,
    threads: usize,
    device: String,
}

impl Peer {
    /// The process, not started.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        set_threads(&mut command, self.threads);
        command.env(DEVICE, &self.device);
        command
    }
}

/// Gives `command` so many threads.
pub(crate) fn set_threads(command: &mut Command, threads: usize) {
    command.envs(THREADS.map(|name| (name, threads.to_string())));
}

/// Ours, and with a Python the peers: those that do any of what is `needed`.
pub(super) fn all(needed: &[&str], options: &Options) -> Result<Vec<Peer>> {
    let does = |what: &[&str]| what.iter().any(|what| needed.contains(what));
    let (threads, device) = (options.threads, options.device());
    let peer = |program, arguments| Peer { program, arguments, threads, device: device.to_owned() };
    let ours = EXAMPLES.iter().filter(|(.., what)| does(what)).map(|(package, example, _)| {
        let selection = ["-p", package, "--example", example].into_iter().chain(options.features());
        Ok(peer(build(&selection.collect::<Vec<_>>(), example)?, Vec::new()))
    });
    let mut peers = ours.collect::<Result<Vec<_>>>()?;
    for (script, _) in SCRIPTS.iter().filter(|(_, what)| does(what)) {
        let Some(python) = &options.peers else { break };
        // ONNX Runtime's packages for GPUs are others.
        if is_cpu(device) || *script == "torch_peer.py" {
            peers.push(peer(python.into(), script_arguments(script, &[&threads.to_string()])));
        }
    }
    Ok(peers)
}

/// Whether that names one.
pub(super) fn is_cpu(device: &str) -> bool {
    ["cpu", "flex", "ndarray"].contains(&device)
}

/// What Python is given to run a peer's script, without leaving bytecode beside it.
pub(crate) fn script_arguments(name: &str, arguments: &[&str]) -> Vec<String> {
    let script = workspace::root().join("xtask/peers").join(name).to_string_lossy().into_owned();
    let arguments = arguments.iter().map(|argument| argument.to_string());
    ["-B".to_owned(), script].into_iter().chain(arguments).collect()
}
