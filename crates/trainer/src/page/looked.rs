//! What the best model looks at, for the page: its first layer's weights, and what its layers make of one sample that is shown anyway.

use std::sync::Arc;

use burn::module::Module;
use data::{Dataset, InputSpec, Loader};
use models::{FeatureMap, Model, ModelConfig};
use report::{CHANNELS, FILTERS, Features, Filters, Maps, Shown};

/// Of a network on images; `sample` is the position of what `shown` shows. A sample that cannot be read any more is noted.
pub(super) fn features(
    model: &Model,
    dataset: &Arc<Dataset>,
    sample: Option<(u32, &Shown)>,
    notes: &mut Vec<String>,
) -> Option<Features> {
    if !matches!(model.input(), InputSpec::Image(_)) {
        return None;
    }
    let mut features =
        Features { filters: models::first_filters(model).map(|found| filters(model, found)), ..Features::default() };
    if let Some((index, shown)) = sample {
        match maps(model, dataset, index) {
            Ok(maps) => (features.sample, features.maps) = (Some(shown.clone()), maps),
            Err(error) => notes.push(format!("feature maps are not shown: {error}")),
        }
    }
    Some(features)
}

fn filters(model: &Model, found: models::Filters) -> Filters {
    let models::Filters { layer, shape: [filters, channels, height, width], mut values } = found;
    values.truncate(filters.min(FILTERS) * channels * height * width);
    let whole = matches!(model.config(), ModelConfig::Mlp(_));
    Filters { layer, whole, filters, shape: [channels, height, width], values }
}

fn maps(model: &Model, dataset: &Arc<Dataset>, index: u32) -> Result<Vec<Maps>, data::Error> {
    let Some(batch) = Loader::new(dataset.clone(), vec![index], 1).epoch(0).next().transpose()? else {
        return Ok(Vec::new());
    };
    let Some(device) = model.devices().into_iter().next() else { return Ok(Vec::new()) };
    let (inputs, _) = batch.into_tensors(&device);
    let maps = models::feature_maps(model, inputs, CHANNELS).into_iter();
    let maps = maps.map(|FeatureMap { layer, kind, channels, shape: [_, _, height, width], values }| Maps {
        layer,
        kind,
        channels,
        size: [height, width],
        values,
    });
    Ok(maps.collect())
}
