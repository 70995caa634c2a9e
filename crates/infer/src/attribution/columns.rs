//! Contributions of columns as lines of text, the weightiest first.

use infer::{Attribution, Contribution, Explanation};

use crate::output::{number, shown};

/// Columns that are listed.
const LISTED: usize = 20;
/// Letters of a name or a field at most.
const WIDE: usize = 32;

/// A table with a heading.
pub(super) fn lines(columns: &[Contribution], explanation: &Explanation) -> Vec<String> {
    let mut order: Vec<&Contribution> = columns.iter().collect();
    order.sort_by(|one, other| other.contribution.abs().total_cmp(&one.contribution.abs()));
    let (listed, rest) = order.split_at(order.len().min(LISTED));
    let without = |one: &Contribution| match (one.without, explanation.explained.prob) {
        (Some(without), Some(_)) => format!("{:.1}%", 100.0 * without),
        (Some(without), None) => number(without),
        (None, _) => String::new(),
    };
    let heading = match explanation.how.method {
        Attribution::Occlusion => ["column", "value", "falls by", "without it"],
        _ => ["column", "value", "adds", ""],
    };
    let mut rows = vec![heading.map(str::to_owned)];
    for one in listed {
        rows.push([cut(&one.column), cut(&one.value), number(one.contribution), without(one)]);
    }
    let widths: [usize; 4] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
    let line = |[name, value, adds, without]: &[String; 4]| {
        let [a, b, c, d] = widths;
        format!("  {name:a$}  {value:b$}  {adds:>c$}  {without:>d$}").trim_end().to_owned()
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    if !rest.is_empty() {
        let most = rest.iter().map(|one| one.contribution.abs()).fold(0.0, f64::max);
        lines.push(format!("  and {} more columns, of {} at most; --format json has all", rest.len(), number(most)));
    }
    lines
}

fn cut(text: &str) -> String {
    let text = shown(text);
    match text.chars().count() > WIDE {
        true => text.chars().take(WIDE - 1).chain(['…']).collect(),
        false => text,
    }
}
