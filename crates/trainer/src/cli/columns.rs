//! Tables for people: columns that line up whatever the script of their names, and give way where a terminal is narrow.

use std::io::IsTerminal;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Between two columns.
const GAP: usize = 2;

/// One column: its name and how it gives way.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// The columns of the lowest rank go first where there is too little room; those of rank 0 stay.
    pub(crate) rank: usize,
    /// A text, which may be cut down to this width, stands left; numbers stand right and are never cut.
    pub(crate) least: Option<usize>,
}

/// Columns of the terminal that standard output is, or of `COLUMNS`; `None` where there is no limit, as in a pipe.
pub(crate) fn room() -> Option<usize> {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    let terminal = || std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    said.or_else(|| terminal().map(|(width, _)| usize::from(width.0)))
}

/// A name from outside, in one line: nothing of it moves a cursor or turns the writing direction of what follows.
pub(crate) fn plain(text: &str) -> String {
    let odd = |c: char| {
        c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    text.replace(odd, "\u{fffd}")
}

/// The table, without spaces at the ends of lines. `rows` have a cell for each column.
pub(crate) fn table(columns: &[Column], rows: &[Vec<String>], room: Option<usize>) -> String {
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let natural = |at: usize| {
        let cells = rows.iter().map(|row| row[at].width());
        cells.chain([columns[at].name.width()]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = kept.iter().map(|&at| natural(at)).collect();
    if let Some(room) = room {
        while least(columns, &widths, &kept) > room {
            let Some(place) = (0..kept.len())
                .filter(|&place| columns[kept[place]].rank > 0)
                .min_by_key(|&place| columns[kept[place]].rank)
            else {
                break;
            };
            kept.remove(place);
        }
        narrow(columns, &mut widths, &kept, room);
    }
    let line = |cells: &dyn Fn(usize) -> String| {
        let cells = kept.iter().map(|&at| placed(&cells(at), widths[at], columns[at].least.is_some()));
        cells.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    let head = line(&|at| columns[at].name.to_owned());
    let rows = rows.iter().map(|row| line(&|at| row[at].clone()));
    [head].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// The width of the table where every text is cut as far as it may be.
fn least(columns: &[Column], widths: &[usize], kept: &[usize]) -> usize {
    let width = |&at: &usize| columns[at].least.map_or(widths[at], |least| least.min(widths[at]));
    kept.iter().map(width).sum::<usize>() + GAP * kept.len().saturating_sub(1)
}

/// Takes from the widest text, column by column, until the table fits.
fn narrow(columns: &[Column], widths: &mut [usize], kept: &[usize], room: usize) {
    let all = |widths: &[usize]| kept.iter().map(|&at| widths[at]).sum::<usize>() + GAP * kept.len().saturating_sub(1);
    while all(widths) > room {
        let texts = kept.iter().copied().filter(|&at| columns[at].least.is_some_and(|least| widths[at] > least));
        let Some(widest) = texts.max_by_key(|&at| widths[at]) else { return };
        widths[widest] -= 1;
    }
}

fn placed(text: &str, width: usize, left: bool) -> String {
    let text = cut(text, width);
    let space = " ".repeat(width.saturating_sub(text.width()));
    if left { text + &space } else { space + &text }
}

/// The text, or its beginning and an ellipsis where it is wider than `width`.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out + "\u{2026}"
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column { name: "name", rank: 0, least: Some(6) },
        Column { name: "data", rank: 1, least: Some(8) },
        Column { name: "val", rank: 0, least: None },
    ];

    fn rows() -> Vec<Vec<String>> {
        let row = |name: &str, data: &str, val: &str| [name, data, val].map(str::to_owned).into();
        vec![row("\u{732b}\u{732b}\u{732b}\u{732b}\u{732b}", "a", "0.5"), row("cnn", "/a/long/path", "0.25")]
    }

    #[test]
    fn names_in_any_script_line_up() {
        let expected = "name        data           val\n\u{732b}\u{732b}\u{732b}\u{732b}\u{732b}  a              0.5\ncnn         /a/long/path  0.25";
        assert_eq!(table(&COLUMNS, &rows(), None), expected);
    }

    #[test]
    fn a_narrow_terminal_cuts_texts_then_drops_columns_and_never_a_number() {
        for room in 12..40 {
            let text = table(&COLUMNS, &rows(), Some(room));
            assert!(text.lines().all(|line| line.width() <= room), "{room}: {text}");
            assert!(text.contains("0.25") && text.contains("name"), "{room}: {text}");
            assert_eq!(text.contains("data"), room >= 6 + 8 + 4 + 2 * GAP, "{room}: {text}");
        }
    }

    #[test]
    fn nothing_in_a_name_moves_a_cursor_or_turns_a_line() {
        assert_eq!(plain("a\u{1b}[2J\n\u{202e}b"), "a\u{fffd}[2J\u{fffd}\u{fffd}b");
    }
}
