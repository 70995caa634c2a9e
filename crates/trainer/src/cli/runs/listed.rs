//! What one run folder says of itself, whatever state it is in: only regular files are read, each up to a bound, and what is missing or
//! wrong is told instead of failing. How runs are shown is `runs`'.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use models::ModelConfig;
use serde::Serialize;
use serde_json::Value;
use trainer::RunFolder;
use trainer::search::SearchFolder;

use super::history::History;
use crate::cli::bounded;
use crate::cli::options::Options;
use data::Utc;

/// Of files that are small whatever is trained.
const SMALL: u64 = 4 << 20;
/// Of files that grow with epochs or classes.
const LARGE: u64 = 256 << 20;
/// The versions of `run.json` and `metrics.json` that this program writes.
const VERSIONS: [(&str, u64); 2] = [("run.json", trainer::Provenance::VERSION as u64), ("metrics.json", 1)];
/// What a folder holds that a run was begun in.
const SIGNS: [&str; 7] = ["args.toml", "run.json", "results.csv", "metrics.json", "weights", "checkpoints", "lock"];

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// A trainer holds its lock.
    Running,
    /// It has its final metrics.
    Ended,
    /// It can be resumed.
    Interrupted,
    /// A file of it is missing or not what the trainer wrote.
    Damaged,
}

impl State {
    /// In a word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Interrupted => "interrupted",
            Self::Damaged => "damaged",
        }
    }
}

/// The network of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Network {
    /// `mlp` or `cnn`.
    pub(crate) arch: String,
    /// The preset that it is, if it is one to the last number.
    pub(crate) preset: Option<&'static str>,
}

/// A run as far as it is known.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) state: State,
    /// Why it ended, if it did.
    pub(crate) ended: Option<String>,
    /// classification, multi-label or regression.
    pub(crate) task: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) model: Option<Network>,
    /// Done.
    pub(crate) epochs: u64,
    /// Asked for.
    pub(crate) epochs_in_all: Option<u64>,
    pub(crate) best_epoch: Option<u64>,
    /// What chose the best epoch.
    pub(crate) metric: Option<String>,
    /// On the validation split, at the best epoch.
    pub(crate) val: Option<f64>,
    /// On the test split, the best epoch.
    pub(crate) test: Option<f64>,
    /// When a file of it was written last, in UTC.
    pub(crate) written: Option<String>,
    /// Of training, over all sittings.
    pub(crate) seconds: Option<f64>,
    /// What is wrong, a line each.
    pub(crate) problems: Vec<String>,
    #[serde(skip)]
    pub(crate) time: Option<SystemTime>,
    #[serde(skip)]
    folder: PathBuf,
}

/// Whether a run was begun in `folder`.
pub(crate) fn is_run(folder: &Path) -> bool {
    // A search's folder holds runs, and is none.
    !SearchFolder::is_one(folder) && SIGNS.iter().any(|name| folder.join(name).symlink_metadata().is_ok())
}

impl Listed {
    /// Reads what there is.
    pub(crate) fn read(path: &Path) -> Self {
        let written = ["args.toml", "results.csv", "metrics.json"].iter().filter_map(|name| {
            let about = fs::metadata(path.join(name)).ok()?;
            about.modified().ok()
        });
        let time = written.max().or_else(|| path.metadata().ok()?.modified().ok());
        // `.` and `..` have no name of their own.
        let whole = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut run = Self {
            name: whole.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            path: path.to_string_lossy().into_owned(),
            state: State::Interrupted,
            ended: None,
            task: None,
            data: None,
            model: None,
            epochs: 0,
            epochs_in_all: None,
            best_epoch: None,
            metric: None,
            val: None,
            test: None,
            written: time.map(|time| Utc::of(time).rfc3339()),
            seconds: None,
            problems: Vec::new(),
            time,
            folder: path.to_owned(),
        };
        run.take_args();
        run.check_version();
        run.take_history();
        run.take_metrics();
        if RunFolder::is_held(path) {
            run.state = State::Running;
        }
        run
    }

    fn damaged(&mut self, name: &str, what: impl std::fmt::Display) {
        self.state = State::Damaged;
        self.problems.push(format!("{name} {what}"));
    }

    fn file(&mut self, name: &str, most: u64) -> Option<String> {
        match bounded::text(&self.folder.join(name), most) {
            Ok(text) => text,
            Err(what) => {
                self.damaged(name, what);
                None
            }
        }
    }

    fn json(&mut self, name: &str, most: u64) -> Option<Value> {
        let text = self.file(name, most)?;
        match serde_json::from_str::<Value>(&text) {
            Ok(value) if value.is_object() => {
                let known = VERSIONS.iter().find(|(known, _)| *known == name).map_or(1, |(_, version)| *version);
                let v = value["v"].as_u64().unwrap_or(known);
                if v > known {
                    self.problems.push(format!(
                        "{name} is of version {v}, this program knows {known}: a newer one wrote it, and some of it may be missing here"
                    ));
                }
                Some(value)
            }
            Ok(_) => {
                self.damaged(name, "is not what a run writes: expected an object");
                None
            }
            Err(error) => {
                self.damaged(name, format_args!("is not what a run writes: {error}"));
                None
            }
        }
    }

    /// Data, network and epochs. Keys of a newer program are told of and passed over.
    fn take_args(&mut self) {
        let there = self.folder.join("args.toml").symlink_metadata().is_ok();
        let Some(text) = self.file("args.toml", SMALL) else {
            if !there {
                self.damaged("args.toml", "is missing: the run cannot be resumed");
            }
            return;
        };
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => return self.damaged("args.toml", format_args!("is no TOML: {}", error.message())),
        };
        let known = Options::keys();
        let unknown: Vec<&str> = table.keys().map(String::as_str).filter(|key| !known.contains(key)).collect();
        if !unknown.is_empty() {
            let what = unknown.join("`, `");
            self.problems
                .push(format!("args.toml has keys that this program doesn't know, as of a newer one: `{what}`"));
        }
        self.data = table.get("data").and_then(|data| data.as_str()).map(str::to_owned);
        let epochs = table.get("epochs").and_then(toml::Value::as_integer);
        self.epochs_in_all = epochs.and_then(|epochs| u64::try_from(epochs).ok());
        self.model = table.get("model").and_then(network);
        for (key, there) in
            [("data", self.data.is_some()), ("epochs", self.epochs_in_all.is_some()), ("model", self.model.is_some())]
        {
            if !there {
                self.damaged("args.toml", format_args!("lacks `{key}`"));
            }
        }
    }

    fn check_version(&mut self) {
        // It is read for its version only.
        let _ = self.json("run.json", SMALL);
    }

    /// Epochs done, the best of them, and the time, from `results.csv`.
    fn take_history(&mut self) {
        let Some(text) = self.file("results.csv", LARGE) else { return };
        match History::parse(&text) {
            Ok(history) => {
                self.problems.extend(history.problems);
                (self.epochs, self.seconds, self.task) = (history.epochs, history.seconds, history.task);
                (self.metric, self.best_epoch, self.val) = (history.metric, history.best_epoch, history.val);
            }
            Err(what) => self.damaged("results.csv", what),
        }
    }

    /// What the run measured at its end, which counts more than its history.
    fn take_metrics(&mut self) {
        let Some(metrics) = self.json("metrics.json", LARGE) else { return };
        let Some(ended) = metrics["ended"].as_str() else {
            return self.damaged("metrics.json", "is not what a run writes: it lacks `ended`");
        };
        self.ended = Some(ended.to_owned());
        if self.state == State::Interrupted {
            self.state = State::Ended;
        }
        let finite = |value: &Value| value.as_f64().filter(|value| value.is_finite());
        self.epochs = metrics["epochs"].as_u64().unwrap_or(self.epochs);
        self.seconds = finite(&metrics["seconds"]).or(self.seconds);
        self.best_epoch = metrics["best_epoch"].as_u64().filter(|best| *best > 0).or(self.best_epoch);
        let task = [&metrics["test"]["task"], &metrics["chosen_on"]["task"]].into_iter().find_map(Value::as_str);
        self.task = task.map(str::to_owned).or(self.task.take());
        if let Some(monitor) = metrics["monitor"].as_str() {
            self.metric = Some(monitor.to_owned());
            self.val = finite(&metrics["chosen_on"]["values"][monitor]);
            self.test = finite(&metrics["test"]["values"][monitor]);
        }
    }
}

/// The network of a table `[model]`, or of a preset's name.
fn network(value: &toml::Value) -> Option<Network> {
    let preset = |config: &toml::Table| {
        let equal = |name: &&&str| {
            let preset = ModelConfig::preset(name).and_then(|preset| toml::Table::try_from(&preset).ok());
            preset.as_ref() == Some(config)
        };
        ModelConfig::PRESETS.iter().find(equal).copied()
    };
    match value {
        toml::Value::Table(table) => {
            Some(Network { arch: table.get("arch")?.as_str()?.to_owned(), preset: preset(table) })
        }
        toml::Value::String(name) => {
            let preset = ModelConfig::PRESETS.iter().find(|preset| *preset == name).copied();
            Some(Network { arch: name.clone(), preset })
        }
        _ => None,
    }
}
