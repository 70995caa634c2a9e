//! `trainer runs [FOLDER]`: which runs there are and what they reached, the newest first. What a folder says of itself is `listed`'s.

mod history;
mod listed;

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use serde_json::json;

use super::columns::{self, Column, plain};
use super::failure::{Failure, code};
use super::{Format, Runs, stream};
use listed::{Listed, State};

/// What people read first stays longest.
const COLUMNS: [Column; 11] = [
    Column { name: "name", rank: 0, least: Some(14) },
    Column { name: "state", rank: 0, least: Some(11) },
    Column { name: "task", rank: 1, least: Some(14) },
    Column { name: "data", rank: 3, least: Some(8) },
    Column { name: "model", rank: 6, least: Some(6) },
    Column { name: "epochs", rank: 7, least: None },
    Column { name: "metric", rank: 8, least: Some(8) },
    Column { name: "val", rank: 0, least: None },
    Column { name: "test", rank: 0, least: None },
    Column { name: "written (UTC)", rank: 4, least: None },
    Column { name: "time", rank: 5, least: None },
];

/// Lists the runs.
pub(crate) fn run(arguments: &Runs) -> Result<u8> {
    let folder = &arguments.folder;
    let mut runs: Vec<Listed> = folders(folder)?.iter().map(|path| Listed::read(path)).collect();
    runs.sort_by(|a, b| (Reverse(a.time), &a.name).cmp(&(Reverse(b.time), &b.name)));
    match arguments.output.format {
        Format::Json => stream::print(json!({ "v": 1, "folder": folder.to_string_lossy(), "runs": runs }))?,
        Format::Text if runs.is_empty() => {
            stream::print(format_args!("no runs in `{}`", plain(&folder.to_string_lossy())))?
        }
        Format::Text => stream::print(text(&runs, columns::room()))?,
    }
    Ok(0)
}

/// The folders of runs in `folder`, or itself where it is one.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let refused = |what: String| Failure::with(code::MODEL, anyhow!("`{}`: {what}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            refused("there is no such folder; `trainer train` makes `runs`, or name another".to_owned())
        }
        _ => refused(format!("cannot be listed: {error}; expected a folder of runs")),
    })?;
    if folder.join("args.toml").is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let paths = paths.map_err(|error| refused(format!("cannot be listed: {error}")))?;
    Ok(paths.into_iter().filter(|path| path.is_dir() && listed::is_run(path)).collect())
}

fn text(runs: &[Listed], room: Option<usize>) -> String {
    let mut out = columns::table(&COLUMNS, &runs.iter().map(row).collect::<Vec<_>>(), room);
    if runs.iter().any(|run| run.model.as_ref().is_some_and(|model| model.preset.is_none())) {
        out += "\n\n* changed from the preset";
    }
    let problems: Vec<String> = runs
        .iter()
        .flat_map(|run| run.problems.iter().map(|problem| format!("\n{}: {}", plain(&run.name), plain(problem))))
        .collect();
    if !problems.is_empty() {
        out += &format!("\n{}", problems.concat());
    }
    out
}

fn row(run: &Listed) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let number = |value: Option<f64>| or_dash(value.map(super::report::significant));
    // The last part of a path says most.
    let data = run.data.as_deref().map(|data| Path::new(data).file_name().unwrap_or(data.as_ref()).to_string_lossy());
    let model = run.model.as_ref().map(|model| model.preset.map_or_else(|| format!("{}*", model.arch), str::to_owned));
    let all = run.epochs_in_all.map_or_else(|| "?".to_owned(), |all| all.to_string());
    let state = match (run.state, run.ended.as_deref()) {
        // What ended it is worth knowing where it isn't the number of epochs.
        (State::Ended, Some(why)) if why != "epochs" => format!("ended: {}", why.replace('_', " ")),
        (state, _) => state.word().to_owned(),
    };
    let cells = [
        run.name.clone(),
        state,
        or_dash(run.task.clone()),
        or_dash(data.map(|data| data.into_owned())),
        or_dash(model),
        format!("{}/{all}", run.epochs),
        or_dash(run.metric.clone()),
        number(run.val),
        number(run.test),
        or_dash(run.time.map(|time| data::Utc::of(time).minutes())),
        or_dash(run.seconds.map(duration)),
    ];
    cells.iter().map(|cell| plain(cell)).collect()
}

/// `2.5 s`, `3:07`, `12:03:07`.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_short() {
        assert_eq!([2.54, 59.4, 187.0, 43387.0].map(duration), ["2.5 s", "59.4 s", "3:07", "12:03:07"]);
    }
}
