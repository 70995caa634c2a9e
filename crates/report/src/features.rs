//! What the network looks at: filters, what each layer makes of one sample, and where in samples it found its answers; in a page, and as
//! files.

use std::fmt::Write;

use crate::html::{document, escaped, grouped, name};
use crate::mosaic::{Mosaic, range};
use crate::sheet::{Sheet, shortened};
use crate::{Explained, Shown, samples};

/// Filters of the first layer that are shown.
pub const FILTERS: usize = 64;
/// Filters of a later layer that are shown.
const LATER: usize = 16;
/// Maps of a layer that are shown.
pub const CHANNELS: usize = 16;
/// Units of a vector that are shown.
const UNITS: usize = 128;
/// Of a file: the margin, the sample's side, and the height of a line.
const MARGIN: usize = 12;
const SAMPLE: usize = 96;
const LINE: usize = 24;

/// Weights of layers, what the layers make of a sample, and where in samples the answers were found.
#[derive(Clone, Debug, Default)]
pub struct Features {
    /// Of the layer that looks at the picture itself, and of those behind it, as far as they are shown.
    pub filters: Vec<Filters>,
    /// The sample.
    pub sample: Option<Shown>,
    /// What each layer makes of it, in order.
    pub maps: Vec<Maps>,
    /// Samples with what counted in them for the answers.
    pub explained: Vec<Explained>,
    /// How that was found, in words.
    pub method: String,
}

impl Features {
    pub(crate) fn section(&self) -> String {
        let mut out = "<section id=features><h2>What it looks at</h2>\n".to_owned();
        out += &self.heats();
        for (at, (filters, mosaic)) in self.filters().into_iter().enumerate() {
            if at == 0 {
                let (noun, what) = (filters.noun(), filters.words());
                let _ = writeln!(out, "<h3>The first layer's {noun}</h3>\n<p>{what}</p>");
            }
            out += &figure(&mosaic, &filters.layer, &filters.count(at));
        }
        let drawn = self.drawn();
        if let (Some(sample), false) = (&self.sample, drawn.is_empty()) {
            out += "<h3>One sample, layer by layer</h3>\n<p>";
            if drawn.iter().any(|(maps, _)| !maps.is_vector()) {
                out += "Each picture is one channel's answer to the sample, dark where it is least and light where it is greatest. A convolution \
                        answers where it finds its pattern, and pooling keeps the strongest answer, or the mean, of neighbours. ";
            }
            out += "In a strip each square is one unit, all on one scale.</p>\n<ul class=samples>\n";
            samples::card(&mut out, sample);
            out += "</ul>\n";
            for (maps, mosaic) in drawn {
                out += &figure(&mosaic, &maps.layer, &format!("{}: {}", maps.kind, maps.words()));
            }
        }
        out + "</section>\n"
    }

    /// Where in the samples the answers were found.
    fn heats(&self) -> String {
        let drawn = self.explained.iter().filter_map(|one| Some((one, one.overlay.uri()?))).collect::<Vec<_>>();
        let Some((first, _)) = drawn.first() else { return String::new() };
        let words = first.overlay.words();
        let mut out = format!("<h3>What counted for its answers</h3>\n<p>{}: {words}.</p>\n", escaped(&self.method));
        out += "<ul class=samples>\n";
        for (one, uri) in &drawn {
            samples::card_with(&mut out, &one.shown, Some((uri, "what counted for the answer")));
        }
        out + "</ul>\n"
    }

    /// Nothing that could be drawn.
    pub(crate) fn is_empty(&self) -> bool {
        let nothing = self.filters().is_empty() && self.heats().is_empty();
        nothing && (self.sample.is_none() || self.drawn().is_empty())
    }

    /// A page of all of it, which loads and runs nothing.
    pub fn html(&self, title: &str) -> String {
        document(title, "what it looks at", "", &[], &self.section())
    }

    /// The filters as a file; none where there are none to draw.
    pub fn filters_sheet(&self) -> Option<Sheet> {
        let mut column = Column::default();
        let drawn = self.filters();
        for (at, (filters, mosaic)) in drawn.iter().enumerate() {
            column.line(&format!("{}: {}", filters.layer, filters.count(at)));
            column.mosaic(mosaic);
        }
        (!drawn.is_empty()).then(|| column.sheet())
    }

    /// What the layers make of the sample as a file; none where there is nothing to draw.
    pub fn maps_sheet(&self) -> Option<Sheet> {
        let (sample, drawn) = (self.sample.as_ref()?, self.drawn());
        let mut column = Column::default();
        column.sample(sample);
        for (maps, mosaic) in &drawn {
            column.line(&format!("{}, {}: {}", maps.layer, maps.kind, maps.words()));
            column.mosaic(mosaic);
        }
        (!drawn.is_empty()).then(|| column.sheet())
    }

    /// Those that have a pattern to show: a kernel of one place has none.
    fn filters(&self) -> Vec<(&Filters, Mosaic)> {
        let drawn = self.filters.iter().enumerate().filter_map(|(at, filters)| filters.drawn(at));
        drawn.collect()
    }

    fn drawn(&self) -> Vec<(&Maps, Mosaic)> {
        self.maps.iter().filter_map(Maps::drawn).collect()
    }

    pub(crate) fn files(&self) -> Vec<(&'static str, Sheet)> {
        let filters = self.filters_sheet().map(|sheet| ("filters", sheet));
        let maps = self.maps_sheet().map(|sheet| ("feature_maps", sheet));
        let seen = self.explained_sheet().map(|sheet| ("explained", sheet));
        filters.into_iter().chain(maps).chain(seen).collect()
    }

    /// The samples and what counted in them as a file.
    fn explained_sheet(&self) -> Option<Sheet> {
        let mut column = Column::default();
        let drawn: Vec<_> = self.explained.iter().filter_map(|one| Some((one, one.overlay.uri()?))).collect();
        let words = drawn.first()?.0.overlay.words();
        column.line(&format!("{}: {words}", self.method));
        for (one, uri) in &drawn {
            column.beside(&one.shown, uri);
        }
        Some(column.sheet())
    }
}

/// The filters of one layer.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// The layer's name.
    pub layer: String,
    /// Whether each is as large as the picture: the weights of a fully connected layer.
    pub whole: bool,
    /// How many there are.
    pub filters: usize,
    /// Channels, height and width of each.
    pub shape: [usize; 3],
    /// `[filters, channels, height, width]`, of the first [`FILTERS`] at least; of a later layer, 16.
    pub values: Vec<f32>,
}

impl Filters {
    /// Of all weights of a layer, `[filters, channels, height, width]`, of which it keeps those that may be shown; `whole`: each is as large as
    /// the picture.
    pub fn new(
        layer: String,
        whole: bool,
        [filters, channels, height, width]: [usize; 4],
        mut values: Vec<f32>,
    ) -> Self {
        values.truncate(filters.min(FILTERS) * channels * height * width);
        Self { layer, whole, filters, shape: [channels, height, width], values }
    }

    /// Whether they have one place only, and no pattern to draw.
    pub fn is_plain(&self) -> bool {
        self.shape[1..] == [1, 1]
    }

    /// As layer number `at` of those that are shown.
    fn drawn(&self, at: usize) -> Option<(&Self, Mosaic)> {
        if self.is_plain() {
            return None;
        }
        let most = self.shape.iter().try_fold(most(at), |most, side| most.checked_mul(*side))?;
        Some((self, Mosaic::of_filters(&self.values[..self.values.len().min(most)], self.shape)?))
    }

    fn noun(&self) -> &'static str {
        if self.whole { "units" } else { "filters" }
    }

    fn words(&self) -> String {
        let colours = match self.shape[0] {
            3 => {
                "gray where its weights are zero; a colour where it wants more of that colour, and the opposite one where it wants less"
            }
            _ => "white where its weights are zero, red where brightness raises its answer and blue where it lowers it",
        };
        let what = match self.whole {
            true => "Each unit sees the whole picture and weighs every pixel",
            false => "Each filter is laid on every place of the picture",
        };
        format!("{what}. It is drawn {colours}, by its own largest weight.")
    }

    fn count(&self, at: usize) -> String {
        let [channels, height, width] = self.shape;
        let all = of(self.filters, self.filters.min(most(at)));
        let first = if matches!(channels, 1 | 3) {
            String::new()
        } else {
            format!(", of each the first of {channels} channels")
        };
        format!("{all} {} of {height}\u{d7}{width}{first}", self.noun())
    }
}

/// Filters that are shown of layer number `at`.
fn most(at: usize) -> usize {
    if at == 0 { FILTERS } else { LATER }
}

/// What one layer makes of the sample.
#[derive(Clone, Debug, Default)]
pub struct Maps {
    /// The layer's name.
    pub layer: String,
    /// What it does, in words.
    pub kind: String,
    /// Channels, or units, that it has.
    pub channels: usize,
    /// Height and width of each; 1 and 1 for a vector.
    pub size: [usize; 2],
    /// `[channels, height, width]`, of the first [`CHANNELS`] at least, or of all units.
    pub values: Vec<f32>,
}

impl Maps {
    fn drawn(&self) -> Option<(&Self, Mosaic)> {
        let mosaic = match self.is_vector() {
            true => Mosaic::of_vector(self.shown()),
            false => Mosaic::of_maps(self.shown(), self.size),
        };
        Some((self, mosaic?))
    }

    fn is_vector(&self) -> bool {
        self.size == [1, 1]
    }

    fn shown(&self) -> &[f32] {
        let [height, width] = self.size;
        let most = if self.is_vector() { UNITS } else { height.saturating_mul(width).saturating_mul(CHANNELS) };
        &self.values[..self.values.len().min(most)]
    }

    fn words(&self) -> String {
        let [height, width] = self.size;
        if self.is_vector() {
            let (low, high) = range(self.shown());
            let ends = [low, high].map(|end| crate::html::number(f64::from(end)));
            return format!("{} units, from {} to {}", of(self.channels, self.shown().len()), ends[0], ends[1]);
        }
        let maps = self.shown().chunks((height * width).max(1));
        let silent = maps.clone().filter(|map| map.windows(2).all(|two| two[0] == two[1])).count();
        let mut words = format!("{} channels of {height}\u{d7}{width}", of(self.channels, maps.len()));
        if silent > 0 {
            let _ = write!(words, "; {silent} the same everywhere");
        }
        words
    }
}

/// What a sample is, as far as that is known, and what was answered.
fn words(sample: &Shown) -> Vec<String> {
    let pair = [("is", &sample.truth), ("answered", &sample.answer)];
    pair.iter().filter(|(_, text)| !text.is_empty()).map(|(what, text)| format!("{what} {text}")).collect()
}

/// "16", or "the first 16 of 32".
fn of(all: usize, shown: usize) -> String {
    let [all, shown] = [all, shown].map(|count| grouped(count as u64));
    if all == shown { all } else { format!("the first {shown} of {all}") }
}

/// `layer` and `caption` are plain text.
fn figure(mosaic: &Mosaic, layer: &str, caption: &str) -> String {
    let Some(uri) = mosaic.uri() else { return String::new() };
    let [width, height] = mosaic.size();
    format!(
        "<figure><img class=mosaic src=\"{uri}\" width={width} height={height} alt=\"{}\" loading=lazy>\
         <figcaption><code>{}</code> {}</figcaption></figure>\n",
        escaped(&format!("{layer}: {caption}")),
        name(layer),
        escaped(caption),
    )
}

/// Lines and pictures of a file, one below the other.
#[derive(Default)]
struct Column {
    body: String,
    width: usize,
    bottom: usize,
}

impl Column {
    fn line(&mut self, text: &str) {
        let text = shortened(text, 140);
        self.width = self.width.max(text.chars().count() * 7);
        self.bottom += LINE;
        self.text(MARGIN, self.bottom, &text);
    }

    fn text(&mut self, x: usize, y: usize, text: &str) {
        let _ = writeln!(self.body, "<text x='{x}' y='{y}' style='fill:#1b1f24'>{}</text>", escaped(text));
    }

    fn image(&mut self, uri: &str, [width, height]: [usize; 2]) {
        let top = self.bottom + MARGIN / 2;
        let _ = writeln!(
            self.body,
            "<image x='{MARGIN}' y='{top}' width='{width}' height='{height}' style='image-rendering:pixelated' href='{uri}' />"
        );
        (self.width, self.bottom) = (self.width.max(width), top + height);
    }

    fn mosaic(&mut self, mosaic: &Mosaic) {
        mosaic.uri().iter().for_each(|uri| self.image(uri, mosaic.size()));
    }

    /// A sample, what counted in it, and its words, in a row.
    fn beside(&mut self, sample: &Shown, uri: &str) {
        let top = self.bottom + MARGIN;
        self.bottom = top - MARGIN / 2;
        let own = sample.picture.as_ref().and_then(|picture| picture.uri());
        for (x, uri) in
            own.as_deref().into_iter().chain([uri]).zip([MARGIN, 2 * MARGIN + SAMPLE]).map(|(uri, x)| (x, uri))
        {
            let _ = writeln!(
                self.body,
                "<image x='{x}' y='{top}' width='{SAMPLE}' height='{SAMPLE}' style='image-rendering:pixelated' href='{uri}' />"
            );
        }
        for (at, line) in words(sample).iter().enumerate() {
            self.text(3 * MARGIN + 2 * SAMPLE, top + LINE * (at + 1), &shortened(line, 60));
        }
        self.width = self.width.max(2 * SAMPLE + 440);
        self.bottom = top + SAMPLE;
    }

    /// The picture with its words beside it.
    fn sample(&mut self, sample: &Shown) {
        let lines = words(sample);
        let x = match sample.picture.as_ref().and_then(|picture| picture.uri()) {
            Some(uri) => {
                self.image(&uri, [SAMPLE, SAMPLE]);
                MARGIN * 2 + SAMPLE
            }
            None => MARGIN,
        };
        for (at, line) in lines.iter().enumerate() {
            self.text(x, LINE * (at + 1), &shortened(line, 60));
        }
        self.bottom = self.bottom.max(LINE * lines.len());
    }

    fn sheet(self) -> Sheet {
        Sheet::new([(self.width + 2 * MARGIN) as f64, (self.bottom + MARGIN) as f64], &self.body)
    }
}
