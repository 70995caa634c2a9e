//! Several processes that train one model, started by `mpirun`: the weights that they come to, other numbers of them on resuming, ranks that
//! disagree, and ranks that are killed. Where there is no `mpirun` the tests say so and pass.
#![cfg(all(unix, feature = "flex"))]
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod program;

#[cfg(not(feature = "mpi"))]
#[test]
fn a_build_without_mpi_refuses_to_be_one_of_several() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program::command(folder.path(), &["train", "digits"]);
    let output = command.env("OMPI_COMM_WORLD_SIZE", "2").env("OMPI_COMM_WORLD_RANK", "0").output().unwrap();
    program::ends(output, 2, "--features mpi");
    let mut command = program::command(folder.path(), &["train", "digits"]);
    let other = command.env("OMPI_COMM_WORLD_SIZE", "2").env("OMPI_COMM_WORLD_RANK", "1").output().unwrap();
    assert!(other.stderr.is_empty(), "one says it for all");
    assert!(!folder.path().join("runs").exists());
}

#[cfg(feature = "mpi")]
mod started {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Output, Stdio};
    use std::time::{Duration, Instant};

    use super::program::{command, ends, rows, stderr, trainer, until_saved};

    /// 20 steps: two epochs of ten batches of 47, which two ranks cannot halve, the last of them of 9.
    const STEPS: [&str; 18] = [
        "train",
        "digits",
        "--limit",
        "600",
        "--batch",
        "47",
        "--epochs",
        "2",
        "--optimizer",
        "sgd",
        "--lr",
        "0.05",
        "--ema",
        "0.9",
        "--quiet",
        "--runs",
        "runs",
        "--name",
    ];

    /// `mpirun` with these parts of its command line, one for each group of ranks; none where there is no mpirun.
    fn mpirun(folder: &Path, groups: &[(&str, Vec<&str>)]) -> Option<Command> {
        if Command::new("mpirun").arg("--version").output().is_err() {
            eprintln!("no mpirun here: not tested (Debian: apt-get install openmpi-bin)");
            return None;
        }
        let program = command(folder, &[]);
        let mut command = Command::new("mpirun");
        command.env_clear().envs(std::env::vars().filter(|(name, _)| !name.starts_with("STRIATE_")));
        // As root in containers; more ranks than cores; each group of ranks separated from the next by a colon.
        command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
        command.env("RAYON_NUM_THREADS", "1").current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        command.args(["--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]);
        for (at, (ranks, arguments)) in groups.iter().enumerate() {
            command.args((at > 0).then_some(":")).args(["-n", ranks]).arg(program.get_program()).args(arguments);
        }
        command.stderr(Stdio::piped());
        Some(command)
    }

    /// What `child` leaves, which must not take longer than `seconds`: ranks that wait for each other wait for ever.
    #[track_caller]
    fn within(seconds: u64, mut child: Child) -> Output {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("still running after {seconds} s: {}", stderr(&child.wait_with_output().unwrap()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        child.wait_with_output().unwrap()
    }

    /// The run `runs/NAME` with two ranks, to its end.
    #[track_caller]
    fn two(folder: &Path, name: &str, more: &[&str]) -> Option<PathBuf> {
        let arguments = [&STEPS[..], &[name], more].concat();
        ends(within(120, mpirun(folder, &[("2", arguments)])?.spawn().unwrap()), 0, "");
        Some(folder.join("runs").join(name))
    }

    /// The same with one process and one thread, without mpirun.
    #[track_caller]
    fn one(folder: &Path, name: &str, more: &[&str]) -> PathBuf {
        let mut command = command(folder, &[&STEPS[..], &[name], more].concat());
        ends(command.env("RAYON_NUM_THREADS", "1").output().unwrap(), 0, "");
        folder.join("runs").join(name)
    }

    /// The numbers of the last model file.
    fn weights(run: &Path) -> Vec<f32> {
        let bytes = fs::read(run.join("weights/last.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors = file.tensors();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        let numbers = tensors.iter().flat_map(|(_, tensor)| tensor.data().as_chunks::<4>().0);
        numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    #[track_caller]
    fn assert_close(one: &Path, other: &Path, most: f32) {
        let (one, other) = (weights(one), weights(other));
        assert_eq!(one.len(), other.len());
        let apart = one.iter().zip(&other).fold(0.0, |most, (a, b)| f32::max(most, (a - b).abs()));
        assert!(apart <= most, "{apart}");
    }

    /// The process of rank `rank` under the `mpirun` that is `parent`.
    fn rank(parent: u32, rank: &str) -> Option<u32> {
        let variable = format!("OMPI_COMM_WORLD_RANK={rank}");
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        numbers.find(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            status.lines().any(|line| line == format!("PPid:\t{parent}"))
                && environment.split(|byte| *byte == 0).any(|found| found == variable.as_bytes())
        })
    }

    #[test]
    fn two_processes_come_to_the_weights_of_one_and_to_the_same_bits_each_time() {
        let folder = tempfile::tempdir().unwrap();
        for (name, more) in [
            ("cnn", &["--model", "cnn", "--dropout", "0.2", "--augment", "light"][..]),
            ("weighted", &["--model", "mlp", "--class-weights", "0.1,1,2,3,1,1,1,1,1,5", "--clip-norm", "1"]),
        ] {
            let Some(together) = two(folder.path(), name, more) else { return };
            let alone = one(folder.path(), &format!("{name}-alone"), more);
            assert_close(&together, &alone, 1e-5);
            let again = two(folder.path(), &format!("{name}-again"), more).unwrap();
            assert_eq!(rows(&together), rows(&again));
            assert_eq!(weights(&together), weights(&again));
            assert_ne!(rows(&together), rows(&alone), "two ranks have taken their sums in another order");
        }
    }

    #[test]
    fn one_process_under_mpirun_is_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let Some(mut under) = mpirun(folder.path(), &[("1", [&STEPS[..], &["under"]].concat())]) else { return };
        ends(within(120, under.spawn().unwrap()), 0, "");
        let alone = one(folder.path(), "alone", &[]);
        assert_eq!(weights(&folder.path().join("runs/under")), weights(&alone));
        assert_eq!(rows(&folder.path().join("runs/under")), rows(&alone));
    }

    #[test]
    fn a_killed_rank_ends_the_others_and_either_number_of_ranks_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        // At ten times the rate, rounding grows to another network within an epoch.
        let more = ["--limit", "1200", "--batch", "5", "--epochs", "3", "--lr", "0.005", "--checkpoint-steps", "7"];
        let arguments = |name| [&STEPS[..], &[name], &more].concat();
        let Some(mut started) = mpirun(folder.path(), &[("2", arguments("killed"))]) else { return };
        let straight = one(folder.path(), "straight", &more);

        let child = started.spawn().unwrap();
        let run = folder.path().join("runs/killed");
        until_saved(&run);
        let victim = rank(child.id(), "1").unwrap();
        assert!(Command::new("kill").args(["-9", &victim.to_string()]).status().unwrap().success());
        let output = within(30, child);
        assert!(!output.status.success() && !stderr(&output).contains("panicked"), "{}", stderr(&output));
        assert!(!run.join("metrics.json").exists(), "the run had ended before its rank was killed");
        let text =
            ends(trainer(folder.path(), &["resume", "runs/killed", "--quiet"]), 0, "changed: ranks 1 instead of 2");
        assert_eq!(text.matches("changed:").count(), 1, "{text}");
        assert_close(&run, &straight, 1e-5);

        // And the other way round: one process is killed, two go on.
        let mut child = command(folder.path(), &arguments("single")).stderr(Stdio::null()).spawn().unwrap();
        let run = folder.path().join("runs/single");
        until_saved(&run);
        child.kill().unwrap();
        child.wait().unwrap();
        let mut resumed = mpirun(folder.path(), &[("2", vec!["resume", "runs/single", "--quiet"])]).unwrap();
        ends(within(120, resumed.spawn().unwrap()), 0, "changed: ranks 2 instead of 1");
        assert_close(&run, &straight, 1e-5);
        let metrics = fs::read_to_string(run.join("metrics.json")).unwrap();
        assert!(metrics.contains("\"setting\": \"ranks\""), "{metrics}");
    }

    #[test]
    fn ranks_that_are_not_of_one_mind_are_refused_with_both_values_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let with = |more: &[&'static str]| [&STEPS[..], &["run"], more].concat();
        let rows = |last: &str| {
            let rows: String = (0..40).map(|row| format!("{row},{}\n", if row % 2 == 0 { "a" } else { "b" })).collect();
            format!("x,y\n{rows}{last}\n")
        };
        for (file, last) in [("first.csv", "7,a"), ("second.csv", "7,b")] {
            fs::write(folder.path().join(file), rows(last)).unwrap();
        }
        let table = |file| vec!["train", file, "--label", "y", "--batch", "8", "--quiet"];
        let cases = [
            (with(&[]), with(&["--lr", "0.07"]), 2, "`lr` is 0.05 on rank 0, 0.07 on rank 1"),
            (with(&["--limit", "400"]), with(&["--limit", "500"]), 2, "`limit` is 400 on rank 0, 500 on rank 1"),
            (table("first.csv"), table("second.csv"), 3, "the data that it found: "),
            (table("first.csv"), table("absent.csv"), 3, "rank 1: `absent.csv`"),
            (with(&["--lr", "0"]), with(&["--lr", "0"]), 2, "--lr: expected a number above 0"),
        ];
        for (first, other, code, message) in cases {
            let Some(mut started) = mpirun(folder.path(), &[("1", first), ("1", other)]) else { return };
            let text = ends(within(60, started.spawn().unwrap()), code, message);
            assert_eq!(text.matches("error: ").count(), 1, "{text}");
            assert!(!folder.path().join("runs").exists(), "{message}");
        }
    }

    #[test]
    fn another_program_is_refused_though_it_would_do_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = [&STEPS[..], &["run"]].concat();
        let Some(mut started) = mpirun(folder.path(), &[("1", arguments.clone())]) else { return };
        // What follows a program is no part of what runs.
        let (copy, mut bytes) = (folder.path().join("trainer"), fs::read(env!("CARGO_BIN_EXE_trainer")).unwrap());
        bytes.push(0);
        fs::copy(env!("CARGO_BIN_EXE_trainer"), &copy).unwrap();
        fs::write(&copy, bytes).unwrap();
        started.args([":", "-n", "1"]).arg(copy).args(arguments);
        let text = ends(within(60, started.spawn().unwrap()), 2, "the SHA-256 of the program is ");
        assert!(
            text.contains("start the same file on every machine") && text.matches("error: ").count() == 1,
            "{text}"
        );
        assert!(!folder.path().join("runs").exists());
    }

    #[test]
    fn a_batch_that_fits_all_ranks_is_taken_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let Some(plain) = two(folder.path(), "plain", &[]) else { return };
        assert_eq!(weights(&plain), weights(&two(folder.path(), "halving", &["--halve-batch"]).unwrap()));
    }

    #[test]
    fn what_only_one_process_does_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (arguments, message) in [
            (vec!["find-lr", "digits"], "only `train` and `resume`"),
            (vec!["train", "--batch", "auto"], "give --batch N"),
            (vec!["train", "--batch", "1"], "expected a sample for each of the 2 ranks"),
        ] {
            let Some(mut started) = mpirun(folder.path(), &[("2", arguments)]) else { return };
            ends(within(60, started.spawn().unwrap()), 2, message);
        }
    }
}
