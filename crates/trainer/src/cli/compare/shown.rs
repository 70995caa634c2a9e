//! A comparison as people and programs read it: a table, JSON, a page.

use std::path::Path;

use report::{Beside, ComparedRun, Comparison, Flipped};
use serde_json::{Value, json};

use super::Compared;
use super::cost::Cost;
use super::judged::{Against, Estimate, LEVEL, RESAMPLES};
use crate::cli::columns::{self, Column, cut, plain};
use crate::cli::report::significant;
use ::report::grouped;

/// Samples of each kind that the text names.
const SHOWN: usize = 5;
/// Samples of each kind that the page names.
const ON_PAGE: usize = 200;
/// Width of a sample's name in the text.
const NAME: usize = 40;

/// For programs: all of it.
pub(super) fn json(found: &Compared) -> Value {
    let metrics = found.aligned.metrics();
    let named = |estimates: &[Estimate]| -> Value {
        metrics.iter().zip(estimates).map(|(name, estimate)| ((*name).to_owned(), json!(estimate))).collect()
    };
    let run = |at: usize| {
        let judged = &found.judged[at];
        let against = judged.against.as_ref().map(|against| {
            let samples =
                |positions: &[usize]| -> Vec<Value> {
                    positions.iter().map(|&place| flipped(found, at, place)).map(|one| {
                    json!({ "source": one.source, "true": one.truth, "first": one.first, "this": one.this })
                }).collect()
                };
            json!({
                "differences": named(&against.differences),
                "mcnemar": against.mcnemar,
                "error": against.error,
                "verdict": against.verdict,
                "fixed": samples(&against.fixed),
                "broken": samples(&against.broken),
            })
        });
        json!({
            "run": found.paths[at],
            "name": found.names[at],
            "samples": found.samples[at],
            "metrics": named(&judged.metrics),
            "cost": found.costs[at],
            "against_first": against,
        })
    };
    json!({
        "v": 1,
        "task": found.aligned.kind.name(),
        "split": found.split,
        "samples": found.aligned.sources.len(),
        "level": LEVEL,
        "resamples": RESAMPLES,
        "notes": found.notes,
        "runs": (0..found.names.len()).map(run).collect::<Vec<_>>(),
    })
}

/// For people.
pub(super) fn text(found: &Compared, page: Option<&Path>) -> String {
    let (split, kind) = (found.split, found.aligned.kind.name());
    let mut lines = vec![format!("{kind} of {} samples ({split})", grouped(found.aligned.sources.len() as u64))];
    lines.extend(found.notes.iter().map(|note| format!("note     {}", plain(note))));
    lines.push(columns::table(&table_columns(found), &table_rows(found), columns::room()));
    for (at, against) in found.judged.iter().enumerate().filter_map(|(at, one)| Some((at, one.against.as_ref()?))) {
        lines.push(format!("\n{}: {}: {}", plain(&found.names[at]), against.verdict.words(), test(against)));
        for (word, positions) in [("broken", &against.broken), ("fixed", &against.fixed)] {
            for &place in positions.iter().take(SHOWN) {
                let one = flipped(found, at, place);
                let [source, truth, first, this] =
                    [&one.source, &one.truth, &one.first, &one.this].map(|text| cut(&plain(text), NAME));
                lines.push(format!("  {word:6}  {source}: is {truth}, the first said {first}, this one {this}"));
            }
            if positions.len() > SHOWN {
                lines.push(format!("  {word:6}  and {} more", grouped((positions.len() - SHOWN) as u64)));
            }
        }
    }
    lines.extend(page.map(|page| format!("\npage     {}", page.display())));
    lines.join("\n")
}

/// The page.
pub(super) fn page(found: &Compared) -> Comparison {
    let interval = |estimate: &Estimate| [estimate.value, estimate.low, estimate.high];
    let samples = |at: usize, positions: &[usize]| {
        let shown = positions.iter().take(ON_PAGE).map(|&place| flipped(found, at, place)).collect();
        (positions.len() as u64, shown)
    };
    let run = |at: usize| ComparedRun {
        name: found.names[at].clone(),
        values: found.judged[at].metrics.iter().map(interval).collect(),
        costs: COSTS.iter().map(|name| (*name).to_owned()).zip(costs(&found.costs[at])).collect(),
        against: found.judged[at].against.as_ref().map(|against| Beside {
            differences: against.differences.iter().map(interval).collect(),
            test: test(against),
            verdict: against.verdict.words().to_owned(),
            fixed: samples(at, &against.fixed),
            broken: samples(at, &against.broken),
        }),
    };
    Comparison {
        about: format!(
            "{} of {} samples ({}). The intervals are 95 % bootstrap intervals over {} drawings of these samples, the same for all runs.",
            found.aligned.kind.name(),
            grouped(found.aligned.sources.len() as u64),
            found.split,
            grouped(u64::from(RESAMPLES))
        ),
        notes: found.notes.clone(),
        metrics: found.aligned.metrics().map(str::to_owned).into(),
        runs: (0..found.names.len()).map(run).collect(),
    }
}

/// What the test says, in a line.
fn test(against: &Against) -> String {
    match (against.mcnemar, against.error) {
        (Some(test), _) => format!(
            "{} fixed, {} broken; McNemar's p = {} (mid-p), {} (exact)",
            grouped(test.fixed),
            grouped(test.broken),
            significant(test.mid),
            significant(test.exact)
        ),
        (None, Some(Estimate { value: Some(value), low: Some(low), high: Some(high) })) => format!(
            "error {}{} standard deviations of the target (95 %: {} to {})",
            if value < 0.0 { "" } else { "+" },
            significant(value),
            significant(low),
            significant(high)
        ),
        _ => "undefined: an answer isn't finite".to_owned(),
    }
}

fn flipped(found: &Compared, at: usize, place: usize) -> Flipped {
    let all = &found.aligned;
    Flipped {
        source: all.sources[place].clone(),
        truth: all.truths[place].clone(),
        first: all.runs[0].words[place].clone(),
        this: all.runs[at].words[place].clone(),
    }
}

const COSTS: [&str; 4] = ["trained for", "parameters", "file", "samples/s"];

fn costs(cost: &Cost) -> [String; 4] {
    let dash = || "-".to_owned();
    [
        cost.training_seconds.map_or_else(dash, |seconds| format!("{seconds:.1} s")),
        cost.parameters.map_or_else(dash, grouped),
        cost.bytes.map_or_else(dash, |bytes| format!("{:.2} MB", bytes as f64 / 1e6)),
        cost.samples_per_second.map_or_else(dash, |speed| grouped(speed as u64)),
    ]
}

fn table_columns(found: &Compared) -> Vec<Column> {
    let number = |name, rank| Column { name, rank, least: None };
    let mut columns = vec![Column { name: "run", rank: 0, least: Some(12) }];
    // A metric's interval goes before the metric.
    for (name, [value, interval]) in found.aligned.metrics().into_iter().zip([[0, 9], [5, 4], [3, 2]]) {
        columns.extend([number(name, value), number("95 %", interval)]);
    }
    columns.extend(COSTS.iter().zip([8, 1, 6, 7]).map(|(name, rank)| number(name, rank)));
    columns
}

fn table_rows(found: &Compared) -> Vec<Vec<String>> {
    let dash = || "-".to_owned();
    let row = |at: usize| {
        let mut cells = vec![plain(&found.names[at])];
        for Estimate { value, low, high } in &found.judged[at].metrics {
            cells.push(value.map_or_else(dash, significant));
            let ends = low.zip(*high);
            cells.push(ends.map_or_else(dash, |(low, high)| format!("{}..{}", significant(low), significant(high))));
        }
        cells.extend(costs(&found.costs[at]));
        cells
    };
    (0..found.names.len()).map(row).collect()
}
