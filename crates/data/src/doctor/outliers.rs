//! Numbers far from all others: of a column, or of what images look like.

use super::finding::Group;
use super::{Place, Subject};

/// A larger share of such numbers is a distribution with a long tail, and none of them an outlier.
const FEW: f64 = 0.01;

/// The (number, sample) that lie far outside of the quartiles, as one group: `name` says what they are numbers of,
/// and `fence` how many times the distance between the quartiles they may lie outside of them.
pub(super) fn outliers(subject: &Subject<'_>, name: &str, mut numbers: Vec<(f64, usize)>, fence: f64) -> Option<Group> {
    numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
    let quartile = |quarter: usize| numbers.get(numbers.len() * quarter / 4).map(|(number, _)| *number);
    let (low, high) = (quartile(1)?, quartile(3)?);
    let room = fence * (high - low);
    if room <= 0.0 {
        return None;
    }
    let mut far: Vec<&(f64, usize)> =
        numbers.iter().filter(|(number, _)| *number < low - room || *number > high + room).collect();
    if far.is_empty() || far.len() as f64 > (numbers.len() as f64 * FEW).max(1.0) {
        return None;
    }
    // The farthest first: they are what is shown.
    let beyond = |number: f64| (low - number).max(number - high);
    far.sort_by(|a, b| beyond(b.0).total_cmp(&beyond(a.0)));
    let place = |&&(number, row): &&(f64, usize)| Place {
        detail: Some(format!("{name} = {number} (quartiles {low} and {high})")),
        ..subject.place(row)
    };
    Some(Group::of(far.len(), far.iter().map(place)))
}
