//! Samples in a frame: pictures as half blocks, two pixels a cell, or as characters where there are no colours; rows of tables as lines.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::widgets::{Block, Widget};
use report::{Picture, Shown};
use unicode_width::UnicodeWidthStr;

use super::colours::Colours;
use super::draw::write;
use crate::cli::columns::plain;

/// Rows of a picture.
const ROWS: [u16; 2] = [4, 14];
/// Rows of a picture with its words from which on there may be more below each other.
const TALL: u16 = 10;
/// Rows of words below a picture.
const WORDS: u16 = 2;
/// Columns of the words below a picture, where it is narrower.
const COLUMNS: [u16; 2] = [12, 16];
/// From dark to bright.
const SHADES: [&str; 8] = [" ", ".", ":", "-", "=", "+", "#", "@"];

/// Draws as many samples as there is room for, in the order in which they come.
pub(super) fn samples(buf: &mut Buffer, area: Rect, title: &str, shown: &[Shown], colours: Colours) {
    let block = Block::bordered().border_style(colours.dim()).title_top(format!(" {title} "));
    let inner = block.inner(area);
    block.render(area, buf);
    if shown.is_empty() {
        return write(buf, inner, "none", colours.dim());
    }
    if shown.iter().all(|shown| shown.picture.is_none()) {
        for (row, shown) in inner.rows().zip(shown) {
            let line = format!("{}: is {}, answered {}", shown.source, shown.truth, shown.answer);
            write(buf, row, &line, Style::new());
        }
        return;
    }
    let rows = (inner.height / (inner.height / TALL).max(1)).saturating_sub(WORDS).min(ROWS[1]);
    // Three beside each other say more than one that is larger.
    let rows = rows.min((inner.width / 6).max(ROWS[0]));
    if rows < ROWS[0] {
        return;
    }
    let tall = rows + WORDS;
    let mut place = Rect { height: tall, width: 0, ..inner };
    for shown in shown {
        let Some(picture) = &shown.picture else { continue };
        let [height, width] = size(picture, rows, inner.width);
        let words = [format!("is {}", shown.truth), format!("as {}", shown.answer)].map(|words| plain(&words));
        let longest = words.iter().map(|words| words.width()).max().unwrap_or(0);
        let wide = width.max((longest as u16).clamp(COLUMNS[0], COLUMNS[1]));
        if place.x + wide > inner.right() {
            place = Rect { x: inner.x, y: place.y + tall, ..place };
        }
        if place.x + wide > inner.right() || place.bottom() > inner.bottom() {
            return;
        }
        let frame = Rect { x: place.x, y: place.y, width, height };
        draw(buf, frame, picture, colours);
        for (row, text) in words.iter().enumerate() {
            write(buf, Rect { x: place.x, y: place.y + rows + row as u16, width: wide, height: 1 }, text, Style::new());
        }
        place.x += wide + 1;
    }
}

/// Rows and columns of a picture that is as high as it may be, in cells that are twice as high as wide.
fn size(picture: &Picture, rows: u16, columns: u16) -> [u16; 2] {
    let [_, height, width] = picture.shape.map(|side| side.max(1) as f64);
    let scale = (2.0 * f64::from(rows) / height).min(f64::from(columns) / width);
    let cells = |length: f64, most: u16| (length.round() as u16).clamp(1, most.max(1));
    [cells(height * scale / 2.0, rows), cells(width * scale, columns)]
}

fn draw(buf: &mut Buffer, area: Rect, picture: &Picture, colours: Colours) {
    let size = [usize::from(area.height) * 2, usize::from(area.width)];
    let pixel = |y: u16, x: u16| mean(picture, [usize::from(y), usize::from(x)], size);
    for (y, x) in (0..area.height).flat_map(|y| (0..area.width).map(move |x| (y, x))) {
        let [upper, lower] = [pixel(2 * y, x), pixel(2 * y + 1, x)];
        let (symbol, style) = match colours {
            Colours::None => {
                let brightness = (luma(upper) + luma(lower)) / 2;
                (SHADES[brightness * SHADES.len() / 256], Style::new())
            }
            _ => ("\u{2580}", Style::new().fg(colour(upper, colours)).bg(colour(lower, colours))),
        };
        buf.set_stringn(area.x + x, area.y + y, symbol, 1, style);
    }
}

/// The mean of what a picture has where one of `size` rows and columns has `at`.
fn mean(picture: &Picture, at: [usize; 2], size: [usize; 2]) -> [u8; 3] {
    let [channels, height, width] = picture.shape;
    let range = |axis: usize, sides: usize| {
        let begin = at[axis] * sides / size[axis];
        begin..((at[axis] + 1) * sides).div_ceil(size[axis]).min(sides).max(begin + 1)
    };
    let one = |channel: usize| {
        let (mut sum, mut count) = (0, 0);
        for y in range(0, height) {
            for x in range(1, width) {
                // Gray is all three.
                let place = (channel.min(channels.saturating_sub(1)) * height + y) * width + x;
                sum += usize::from(picture.pixels.get(place).copied().unwrap_or(0));
                count += 1;
            }
        }
        (sum / count.max(1)) as u8
    };
    [0, 1, 2].map(one)
}

/// Rec. 601 luma, 0 to 255.
fn luma([red, green, blue]: [u8; 3]) -> usize {
    (usize::from(red) * 299 + usize::from(green) * 587 + usize::from(blue) * 114) / 1000
}

fn colour([red, green, blue]: [u8; 3], colours: Colours) -> Color {
    // Of the 256, 232..=255 are grays and 16..=231 a cube of 6 levels.
    let level = |value: u8| (u16::from(value) * 6 / 256) as u8;
    match colours {
        Colours::True => Color::Rgb(red, green, blue),
        _ if red == green && green == blue => Color::Indexed(232 + (u16::from(red) * 24 / 256) as u8),
        _ => Color::Indexed(16 + 36 * level(red) + 6 * level(green) + level(blue)),
    }
}
