//! Which samples train, which validate and which test: cutting missing splits by the seed, stratified.

use crate::Targets;
use crate::random::{Purpose, Random};

/// Indices into a [`Dataset`](crate::Dataset), ascending within each split; no sample is in two of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    /// Samples whose gradients update the weights.
    pub train: Vec<u32>,
    /// Samples that choose: the best epoch, early stopping, the plateau schedule.
    pub val: Vec<u32>,
    /// Samples that choose nothing and are measured once, at the end. May be empty.
    pub test: Vec<u32>,
}

/// Cuts `fraction` of `indices` off, stratified by class where the targets are classes, by quintile where they are a single number:
/// returns (kept, cut), both ascending. A pure function of its arguments.
pub fn cut(indices: &[u32], targets: &Targets, fraction: f64, seed: u64) -> (Vec<u32>, Vec<u32>) {
    let mut groups: std::collections::BTreeMap<u32, Vec<u32>> = Default::default();
    let quintiles = quintiles(indices, targets);
    for &index in indices {
        let group = match targets {
            Targets::Classes { values, .. } => values[index as usize],
            Targets::Values { names, values } if names.len() == 1 => {
                quintiles.iter().filter(|&&bound| values[index as usize] > bound).count() as u32
            }
            _ => 0,
        };
        groups.entry(group).or_default().push(index);
    }
    let (mut kept, mut cut) = (Vec::new(), Vec::new());
    // Rounding each group alone would let the total drift; carrying the remainder keeps it at `fraction` overall.
    let mut due = 0.0;
    for (group, mut members) in groups {
        Random::new(seed, Purpose::Split, group, indices.len() as u32).shuffle(&mut members);
        due += members.len() as f64 * fraction;
        let take = (due.round() as usize).min(members.len());
        due -= take as f64;
        cut.extend_from_slice(&members[..take]);
        kept.extend_from_slice(&members[take..]);
    }
    kept.sort_unstable();
    cut.sort_unstable();
    (kept, cut)
}

fn quintiles(indices: &[u32], targets: &Targets) -> Vec<f32> {
    let Targets::Values { names, values } = targets else { return Vec::new() };
    if names.len() != 1 || indices.is_empty() {
        return Vec::new();
    }
    let mut sorted: Vec<f32> = indices.iter().map(|&index| values[index as usize]).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    (1..5).map(|fifth| sorted[(sorted.len() * fifth / 5).min(sorted.len() - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(n: u32, k: u32) -> Targets {
        Targets::Classes { names: (0..k).map(|c| c.to_string()).collect(), values: (0..n).map(|i| i % k).collect() }
    }

    #[test]
    fn a_cut_is_stratified_disjoint_and_complete() {
        let indices: Vec<u32> = (0..100).collect();
        let (kept, cut) = super::cut(&indices, &classes(100, 4), 0.2, 3);
        assert_eq!((kept.len(), cut.len()), (80, 20));
        for class in 0..4 {
            assert_eq!(cut.iter().filter(|&&index| index % 4 == class).count(), 5);
        }
        let mut all = [kept, cut].concat();
        all.sort_unstable();
        assert_eq!(all, indices);
    }

    #[test]
    fn another_seed_cuts_differently() {
        let indices: Vec<u32> = (0..100).collect();
        assert_eq!(cut(&indices, &classes(100, 4), 0.2, 3), cut(&indices, &classes(100, 4), 0.2, 3));
        assert_ne!(cut(&indices, &classes(100, 4), 0.2, 3), cut(&indices, &classes(100, 4), 0.2, 4));
    }
}
