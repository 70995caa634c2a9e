//! Pictures and bars in a terminal: half-block characters in true or 256 colours, plain characters where colours aren't wanted.

use std::io::IsTerminal;

/// How pictures are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// ASCII shades, for files, pipes, NO_COLOR and terminals that can do no more.
    Plain,
    /// The 256 colours that terminals have had for decades.
    Colours,
    /// 24 bits a pixel.
    True,
}

impl Style {
    /// What standard output can show and its user wants.
    pub(crate) fn of_stdout() -> Self {
        let variable =
            |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
        Self::choose(std::io::stdout().is_terminal(), &variable("NO_COLOR"), &variable("TERM"), &variable("COLORTERM"))
    }

    fn choose(terminal: bool, no_color: &str, term: &str, colorterm: &str) -> Self {
        match (terminal, no_color, term, colorterm) {
            (false, ..) | (_, _, "dumb", _) => Self::Plain,
            (_, no_color, ..) if !no_color.is_empty() => Self::Plain,
            (.., "truecolor" | "24bit") => Self::True,
            _ => Self::Colours,
        }
    }
}

/// Lines that show `pixels` (`[channels, height, width]`, 1 or 3 channels), each pixel `scale` times as wide and high. Every line takes
/// `2 * scale * width` columns in plain style, half as many in the others.
pub(crate) fn picture(pixels: &[u8], [channels, height, width]: [usize; 3], scale: usize, style: Style) -> Vec<String> {
    let colour = |row: usize, column: usize| -> [u8; 3] {
        let at = |channel: usize| {
            let place = (channel.min(channels - 1) * height + row / scale) * width + column / scale;
            pixels.get(place).copied().unwrap_or(0)
        };
        [at(0), at(1), at(2)]
    };
    let columns = 0..width * scale;
    if style == Style::Plain {
        return (0..height * scale)
            .map(|row| columns.clone().map(|column| shade(colour(row, column))).collect())
            .collect();
    }
    // A character is about twice as high as wide: its upper half is one pixel, its lower half the next.
    (0..(height * scale).div_ceil(2))
        .map(|line| {
            let mut text = String::new();
            for column in columns.clone() {
                let (top, bottom) = (colour(2 * line, column), colour(2 * line + 1, column));
                text += &format!("\x1b[38;{};48;{}m▀", code(top, style), code(bottom, style));
            }
            text + "\x1b[0m"
        })
        .collect()
}

/// Two characters of ASCII, which are about as wide as high.
fn shade(colour: [u8; 3]) -> &'static str {
    const SHADES: [&str; 8] = ["  ", "..", "::", "--", "==", "++", "##", "@@"];
    SHADES[usize::from(luma(colour)) * SHADES.len() / 256]
}

/// Rec. 601 luma, 0 to 255.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((u32::from(red) * 299 + u32::from(green) * 587 + u32::from(blue) * 114) / 1000) as u8
}

/// The part of an escape sequence that names a colour.
fn code([red, green, blue]: [u8; 3], style: Style) -> String {
    if style == Style::True {
        return format!("2;{red};{green};{blue}");
    }
    // 232..=255 are grays; 16..=231 a cube of 6 levels.
    let level = |value: u8| u32::from(value) * 6 / 256;
    if red == green && green == blue {
        format!("5;{}", 232 + u32::from(red) * 24 / 256)
    } else {
        format!("5;{}", 16 + 36 * level(red) + 6 * level(green) + level(blue))
    }
}

/// A bar of `columns` columns that is full at 1.
pub(crate) fn bar(share: f32, columns: usize, style: Style) -> String {
    let full = (f64::from(share.clamp(0.0, 1.0)) * columns as f64).round() as usize;
    let (on, off) = if style == Style::Plain { ("#", ".") } else { ("█", "░") };
    on.repeat(full) + &off.repeat(columns - full)
}

/// `left` and `right` side by side, `columns` apart from the start of `left`; each of `left`'s lines is as wide as `width`.
pub(crate) fn beside(left: &[String], width: usize, right: &[String]) -> Vec<String> {
    (0..left.len().max(right.len()))
        .map(|line| {
            let blank = " ".repeat(width);
            let left = left.get(line).unwrap_or(&blank);
            format!("  {left}   {}", right.get(line).map_or("", String::as_str)).trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        assert_eq!(Style::choose(false, "", "xterm", "truecolor"), Style::Plain);
        assert_eq!(Style::choose(true, "1", "xterm", "truecolor"), Style::Plain);
        assert_eq!(Style::choose(true, "", "dumb", ""), Style::Plain);
        assert_eq!(Style::choose(true, "", "xterm-256color", ""), Style::Colours);
        assert_eq!(Style::choose(true, "", "xterm", "truecolor"), Style::True);
    }

    #[test]
    fn plain_pictures_hold_no_escapes_and_show_brightness() {
        let lines = picture(&[0, 255, 128, 0], [1, 2, 2], 1, Style::Plain);
        assert_eq!(lines, ["  @@", "==  "]);
    }

    #[test]
    fn a_character_shows_two_pixels_and_colours_end_with_the_line() {
        let lines = picture(&[0, 255, 128, 0], [1, 2, 2], 1, Style::True);
        assert_eq!(lines, ["\x1b[38;2;0;0;0;48;2;128;128;128m▀\x1b[38;2;255;255;255;48;2;0;0;0m▀\x1b[0m"]);
        let odd = picture(&[9; 9], [1, 3, 3], 1, Style::Colours);
        assert_eq!(odd.len(), 2);
        assert!(odd[1].contains("48;5;232"), "the half below the picture is black: {}", odd[1]);
    }

    #[test]
    fn bars_are_as_long_as_asked() {
        for share in [-1.0, 0.0, 0.3, 1.0, 7.0, f32::NAN] {
            assert_eq!(bar(share, 10, Style::Plain).len(), 10);
        }
        assert_eq!(bar(0.5, 4, Style::Plain), "##..");
    }
}
