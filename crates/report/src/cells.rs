//! Cells of the CSV files that a run leaves behind. They are opened in spreadsheets, which take some texts for formulas.

use crate::{ClassRow, Share};

/// A text as a cell that no spreadsheet computes: one that begins with `=`, `+`, `-`, `@`, a tab or a carriage return, and is no number,
/// gets an apostrophe in front (OWASP, "CSV Injection"). Quotes and separators are the CSV writer's.
pub fn safe(text: &str) -> String {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    if risky { format!("'{text}") } else { text.to_owned() }
}

/// `per_class.csv`: a row for each class or label, measured on `split`. Undefined numbers are empty.
pub fn per_class(split: &str, rows: &[ClassRow]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = [
        "split",
        "index",
        "class",
        "precision",
        "precision_low",
        "precision_high",
        "recall",
        "recall_low",
        "recall_high",
        "f1",
        "support",
        "predicted",
        "auroc",
        "average_precision",
    ];
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.6}"));
    let share = |share: Option<Share>| {
        [share.map(|share| share.value), share.map(|share| share.low), share.map(|share| share.high)].map(number)
    };
    // Writing to memory doesn't fail.
    let _ = writer.write_record(head);
    for (index, row) in rows.iter().enumerate() {
        let mut cells = vec![split.to_owned(), index.to_string(), safe(&row.name)];
        cells.extend(share(row.precision));
        cells.extend(share(row.recall));
        cells.extend([number(row.f1), row.support.to_string(), row.predicted.to_string()]);
        cells.extend([row.auroc, row.average_precision].map(number));
        let _ = writer.write_record(cells);
    }
    writer.into_inner().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_becomes_text_and_a_number_stays() {
        assert_eq!(safe("=HYPERLINK(\"http://x\")"), "'=HYPERLINK(\"http://x\")");
        assert_eq!(["@SUM(1)", "+a", "-a", "\tx"].map(safe), ["'@SUM(1)", "'+a", "'-a", "'\tx"]);
        assert_eq!(["-1.5", "+3", "rose", "a=b", "\u{732b}"].map(safe), ["-1.5", "+3", "rose", "a=b", "\u{732b}"]);
    }

    #[test]
    fn rows_come_back_from_a_csv_reader() {
        let half = Share { value: 0.5, low: 0.25, high: 0.75 };
        let row = |name: &str, recall| ClassRow { name: name.into(), recall, support: 4, ..ClassRow::default() };
        let text = per_class("test", &[row("a,\"b\"\n\u{5e9}", Some(half)), row("=1+1", None)]);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<_> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!(
            (&rows[0][2], &rows[0][6], &rows[0][7], &rows[0][10]),
            ("a,\"b\"\n\u{5e9}", "0.500000", "0.250000", "4")
        );
        assert_eq!((&rows[1][0], &rows[1][1], &rows[1][2], &rows[1][6]), ("test", "1", "'=1+1", ""));
    }
}
