//! `trainer doctor --trained MODEL`: the targets that a trained model contradicts, as a finding and as a list. What is in doubt is
//! `tasks::Doubts`'.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use burn::tensor::Device;
use data::doctor::{Group, Place, Report, Severity};
use data::{Dataset, Loader, OpenOptions};
use tasks::{Contradiction, Doubt, Doubts, Task};

use super::trained::Trained;
use ::report::grouped;

/// Samples that are answered at a time.
const BATCH: usize = 256;

/// One target in doubt.
pub(super) struct Suspect {
    sample: String,
    split: &'static str,
    reason: String,
    strength: f64,
}

/// Lets `trained` answer all samples of `data` but those that `report` found unreadable, adds the finding, and returns the targets in
/// doubt, the strongest doubts first.
pub(super) fn find(
    trained: &Trained,
    device: &Device,
    data: &Path,
    options: OpenOptions,
    report: &mut Report,
) -> Result<Vec<Suspect>> {
    // A split that lacks a class keeps nobody from answering.
    let options = OpenOptions { like: Some(trained.like()), audit: true, ..options };
    let dataset = Arc::new(data::open(data, &options)?);
    let unreadable: HashSet<&str> =
        report.exclude.iter().filter(|(_, why)| why == "unreadable").map(|(sample, _)| sample.as_str()).collect();
    let readable =
        |&index: &u32| unreadable.is_empty() || !unreadable.contains(dataset.sources.name(index as usize).as_str());
    let split = &dataset.split;
    let mut suspects = Vec::new();
    let mut answered = 0;
    // What the model has learned from, it contradicts less: the two are judged apart.
    for indices in [split.train.clone(), [&split.val[..], &split.test].concat()] {
        let indices: Vec<u32> = indices.into_iter().filter(readable).collect();
        let mut doubts = Doubts::new(&trained.task, trained.temperature());
        let loader = Loader::new(dataset.clone(), indices.clone(), BATCH).workers(1);
        trainer::evaluate_each(&trained.file.model, trained.task.metrics(), &loader, device, &mut |batch| {
            Ok(doubts.add(batch.outputs, batch.targets)?)
        })?;
        answered += doubts.samples();
        suspects.extend(doubts.finish().iter().map(|doubt| suspect(doubt, &trained.task, &dataset, &indices)));
    }
    suspects.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    add(&trained.task, &suspects, answered, report);
    Ok(suspects)
}

fn suspect(doubt: &Doubt, task: &Task, dataset: &Dataset, indices: &[u32]) -> Suspect {
    let index = indices[doubt.sample];
    let split = &dataset.split;
    let parts = [("val", &split.val), ("test", &split.test)];
    let split = parts.iter().find(|(_, part)| part.contains(&index)).map_or("train", |(name, _)| name);
    Suspect {
        sample: dataset.sources.name(index as usize),
        split,
        reason: words(doubt, task.names()),
        strength: doubt.strength,
    }
}

fn words(doubt: &Doubt, names: &[String]) -> String {
    match doubt.contradiction {
        Contradiction::Class { given, likely, probabilities: [own, other] } => {
            format!("given `{}` ({own:.3}), probably `{}` ({other:.3})", names[given], names[likely])
        }
        Contradiction::Label { label, given: true, probability } => {
            format!("`{}` is given, and probably doesn't apply ({probability:.3})", names[label])
        }
        Contradiction::Label { label, given: false, probability } => {
            format!("`{}` isn't given, and probably applies ({probability:.3})", names[label])
        }
        Contradiction::Value { target, given, predicted } => {
            let times = doubt.strength;
            format!("{} = {given}, predicted {predicted:.4} ({times:.1} quartile distances off)", names[target])
        }
    }
}

fn add(task: &Task, suspects: &[Suspect], answered: usize, report: &mut Report) {
    if suspects.is_empty() {
        return;
    }
    let groups = suspects.iter().map(|suspect| {
        Group::one(Place {
            name: suspect.sample.clone(),
            split: Some(suspect.split),
            detail: Some(suspect.reason.clone()),
        })
    });
    let n = grouped(suspects.len() as u64);
    let advice = "look at them: `--suspects FILE` lists all. What the model has learned by heart of its training samples, it doesn't doubt";
    match task {
        Task::Regression(_) => {
            let what =
                format!("{n} targets of {} samples are far from what the model predicts", grouped(answered as u64));
            report.add("unlikely-target", Severity::Note, what, groups.collect(), advice);
        }
        _ => {
            let what = format!("{n} labels of {} samples are probably wrong", grouped(answered as u64));
            report.add("probable-label-error", Severity::Warning, what, groups.collect(), advice);
        }
    }
    report.finish();
}

/// Writes all of them, to be looked through: an exclude list with `split` and `strength` beside `sample` and `reason`.
pub(super) fn write(file: &Path, suspects: &[Suspect]) -> Result<()> {
    let rows = suspects.iter().map(|Suspect { sample, reason, split, strength }| {
        [sample.clone(), reason.clone(), (*split).to_owned(), format!("{strength:.4}")]
    });
    Ok(data::split::write_rows(file, ["sample", "reason", "split", "strength"], rows)?)
}
