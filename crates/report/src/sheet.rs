//! A drawing as a file of its own: SVG with the page's light colours, and the same as PNG, in a font that the program brings along.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::chart::{COLOURS, Chart, HEIGHT, WIDTH};
use crate::html::escaped;

const STYLE: &str = include_str!("style.css");
const CHART_STYLE: &str = include_str!("chart.css");
/// The family of the letters.
const FAMILY: &str = "Ubuntu";
/// Points of the screen for each of the drawing.
const SCALE: f32 = 1.5;
/// Height of a chart's title, and of each line of its legend.
const LINE: f64 = 20.0;
/// Width of a letter, about.
const LETTER: f64 = 6.6;

static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    fonts.set_sans_serif_family(FAMILY);
    Arc::new(fonts)
});

/// A drawing as a file of its own.
#[derive(Clone, Debug)]
pub struct Sheet {
    svg: String,
    size: [f64; 2],
}

impl Sheet {
    /// Of elements of SVG on an area of `size`, width and height.
    pub(crate) fn new(size: [f64; 2], body: &str) -> Self {
        let [width, height] = size;
        let svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='{width:.0}' height='{height:.0}' viewBox='0 0 {width:.0} {height:.0}' \
             font-family='{FAMILY}, sans-serif'>\n<style>{}</style>\n<rect width='100%' height='100%' fill='#fff' />\n{body}</svg>\n",
            fixed(CHART_STYLE)
        );
        Self { svg, size }
    }

    /// Charts with their titles and legends, in two columns where there are several.
    pub(crate) fn of_charts(charts: &[Chart]) -> Self {
        let columns = charts.len().clamp(1, 2);
        let legends: Vec<Legend> = charts.iter().map(|chart| Legend::of(&chart.keys)).collect();
        let (mut body, mut y) = (String::new(), 0.0);
        for (row, charts) in charts.chunks(columns).enumerate() {
            let legends = &legends[row * columns..][..charts.len()];
            for (column, (chart, legend)) in charts.iter().zip(legends).enumerate() {
                let x = column as f64 * WIDTH;
                let _ = write!(
                    body,
                    "<g transform='translate({x} {y})'><text class='title' x='{}' y='16' text-anchor='middle'>{}</text>\n\
                     <g transform='translate(0 {LINE})'>{}</g>\n<g transform='translate(0 {})'>{}</g></g>\n",
                    WIDTH / 2.0,
                    escaped(&chart.title),
                    chart.body,
                    LINE + HEIGHT,
                    legend.body
                );
            }
            y += LINE + HEIGHT + legends.iter().map(|legend| legend.height).fold(0.0, f64::max) + LINE / 2.0;
        }
        Self::new([WIDTH * columns as f64, y], &body)
    }

    /// The file as text.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// The file as PNG.
    ///
    /// # Errors
    /// If it cannot be drawn, in words.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        let options = Options { fontdb: FONTS.clone(), font_family: FAMILY.to_owned(), ..Options::default() };
        let tree = Tree::from_str(&self.svg, &options).map_err(|error| error.to_string())?;
        let [width, height] = self.size.map(|side| (side as f32 * SCALE).ceil() as u32);
        let mut pixels =
            Pixmap::new(width, height).ok_or_else(|| format!("{width}x{height} is no size of a picture"))?;
        resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
        pixels.encode_png().map_err(|error| error.to_string())
    }
}

/// The names of lines beside their colours, as many in a line as there is room for.
struct Legend {
    body: String,
    height: f64,
}

impl Legend {
    fn of(keys: &[String]) -> Self {
        let (mut body, mut x, mut y) = (String::new(), 16.0, 0.0);
        for (at, key) in keys.iter().enumerate() {
            let key = shortened(key, 40);
            let wide = 34.0 + key.chars().count() as f64 * LETTER;
            if x + wide > WIDTH && x > 16.0 {
                (x, y) = (16.0, y + LINE);
            }
            let _ = writeln!(
                body,
                "<path class='line c{}' d='M{x} {:.0}h20' /><text x='{}' y='{:.0}'>{}</text>",
                at % COLOURS,
                y + 8.0,
                x + 24.0,
                y + 12.0,
                escaped(&key)
            );
            x += wide;
        }
        Self { body, height: if keys.is_empty() { 0.0 } else { y + LINE } }
    }
}

/// The first `most` letters, with an ellipsis where there are more.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['\u{2026}']).collect(),
        false => text.to_owned(),
    }
}

/// Whether the font has all letters of `text`.
pub(crate) fn is_legible(text: &str) -> bool {
    let face = ttf_parser::Face::parse(epaint_default_fonts::UBUNTU_LIGHT, 0);
    let has = |letter: char| face.as_ref().is_ok_and(|face| face.glyph_index(letter).is_some());
    text.chars().all(|letter| letter.is_ascii_graphic() || letter == ' ' || has(letter))
}

/// A style with the page's light colours instead of their names: files stand alone, and what draws PNG knows no variables.
fn fixed(style: &str) -> String {
    let light = STYLE.split_once(":root{").and_then(|(_, rest)| rest.split_once('}')).map_or("", |(light, _)| light);
    let colours = light.split(';').filter_map(|one| one.trim().split_once(':'));
    colours.fold(style.to_owned(), |style, (name, value)| style.replace(&format!("var({name})"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_of_a_drawing_is_a_fixed_one() {
        let fixed = fixed(CHART_STYLE);
        assert!(!fixed.contains("var(") && fixed.contains("#1f6fd0"), "{fixed}");
    }

    #[test]
    fn letters_that_no_font_has_are_told() {
        assert!(is_legible("Größe, naïve_3 \u{3b1}\u{416}"));
        assert!(!is_legible("\u{732b}") && !is_legible("\u{1f600}") && !is_legible("\u{5e9}"));
    }

    #[test]
    fn a_drawing_with_any_name_becomes_a_png() {
        let chart = crate::chart::lines(
            "<&>'\"",
            "\u{0}",
            "x]]>",
            &[crate::chart::Series { name: "</svg>\u{1b}".repeat(20), points: vec![(1.0, 2.0), (3.0, 1.0)] }],
            &[],
        );
        let sheet = Sheet::of_charts(&[chart.unwrap()]);
        let png = sheet.png().unwrap();
        assert!(png.starts_with(b"\x89PNG"));
        let blank = Sheet::new(sheet.size, "").png().unwrap();
        assert!(png.len() > blank.len() + 500, "something is drawn");
    }
}
