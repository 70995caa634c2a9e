//! The page's pictures as files, under the names that people know: which there are, and what each shows.

use std::fmt::Write;

use crate::classes::counts;
use crate::html::{ISOLATES, escaped};
use crate::sheet::{Sheet, is_legible, shortened};
use crate::{Answer, Calibration, ClassRow, Features, HeldOut, Outcome, Page, Shown, curves, ranking, values};

/// Classes up to which a matrix has names and numbers.
const NAMED: usize = 30;
/// Classes up to which there is a matrix.
const DRAWN: usize = 1000;
/// Width of a matrix without names.
const WHOLE: f64 = 1000.0;
/// Sides of a sample's picture, with its words, and how many stand in a row.
const TILE: [f64; 2] = [160.0, 200.0];
const TILES: usize = 4;
/// Letters of a name.
const LETTERS: usize = 22;

impl Page {
    /// Files by name, without their ending; those for which the run has nothing are left out. Names that the font cannot show become the
    /// numbers of their classes, which `per_class.csv` explains.
    pub fn files(&self) -> Vec<(&'static str, Sheet)> {
        let page = self.legible();
        let mut files = Vec::new();
        let history = curves::drawn(&page.results);
        if !history.is_empty() {
            files.push(("results", Sheet::of_charts(&history)));
        }
        for (name, batch) in [("train_batch0", &page.train_batch), ("val_batch0_pred", &page.val_batch)] {
            files.extend(tiles(batch).map(|sheet| (name, sheet)));
        }
        files.extend(page.held_out.iter().flat_map(HeldOut::files));
        files.extend(page.features.iter().flat_map(Features::files));
        files
    }

    /// With names that the font can show.
    fn legible(&self) -> Self {
        let mut page = self.clone();
        let Some(held_out) = &mut page.held_out else { return page };
        let (Outcome::Classes { rows, curves, .. } | Outcome::Labels { rows, curves, .. }) = &mut held_out.outcome
        else {
            return page;
        };
        let other: Vec<(String, String)> = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| !is_legible(&row.name))
            .map(|(index, row)| (row.name.clone(), format!("class {index}")))
            .collect();
        let replaced = |text: &mut String| {
            other.iter().for_each(|(from, to)| *text = text.replace(from.as_str(), to));
            // The font has neither what is written from right to left nor the marks around it.
            text.retain(|letter| !ISOLATES.contains(&letter));
        };
        rows.iter_mut().for_each(|row| replaced(&mut row.name));
        curves.iter_mut().for_each(|curve| replaced(&mut curve.name));
        let features = page.features.iter_mut().flat_map(|features| {
            features.sample.iter_mut().chain(features.explained.iter_mut().map(|explained| &mut explained.shown))
        });
        for shown in page.train_batch.iter_mut().chain(&mut page.val_batch).chain(features) {
            replaced(&mut shown.truth);
            replaced(&mut shown.answer);
        }
        page
    }
}

impl HeldOut {
    fn files(&self) -> Vec<(&'static str, Sheet)> {
        let mut files = Vec::new();
        let mut of_curves = |curves: &[crate::Curve]| {
            let [roc, precision] = ranking::charts(curves)?;
            files.push(("roc_curve", Sheet::of_charts(&[roc])));
            files.push(("pr_curve", Sheet::of_charts(&[precision])));
            Some(())
        };
        match &self.outcome {
            Outcome::Classes { rows, curves, answers, .. } => {
                of_curves(curves);
                files.extend(matrix(rows, answers).map(|sheet| ("confusion_matrix", sheet)));
                let calibration = Calibration::of(answers);
                files.extend(
                    calibration.chart("the predicted class").map(|chart| ("calibration", Sheet::of_charts(&[chart]))),
                );
            }
            Outcome::Labels { curves, calibration, .. } => {
                of_curves(curves);
                files.extend(calibration.chart("a label").map(|chart| ("calibration", Sheet::of_charts(&[chart]))));
            }
            Outcome::Values { rows, .. } => {
                let charts: Vec<_> = rows.iter().take(values::CHARTED).flat_map(values::charts).flatten().collect();
                files.extend((!charts.is_empty()).then(|| ("predictions", Sheet::of_charts(&charts))));
            }
        }
        files
    }
}

/// Rows are what samples are, columns what they were taken for; shades are shares of the row.
fn matrix(rows: &[ClassRow], answers: &[Answer]) -> Option<Sheet> {
    let classes = rows.len();
    if classes == 0 || classes > DRAWN {
        return None;
    }
    let (cells, named) = (counts(classes, answers), classes <= NAMED);
    let longest = rows.iter().map(|row| row.name.chars().count().min(LETTERS)).max().unwrap_or(0) as f64;
    // Names stand to the left, and above on the slant.
    let [side, left, top] = match named {
        true => [40.0, 40.0 + longest * 6.6, 46.0 + longest * 4.7],
        false => [WHOLE / classes as f64, 60.0, 50.0],
    };
    let mut out = format!(
        "<text class='title' x='{left}' y='16'>Rows: what samples are. Columns: what they were taken for.</text>\n"
    );
    for (truth, counts) in cells.chunks(classes).enumerate() {
        let all = counts.iter().sum::<u64>().max(1) as f64;
        let y = top + side * truth as f64;
        for (predicted, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let x = left + side * predicted as f64;
            let colour = if truth == predicted { "#2f9e63" } else { "#d9480f" };
            let shade = 0.08 + 0.72 * count as f64 / all;
            let _ = write!(
                out,
                "<rect x='{x:.1}' y='{y:.1}' width='{side:.1}' height='{side:.1}' fill='{colour}' fill-opacity='{shade:.2}' />"
            );
            if named {
                let _ = write!(
                    out,
                    "<text x='{:.1}' y='{:.1}' text-anchor='middle' style='fill:#1b1f24'>{count}</text>",
                    x + side / 2.0,
                    y + side / 2.0 + 4.0
                );
            }
        }
        out.push('\n');
    }
    let every = if named { 1 } else { classes.div_ceil(20) };
    for at in (0..classes).step_by(every) {
        let text = if named { shortened(&rows[at].name, LETTERS) } else { at.to_string() };
        let (text, along) = (escaped(&text), side * (at as f64 + 0.5));
        let _ =
            writeln!(out, "<text x='{:.1}' y='{:.1}' text-anchor='end'>{text}</text>", left - 8.0, top + along + 4.0);
        let (x, y) = (left + along, top - 8.0);
        let _ = writeln!(out, "<text x='{x:.1}' y='{y:.1}' transform='rotate(-45 {x:.1} {y:.1})'>{text}</text>");
    }
    let whole = side * classes as f64;
    let _ = writeln!(
        out,
        "<rect x='{left}' y='{top}' width='{whole:.1}' height='{whole:.1}' fill='none' stroke='#d0d7de' />"
    );
    Some(Sheet::new([left + whole + 110.0, top + whole + 20.0], &out))
}

/// Pictures with what they are, and what they were taken for; `None` where none can be shown.
fn tiles(shown: &[Shown]) -> Option<Sheet> {
    let mut out = String::new();
    let pictures = shown.iter().filter_map(|one| Some((one, one.picture.as_ref()?.uri()?)));
    let mut count = 0;
    for (at, (one, uri)) in pictures.enumerate() {
        let wrong = !one.answer.starts_with(&one.truth);
        let (x, y) = (TILE[0] * (at % TILES) as f64, TILE[1] * (at / TILES) as f64);
        let _ = writeln!(
            out,
            "<image x='{:.0}' y='{:.0}' width='144' height='144' style='image-rendering:pixelated' href='{uri}' />\n\
             <text x='{:.0}' y='{:.0}' style='fill:#1b1f24'>{}</text><text x='{:.0}' y='{:.0}'{}>{}</text>",
            x + 8.0,
            y + 8.0,
            x + 8.0,
            y + 168.0,
            escaped(&shortened(&one.truth, LETTERS)),
            x + 8.0,
            y + 186.0,
            if wrong { " style='fill:#b42318'" } else { "" },
            escaped(&shortened(&one.answer, LETTERS)),
        );
        count = at + 1;
    }
    let size = [TILE[0] * count.min(TILES) as f64, TILE[1] * count.div_ceil(TILES) as f64];
    (count > 0).then(|| Sheet::new(size, &out))
}
