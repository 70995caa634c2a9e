//! Which colours the terminal shows, and its user wants.

use ratatui::style::{Color, Modifier, Style};

/// How much colour there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colours {
    /// None: `NO_COLOR`.
    None,
    /// The 256 that terminals have had for decades.
    Indexed,
    /// 24 bits a cell.
    True,
}

impl Colours {
    /// By `NO_COLOR` (no-color.org: any text that isn't empty) and `COLORTERM`.
    pub(crate) fn of_environment() -> Self {
        let variable = |name| std::env::var(name).unwrap_or_default();
        Self::choose(&variable("NO_COLOR"), &variable("COLORTERM"))
    }

    fn choose(no_color: &str, colorterm: &str) -> Self {
        match (no_color, colorterm) {
            ("", "truecolor" | "24bit") => Self::True,
            ("", _) => Self::Indexed,
            _ => Self::None,
        }
    }

    /// Text in one of the terminal's own colours, which fit its background.
    pub(super) fn text(self, colour: Color) -> Style {
        if self == Self::None { Style::new() } else { Style::new().fg(colour) }
    }

    /// What stands back: borders, axes.
    pub(super) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_wants_no_colour_gets_none() {
        assert_eq!(Colours::choose("1", "truecolor"), Colours::None);
        assert_eq!(Colours::choose("", "truecolor"), Colours::True);
        assert_eq!(Colours::choose("", ""), Colours::Indexed);
        assert_eq!(Colours::None.text(Color::Red), Style::new());
    }
}
