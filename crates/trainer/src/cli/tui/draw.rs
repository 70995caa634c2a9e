//! The picture: what is where at every size of a terminal. A function of the state and nothing else.

use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use report::grouped;
use trainer::{Glance, memory};

use super::bars::bars;
use super::chart::{self, Drawn, Title, chart};
use super::colours::Colours;
use super::pictures::samples;
use super::state::{Phase, State};
use crate::cli::columns::{cut, plain};
use crate::cli::report::significant;

/// Below this there are only lines of text.
const LEAST: [u16; 2] = [chart::LEAST[0] * 2, chart::LEAST[1] + 5];
/// From this width on the learning rate has a chart too.
const WIDE: u16 = 120;
/// Rows of notes, at most, and the height of a terminal from which on there are more than one.
const NOTES: u16 = 3;
const TALL: u16 = 30;
/// Least rows of what the last validation answered.
const GLANCE: u16 = 8;
const TRAIN: Color = Color::Cyan;
const VAL: Color = Color::Yellow;
const RATE: Color = Color::Magenta;

/// Draws the state on all of the frame.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &State, now: Instant, colours: Colours) {
    let area = frame.area();
    let buf = frame.buffer_mut();
    if area.width < LEAST[0] || area.height < LEAST[1] {
        return few_lines(buf, area, state, now);
    }
    let mut rest = area;
    header(buf, from_top(&mut rest, 1), state, now);
    gauge(buf, from_top(&mut rest, 1), state.share(), colours);
    keys(buf, from_bottom(&mut rest, 1), state, colours);
    let most = if area.height < TALL { 1 } else { NOTES };
    let spare = rest.height - 1 - chart::LEAST[1];
    let notes = from_bottom(&mut rest, most.min(spare).min(state.notes.len() as u16));
    for (row, note) in notes.rows().zip(state.notes.iter().skip(state.notes.len() - usize::from(notes.height))) {
        write(buf, row, note, colours.dim());
    }
    write(buf, from_bottom(&mut rest, 1), &status(state).join("   "), Style::new());
    if let Some(glance) = &state.glance
        && rest.height >= chart::LEAST[1] + GLANCE
    {
        let lower = rest.height / 2;
        answers(buf, from_bottom(&mut rest, lower.max(GLANCE)), glance, colours);
    }
    curves(buf, rest, state, colours);
}

/// What the last validation answered.
fn answers(buf: &mut Buffer, area: Rect, glance: &Glance, colours: Colours) {
    let mut rest = area;
    if !glance.classes.is_empty() {
        let width = rest.width / 2;
        bars(buf, from_left(&mut rest, width), &glance.classes, colours);
    }
    samples(buf, rest, "the worst answers on validation", &glance.mistakes, colours);
}

/// What matters most, as far as there is room.
fn few_lines(buf: &mut Buffer, area: Rect, state: &State, now: Instant) {
    let mut lines = vec![format!("{}, {:.0} %", place(state), state.share() * 100.0)];
    for (name, which) in [("loss", Which::Loss), (state.metric_name, Which::Metric)] {
        let keys = keys_of(state, which);
        lines.extend((!keys.is_empty()).then(|| format!("{name} {}", keys.join(", "))));
    }
    lines.extend(best(state));
    lines.push(times(state, now));
    lines.extend(status(state));
    lines.extend(saved(state));
    lines.extend(state.notes.back().cloned());
    let mut rest = area;
    if area.height > 3 {
        write(buf, from_bottom(&mut rest, 1), KEYS, Style::new().add_modifier(Modifier::BOLD));
    }
    let lines = lines.iter().filter(|line| !line.trim().is_empty());
    rest.rows().zip(lines).for_each(|(row, line)| write(buf, row, line, Style::new()));
}

fn header(buf: &mut Buffer, row: Rect, state: &State, now: Instant) {
    let (times, place) = (times(state, now), place(state));
    let room = usize::from(row.width);
    let (left, right) = (cut(&plain(&state.run), room), Line::raw(times).right_aligned());
    let width = Line::raw(left.as_str()).width() as u16;
    buf.set_stringn(row.x, row.y, left, room, Style::new().add_modifier(Modifier::BOLD));
    let mut after = Rect { x: row.x + (width + 3).min(row.width), width: row.width.saturating_sub(width + 3), ..row };
    write(buf, after, &place, Style::new());
    let used = Line::raw(place).width() as u16 + 2;
    if after.width >= used + right.width() as u16 {
        from_left(&mut after, used);
        let right_width = right.width() as u16;
        buf.set_line(after.x + after.width - right_width, after.y, &right, right_width);
    }
}

/// A thin bar over the whole width.
fn gauge(buf: &mut Buffer, row: Rect, share: f64, colours: Colours) {
    let full = (share * f64::from(row.width)).round() as u16;
    for x in 0..row.width {
        let (symbol, style) =
            if x < full { ("\u{2501}", colours.text(Color::Green)) } else { ("\u{2500}", colours.dim()) };
        buf.set_stringn(row.x + x, row.y, symbol, 1, style);
    }
}

fn curves(buf: &mut Buffer, area: Rect, state: &State, colours: Colours) {
    let drawn = |which: Which| {
        let curves = match which {
            Which::Loss => &state.loss,
            Which::Metric => &state.metric,
        };
        let keys = keys_of(state, which).into_iter();
        let styles = [(TRAIN, false), (VAL, true)];
        let curves = curves.iter().zip(styles).filter(|(curve, _)| has_numbers(curve)).zip(keys);
        curves.map(|((curve, (colour, points)), key)| Drawn { curve, colour, points, key }).collect::<Vec<_>>()
    };
    let (loss, metric) = (drawn(Which::Loss), drawn(Which::Metric));
    let rate = state.rate.last().map(|rate| Drawn {
        curve: &state.rate,
        colour: RATE,
        points: false,
        key: format!("{rate:.2e}"),
    });
    let title = |text: String| Title { text, number: significant };
    let mut charts = vec![(title("loss".to_owned()), loss)];
    if !metric.is_empty() {
        let best = best(state).map(|best| format!(", {best}")).unwrap_or_default();
        charts.push((title(format!("{}{best}", state.metric_name)), metric));
    }
    if area.width >= WIDE {
        let title = Title { text: "learning rate".to_owned(), number: |rate| format!("{rate:.1e}") };
        charts.extend(rate.map(|rate| (title, vec![rate])));
    }
    let mut rest = area;
    for (at, (title, drawn)) in charts.iter().enumerate() {
        let width = rest.width / (charts.len() - at) as u16;
        chart(buf, from_left(&mut rest, width), title, drawn, colours);
    }
}

fn has_numbers(curve: &super::curve::Curve) -> bool {
    curve.points().any(|point| point.1.is_finite())
}

#[derive(Clone, Copy)]
enum Which {
    Loss,
    Metric,
}

/// Names and newest numbers of the curves that have some.
fn keys_of(state: &State, which: Which) -> Vec<String> {
    let (curves, name) = match which {
        Which::Loss => (&state.loss, "loss"),
        Which::Metric => (&state.metric, state.metric_name),
    };
    let both = curves.iter().zip(["train", "val"]).filter(|(curve, _)| has_numbers(curve));
    both.filter_map(|(curve, of)| Some(format!("{of} {}", said(name, curve.last()?)))).collect()
}

fn said(name: &str, value: f64) -> String {
    if name == "accuracy" { format!("{:.2} %", value * 100.0) } else { significant(value) }
}

/// What the best epoch reached.
fn best(state: &State) -> Option<String> {
    let best = state.best.as_ref()?;
    let value = best.val.iter().find(|(name, _)| name == state.metric_name)?.1?;
    Some(format!("best {} in epoch {}", said(state.metric_name, value), best.epoch))
}

/// Where the run is.
fn place(state: &State) -> String {
    let epoch = format!("epoch {}/{}", state.epoch, state.epochs);
    match state.phase {
        Phase::Beginning => "beginning".to_owned(),
        Phase::Training => format!("{epoch}, batch {}/{}", state.batch, state.batches),
        Phase::Validating => format!("{epoch}, validating"),
        Phase::Measuring => format!("{epoch}, measuring the best"),
    }
}

fn times(state: &State, now: Instant) -> String {
    let [past, left] = state.times(now);
    let past = past.map(|past| format!("{} since it began", clock(past)));
    let left = left.map(|left| format!("{} left", clock(left)));
    past.into_iter().chain(left).collect::<Vec<_>>().join(", ")
}

/// `0:07`, `12:34`, `1:02:03`, `9 days`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        1..=99 => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{} days", grouped(hours / 24)),
    }
}

/// Numbers that have no curve.
fn status(state: &State) -> Vec<String> {
    let speed = state.throughput.map(|speed| format!("{} {}/s", grouped(speed as u64), state.unit));
    let rate = state.rate.last().map(|rate| format!("learning rate {rate:.2e}"));
    let [resident, available] = state.memory.map(|bytes| bytes.map(memory::readable));
    let available = available.map(|available| format!(" ({available} free)")).unwrap_or_default();
    let memory = resident.map(|resident| format!("memory {resident}{available}"));
    [speed, rate, memory].into_iter().flatten().collect()
}

const KEYS: &str = "s save  q stop";

fn keys(buf: &mut Buffer, row: Rect, state: &State, colours: Colours) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let keys = [
        Span::styled("s", bold),
        Span::raw(" save a checkpoint   "),
        Span::styled("q", bold),
        Span::raw(" save and stop   "),
    ];
    let keys = Line::from_iter(keys);
    let (used, _) = buf.set_line(row.x, row.y, &keys, row.width);
    let rest = Rect { x: used, width: row.right().saturating_sub(used), ..row };
    write(buf, rest, &saved(state).unwrap_or_default(), colours.text(Color::Green));
}

/// Of the newest checkpoint, or the one that is on its way.
fn saved(state: &State) -> Option<String> {
    match state.saved {
        _ if state.save_asked => Some("saving".to_owned()),
        Some([done, 0]) => Some(format!("saved after epoch {done}")),
        Some([done, batches]) => Some(format!("saved in epoch {}, batch {batches}", done + 1)),
        None => None,
    }
}

/// A line in one row, cut where it doesn't fit.
pub(super) fn write(buf: &mut Buffer, row: Rect, text: &str, style: Style) {
    if row.is_empty() {
        return;
    }
    buf.set_stringn(row.x, row.y, cut(&plain(text), usize::from(row.width)), usize::from(row.width), style);
}

/// The upper `rows` of `rest`, which is what remains below.
fn from_top(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    let top = Rect { height: rows, ..*rest };
    (rest.y, rest.height) = (rest.y + rows, rest.height - rows);
    top
}

fn from_bottom(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    rest.height -= rows;
    Rect { y: rest.y + rest.height, height: rows, ..*rest }
}

fn from_left(rest: &mut Rect, columns: u16) -> Rect {
    let columns = columns.min(rest.width);
    let left = Rect { width: columns, ..*rest };
    (rest.x, rest.width) = (rest.x + columns, rest.width - columns);
    left
}
