//! Charts as SVG: lines, points and bars, with axes of round numbers. Colours are classes of `chart.css`; numbers that aren't finite
//! leave a gap.

use std::fmt::Write;

use crate::axis::{Axis, Scale, short};
use crate::html::escaped;

pub(crate) const WIDTH: f64 = 640.0;
pub(crate) const HEIGHT: f64 = 300.0;
pub(crate) const LEFT: f64 = 64.0;
pub(crate) const RIGHT: f64 = 30.0;
const TOP: f64 = 12.0;
pub(crate) const BOTTOM: f64 = 34.0;
/// Colours of lines that the style has.
pub(crate) const COLOURS: usize = 8;
/// Points of a line beyond which it is thinned out: a screen shows no more.
const LINE_POINTS: usize = 1500;

/// A drawing of [`WIDTH`] by [`HEIGHT`], for the page and for a file of its own.
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What it shows, for those who don't see it.
    description: String,
    /// Elements of SVG, well-formed as XML too.
    pub(crate) body: String,
    /// The names of its lines, in the order of their colours.
    pub(crate) keys: Vec<String>,
    caption: String,
}

impl Chart {
    pub(crate) fn new(title: &str, description: &str) -> Self {
        let (title, description) = (title.to_owned(), description.to_owned());
        Self { title, description, body: String::new(), keys: Vec::new(), caption: String::new() }
    }

    /// The drawing on the page.
    pub(crate) fn html(&self) -> String {
        let label = escaped(&format!("{}: {}", self.title, self.description));
        let mut out =
            format!("<figure><svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label=\"{label}\">\n{}", self.body);
        out += "</svg><figcaption>";
        for (at, key) in self.keys.iter().enumerate() {
            let _ = write!(out, "<span class=\"key c{}\">{}</span> ", at % COLOURS, escaped(key));
        }
        out + &escaped(&self.caption) + "</figcaption></figure>\n"
    }
}

/// A line through points.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A bar, with a dash across it.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: Option<f64>,
    pub(crate) mark: Option<f64>,
}

fn x_axis(values: impl Iterator<Item = f64>) -> Axis {
    Axis::over(values, Scale::Even, [LEFT, WIDTH - RIGHT])
}

pub(crate) fn y_axis(values: impl Iterator<Item = f64>) -> Axis {
    Axis::over(values, Scale::Even, [HEIGHT - BOTTOM, TOP])
}

pub(crate) fn y_grid(out: &mut String, axis: Axis) {
    for tick in axis.ticks() {
        let y = axis.at(tick);
        let _ = writeln!(
            out,
            "<line class='grid' x1='{LEFT}' x2='{:.1}' y1='{y:.1}' y2='{y:.1}' /><text x='{:.1}' y='{:.1}' text-anchor='end'>{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            short(tick)
        );
    }
}

pub(crate) fn x_grid(out: &mut String, ticks: impl Iterator<Item = f64>, axis: Axis, name: &str) {
    for tick in ticks {
        let x = axis.at(tick);
        let _ = writeln!(
            out,
            "<text x='{x:.1}' y='{:.1}' text-anchor='middle'>{}</text>",
            HEIGHT - BOTTOM + 16.0,
            short(tick)
        );
    }
    let (x, y) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 4.0);
    let _ = writeln!(out, "<text x='{x:.1}' y='{y:.1}' text-anchor='middle'>{}</text>", escaped(name));
}

/// Lines over `across` with a legend, on a height that holds the numbers of `including` too; `None` without a single finite point.
pub(crate) fn lines(
    title: &str,
    description: &str,
    across: &str,
    series: &[Series],
    including: &[f64],
) -> Option<Chart> {
    lines_over(title, description, (across, Scale::Even), series, including, &[])
}

/// The same over an axis of any scale, with dashes up from `marks` on it.
pub(crate) fn lines_over(
    title: &str,
    description: &str,
    (across, scale): (&str, Scale),
    series: &[Series],
    including: &[f64],
    marks: &[f64],
) -> Option<Chart> {
    let finite = |(x, y): &&(f64, f64)| x.is_finite() && y.is_finite();
    if !series.iter().flat_map(|one| &one.points).any(|point| finite(&point)) {
        return None;
    }
    let xs = series.iter().flat_map(|one| &one.points).map(|point| point.0);
    let x = Axis::over(xs, scale, [LEFT, WIDTH - RIGHT]);
    let y = y_axis(series.iter().flat_map(|one| &one.points).map(|point| point.1).chain(including.iter().copied()));
    // There is no half an epoch.
    let whole = scale == Scale::Even && series.iter().flat_map(|one| &one.points).all(|point| point.0.fract() == 0.0);
    let mut chart = Chart::new(title, description);
    let out = &mut chart.body;
    y_grid(out, y);
    x_grid(out, x.ticks().into_iter().filter(|tick| !whole || tick.fract() == 0.0), x, across);
    for mark in marks.iter().filter(|mark| (x.low..=x.high).contains(*mark)) {
        let at = x.at(*mark);
        let _ = writeln!(out, "<line class='mark' x1='{at:.1}' x2='{at:.1}' y1='{TOP}' y2='{:.1}' />", HEIGHT - BOTTOM);
    }
    for (at, one) in series.iter().enumerate() {
        let thin = one.points.len().div_ceil(LINE_POINTS).max(1);
        let (mut path, mut pen) = (String::new(), false);
        let mut alone: Vec<(f64, f64)> = Vec::new();
        let shown: Vec<&(f64, f64)> = one
            .points
            .iter()
            .enumerate()
            .filter(|(n, _)| n % thin == 0 || *n + 1 == one.points.len())
            .map(|(_, point)| point)
            .collect();
        for (n, point) in shown.iter().enumerate() {
            if !finite(point) {
                pen = false;
                continue;
            }
            let after = shown.get(n + 1).is_some_and(finite);
            if !pen && !after {
                alone.push(**point);
            }
            let _ = write!(path, "{}{:.1} {:.1}", if pen { 'L' } else { 'M' }, x.at(point.0), y.at(point.1));
            pen = true;
        }
        let _ = writeln!(out, "<path class='line c{}' d='{path}' />", at % COLOURS);
        for (px, py) in alone {
            let _ = writeln!(
                out,
                "<circle class='dot c{}' cx='{:.1}' cy='{:.1}' r='3' />",
                at % COLOURS,
                x.at(px),
                y.at(py)
            );
        }
    }
    chart.keys = series.iter().map(|one| one.name.clone()).collect();
    Some(chart)
}

/// Points with a line of `guide` through them: the diagonal, or zero.
pub(crate) fn points(
    title: &str,
    description: &str,
    names: [&str; 2],
    of: &[(f64, f64)],
    guide: Guide,
) -> Option<Chart> {
    let finite: Vec<(f64, f64)> = of.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    if finite.is_empty() {
        return None;
    }
    let (xs, ys) = (finite.iter().map(|point| point.0), finite.iter().map(|point| point.1));
    let (x, y) = match guide {
        Guide::Diagonal => (x_axis(xs.clone().chain(ys.clone())), y_axis(xs.chain(ys))),
        Guide::Zero => (x_axis(xs), y_axis(ys.chain([0.0]))),
    };
    let mut chart = Chart::new(title, description);
    let out = &mut chart.body;
    y_grid(out, y);
    x_grid(out, x.ticks().into_iter(), x, names[0]);
    let (from, to) = match guide {
        Guide::Diagonal => (y.at(x.low), y.at(x.high)),
        Guide::Zero => (y.at(0.0), y.at(0.0)),
    };
    let _ = writeln!(out, "<line class='guide' x1='{:.1}' y1='{from:.1}' x2='{:.1}' y2='{to:.1}' />", x.from, x.to);
    for (px, py) in finite {
        let _ = write!(out, "<circle class='point c0' cx='{:.1}' cy='{:.1}' r='2' />", x.at(px), y.at(py));
    }
    chart.caption = format!("{} against {}", names[1], names[0]);
    Some(chart)
}

/// What points are compared with.
#[derive(Clone, Copy)]
pub(crate) enum Guide {
    /// Both numbers are equal.
    Diagonal,
    /// The upward number is zero.
    Zero,
}

/// Bars from zero to at least `top`.
pub(crate) fn bars(title: &str, description: &str, of: &[Bar], top: Option<f64>) -> Chart {
    let values = of.iter().flat_map(|bar| [bar.value, bar.mark]).flatten();
    let y = y_axis(values.chain([0.0]).chain(top));
    let mut chart = Chart::new(title, description);
    let out = &mut chart.body;
    y_grid(out, y);
    let step = (WIDTH - RIGHT - LEFT) / of.len().max(1) as f64;
    for (at, bar) in of.iter().enumerate() {
        let x = LEFT + step * at as f64;
        if let Some(value) = bar.value.filter(|value| value.is_finite()) {
            let (upper, lower) = (y.at(value.max(0.0)), y.at(value.min(0.0)));
            let _ = write!(
                out,
                "<rect class='bar c0' x='{:.1}' y='{upper:.1}' width='{:.1}' height='{:.1}' />",
                x + step * 0.12,
                step * 0.76,
                (lower - upper).max(0.0)
            );
        }
        if let Some(mark) = bar.mark.filter(|mark| mark.is_finite()) {
            let at = y.at(mark);
            let _ = write!(out, "<line class='mark' x1='{x:.1}' x2='{:.1}' y1='{at:.1}' y2='{at:.1}' />", x + step);
        }
        let _ = writeln!(
            out,
            "<text x='{:.1}' y='{:.1}' text-anchor='middle'>{}</text>",
            x + step / 2.0,
            HEIGHT - BOTTOM + 16.0,
            escaped(&bar.label)
        );
    }
    chart.caption = description.to_owned();
    chart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_leaves_a_gap() {
        let line = |points: &[f64]| {
            let points = points.iter().enumerate().map(|(at, value)| (at as f64 + 1.0, *value)).collect();
            lines("t", "d", "epoch", &[Series { name: "<loss>".into(), points }], &[]).map(|chart| chart.html())
        };
        assert_eq!(line(&[f64::NAN, f64::INFINITY]), None);
        let drawn = line(&[1.0, 0.5, f64::NAN, 0.25, 0.2, f64::NAN, 0.1]).unwrap();
        assert_eq!(drawn.matches('M').count(), 3, "three pieces: {drawn}");
        assert_eq!(drawn.matches("<circle").count(), 1, "a point without neighbours is a dot");
        assert!(!drawn.contains("NaN") && drawn.contains("&lt;loss&gt;"));
        assert!(!line(&[0.5]).unwrap().contains("NaN"));
        assert!(!line(&[-1.7e308, 1.7e308]).unwrap().contains("NaN"));
    }
}
