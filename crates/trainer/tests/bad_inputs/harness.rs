//! Runs the rows of tables of bad inputs: each in a folder of its own, through the real program, and compares exit code and message.
//!
//! A table is a text of rows. A row is any number of edits to its folder (see `edits.rs`), what is run, and what is expected:
//!
//! ```text
//! @ base idx mlp              the folder of each row below begins with these (the test file makes them)
//! @ run train idx             what is run, where a row doesn't say
//! @ file r.toml               the file that a line behind `|` is the contents of
//! cut idx/labels 3            an edit
//! | epochs = 0                contents of the file, with \n, \t, \r, \0, \\ and \xNN
//! % STRIATE_EPOCHS=x          an environment variable
//! < cat,dog\n                 standard input
//! $ train --lr 'a b'          what is run in this row
//! = 2 --lr: expected ...      the exit code, and the last line on standard error without `error: `
//! ```
//!
//! `UPDATE_EXPECT=1 cargo test -p CRATE --test bad_inputs` writes what the programs say now behind every `=`: read the difference before you
//! commit it, as a user would. Messages of the system are those of Linux.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::edits;

/// A row that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(8);

/// What the rows run, and how their folders begin.
pub(crate) struct Program {
    /// The binary.
    pub(crate) binary: &'static str,
    /// Where the tables lie.
    pub(crate) tables: &'static str,
    /// Makes the base of that name in a folder.
    pub(crate) base: fn(&str, &Path),
}

#[derive(Clone, Default)]
struct Row {
    table: PathBuf,
    /// The line of the expectation, counted from 0.
    line: usize,
    bases: Vec<String>,
    edits: Vec<String>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    input: Vec<u8>,
    expected: String,
}

/// Runs every row of every table and fails with all that differs. Returns how many rows there were.
pub(crate) fn check(program: &Program) -> usize {
    let mut tables: Vec<PathBuf> = fs::read_dir(program.tables).unwrap().map(|entry| entry.unwrap().path()).collect();
    tables.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    tables.sort();
    let rows: Vec<Row> = tables.iter().flat_map(|table| parse(table)).collect();
    let bases = tempfile::tempdir().unwrap();
    let mut names: Vec<&String> = rows.iter().flat_map(|row| &row.bases).collect();
    names.sort();
    names.dedup();
    for name in names {
        let folder = bases.path().join(name);
        fs::create_dir(&folder).unwrap();
        (program.base)(name, &folder);
    }
    let (next, found) = (AtomicUsize::new(0), Mutex::new(vec![String::new(); rows.len()]));
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let answer = answer(program, row, bases.path());
                    let at = rows.iter().position(|other| (&other.table, other.line) == (&row.table, row.line));
                    found.lock().unwrap()[at.unwrap()] = answer;
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        tables.iter().for_each(|table| update(table, &rows, &found));
        return rows.len();
    }
    let wrong: Vec<String> = rows
        .iter()
        .zip(&found)
        .filter(|(row, found)| row.expected != **found)
        .map(|(row, found)| {
            let place = format!("{}:{}", row.table.display(), row.line + 1);
            format!("{place}\n  expected {}\n  found    {found}", row.expected)
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows differ:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    rows.len()
}

fn parse(table: &Path) -> Vec<Row> {
    let text = fs::read_to_string(table).unwrap();
    let (mut rows, mut file) = (Vec::new(), String::new());
    let mut all = Row { table: table.to_owned(), ..Row::default() };
    let mut row = all.clone();
    for (line, text) in text.lines().enumerate() {
        match text.split_at_checked(2).unwrap_or((text, "")) {
            ("" | "#" | "# ", _) => {}
            ("@ ", rest) => {
                let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                match word {
                    "base" => all.bases = words(rest),
                    "run" => all.arguments = words(rest),
                    "file" => file = rest.to_owned(),
                    _ => panic!("{}:{}: `{text}`", table.display(), line + 1),
                }
                row = all.clone();
            }
            ("| ", contents) => row.edits.push(format!("write {file} {contents}")),
            ("% ", variable) => {
                let (name, value) = variable.split_once('=').unwrap();
                row.variables.push((name.to_owned(), value.to_owned()));
            }
            ("< ", input) => row.input = edits::unescape(input),
            ("$ ", arguments) => row.arguments = words(arguments),
            ("=" | "= ", expected) => {
                (row.line, row.expected) = (line, expected.to_owned());
                rows.push(std::mem::replace(&mut row, all.clone()));
            }
            _ => row.edits.push(text.to_owned()),
        }
    }
    rows
}

/// Words between spaces; quotes hold what has spaces together.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut open, mut quoted) = (Vec::<String>::new(), false, false);
    for c in text.chars() {
        match c {
            ' ' if !quoted => open = false,
            c => {
                if !std::mem::replace(&mut open, true) {
                    words.push(String::new());
                }
                if c == '\'' { quoted = !quoted } else { words.last_mut().unwrap().push(c) }
            }
        }
    }
    words
}

/// What the program answers to `row`: its exit code and its message.
fn answer(program: &Program, row: &Row, bases: &Path) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let (folder, outputs) = (scratch.path().join("work"), scratch.path().join("outputs"));
    [&folder, &outputs].into_iter().for_each(|folder| fs::create_dir(folder).unwrap());
    row.bases.iter().for_each(|base| edits::copy(&bases.join(base), &folder));
    for edit in &row.edits {
        if let Err(what) = edits::apply(edit, &folder) {
            return format!("the edit `{edit}`: {what}");
        }
    }
    let file = |name: &str| File::create(outputs.join(name)).unwrap();
    fs::write(outputs.join("in"), &row.input).unwrap();
    let mut command = Command::new(program.binary);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STRIATE_")) {
        command.env_remove(name);
    }
    command.env_remove("CARGO").env_remove("XDG_DATA_HOME").env("HOME", &folder).env("NO_COLOR", "1");
    command.envs(row.variables.iter().cloned()).current_dir(&folder).args(&row.arguments);
    command.stdin(File::open(outputs.join("in")).unwrap()).stdout(file("out")).stderr(file("err"));
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if started.elapsed() > PATIENCE => {
                child.kill().unwrap();
                child.wait().unwrap();
                return format!("hangs: no answer after {} s", PATIENCE.as_secs());
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let text = |name: &str| String::from_utf8_lossy(&fs::read(outputs.join(name)).unwrap()).into_owned();
    let code = status.code().map_or_else(|| format!("signal: {status}"), |code| code.to_string());
    let message = message(&text("out"), &text("err"));
    format!("{code} {}", message.replace(folder.to_str().unwrap(), "/WORK").replace("/private/WORK", "/WORK"))
}

/// The message of a run: the reason that stands in the place of an input, else the last line on standard error.
fn message(out: &str, err: &str) -> String {
    if err.contains("panicked") {
        return format!("PANIC: {}", err.replace('\n', " "));
    }
    let reason =
        |line: &str| Some(serde_json::from_str::<serde_json::Value>(line).ok()?.get("error")?.as_str()?.to_owned());
    if let Some(reason) = out.lines().find_map(reason) {
        return reason;
    }
    let errors = err.lines().filter(|line| line.starts_with("error: ")).count();
    let last = err.lines().last().unwrap_or_default();
    match (errors, last.strip_prefix("error: ")) {
        (1, Some(message)) => message.to_owned(),
        (0, None) => last.to_owned(),
        _ => format!("NOT ONE LINE: {}", err.replace('\n', " / ")),
    }
}

/// Writes what was found behind each `=`.
fn update(table: &Path, rows: &[Row], found: &[String]) {
    let text = fs::read_to_string(table).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (row, found) in rows.iter().zip(found).filter(|(row, _)| row.table == table) {
        lines[row.line] = format!("= {found}");
    }
    fs::write(table, lines.join("\n") + "\n").unwrap();
}
