//! Images that are nearly the same: resized, compressed again, brightened. Candidates by perceptual hash, confirmed by correlation.
//!
//! Hashes that differ in at most 3 bits are equal in 3 of any 6 blocks (G. S. Manku et al., Detecting Near-Duplicates for Web Crawling,
//! 2007): sorted once for each of the 20 choices of 3 blocks, candidates stand side by side. That is 20 sorts, not n^2 comparisons.

use std::collections::{BTreeMap, HashSet};

use super::Subject;
use super::files::counted;
use super::finding::{Group, Report, Severity};
use super::look::{Look, Small};
use crate::Error;

/// Bits by which two hashes may differ.
const BITS: u32 = 3;
/// Correlation of the small gray versions from which on two images are nearly the same.
const ALIKE: f32 = 0.998;
/// Neighbours in a sorted order that are compared: bounds the work where thousands of images have the same hash.
const NEIGHBOURS: usize = 64;
/// Where the six blocks of a hash begin and end.
const BLOCKS: [u32; 7] = [0, 11, 22, 33, 44, 54, 64];

/// Adds the groups of near duplicates; exact ones are another finding's.
pub(super) fn find(subject: &Subject<'_>, seen: &[Option<Result<Look, Error>>], report: &mut Report) {
    let mut prints = HashSet::new();
    let mut images: Vec<(usize, &Small)> = Vec::new();
    for (index, look) in seen.iter().enumerate() {
        let Some(Ok(look)) = look else { continue };
        if let Some(small) = look.small.as_ref().filter(|_| prints.insert(look.print)) {
            images.push((index, small));
        }
    }
    let (mut across, mut within) = (Vec::new(), Vec::new());
    for group in groups(&images) {
        let one = group.iter().all(|&index| subject.parts[index] == subject.parts[group[0]]);
        let named = Group::of(group.len(), group.iter().map(|&index| subject.place(index)));
        if one { within.push(named) } else { across.push(named) }
    }
    if !across.is_empty() {
        let what = format!("{} of nearly identical images across splits", counted(across.len(), "group"));
        let advice = "results on them may flatter; look at them, and put each group into one split";
        report.add("near-duplicate-across-splits", Severity::Warning, what, across, advice);
    }
    if !within.is_empty() {
        let what = format!("{} of nearly identical images within a split", counted(within.len(), "group"));
        report.add(
            "near-duplicate-within-split",
            Severity::Note,
            what,
            within,
            "they add little; keep one of each if not meant",
        );
    }
}

fn groups(images: &[(usize, &Small)]) -> Vec<Vec<usize>> {
    let mut parents: Vec<usize> = (0..images.len()).collect();
    for mask in masks() {
        let mut order: Vec<(u64, usize)> =
            images.iter().enumerate().map(|(at, (_, small))| (small.hash & mask, at)).collect();
        order.sort_unstable();
        for (start, &(key, a)) in order.iter().enumerate() {
            let equal = order[start + 1..].iter().take(NEIGHBOURS).take_while(|(other, _)| *other == key);
            for &(_, b) in equal {
                let (one, other) = (images[a].1, images[b].1);
                if (one.hash ^ other.hash).count_ones() <= BITS && correlation(one, other) >= ALIKE {
                    let (a, b) = (root(&mut parents, a), root(&mut parents, b));
                    parents[a.max(b)] = a.min(b);
                }
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, (index, _)) in images.iter().enumerate() {
        groups.entry(root(&mut parents, at)).or_default().push(*index);
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

/// The bits of three blocks out of six, for every choice of three.
fn masks() -> impl Iterator<Item = u64> {
    let block = |at: u32| {
        let (from, to) = (BLOCKS[at as usize], BLOCKS[at as usize + 1]);
        (u64::MAX >> (64 - (to - from))) << from
    };
    (0_u32..64)
        .filter(|chosen| chosen.count_ones() == 3)
        .map(move |chosen| (0..6).filter(|at| chosen >> at & 1 == 1).map(block).fold(0, |mask, block| mask | block))
}

fn correlation(a: &Small, b: &Small) -> f32 {
    a.gray.iter().zip(&b.gray).map(|(a, b)| a * b).sum()
}

fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_two_hashes_that_differ_in_three_bits_meet_under_one_of_twenty_masks() {
        let masks: Vec<u64> = masks().collect();
        assert_eq!(masks.len(), 20);
        for a in 0..64 {
            for b in a..64 {
                for c in b..64 {
                    let difference = 1_u64 << a | 1 << b | 1 << c;
                    assert!(masks.iter().any(|mask| difference & mask == 0), "{a} {b} {c}");
                }
            }
        }
    }
}
