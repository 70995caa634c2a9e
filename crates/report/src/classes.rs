//! Classes and labels one by one, and which are taken for which.

use std::collections::HashMap;
use std::fmt::Write;

use crate::html::{name, number, percent, table};
use crate::{Answer, ClassRow, HeldOut, Share};

/// Classes up to which the confusion matrix is drawn whole; beyond that nobody could read it.
const MATRIX: usize = 30;
/// Confusions that are listed where the matrix is too large, or has many.
const LISTED: usize = 30;

/// The table of the classes.
pub(crate) fn section(held_out: &HeldOut, rows: &[ClassRow]) -> String {
    let ranked = rows.iter().any(|row| row.auroc.is_some());
    let averaged = rows.iter().any(|row| row.average_precision.is_some());
    let mut head = vec!["Class", "Precision", "95 %", "Recall", "95 %", "F1", "Support", "Predicted"];
    head.extend(ranked.then_some("AUROC"));
    head.extend(averaged.then_some("Average precision"));
    let interval = |share: Option<Share>| {
        share.map_or_else(
            || "\u{2013}".to_owned(),
            |share| format!("{:.1}\u{2013}{:.1}", share.low * 100.0, share.high * 100.0),
        )
    };
    let optional = |value: Option<f64>| value.map_or_else(|| "\u{2013}".to_owned(), number);
    let row = |row: &ClassRow| {
        let value = |share: Option<Share>| percent(share.map(|share| share.value));
        let mut cells = vec![
            name(&row.name),
            value(row.precision),
            interval(row.precision),
            value(row.recall),
            interval(row.recall),
        ];
        cells.extend([percent(row.f1), row.support.to_string(), row.predicted.to_string()]);
        cells.extend(ranked.then(|| optional(row.auroc)));
        cells.extend(averaged.then(|| optional(row.average_precision)));
        cells
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    format!(
        "<section id=classes><h2>Classes</h2>\n<p>On {}. The intervals are Wilson's, for other samples of the same kind; a dash stands \
         for what is undefined: the precision of what was never predicted, the recall of what never occurs.</p>\n{}</section>\n",
        held_out.words(),
        table(&format!("{} classes ({})", rows.len(), held_out.split), &head, &rows)
    )
}

/// The confusion matrix, or what is confused most where it would be too large.
pub(crate) fn confusion(rows: &[ClassRow], answers: &[Answer]) -> String {
    let mut out = "<section id=confusion><h2>Confusion</h2>\n".to_owned();
    if rows.len() <= MATRIX {
        out += &matrix(rows, answers);
    } else {
        let _ = writeln!(out, "<p>A matrix of {0} by {0} classes would be too large to read.</p>", rows.len());
    }
    out + &most_confused(rows, answers) + "</section>\n"
}

/// How often each class, row by row, was taken for each.
pub(crate) fn counts(classes: usize, answers: &[Answer]) -> Vec<u64> {
    let mut cells = vec![0u64; classes * classes];
    for answer in answers {
        if answer.truth < classes && answer.predicted < classes {
            cells[answer.truth * classes + answer.predicted] += 1;
        }
    }
    cells
}

fn matrix(rows: &[ClassRow], answers: &[Answer]) -> String {
    let (classes, cells) = (rows.len(), counts(rows.len(), answers));
    let mut out = "<div class=scroll tabindex=0 role=region aria-label=\"Confusion matrix\"><table class=matrix>\
                   <caption>Confusion matrix: rows are what samples are, columns what they were taken for. Shades are shares of the row.</caption>\n\
                   <thead><tr><th scope=col>is \\ taken for</th>"
        .to_owned();
    rows.iter().for_each(|row| {
        let _ = write!(out, "<th scope=col>{}</th>", name(&row.name));
    });
    out += "</tr></thead>\n<tbody>\n";
    for (truth, row) in rows.iter().enumerate() {
        let counts = &cells[truth * classes..][..classes];
        let all = counts.iter().sum::<u64>().max(1) as f64;
        let _ = write!(out, "<tr><th scope=row>{}</th>", name(&row.name));
        for (predicted, &count) in counts.iter().enumerate() {
            let class = if truth == predicted { "right" } else { "wrong" };
            let _ = match count {
                0 => write!(out, "<td class=quiet>0</td>"),
                // Shades stay light enough to read what stands on them.
                _ => {
                    write!(out, "<td class={class} style=\"--s:{:.0}%\">{count}</td>", 8.0 + 52.0 * count as f64 / all)
                }
            };
        }
        out += "</tr>\n";
    }
    out + "</tbody></table></div>\n"
}

fn most_confused(rows: &[ClassRow], answers: &[Answer]) -> String {
    let mut pairs: HashMap<(usize, usize), u64> = HashMap::new();
    for answer in answers.iter().filter(|answer| answer.truth != answer.predicted) {
        *pairs.entry((answer.truth, answer.predicted)).or_default() += 1;
    }
    if pairs.is_empty() {
        return "<p>No class was taken for another.</p>\n".to_owned();
    }
    let mut pairs: Vec<((usize, usize), u64)> = pairs.into_iter().collect();
    pairs.sort_by_key(|(pair, count)| (std::cmp::Reverse(*count), *pair));
    let named = |class: usize| rows.get(class).map_or_else(|| class.to_string(), |row| name(&row.name));
    let listed = pairs.iter().take(LISTED).map(|((truth, predicted), count)| {
        let support = rows.get(*truth).map_or(0, |row| row.support);
        let share = (support > 0).then(|| *count as f64 / support as f64);
        vec![named(*truth), named(*predicted), count.to_string(), percent(share)]
    });
    let listed: Vec<Vec<String>> = listed.collect();
    let caption = format!("Most frequent confusions, {} of {}", listed.len(), pairs.len());
    table(&caption, &["Is", "Taken for", "Samples", "Of the class"], &listed)
}
