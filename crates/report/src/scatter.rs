//! Points in groups of a colour each, over numbers, logarithms or names.

use std::fmt::Write;

use crate::axis::{Axis, Scale};
use crate::chart::{BOTTOM, COLOURS, Chart, HEIGHT, LEFT, RIGHT, WIDTH, x_grid, y_axis, y_grid};
use crate::html::{escaped, number};
use crate::sheet::shortened;

/// What lies across.
pub(crate) enum Across<'a> {
    /// Numbers.
    Numbers(Scale),
    /// Names: a point lies at the number of its name, from 0.
    Names(&'a [String]),
}

/// Points `(across, upward, group)`; none without a finite one. The groups' names are the legend.
pub(crate) fn scatter(
    title: &str,
    upward: &str,
    across: &Across<'_>,
    of: &[(f64, f64, usize)],
    groups: &[String],
) -> Option<Chart> {
    let placed = |(x, y, _): &&(f64, f64, usize)| {
        x.is_finite() && y.is_finite() && (*x > 0.0 || !matches!(across, Across::Numbers(Scale::Logarithmic)))
    };
    let points: Vec<_> = of.iter().filter(placed).collect();
    let best = points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    let least = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    if points.is_empty() {
        return None;
    }
    let description = format!("{} points, {upward} from {} to {}", points.len(), number(least), number(best));
    let mut chart = Chart::new(title, &description);
    let out = &mut chart.body;
    let y = y_axis(points.iter().map(|point| point.1));
    y_grid(out, y);
    let ends = [LEFT + 12.0, WIDTH - RIGHT - 12.0];
    let x = match across {
        Across::Numbers(scale) => {
            let x = Axis::over(points.iter().map(|point| point.0), *scale, ends);
            x_grid(out, x.ticks().into_iter(), x, title);
            x
        }
        Across::Names(names) => {
            let x = Axis::over([-0.5, names.len() as f64 - 0.5].into_iter(), Scale::Even, ends);
            let room = (WIDTH / names.len().max(1) as f64 / 7.0).max(3.0) as usize;
            for (at, name) in names.iter().enumerate() {
                let (at, y) = (x.at(at as f64), HEIGHT - BOTTOM + 16.0);
                let name = escaped(&shortened(name, room));
                let _ = writeln!(out, "<text x='{at:.1}' y='{y:.1}' text-anchor='middle'>{name}</text>");
            }
            x_grid(out, std::iter::empty(), x, title);
            x
        }
    };
    for (across, upward, group) in points {
        let (px, py) = (x.at(*across), y.at(*upward));
        let _ = write!(out, "<circle class='dot c{}' cx='{px:.1}' cy='{py:.1}' r='4' />", group % COLOURS);
    }
    chart.keys = groups.to_vec();
    Some(chart)
}
