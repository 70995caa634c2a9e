//! Explains inputs one after the other and writes what was found, for people and for programs; draws what has a place.

use std::io::{self, Write};
use std::path::Path;

use data::image::Thumbnail;
use data::{ImageSpec, InputSpec};
use infer::{Evidence, Exif, Explain, Explanation, Predictor, Sample};
use report::Sheet;

use super::words::{how, said, sheet};
use super::{Format, columns};
use crate::answer::{Framed, Json, Why};
use crate::failure::{Failure, tell};
use crate::feed::Raw;
use crate::output::shown;
use crate::place::{Place, Places};

/// The longer side of a picture in an overlay, in pixels.
const SIDE: usize = 432;
/// Completeness that lacks more than this share of the change deserves more steps.
const GAP: f64 = 0.05;
/// Classes that JSON lists of each prediction.
const TOP: usize = 5;

/// Explains inputs one after the other, and writes what was found.
pub(super) struct Explainer<'a, W: Write> {
    predictor: &'a Predictor,
    options: Explain,
    exif: Exif,
    format: Format,
    /// Where pictures go, where there are any.
    places: Option<Places>,
    /// Whether standard output is a picture's.
    to_stdout: bool,
    out: W,
    quiet: bool,
    done: u64,
    failed: u64,
}

impl<'a, W: Write> Explainer<'a, W> {
    /// Draws nothing.
    pub(super) fn new(
        predictor: &'a Predictor,
        options: Explain,
        exif: Exif,
        format: Format,
        out: W,
        quiet: bool,
    ) -> Self {
        Self { predictor, options, exif, format, places: None, to_stdout: false, out, quiet, done: 0, failed: 0 }
    }

    /// Draws pictures, on standard output perhaps, where nothing else is written then.
    pub(super) fn draw_to(&mut self, places: Places, to_stdout: bool) {
        (self.places, self.to_stdout) = (Some(places), to_stdout);
    }

    /// Explains one input; fails where no other could be explained either.
    pub(super) fn take(&mut self, source: &str, raw: Raw) -> Result<(), Failure> {
        let found = match self.predictor.input() {
            InputSpec::Image(spec) => {
                raw.image().map_err(Trouble::Input).and_then(|(bytes, name)| self.picture(&bytes, &name, spec))
            }
            InputSpec::Table(_) => raw.row().map_err(Trouble::Input).and_then(|sample| {
                let explanation = self.predictor.explain(&sample, &self.options)?;
                Ok((explanation, None))
            }),
        };
        let found = match found {
            // What is wrong with the command is wrong for every input.
            Err(Trouble::Command(failure)) => return Err(failure),
            Err(Trouble::Input(why)) => Err(why),
            Ok((explanation, drawn)) => match drawn {
                Some((thumbnail, sheet)) => {
                    let place = self.places.as_mut().map(|places| places.next(source)).transpose()?;
                    let place = place.map(|place| draw(place, &sheet)).transpose()?;
                    Ok((explanation, Some(thumbnail.size), place))
                }
                None => Ok((explanation, None, None)),
            },
        };
        if let (Ok((explanation, ..)), false) = (&found, self.quiet) {
            warn_of_gap(source, explanation);
        }
        match &found {
            Ok(_) => self.done += 1,
            Err(_) => self.failed += 1,
        }
        let found = found
            .as_ref()
            .map(|(explanation, size, place)| (explanation, *size, place.as_ref()))
            .map_err(String::as_str);
        Ok(self.write(source, found)?)
    }

    /// The explanation of a picture, and the picture with its heat.
    fn picture(&self, bytes: &[u8], name: &Path, spec: &ImageSpec) -> Result<Found, Trouble> {
        let sample = Sample::image_bytes_as(name, bytes, self.predictor.input(), self.exif)
            .map_err(|error| Trouble::Input(error.to_string()))?;
        let explanation = self.predictor.explain(&sample, &self.options)?;
        let thumbnail =
            data::image::thumbnail(bytes, name, SIDE, self.exif).map_err(|error| Trouble::Input(error.to_string()))?;
        let Evidence::Heat(heat) = &explanation.evidence else { return Ok((explanation, None)) };
        let sheet = sheet(name, &explanation, heat, &thumbnail, spec)
            .ok_or_else(|| Trouble::Input("the heat could not be drawn".to_owned()))?;
        Ok((explanation, Some((thumbnail, sheet))))
    }

    fn write(&mut self, source: &str, found: Result<Written<'_>, &str>) -> io::Result<()> {
        if self.to_stdout {
            if let Err(why) = found {
                tell(format_args!("{}: error: {}", shown(source), shown(why)));
            }
            return Ok(());
        }
        let text = match (self.format, found) {
            (Format::Text, Err(why)) => format!("{}: error: {}", shown(source), shown(why)),
            (Format::Text, Ok((explanation, _, place))) => self.text(source, explanation, place),
            (Format::Json | Format::Jsonl, found) => self.json(source, found)?,
        };
        let written = self.done + self.failed;
        match self.format {
            Format::Text | Format::Jsonl => writeln!(self.out, "{text}")?,
            Format::Json => write!(self.out, "{}{text}", if written == 1 { "[\n" } else { ",\n" })?,
        }
        self.out.flush()
    }

    fn text(&self, source: &str, explanation: &Explanation, place: Option<&Place>) -> String {
        let mut text = format!("{}: {}, by {}", shown(source), said(explanation), how(explanation));
        if let Some(Place::File(path)) = place {
            text += &format!("; drawn as {}", shown(&path.display().to_string()));
        }
        if let Evidence::Columns(columns) = &explanation.evidence {
            for line in columns::lines(columns, explanation) {
                text += &format!("\n{line}");
            }
        }
        text
    }

    fn json(&self, source: &str, found: Result<Written<'_>, &str>) -> io::Result<String> {
        let json = Json::new(TOP, self.predictor.task());
        let why = found.ok().map(|(explanation, size, place)| {
            let framing = match self.predictor.input() {
                InputSpec::Image(spec) => size.map(|picture| Framed::new(picture, spec)),
                InputSpec::Table(_) => None,
            };
            Why { explanation, framing, picture: place.and_then(Place::path) }
        });
        Ok(json.line_with(source, found.map(|(explanation, ..)| &explanation.prediction), why)?)
    }

    /// Ends the output; fails if an input couldn't be explained.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let all = self.done + self.failed;
        match (self.format, all) {
            (Format::Json, 0) => writeln!(self.out, "[]")?,
            (Format::Json, _) => writeln!(self.out, "\n]")?,
            _ => {}
        }
        self.out.flush()?;
        if let (Some(places), false) = (&self.places, self.quiet) {
            places.tell();
        }
        if self.failed > 0 {
            let what =
                format!("{} of {all} inputs could not be explained; the reason stands in its place above", self.failed);
            return Err(Failure::data(anyhow::anyhow!(what)));
        }
        Ok(())
    }
}

/// An explanation, and of a picture its height and width and where it was drawn.
type Written<'a> = (&'a Explanation, Option<[usize; 2]>, Option<&'a Place>);
/// An explanation, and of a picture how it is shown.
type Found = (Explanation, Option<(Thumbnail, Sheet)>);

/// What went wrong with one input, or with all of them.
enum Trouble {
    Input(String),
    Command(Failure),
}

impl From<infer::Error> for Trouble {
    fn from(error: infer::Error) -> Self {
        match error.exit_code() {
            3 => Self::Input(error.to_string()),
            _ => Self::Command(error.into()),
        }
    }
}

/// Draws a sheet as its place asks.
fn draw(place: Place, sheet: &Sheet) -> Result<Place, Failure> {
    if place.ending() == "svg" {
        place.write(sheet.svg().as_bytes())?;
    } else {
        let png = sheet
            .png()
            .map_err(|error| Failure::internal(anyhow::anyhow!("the picture could not be drawn: {error}")))?;
        place.write(&png)?;
    }
    Ok(place)
}

/// Says where the sum of integrated gradients lacks much.
fn warn_of_gap(source: &str, explanation: &Explanation) {
    let how = &explanation.how;
    let (Some(gap), Some(before), Some(steps)) = (how.gap, how.baseline_score, how.steps) else { return };
    let share = gap.abs() / (explanation.explained.score - before).abs();
    if share > GAP {
        let share = 100.0 * share;
        tell(format_args!(
            "warning: {source}: {share:.0} % of the change is missing after {steps} steps; give more --steps"
        ));
    }
}
