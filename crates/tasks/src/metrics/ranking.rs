//! Measures of how well scores put the positives first: area under the ROC curve and average precision, exact, from all scores.

/// A ranking of more scores than this (256 MiB of them) isn't kept, and its measures are absent: exact or nothing.
const SCORE_LIMIT: usize = 1 << 26;

/// What every threshold of one class or label gives, from the highest to the lowest. All numbers are from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// (false positive rate, true positive rate), from (0, 0) to (1, 1); corners on a straight line are left out.
    pub roc: Vec<[f64; 2]>,
    /// (recall, precision), from the recall 0, which has the precision of the highest score.
    pub precision_recall: Vec<[f64; 2]>,
}

/// The scores of all samples for each column (class or label), and which of them are positives.
#[derive(Clone, Debug)]
pub(super) struct Ranking {
    columns: usize,
    /// `[n, columns]`; empty once there are too many.
    scores: Vec<f32>,
    /// `[n, columns]`.
    positive: Vec<bool>,
    /// How many scores were given, kept or not.
    given: usize,
}

impl Ranking {
    pub(super) fn new(columns: usize) -> Self {
        Self { columns, scores: Vec::new(), positive: Vec::new(), given: 0 }
    }

    /// Adds the scores of one sample, a pair for each column: score (higher is more positive) and whether it is a positive.
    pub(super) fn add(&mut self, row: impl Iterator<Item = (f64, bool)>) {
        self.given += self.columns;
        if self.is_dropped() {
            return;
        }
        for (score, positive) in row {
            self.scores.push(score as f32);
            self.positive.push(positive);
        }
    }

    /// Both together; nothing if either kept no scores.
    pub(super) fn merged(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        let (mut a, b) = (a?, b?);
        a.given += b.given;
        if !a.is_dropped() {
            a.scores.extend(b.scores);
            a.positive.extend(b.positive);
        }
        Some(a)
    }

    fn is_dropped(&mut self) -> bool {
        let dropped = self.given > SCORE_LIMIT;
        if dropped {
            (self.scores, self.positive) = (Vec::new(), Vec::new());
        }
        dropped
    }

    /// For each distinct score of `column`, the highest first: (positives, negatives).
    fn groups(&self, column: usize) -> Vec<(u64, u64)> {
        let scores = self.scores.iter().zip(&self.positive).skip(column).step_by(self.columns.max(1));
        // Score and truth in one integer: sorting those is several times faster than sorting pairs by a comparison.
        let mut keys: Vec<u64> =
            scores.map(|(&score, &positive)| descending(score) << 1 | u64::from(positive)).collect();
        keys.sort_unstable();
        keys.chunk_by(|a, b| a >> 1 == b >> 1)
            .map(|group| {
                let positives = group.iter().map(|key| key & 1).sum();
                (positives, group.len() as u64 - positives)
            })
            .collect()
    }

    /// Probability that a random positive is scored above a random negative, ties counting half (Mann and Whitney's U over the
    /// number of pairs); undefined without positives or without negatives.
    pub(super) fn auroc(&self, column: usize) -> Option<f64> {
        let (mut positives, mut negatives, mut twice_won) = (0_u64, 0_u64, 0_u128);
        for (p, n) in self.groups(column) {
            twice_won += u128::from(n) * u128::from(2 * positives + p);
            positives += p;
            negatives += n;
        }
        let pairs = u128::from(positives) * u128::from(negatives);
        (pairs > 0).then(|| twice_won as f64 / (2 * pairs) as f64)
    }

    /// The curves of which [`Ranking::auroc`] and [`Ranking::average_precision`] are the areas; undefined without positives or without
    /// negatives.
    pub(super) fn curves(&self, column: usize) -> Option<Curves> {
        let groups = self.groups(column);
        let [p, n] = groups.iter().fold([0, 0], |[p, n], group| [p + group.0, n + group.1]);
        if p == 0 || n == 0 {
            return None;
        }
        let mut curves = Curves { roc: vec![[0.0, 0.0]], precision_recall: Vec::new() };
        let (mut positives, mut negatives) = (0, 0);
        for (at, group) in groups.iter().enumerate() {
            (positives, negatives) = (positives + group.0, negatives + group.1);
            let recall = positives as f64 / p as f64;
            let precision = positives as f64 / (positives + negatives) as f64;
            if at == 0 {
                curves.precision_recall.push([0.0, precision]);
            }
            curves.precision_recall.push([recall, precision]);
            // In the same direction as the group after it: no corner.
            let turns = groups.get(at + 1).is_none_or(|next| {
                u128::from(group.0) * u128::from(next.1) != u128::from(group.1) * u128::from(next.0)
            });
            if turns {
                curves.roc.push([negatives as f64 / n as f64, recall]);
            }
        }
        Some(curves)
    }

    /// Sum over the distinct scores of (rise in recall) times precision, without interpolation, as scikit-learn's
    /// `average_precision_score`; undefined without positives.
    pub(super) fn average_precision(&self, column: usize) -> Option<f64> {
        let (mut positives, mut predicted, mut sum) = (0_u64, 0_u64, 0.0);
        for (p, n) in self.groups(column) {
            positives += p;
            predicted += p + n;
            sum += p as f64 * positives as f64 / predicted as f64;
        }
        (positives > 0).then(|| sum / positives as f64)
    }
}

/// Bits that order as the score does, backwards.
fn descending(score: f32) -> u64 {
    let bits = (score + 0.0).to_bits(); // + 0.0: -0.0 and 0.0 are one score
    let ascending = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(!ascending)
}
