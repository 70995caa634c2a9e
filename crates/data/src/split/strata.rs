//! Taking a part of the samples so that every stratum (class, rarest label, quintile) gives its share.

use std::collections::BTreeMap;

use super::Split;
use crate::random::{Purpose, Random};
use crate::{Error, Targets};

/// Cuts `fraction` of `indices` off, stratified by class, by the rarest label of a sample, or by quintile where the targets are a
/// single number: returns (kept, cut), both ascending. Every stratum keeps at least one sample. A pure function of its arguments.
pub fn cut(indices: &[u32], targets: &Targets, fraction: f64, seed: u64) -> (Vec<u32>, Vec<u32>) {
    let (mut kept, mut cut) = (Vec::new(), Vec::new());
    // Rounding each stratum alone would let the total drift; carrying the remainder keeps it at `fraction` overall.
    let mut due = 0.0;
    for (stratum, mut members) in strata(indices, targets) {
        Random::new(seed, Purpose::Split, stratum, indices.len() as u32).shuffle(&mut members);
        due += members.len() as f64 * fraction;
        let take = (due.round() as usize).min(members.len() - 1);
        // What a small stratum could not give is not taken from the next one: that would skew the classes.
        due = (due - take as f64).min(0.5);
        cut.extend_from_slice(&members[..take]);
        kept.extend_from_slice(&members[take..]);
    }
    kept.sort_unstable();
    cut.sort_unstable();
    (kept, cut)
}

/// Keeps `limit` samples of `split`: each of the three splits, and each stratum in it, gives in proportion to its size; one training
/// sample of every stratum stays, and one in the other splits where their share allows it.
pub(super) fn limit(split: &Split, targets: &Targets, limit: usize, seed: u64) -> Result<Split, Error> {
    let parts = [&split.train, &split.val, &split.test].map(|part| strata(part, targets));
    let sizes = [split.train.len(), split.val.len(), split.test.len()];
    let least = [parts[0].len(), sizes[1].min(1), sizes[2].min(1)];
    let needed: usize = least.iter().sum();
    if limit < needed {
        let what = format!("{limit} samples can't hold one of every class for training and one of every other split");
        return Err(Error::option("--limit", format!("{what}; give at least {needed}")));
    }
    let shares = proportional(limit, &sizes, &least);
    let mut kept = parts.into_iter().enumerate().map(|(part, strata)| {
        let sizes: Vec<usize> = strata.values().map(Vec::len).collect();
        let least = vec![usize::from(shares[part] >= sizes.len()); sizes.len()];
        let takes = proportional(shares[part], &sizes, &least);
        let mut kept = Vec::with_capacity(shares[part]);
        for ((stratum, mut members), take) in strata.into_iter().zip(takes) {
            Random::new(seed, Purpose::Limit, stratum, part as u32).shuffle(&mut members);
            kept.extend_from_slice(&members[..take]);
        }
        kept.sort_unstable();
        kept
    });
    let mut next = || kept.next().unwrap_or_default();
    Ok(Split { train: next(), val: next(), test: next() })
}

/// How [`cut`] stratifies, in words.
pub(super) fn describe(targets: &Targets) -> &'static str {
    match targets {
        Targets::Classes { .. } => "stratified by class",
        Targets::Labels { .. } => "stratified by label",
        Targets::Values { names, .. } if names.len() == 1 => "stratified by quintile of the target",
        Targets::Values { .. } => "at random",
    }
}

/// Divides `total` over groups of `sizes` in proportion, giving each at least its `least` and at most its size. Needs
/// `sum(least) <= total <= sum(sizes)` and `least <= sizes`.
fn proportional(total: usize, sizes: &[usize], least: &[usize]) -> Vec<usize> {
    let sum = sizes.iter().sum::<usize>().max(1) as f64;
    let ideal: Vec<f64> = sizes.iter().map(|&size| size as f64 * total as f64 / sum).collect();
    let mut shares: Vec<usize> =
        (0..sizes.len()).map(|group| (ideal[group] as usize).clamp(least[group], sizes[group])).collect();
    let lack = |shares: &[usize], group: usize| ideal[group] - shares[group] as f64;
    loop {
        let given: usize = shares.iter().sum();
        let groups = 0..sizes.len();
        // Of equals the first one, so that the outcome doesn't depend on how a sort breaks ties.
        let best = |a: Option<usize>, b: usize, better: bool| if better { Some(b) } else { a };
        let chosen = if given < total {
            groups
                .filter(|&group| shares[group] < sizes[group])
                .fold(None, |a: Option<usize>, b| best(a, b, a.is_none_or(|a| lack(&shares, b) > lack(&shares, a))))
        } else if given > total {
            groups
                .filter(|&group| shares[group] > least[group])
                .fold(None, |a: Option<usize>, b| best(a, b, a.is_none_or(|a| lack(&shares, b) < lack(&shares, a))))
        } else {
            None
        };
        match chosen {
            Some(group) if given < total => shares[group] += 1,
            Some(group) => shares[group] -= 1,
            None => return shares,
        }
    }
}

/// The strata of `indices`: number of the stratum -> its samples, none of them empty.
fn strata(indices: &[u32], targets: &Targets) -> BTreeMap<u32, Vec<u32>> {
    let stratum: Box<dyn Fn(usize) -> u32> = match targets {
        Targets::Classes { values, .. } => Box::new(|index| values[index]),
        Targets::Labels { names, values } => {
            let width = names.len();
            let mut counts = vec![0usize; width];
            values.iter().enumerate().for_each(|(at, &value)| counts[at % width.max(1)] += usize::from(value != 0));
            // A rare label suffers most from a careless cut, so the rarest one of a sample decides.
            Box::new(move |index| {
                let labels = &values[index * width..][..width];
                let rarest = (0..width).filter(|&label| labels[label] != 0).min_by_key(|&label| counts[label]);
                rarest.unwrap_or(width) as u32
            })
        }
        Targets::Values { names, values } if names.len() == 1 => {
            let bounds = quintiles(indices, values);
            Box::new(move |index| bounds.iter().filter(|&&bound| values[index] > bound).count() as u32)
        }
        Targets::Values { .. } => Box::new(|_| 0),
    };
    let mut strata: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for &index in indices {
        strata.entry(stratum(index as usize)).or_default().push(index);
    }
    strata
}

fn quintiles(indices: &[u32], values: &[f32]) -> Vec<f32> {
    let mut sorted: Vec<f32> = indices.iter().map(|&index| values[index as usize]).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    (1..5).filter_map(|fifth| sorted.get(sorted.len() * fifth / 5).copied()).collect()
}
