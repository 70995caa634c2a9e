//! The classes of the last validation as bars, the worst first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::widgets::{Block, Widget};
use report::grouped;
use trainer::Found;
use unicode_width::UnicodeWidthStr;

use super::colours::Colours;
use crate::cli::columns::{cut, plain};

/// Columns of a name, at most.
const NAME: usize = 20;

/// Draws as many classes as there are rows for, in the order in which they come.
pub(super) fn bars(buf: &mut Buffer, area: Rect, classes: &[Found], colours: Colours) {
    let rows = usize::from(area.height.saturating_sub(2));
    let title = match classes.len() {
        all if all > rows => format!(" recall, the worst {rows} of {} ", grouped(all as u64)),
        _ => " recall, the worst first ".to_owned(),
    };
    let block = Block::bordered().border_style(colours.dim()).title_top(title);
    let inner = block.inner(area);
    block.render(area, buf);
    let names: Vec<String> = classes.iter().take(rows).map(|class| cut(&plain(&class.name), NAME)).collect();
    let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let room = usize::from(inner.width);
    let share = |class: &Found| class.found as f64 / class.of.max(1) as f64;
    let numbers =
        |class: &Found| format!(" {:5.1} %  {} of {}", share(class) * 100.0, grouped(class.found), grouped(class.of));
    let beside = classes.iter().take(rows).map(|class| numbers(class).len()).max().unwrap_or(0);
    let bar = room.saturating_sub(width + 1 + beside);
    for ((row, class), name) in inner.rows().zip(classes).zip(names) {
        let (share, numbers) = (share(class), numbers(class));
        let full = (share * bar as f64).round() as usize;
        let colour = match share {
            ..0.5 => Color::Red,
            0.5..0.8 => Color::Yellow,
            _ => Color::Green,
        };
        let space = " ".repeat(width - name.width() + 1);
        let (x, _) = buf.set_stringn(row.x, row.y, format!("{name}{space}"), room, Style::new());
        let left = |x: u16| usize::from(row.right().saturating_sub(x));
        let (x, _) = buf.set_stringn(x, row.y, "\u{2586}".repeat(full), left(x), colours.text(colour));
        let (x, _) = buf.set_stringn(x, row.y, "\u{2581}".repeat(bar - full), left(x), colours.dim());
        buf.set_stringn(x, row.y, numbers, left(x), Style::new());
    }
}
