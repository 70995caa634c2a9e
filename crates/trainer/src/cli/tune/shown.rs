//! What people and programs see of a search: its plan, its progress, the trials from the best to the worst, the page.

use report::{TunedRange, Tuning};
use serde_json::{Value, json};
use trainer::search::{Halving, Range, Record, SearchEnded, SearchFolder, Trial};

use crate::cli::columns::{self, Column, plain};
use crate::cli::report::{significant, trainer_command};
use ::report::grouped;

/// Validation samples below which what differs between trials is mostly chance: an accuracy of 90 % has a 95 % interval of 5 points to either side.
const FEW: usize = 150;

/// The rungs and what they cost, before anything is trained.
pub(super) fn plan(rungs: &Halving) -> String {
    let each: Vec<String> =
        rungs.rungs().iter().map(|rung| format!("{} to epoch {}", grouped(rung.trials as u64), rung.epochs)).collect();
    let (first, last) = (rungs.rungs().first(), rungs.rungs().last());
    let all = first.map_or(0, |rung| rung.trials as u64) * last.map_or(0, |rung| rung.epochs as u64);
    let saved = match rungs.rungs().len() {
        1 => String::new(),
        _ => format!(", where all trials to the end would be {}", grouped(all)),
    };
    format!("plan     trials: {}; {} epochs in all{saved}", each.join(", "), grouped(rungs.epochs()))
}

/// What should be known of a choice by so few validation samples.
pub(super) fn caution(samples: usize) -> Option<String> {
    (samples < FEW).then(|| {
        format!("note     {samples} validation samples choose between trials: the best of many is then the luckiest; give `val = 0.3`")
    })
}

/// A line for what a trial has come to.
pub(super) fn progress(record: &Record, number: u32, rung: usize) -> String {
    let Some(trial) = record.trials.iter().find(|trial| trial.trial == number) else { return String::new() };
    let came_to = match (&trial.failed, trial.reached.last()) {
        (Some(why), _) => format!("failed: {why}"),
        (None, reached) => {
            let value = reached.and_then(|reached| reached.value);
            format!("{} {}", record.metric, value.map_or_else(|| "-".to_owned(), significant))
        }
    };
    let epochs = record.rungs.rungs()[rung].epochs;
    plain(&format!(
        "rung {}/{}  {} to epoch {epochs}: {came_to}  ({})",
        rung + 1,
        record.rungs.rungs().len(),
        SearchFolder::name(number),
        values(trial)
    ))
}

/// The values in one line.
fn values(trial: &Trial) -> String {
    match trial.values.is_empty() {
        true => "the recipe itself".to_owned(),
        false => {
            trial.values.iter().map(|(name, value)| format!("{name} {}", word(value))).collect::<Vec<_>>().join(", ")
        }
    }
}

/// A value without quotes.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What is to be said of a trial beside its numbers.
fn remark(trial: &Trial) -> String {
    match &trial.failed {
        Some(why) => format!("failed: {why}"),
        None if trial.trial == 1 => "the recipe itself".to_owned(),
        None => String::new(),
    }
}

/// The cells of a row: trial, metric, loss, epochs, best epoch, seconds, each value, what went wrong.
fn row(record: &Record, trial: &Trial) -> Vec<String> {
    let dash = || "-".to_owned();
    let reached = trial.reached.last().filter(|_| trial.failed.is_none());
    let number = |value: Option<f64>| value.map_or_else(dash, significant);
    let mut cells = vec![
        trial.trial.to_string(),
        number(reached.and_then(|reached| reached.value)),
        trial.reached.last().map_or_else(dash, |reached| reached.epochs.to_string()),
        reached.map_or_else(dash, |reached| reached.best_epoch.to_string()),
        format!("{:.1}", trial.seconds),
    ];
    if decides(record) {
        cells.insert(2, number(reached.and_then(|reached| reached.loss)));
    }
    // The first is the recipe itself, whose values stand in it.
    let value = |name: &String| {
        trial.values.get(name).map(word).or_else(|| record.options.get(name).filter(|value| !value.is_null()).map(word))
    };
    cells.extend(record.ranges.ranges().keys().map(|name| value(name).unwrap_or_else(dash)));
    cells.push(remark(trial));
    cells
}

/// Whether the loss stands beside the metric, to decide between equals: a regression goes by the loss itself.
fn decides(record: &Record) -> bool {
    record.metric != "loss"
}

/// The columns by name.
fn head(record: &Record) -> Vec<&str> {
    let mut head = vec!["trial", record.metric.as_str()];
    head.extend(decides(record).then_some("loss"));
    head.extend(["epochs", "best", "seconds"]);
    head.extend(record.ranges.ranges().keys().map(String::as_str));
    head.push("remark");
    head
}

/// How it ended, in words.
fn ended(record: &Record) -> String {
    let trained: usize =
        record.trials.iter().filter_map(|trial| trial.reached.last()).map(|reached| reached.epochs).sum();
    let failed = record.trials.iter().filter(|trial| trial.failed.is_some()).count();
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    let why = if record.ended == Some(SearchEnded::Time) { ": the time was over before all was done" } else { "" };
    let (trials, trained) = (grouped(record.trials.len() as u64), grouped(trained as u64));
    format!("{trials} trials{failed}, {trained} epochs, {:.1} s{why}", record.seconds)
}

fn best(record: &Record) -> Option<&Trial> {
    record.trials.iter().find(|trial| Some(trial.trial) == record.best)
}

/// The metric of the best trial, and of the recipe itself as far as that was trained.
fn gained(record: &Record) -> String {
    let value = |trial: &Trial| {
        trial.reached.last().and_then(|reached| reached.value).map_or_else(|| "-".to_owned(), significant)
    };
    let Some(best) = best(record) else { return String::new() };
    let recipe = record.trials.iter().find(|trial| trial.trial == 1 && best.trial != 1);
    let epochs = |trial: &Trial| trial.reached.last().map_or(0, |reached| reached.epochs);
    let recipe = match recipe {
        Some(recipe) if recipe.failed.is_some() => ", the recipe itself failed".to_owned(),
        Some(recipe) => format!("; the recipe itself {} after {} epochs", value(recipe), epochs(recipe)),
        None => String::new(),
    };
    format!("{} {} on validation after {} epochs{recipe}", record.metric, value(best), epochs(best))
}

/// What the best trial's model does on the test split.
fn tested(record: &Record) -> String {
    let number = record.test.as_ref().and_then(|test| test["values"].get(&record.metric)).and_then(Value::as_f64);
    number.map_or_else(|| "no test split".to_owned(), |value| format!("{} {}", record.metric, significant(value)))
}

fn command(folder: &SearchFolder) -> String {
    trainer_command(&format!("train --recipe {}", data::quoted(&folder.best())))
}

/// The table for people.
pub(super) fn text(record: &Record, folder: &SearchFolder) -> String {
    let head = head(record);
    let fixed = head.len() - record.ranges.ranges().len() - 1;
    // Words that live as long as the program, as the columns of tables do: once in its life.
    let column = |at: usize| Column {
        name: head[at].to_owned().leak(),
        rank: match at {
            0 | 1 => 0,
            at if at + 1 == head.len() => 5,
            at if at < fixed => 6 - at,
            _ => 0,
        },
        // A number of four digits is never cut: 0.0008368.
        least: (at >= fixed).then_some(9),
    };
    let columns: Vec<Column> = (0..head.len()).map(column).collect();
    let cells = |trial: &&Trial| row(record, trial).iter().map(|cell| plain(cell)).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = record.ranked().iter().map(cells).collect();
    let mut lines = vec![columns::table(&columns, &rows, columns::room())];
    lines.push(format!("tuned    {}", ended(record)));
    lines.extend(best(record).map(|best| format!("best     {}: {}", SearchFolder::name(best.trial), gained(record))));
    lines.push(format!("test     held out: {}", tested(record)));
    lines.push(format!("saved    {}", folder.best().display()));
    lines.push(format!("page     {}", folder.page().display()));
    lines.push(format!("try next {}", command(folder)));
    lines.join("\n")
}

/// The same for programs.
pub(super) fn json(record: &Record, folder: &SearchFolder) -> Value {
    json!({
        "v": 1,
        "folder": folder.path(),
        "metric": record.metric,
        "higher_is_better": record.higher_is_better,
        "rungs": record.rungs,
        "ended": record.ended,
        "seconds": record.seconds,
        "trials": record.ranked(),
        "best": record.best,
        "test": record.test,
        "recipe": folder.best(),
        "page": folder.page(),
    })
}

/// The page.
pub(super) fn page(record: &Record, folder: &SearchFolder, recipe: &str) -> Tuning {
    let name = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut facts = vec![("Trials".to_owned(), ended(record))];
    facts.extend(
        best(record).map(|best| ("Best".to_owned(), format!("{}: {}", SearchFolder::name(best.trial), gained(record)))),
    );
    facts.push(("Test split, which chose nothing".to_owned(), tested(record)));
    facts.push(("Rungs".to_owned(), plan(&record.rungs).trim_start_matches("plan     trials: ").to_owned()));
    let resume = trainer_command(&format!("report {}", data::quoted(&folder.trial(record.best.unwrap_or(1)))));
    Tuning {
        name,
        facts,
        notes: vec!["Trials of fewer epochs fare worse for that alone: compare points of one colour.".to_owned()],
        commands: vec![
            ("Train the best recipe".to_owned(), command(folder)),
            ("Look at the best trial".to_owned(), resume),
        ],
        head: head(record).into_iter().map(str::to_owned).collect(),
        rows: record.ranked().iter().map(|trial| row(record, trial)).collect(),
        metric: record.metric.clone(),
        groups: record.rungs.rungs().iter().map(|rung| format!("{} epochs", rung.epochs)).collect(),
        ranges: record.ranges.ranges().iter().map(|(name, range)| tuned(record, name, range)).collect(),
        recipe: recipe.to_owned(),
    }
}

/// The trials over one range.
fn tuned(record: &Record, name: &str, range: &Range) -> TunedRange {
    let mut choices: Vec<String> = match range {
        Range::Choice(values) => values.iter().map(word).collect(),
        _ => Vec::new(),
    };
    // Numbers have places of their own.
    if choices.iter().all(|choice| choice.parse::<f64>().is_ok()) {
        choices.clear();
    }
    let place = |value: &Value| match choices.is_empty() {
        true => value.as_f64(),
        false => choices.iter().position(|choice| *choice == word(value)).map(|at| at as f64),
    };
    let point = |trial: &Trial| {
        let value = trial.values.get(name).or_else(|| record.options.get(name))?;
        let reached = trial.reached.last().filter(|_| trial.failed.is_none())?;
        Some((place(value)?, reached.value?, trial.reached.len() - 1))
    };
    let points = record.trials.iter().filter_map(point).collect();
    TunedRange { name: name.to_owned(), logarithmic: matches!(range, Range::Log(_)), choices, points }
}
