//! A report as text for people: aligned columns, plain characters.

use super::Report;

impl Report {
    /// The classes, labels or targets as aligned lines, at most `rows` of them: all in their order, or the worst (by F1, for
    /// targets by R2) where there are more, with a line that says so; then the pairs of classes most often confused. Undefined
    /// numbers show as `-`.
    pub fn table(&self, rows: usize) -> String {
        let mut lines = vec![self.heading()];
        let entries = self.entries();
        let mut order: Vec<usize> = (0..entries.len()).collect();
        if entries.len() > rows {
            order.sort_by(|&a, &b| entries[a].0.total_cmp(&entries[b].0));
            order.truncate(rows);
        }
        lines.extend(order.iter().map(|&index| entries[index].1.clone()));
        let mut text = align(&lines);
        if entries.len() > rows {
            text += &format!("and {} more, all of them better\n", entries.len() - rows);
        }
        let confused: Vec<String> = self
            .confusions(3)
            .into_iter()
            .map(|(truth, predicted, count)| format!("{} as {} ({count})", self.names[truth], self.names[predicted]))
            .collect();
        if !confused.is_empty() {
            text += &format!("most confused: {}\n", confused.join(", "));
        }
        text
    }

    /// The pairs of classes most often confused, at most `count`, as (true class, predicted class, how often); equals in the order
    /// of the classes. Empty without a confusion matrix.
    pub fn confusions(&self, count: usize) -> Vec<(usize, usize, u64)> {
        let cells =
            self.confusion.iter().flatten().enumerate().flat_map(|(truth, row)| {
                row.iter().enumerate().map(move |(predicted, &count)| (truth, predicted, count))
            });
        let mut pairs: Vec<_> = cells.filter(|&(truth, predicted, count)| truth != predicted && count > 0).collect();
        pairs.sort_by_key(|&(.., count)| std::cmp::Reverse(count));
        pairs.truncate(count);
        pairs
    }

    fn heading(&self) -> Vec<String> {
        let columns: &[&str] = match self.task {
            "classification" => &["class", "precision", "recall", "f1", "auroc", "samples"],
            "multi-label" => &["label", "precision", "recall", "f1", "auroc", "avg. precision", "samples"],
            _ => &["target", "mae", "rmse", "r2"],
        };
        columns.iter().map(ToString::to_string).collect()
    }

    /// For each row: by what it is ranked (the worst is the lowest, undefined counts as best), and its cells.
    fn entries(&self) -> Vec<(f64, Vec<String>)> {
        let share = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        let number = |value: Option<f64>| value.map_or("-".to_owned(), significant);
        let classes = self.per_class.iter().map(|class| {
            let mut cells = vec![class.name.clone(), share(class.precision), share(class.recall), share(class.f1)];
            cells.push(share(class.auroc));
            cells.extend((self.task == "multi-label").then(|| share(class.average_precision)));
            cells.push(class.support.to_string());
            (class.f1.unwrap_or(f64::INFINITY), cells)
        });
        let targets = self.per_target.iter().map(|target| {
            let cells = vec![target.name.clone(), number(target.mae), number(target.rmse), number(target.r2)];
            (target.r2.unwrap_or(f64::INFINITY), cells)
        });
        classes.chain(targets).collect()
    }
}

/// Four significant digits, in scientific notation where that is shorter to read.
fn significant(value: f64) -> String {
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    match magnitude {
        -4..=6 => format!("{value:.*}", (3 - magnitude).max(0) as usize),
        _ => format!("{value:.3e}"),
    }
}

/// The first column to the left, the others to the right.
fn align(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        text += &format!("{:<width$}", line[0], width = widths[0]);
        for (cell, width) in line.iter().zip(&widths).skip(1) {
            text += &format!("  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}
