//! A picture with what counted in it: heat over its shades of gray, the picture itself beside it, and what the colours mean.

use std::fmt::Write;

use crate::html::{escaped, number};
use crate::mosaic::{SIGNED, VIRIDIS, between};
use crate::sheet::{Sheet, is_legible, shortened};
use crate::{Picture, Shown};

/// Of a sheet: the longer side of both pictures, margins, the height of a line, and of the bar of colours.
const SIDE: usize = 288;
const MARGIN: usize = 12;
const LINE: usize = 20;
const BAR: usize = 10;
/// How much of the picture's own brightness is left where the network saw nothing of it.
const UNSEEN: f32 = 0.3;
/// Share of the numbers that reach at most the full colour: a few outliers would hide all the rest.
const FULL: f64 = 0.995;

/// A picture and what counted in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlay {
    /// What is explained.
    pub picture: Picture,
    /// `[height, width]` of the picture; NaN where the network saw nothing of it.
    pub heat: Vec<f32>,
    /// Whether numbers below zero speak against what is explained.
    pub signed: bool,
}

/// A sample of the page with what counted in it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The sample, with its picture.
    pub shown: Shown,
    /// The same picture with its heat.
    pub overlay: Overlay,
}

impl Overlay {
    /// The number that has the full colour, and its opposite.
    fn full(&self) -> f32 {
        let mut sizes: Vec<f32> = self.heat.iter().map(|v| v.abs()).filter(|v| v.is_finite()).collect();
        sizes.sort_by(f32::total_cmp);
        let at = (sizes.len() as f64 * FULL) as usize;
        let most = sizes.last().copied().unwrap_or(0.0);
        // Where little is anything but zero, as behind a sharp ReLU, the share would say that nothing is.
        sizes.get(at).copied().filter(|full| *full > most / 100.0).unwrap_or(most)
    }

    /// The heat over the picture, in colours; `None` where the sizes don't fit.
    fn painted(&self) -> Option<Picture> {
        let Picture { shape: [channels, height, width], pixels } = &self.picture;
        let size = height.checked_mul(*width).filter(|size| *size > 0)?;
        if !matches!(channels, 1 | 3) || pixels.len() != channels * size || self.heat.len() != size {
            return None;
        }
        let full = self.full();
        let paint = |at: usize| {
            // Rec. 601 luma.
            let shade = match channels {
                1 => f32::from(pixels[at]),
                _ => [0.299, 0.587, 0.114].iter().zip(0..).map(|(k, c)| k * f32::from(pixels[c * size + at])).sum(),
            };
            let heat = self.heat[at];
            if heat.is_nan() {
                return [(shade * UNSEEN) as u8; 3];
            }
            let share = if full > 0.0 { (heat / full).clamp(-1.0, 1.0) } else { 0.0 };
            self.tinted(shade, share)
        };
        let colours: Vec<[u8; 3]> = (0..size).map(paint).collect();
        let pixels = (0..3).flat_map(|channel| colours.iter().map(move |colour| colour[channel])).collect();
        Some(Picture { shape: [3, *height, *width], pixels })
    }

    /// A shade of gray, 0 to 255, with heat of -1 to 1 over it.
    fn tinted(&self, shade: f32, share: f32) -> [u8; 3] {
        let colour = match (self.signed, share < 0.0) {
            (false, _) => between(&VIRIDIS, share),
            // The ends of the scale: its middle, white, would veil what counts little.
            (true, true) => SIGNED[0],
            (true, false) => SIGNED[SIGNED.len() - 1],
        };
        let strength = share.abs().powf(0.7) * 0.85;
        colour.map(|value| (shade + (f32::from(value) - shade) * strength).round().clamp(0.0, 255.0) as u8)
    }

    /// `data:image/png;base64,...`, as a thumbnail.
    pub(crate) fn uri(&self) -> Option<String> {
        self.painted()?.uri()
    }

    /// What the colours mean.
    pub(crate) fn words(&self) -> &'static str {
        if self.signed { "red speaks for it, blue against it" } else { "yellow where most speaks for it" }
    }

    /// The picture and the heat over it side by side, below `title` and above `lines`, as a file of its own; `None` where the sizes don't fit.
    /// Letters that the font doesn't have become question marks.
    pub fn sheet(&self, title: &str, lines: &[String]) -> Option<Sheet> {
        let [_, height, width] = self.picture.shape;
        let (picture, painted) = (self.picture.whole_uri()?, self.painted()?.whole_uri()?);
        let zoom = SIDE as f64 / height.max(width) as f64;
        let [high, wide] = [height, width].map(|side| ((side as f64 * zoom).round() as usize).max(1));
        let all = (2 * wide + MARGIN).max(2 * SIDE + MARGIN);
        let mut body = String::new();
        let mut text = |x: usize, y: usize, class: &str, text: &str| {
            let legible: String = text.chars().map(|c| if is_legible(&c.to_string()) { c } else { '?' }).collect();
            let text = escaped(&shortened(&legible, all / 7));
            let _ = writeln!(body, "<text{class} x='{x}' y='{y}' style='fill:#1b1f24'>{text}</text>");
        };
        text(MARGIN, LINE, " class='title'", title);
        let top = LINE + MARGIN;
        // As large as the picture is drawn, pixels of a small one stay squares.
        let crisp = if zoom > 2.0 { " style='image-rendering:pixelated'" } else { "" };
        let bottom = top + high + MARGIN;
        for (at, line) in lines.iter().enumerate() {
            text(MARGIN, bottom + BAR + LINE * (at + 2), "", line);
        }
        let full = number(f64::from(self.full()));
        let ends = if self.signed { [format!("-{full}"), full] } else { ["0".to_owned(), full] };
        let [low, most] = &ends;
        text(MARGIN, bottom + BAR + LINE - 4, "", &format!("from {low} to {most}: {}", self.words()));
        for (x, uri) in [(MARGIN, picture), (2 * MARGIN + wide, painted)] {
            let _ = writeln!(body, "<image x='{x}' y='{top}' width='{wide}' height='{high}'{crisp} href='{uri}' />");
        }
        self.bar(&mut body, [MARGIN, bottom - 2], all);
        let size = [all + 2 * MARGIN, bottom + BAR + LINE * (lines.len() + 1) + MARGIN];
        Some(Sheet::new(size.map(|side| side as f64), &body))
    }

    /// All colours over a middling gray, side by side.
    fn bar(&self, body: &mut String, [x, y]: [usize; 2], width: usize) {
        const STEPS: usize = 64;
        let wide = width as f64 / STEPS as f64;
        for step in 0..STEPS {
            let along = step as f32 / (STEPS - 1) as f32;
            let [r, g, b] = self.tinted(128.0, if self.signed { along * 2.0 - 1.0 } else { along });
            let left = x as f64 + wide * step as f64;
            // A little wider, so that no seam shows.
            let _ = write!(
                body,
                "<rect x='{left:.2}' y='{y}' width='{:.2}' height='{BAR}' fill='#{r:02x}{g:02x}{b:02x}' />",
                wide + 0.3
            );
        }
        body.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(heat: &[f32], signed: bool) -> Overlay {
        let picture = Picture { shape: [1, 1, heat.len()], pixels: vec![100; heat.len()] };
        Overlay { picture, heat: heat.to_vec(), signed }
    }

    #[test]
    fn what_counts_is_coloured_by_its_sign_and_nothing_stays_gray() {
        let painted = overlay(&[0.0, 2.0, -2.0, f32::NAN], true).painted().unwrap().pixels;
        let [none, positive, negative, unseen] = [0, 1, 2, 3].map(|at| [0, 4, 8].map(|plane| painted[plane + at]));
        assert_eq!((none, unseen), ([100; 3], [30; 3]));
        assert!(positive[0] > 150 && positive[2] < 60, "{positive:?}");
        assert!(negative[2] > 150 && negative[0] < 60, "{negative:?}");
        let painted = overlay(&[0.0, 1.0], false).painted().unwrap().pixels;
        assert_eq!([painted[0], painted[2], painted[4]], [100; 3]);
        assert!(painted[1] > 200 && painted[3] > 180 && painted[5] < 60, "yellow: {painted:?}");
    }

    #[test]
    fn outliers_do_not_hide_the_rest_and_no_heat_is_no_error() {
        let mut heat = vec![1.0; 999];
        heat.push(50.0);
        assert_eq!(overlay(&heat, false).full(), 1.0);
        let mut heat = vec![0.0; 999];
        heat.push(3.0);
        assert_eq!(overlay(&heat, false).full(), 3.0);
        assert_eq!(overlay(&[0.0; 4], true).painted().unwrap().pixels, [100; 12]);
        assert_eq!(overlay(&[f32::NAN; 2], true).painted().unwrap().pixels, [30; 6]);
    }

    #[test]
    fn a_sheet_of_any_size_becomes_a_png_and_what_does_not_fit_none() {
        for shape in [[1, 8, 8], [3, 5, 400], [3, 700, 3], [1, 1, 1]] {
            let [channels, height, width] = shape;
            let picture = Picture { shape, pixels: vec![9; channels * height * width] };
            let overlay = Overlay { picture, heat: vec![0.5; height * width], signed: true };
            let sheet = overlay.sheet("\u{732b} <&>", &["a".repeat(500)]).unwrap();
            assert!(sheet.svg().contains("? &lt;&amp;&gt;"), "{}", sheet.svg());
            assert!(sheet.png().unwrap().starts_with(b"\x89PNG"));
            assert!(Overlay { heat: vec![0.5], ..overlay }.sheet("", &[]).is_none() || height * width == 1);
        }
        assert!(
            Overlay { picture: Picture { shape: [2, 1, 1], pixels: vec![0; 2] }, heat: vec![0.0], signed: true }
                .uri()
                .is_none()
        );
    }
}
