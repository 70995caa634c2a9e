//! What the numbers of samples say: classes that a split lacks, and classes that are rare.

use super::finding::{Group, Report, Severity};
use super::{Place, Subject};
use crate::{Part, Targets};

/// Training samples of the most frequent class for each of the rarest from which on classes are out of balance.
const IMBALANCE: u64 = 10;

/// Adds what is wrong with the distribution of classes or labels.
pub(super) fn find(subject: &Subject<'_>, report: &mut Report) {
    if matches!(subject.targets, Targets::Values { .. }) {
        return;
    }
    let names = subject.targets.names();
    let [train, val, test] = [Part::Train, Part::Val, Part::Test].map(|part| counts(subject, part));
    let classes = matches!(subject.targets, Targets::Classes { .. });
    let (mut missing, mut severity) = (Vec::new(), Severity::Warning);
    for (split, counts) in [("train", &train), ("val", &val), ("test", &test)] {
        // A split that isn't there lacks nothing.
        if counts.iter().all(|&count| count == 0) {
            continue;
        }
        for (class, name) in names.iter().enumerate().filter(|(class, _)| counts[*class] == 0) {
            if classes && (subject.strict || split == "train" && val[class] + test[class] > 0) {
                severity = Severity::Error;
            }
            missing.push(Group::one(Place {
                name: name.clone(),
                split: Some(split),
                detail: Some("no samples".into()),
            }));
        }
    }
    if !missing.is_empty() {
        let what = match severity {
            Severity::Error => "classes are missing from a split, and training refuses that",
            _ => "classes are missing from a split, and nothing can be said of them there",
        };
        report.add("class-missing", severity, what, missing, "add samples, or move some from another split");
    }
    if classes {
        single(names, &train, report);
        balance(names, &train, report);
    }
}

/// One class is nothing to learn; where there are no training samples at all, that is said elsewhere.
fn single(names: &[String], train: &[u64], report: &mut Report) {
    let mut there = (0..train.len()).filter(|&class| train[class] > 0);
    if let (Some(only), None) = (there.next(), there.next()) {
        let what = format!("all training samples are of one class, `{}`, and training refuses that", names[only]);
        let group = Group::named(&names[only], format!("{} training samples", train[only]));
        report.add("one-class", Severity::Error, what, vec![group], "give samples of another class to tell it from");
    }
}

fn balance(names: &[String], train: &[u64], report: &mut Report) {
    let there = || (0..train.len()).filter(|&class| train[class] > 0);
    let (Some(rarest), Some(most)) =
        (there().min_by_key(|&class| train[class]), there().max_by_key(|&class| train[class]))
    else {
        return;
    };
    let ratio = train[most] / train[rarest];
    if ratio < IMBALANCE {
        return;
    }
    let what = format!(
        "`{}` has {} training samples, `{}` has {}: {ratio} times as many",
        names[rarest], train[rarest], names[most], train[most]
    );
    let mut rare: Vec<usize> = there().filter(|&class| train[most] / train[class] >= IMBALANCE).collect();
    rare.sort_by_key(|&class| train[class]);
    let groups = rare
        .into_iter()
        .map(|class| Group::named(&names[class], format!("{} training samples", train[class])))
        .collect();
    let advice = "accuracy hides rare classes, look at macro F1; `--class-weights auto` makes them count more";
    report.add("class-imbalance", Severity::Warning, what, groups, advice);
}

/// Samples of each class or label in `part`.
fn counts(subject: &Subject<'_>, part: Part) -> Vec<u64> {
    let width = subject.targets.names().len();
    let mut counts = vec![0; width];
    for index in (0..subject.parts.len()).filter(|&index| subject.parts[index] == part) {
        match subject.targets {
            Targets::Classes { values, .. } => counts[values[index] as usize] += 1,
            Targets::Labels { values, .. } => {
                let labels = &values[index * width..][..width];
                counts.iter_mut().zip(labels).for_each(|(count, &label)| *count += u64::from(label));
            }
            Targets::Values { .. } => {}
        }
    }
    counts
}
