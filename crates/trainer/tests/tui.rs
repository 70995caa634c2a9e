//! `--tui` on a pseudo-terminal: what is drawn where, what its keys do, and that the terminal is given back whatever ends the run.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]
#![cfg(all(target_os = "linux", feature = "flex"))]

mod program;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use program::{command, ends, signal, trainer, until};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use serde_json::Value;

/// A training on a terminal of its own.
struct Sitting {
    child: Child,
    /// What the user sees and types on.
    user: File,
    /// The side of the program.
    terminal: File,
    modes: String,
    seen: Arc<Mutex<Vec<u8>>>,
}

/// What a terminal does with what goes through it.
fn modes(terminal: &File) -> String {
    let Termios { input_modes, output_modes, control_modes, local_modes, .. } = tcgetattr(terminal).unwrap();
    format!("{input_modes:?} {output_modes:?} {control_modes:?} {local_modes:?}")
}

/// Starts `trainer` in `folder`; `None` where no `setsid` gives it the terminal, by which the system tells it of a new size.
fn begin(folder: &Path, arguments: &[&str]) -> Option<Sitting> {
    if Command::new("setsid").arg("--version").output().is_err() {
        eprintln!("skipped: there is no `setsid`");
        return None;
    }
    // Closed in the child: it would keep its own terminal open, and wait for itself to read it.
    let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&user).unwrap();
    unlockpt(&user).unwrap();
    let terminal = File::from(ioctl_tiocgptpeer(&user, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
    let user = File::from(user);
    let own = || Stdio::from(terminal.try_clone().unwrap());
    let mut run = command(folder, &[]);
    let mut setsid = Command::new("setsid");
    setsid.arg("-c").arg(run.get_program()).args(arguments).current_dir(folder);
    setsid.envs([("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]).env_remove("CI").env_remove("NO_COLOR");
    run.get_envs().for_each(|(name, _)| _ = setsid.env_remove(name));
    run.stdin(Stdio::null());
    let modes = modes(&terminal);
    resize(&user, [80, 24]);
    let child = setsid.stdin(own()).stderr(own()).stdout(Stdio::piped()).spawn().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (own, mut reader) = (seen.clone(), user.try_clone().unwrap());
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut bytes) {
            own.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
    });
    Some(Sitting { child, user, terminal, modes, seen })
}

fn resize(user: &File, [columns, rows]: [u16; 2]) {
    tcsetwinsize(user, Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}

impl Sitting {
    fn press(&mut self, keys: &str) {
        self.user.write_all(keys.as_bytes()).unwrap();
    }

    /// All that was written to the terminal.
    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn until_seen(&self, what: &str) {
        until(what, || self.seen().contains(what));
    }

    /// Gives the terminal another size, and waits for a word of the picture that follows: only what differs from the one before is written,
    /// word by word, and all of it after this.
    #[track_caller]
    fn resized(&self, size: [u16; 2], word: &str) {
        let before = self.seen.lock().unwrap().len();
        resize(&self.user, size);
        until(word, || String::from_utf8_lossy(&self.seen.lock().unwrap()[before..]).contains(word));
    }

    /// Its exit code and what stands on the terminal after the screen, which is gone without a trace.
    #[track_caller]
    fn ended(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    self.child.kill().unwrap();
                    panic!("it does not end: {}", self.seen());
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        assert_eq!(modes(&self.terminal), self.modes);
        let mut data = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut data).unwrap();
        assert!(!data.contains('\u{1b}'), "standard output is data: {data:?}");
        // What comes last has everything before it.
        self.terminal.write_all(b"<end>").unwrap();
        self.until_seen("<end>");
        let seen = self.seen();
        let count = |escape: &str| seen.matches(escape).count();
        assert_eq!([count("\u{1b}[?1049h"), count("\u{1b}[?1049l")], [1, 1], "{seen}");
        let (_, after) = seen.split_once("\u{1b}[?1049l").unwrap();
        let lines = after.strip_prefix("\u{1b}[?25h").unwrap().to_owned();
        assert!(!lines.contains('\u{1b}') && !lines.contains("panicked"), "{lines}");
        (status.code(), lines)
    }
}

impl Drop for Sitting {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run with so many epochs that it doesn't end by itself.
const ENDLESS: [&str; 16] = [
    "train",
    "digits",
    "--tui",
    "--model",
    "mlp",
    "--hidden",
    "32",
    "--batch",
    "8",
    "--epochs",
    "100000",
    "--runs",
    "runs",
    "--name",
    "run",
    "--schedule=constant",
];

#[test]
fn half_a_key_freezes_nothing_and_keeps_nobody_from_ending() {
    let scratch = tempfile::tempdir().unwrap();
    // The letter of another encoding, and the beginning of an escape sequence.
    for half in [&b"\xe9"[..], b"\x1b["] {
        let Some(mut sitting) = begin(scratch.path(), &ENDLESS) else { return };
        sitting.until_seen("checkpoint");
        sitting.user.write_all(half).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        sitting.resized([100, 30], "learning");
        signal(&sitting.child, "-TERM");
        let (code, lines) = sitting.ended();
        assert_eq!(code, Some(143), "{lines}");
        assert!(lines.contains("resume runs/run"), "{lines}");
    }
}

#[test]
fn keys_save_and_stop_and_the_run_goes_on_from_there() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(mut sitting) = begin(scratch.path(), &ENDLESS) else { return };
    sitting.until_seen("checkpoint");
    sitting.until_seen("recall,");
    sitting.until_seen("\u{2580}");
    // Too small for pictures, and for anything; then with a third chart.
    sitting.resized([30, 8], "stop");
    resize(&sitting.user, [1, 1]);
    sitting.resized([120, 40], "recall,");
    assert!(sitting.seen().contains("learning"));
    let log = scratch.path().join("runs/run/events.jsonl");
    let saved_within = || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.into_iter().any(|event| event["event"] == "saved" && event["done_batches"] != 0)
    };
    // Epochs save at their ends by themselves, and only there.
    assert!(!saved_within());
    until("a checkpoint within an epoch", || {
        sitting.press("s");
        std::thread::sleep(Duration::from_millis(50));
        saved_within()
    });
    sitting.press("q");
    let (code, lines) = sitting.ended();
    assert_eq!(code, Some(130), "{lines}");
    assert!(lines.contains("stopping: the run is saved first") && lines.contains(" 1/100000 "), "{lines}");
    assert!(lines.contains("resume runs/run"), "{lines}");

    // Gone on with on a screen, and ended by Ctrl-C; then to its end.
    let mut sitting = begin(scratch.path(), &["resume", "runs/run", "--tui"]).unwrap();
    sitting.until_seen("checkpoint");
    sitting.press("\u{3}");
    assert_eq!(sitting.ended().0, Some(130));
    ends(trainer(scratch.path(), &["resume", "runs/run", "--epochs", "1", "--quiet"]), 0, "");
}

#[test]
fn the_terminal_comes_back_whatever_ends_the_run() {
    let scratch = tempfile::tempdir().unwrap();
    for (name, code) in [("-TERM", 143), ("-HUP", 129), ("-INT", 130)] {
        let Some(sitting) = begin(scratch.path(), &ENDLESS) else { return };
        sitting.until_seen("checkpoint");
        signal(&sitting.child, name);
        let (found, lines) = sitting.ended();
        assert_eq!(found, Some(code), "{lines}");
        assert!(lines.contains("interrupted in epoch"), "{lines}");
    }
    let short = [&ENDLESS[..], &["--epochs", "3", "--limit", "300"]].concat();
    let sitting = begin(scratch.path(), &short).unwrap();
    let (code, lines) = sitting.ended();
    assert_eq!(code, Some(0), "{lines}");
    assert!(lines.contains(" 3/3 "), "{lines}");
    let sitting = begin(scratch.path(), &[&ENDLESS[..], &["--optimizer", "sgd", "--lr", "1e30"]].concat()).unwrap();
    let (code, lines) = sitting.ended();
    assert_eq!(code, Some(5), "{lines}");
    assert!(lines.contains("error: diverged at step"), "{lines}");
}

#[test]
fn a_pipe_gets_plain_lines_and_a_reason() {
    let scratch = tempfile::tempdir().unwrap();
    let output = trainer(scratch.path(), &[&ENDLESS[..], &["--epochs", "1", "--limit", "300"]].concat());
    let text = ends(output, 0, "note     --tui: standard error is no terminal; plain lines instead");
    assert!(text.contains(" 1/1 ") && !text.contains('\u{1b}'), "{text}");
}
