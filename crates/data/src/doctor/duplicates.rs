//! Samples that are there more than once: within a split, across splits, and with different targets.

use std::collections::HashMap;

use super::files::counted;
use super::finding::{Group, Report, Severity};
use super::{Place, Subject, part_name};
use crate::Part;

/// Adds what samples of equal `prints` mean; `noun` is what a sample is called.
pub(super) fn find(subject: &Subject<'_>, prints: &[Option<u128>], noun: &str, report: &mut Report) {
    let (mut conflicts, mut across, mut within) = (Vec::new(), Vec::new(), Vec::new());
    let (mut doubled, mut leaked) = (0, 0);
    for group in groups(prints) {
        let place = |&index: &usize| subject.place(index);
        let named = |index: &usize| Place { detail: Some(subject.target(*index)), ..subject.place(*index) };
        if group.iter().any(|&index| !subject.same_target(index, group[0])) {
            conflicts.push(Group::of(group.len(), different_first(subject, &group).iter().map(named)));
        }
        let best = group.iter().copied().max_by_key(|&index| (rank(subject.parts[index]), usize::MAX - index));
        let best = best.unwrap_or(group[0]);
        let lower: Vec<usize> =
            group.iter().copied().filter(|&index| subject.parts[index] != subject.parts[best]).collect();
        if lower.is_empty() {
            doubled += group.len() - 1;
            within.push(Group::of(group.len(), group.iter().map(place)));
            continue;
        }
        leaked += lower.len();
        let reason =
            format!("same as {} ({})", subject.sources.name(best), part_name(subject.parts[best]).unwrap_or_default());
        report.exclude.extend(lower.iter().map(|&index| (subject.sources.name(index), reason.clone())));
        across.push(Group::of(group.len(), std::iter::once(&best).chain(&lower).map(place)));
    }
    if !conflicts.is_empty() {
        let what = format!("{} of identical {noun}s with different targets", counted(conflicts.len(), "group"));
        let advice = "one of the targets is wrong, or what tells them apart isn't in the data; look at them";
        report.add("label-conflict", Severity::Warning, what, conflicts, advice);
    }
    if !across.is_empty() {
        let what = format!("{} of {noun}s that also stand in another split", counted(leaked, "exact copy"));
        let advice = "results on them flatter (unless they are equal by chance); `--fix FILE` and `train --exclude FILE` take the copies out";
        report.add("duplicate-across-splits", Severity::Warning, what, across, advice);
    }
    if !within.is_empty() {
        let what = format!("{} of {noun}s in the same split", counted(doubled, "exact copy"));
        report.add(
            "duplicate-within-split",
            Severity::Note,
            what,
            within,
            "they count more than others; remove them if not meant",
        );
    }
}

/// Groups of samples with the same print, in the order of their first.
fn groups(prints: &[Option<u128>]) -> Vec<Vec<usize>> {
    let mut first: HashMap<u128, usize> = HashMap::with_capacity(prints.len());
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, print) in prints.iter().enumerate() {
        let Some(print) = print else { continue };
        let original = *first.entry(*print).or_insert(index);
        if original != index {
            groups.entry(original).or_insert_with(|| vec![original]).push(index);
        }
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.sort_unstable();
    groups
}

/// The group with a sample of another target right behind its first, so that what is shown shows the conflict.
fn different_first(subject: &Subject<'_>, group: &[usize]) -> Vec<usize> {
    let mut group = group.to_vec();
    if let Some(at) = (1..group.len()).find(|&at| !subject.same_target(group[0], group[at])) {
        group[1..=at].rotate_right(1);
    }
    group
}

/// Which of several copies stays: the one whose split measures most honestly.
fn rank(part: Part) -> u8 {
    match part {
        Part::Test => 3,
        Part::Val => 2,
        Part::Train => 1,
        Part::Unassigned => 0,
    }
}
