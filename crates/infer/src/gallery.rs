//! `infer filters` and `infer features`: what a model's layers look for, and what they make of a picture, as sheets of pictures.

use std::path::{Path, PathBuf};

use data::InputSpec;
use infer::{Prediction, Predictor, Sample};
use models::{FeatureMap, ModelConfig, ModelFile};
use report::{CHANNELS, Features, Filters, Maps, Picture, Sheet, Shown};

use crate::exif::Photos;
use crate::failure::{Failure, tell};
use crate::feed::Inputs;
use crate::output::{number, percent};
use crate::place::{Place, single};
use crate::runs;

const ENDINGS: [&str; 3] = ["png", "svg", "html"];

/// Draw what the convolutions of a model look for, layer by layer; of a perceptron on pictures, what its first layer does
#[derive(Debug, clap::Args)]
pub(crate) struct DrawFilters {
    /// A model file, or the folder of a run, whose weights/best.safetensors is taken
    model: PathBuf,
    /// FILE.png, .svg or .html; - for a PNG on standard output; default: filters.png here
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// auto, cpu, flex, ndarray, cuda, metal, vulkan, wgpu; with :N for one of several
    #[arg(long, env = "STRIATE_DEVICE", value_name = "NAME", default_value = "auto")]
    device: String,
}

/// Draw what each layer of a model makes of a picture: what convolutions find, and what pooling keeps of it
#[derive(Debug, clap::Args)]
pub(crate) struct DrawFeatures {
    /// A model file, or the folder of a run, whose weights/best.safetensors is taken
    model: PathBuf,
    /// An image; - for standard input
    image: String,
    /// FILE.png, .svg or .html; - for a PNG on standard output; default: NAME.features.png here
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    photos: Photos,
    /// auto, cpu, flex, ndarray, cuda, metal, vulkan, wgpu; with :N for one of several
    #[arg(long, env = "STRIATE_DEVICE", value_name = "NAME", default_value = "auto")]
    device: String,
}

impl DrawFilters {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let place = single(self.output.as_deref(), "filters.png", &ENDINGS, &[])?;
        let (file, predictor) = load(&self.model, &self.device)?;
        let header = ModelFile::header(&file).map_err(infer::Error::from)?;
        let whole = matches!(header.model, ModelConfig::Mlp(_));
        let all = predictor.filters();
        if all.is_empty() {
            let what = format!(
                "`{}` takes rows of a table and has no filters; `infer explain` says what its columns count",
                file.display()
            );
            return Err(Failure::usage(anyhow::anyhow!(what)));
        }
        let of = |models::Filters { layer, shape, values }| Filters::new(layer, whole, shape, values);
        let features = Features { filters: all.into_iter().map(of).collect(), ..Features::default() };
        let plain = features.filters.iter().filter(|filters| filters.is_plain()).count();
        if plain > 0 {
            tell(format_args!("not drawn: {plain} layers of 1x1 filters, which have no pattern"));
        }
        draw(&place, features.filters_sheet(), || features.html(&file.display().to_string()))
    }
}

impl DrawFeatures {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let stem = Path::new(&self.image).file_stem().filter(|_| self.image != "-").map(|stem| stem.to_string_lossy());
        let usual = format!("{}.features.png", stem.as_deref().unwrap_or("stdin"));
        let place = single(self.output.as_deref(), &usual, &ENDINGS, &[PathBuf::from(&self.image)])?;
        let (file, predictor) = load(&self.model, &self.device)?;
        let InputSpec::Image(spec) = predictor.input() else {
            let what = format!("`{}` takes rows of a table, whose layers put out no pictures", file.display());
            return Err(Failure::usage(anyhow::anyhow!(what)));
        };
        let mut items = Vec::new();
        Inputs::each(vec![self.image], predictor.input(), |source, raw| {
            items.push((source, raw));
            items.len() < 2
        });
        let [(source, raw)] = <[_; 1]>::try_from(items).map_err(|items| {
            let found = items.first().map_or("none", |(source, _)| source);
            Failure::usage(anyhow::anyhow!("expected one picture, found {found} and more"))
        })?;
        let (bytes, name) = raw.image().map_err(|why| Failure::data(anyhow::anyhow!(why)))?;
        let pixels = data::image::decode_bytes_as(&bytes, &name, spec, self.photos.exif())?;
        let sample = Sample::pixels(pixels.clone());
        let prediction = predictor.predict(std::slice::from_ref(&sample))?.pop();
        let shown = Shown {
            source,
            answer: prediction.as_ref().map(said).unwrap_or_default(),
            picture: Some(Picture { shape: [spec.channels, spec.height, spec.width], pixels }),
            ..Shown::default()
        };
        let maps = predictor.feature_maps(&sample, CHANNELS)?.into_iter().map(maps).collect();
        let features = Features { sample: Some(shown), maps, ..Features::default() };
        draw(&place, features.maps_sheet(), || features.html(&file.display().to_string()))
    }
}

fn load(model: &Path, device: &str) -> Result<(PathBuf, Predictor), Failure> {
    let file = runs::model_file(model)?;
    let selected = device::select(device)?;
    selected.note.iter().for_each(tell);
    let predictor = Predictor::load(&file, &selected.device)?;
    Ok((file, predictor))
}

fn maps(FeatureMap { layer, kind, channels, shape: [_, _, height, width], values }: FeatureMap) -> Maps {
    Maps { layer, kind, channels, size: [height, width], values }
}

/// The answer in few words.
fn said(prediction: &Prediction) -> String {
    match prediction {
        Prediction::Class { ranked, .. } => {
            let said = ranked.iter().take(2).map(|class| format!("{} ({})", class.name, percent(class.probability)));
            said.collect::<Vec<_>>().join(", then ")
        }
        prediction @ Prediction::Labels { .. } => match prediction.labels().as_slice() {
            [] => "none".to_owned(),
            labels => labels.iter().map(|label| label.name.as_str()).collect::<Vec<_>>().join(", "),
        },
        Prediction::Values { values, .. } => {
            values.iter().map(|(name, value)| format!("{name} {}", number(*value))).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Writes the sheet or the page, by the ending of its place.
fn draw(place: &Place, sheet: Option<Sheet>, page: impl FnOnce() -> String) -> Result<(), Failure> {
    let failed = |what: &str| Failure::internal(anyhow::anyhow!("it could not be drawn: {what}"));
    let sheet = sheet.ok_or_else(|| failed("there is nothing in it"))?;
    match &*place.ending() {
        "html" => place.write(page().as_bytes())?,
        "svg" => place.write(sheet.svg().as_bytes())?,
        _ => place.write(&sheet.png().map_err(|error| failed(&error))?)?,
    }
    if let Some(path) = place.path() {
        tell(format_args!("drawn: {}", path.display()));
    }
    Ok(())
}
