//! Curves in a frame: lines of dots, gaps where a number isn't finite, and the newest numbers below.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Widget};
use report::{Axis as Range, Scale};

use super::colours::Colours;
use super::curve::Curve;

/// Least width and height of a frame with curves in it.
pub(super) const LEAST: [u16; 2] = [24, 7];

/// One of the curves of a chart.
pub(super) struct Drawn<'a> {
    pub(super) curve: &'a Curve,
    pub(super) colour: Color,
    /// Single points, which are told from a line without colours too.
    pub(super) points: bool,
    /// Its name and newest number.
    pub(super) key: String,
}

/// What the numbers of a chart are, and how they are written.
pub(super) struct Title {
    pub(super) text: String,
    pub(super) number: fn(f64) -> String,
}

/// Draws curves over epochs.
pub(super) fn chart(buf: &mut Buffer, area: Rect, title: &Title, drawn: &[Drawn<'_>], colours: Colours) {
    let keys = drawn.iter().flat_map(|one| [Span::styled(format!(" {} ", one.key), colours.text(one.colour))]);
    let block = Block::bordered()
        .border_style(colours.dim())
        .title_top(Span::raw(format!(" {} ", title.text)))
        .title_bottom(Line::from_iter(keys));
    let inner = block.inner(area);
    block.render(area, buf);

    let points: Vec<Vec<(f64, f64)>> = drawn.iter().map(|one| one.curve.points().collect()).collect();
    let finite = || points.iter().flatten().copied().filter(|(x, y)| x.is_finite() && y.is_finite());
    let Some((first, _)) = finite().next() else {
        buf.set_stringn(inner.x, inner.y, "no numbers yet", usize::from(inner.width), colours.dim());
        return;
    };
    // On a range of our own, from 0 to 1: it holds numbers whose difference is beyond the largest number.
    let x = Range::over(finite().flat_map(|point| [point.0, first.floor()]), Scale::Even, [0.0, 1.0]);
    let y = Range::over(finite().map(|point| point.1), Scale::Even, [0.0, 1.0]);
    let pieces: Vec<(usize, Vec<(f64, f64)>)> = points
        .iter()
        .enumerate()
        .flat_map(|(at, points)| pieces(points, &x, &y).map(move |piece| (at, piece)))
        .collect();
    let datasets = pieces.iter().map(|(at, piece)| {
        let one = &drawn[*at];
        let (marker, kind) = match one.points && (colours == Colours::None || piece.len() == 1) {
            true => (Marker::Dot, GraphType::Scatter),
            false => (Marker::Braille, GraphType::Line),
        };
        Dataset::default().data(piece).marker(marker).graph_type(kind).style(colours.text(one.colour))
    });
    let axis = |labels: [String; 3]| {
        Axis::default()
            .bounds([0.0, 1.0])
            .style(colours.dim())
            .labels(labels.map(|label| Span::styled(label, Style::new())))
    };
    let middle = |range: &Range| range.low / 2.0 + range.high / 2.0;
    Chart::new(datasets.collect())
        .x_axis(axis([x.low, middle(&x), x.high].map(epoch)))
        .y_axis(axis([y.low, middle(&y), y.high].map(title.number)))
        .render(inner, buf);
}

/// The parts of a curve between numbers that aren't finite, from 0 to 1.
fn pieces(points: &[(f64, f64)], x: &Range, y: &Range) -> impl Iterator<Item = Vec<(f64, f64)>> {
    let parts = points.split(|(x, y)| !x.is_finite() || !y.is_finite()).filter(|part| !part.is_empty());
    parts.map(|part| part.iter().map(|point| (x.at(point.0), y.at(point.1))).collect())
}

/// A number of epochs.
fn epoch(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}
