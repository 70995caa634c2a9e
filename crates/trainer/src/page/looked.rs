//! What the best model looks at, for the page: its first layer's weights, what its layers make of one sample that is shown anyway, and what
//! counted for its answers to some.

use std::convert::Infallible;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use data::{Dataset, InputSpec, Loader};
use models::{Attribution, Baseline, FeatureMap, Model, ModelConfig, Pass, Patches, grad_cam, occlusion};
use report::{CHANNELS, Explained, Features, Filters, Maps, Overlay, Shown};

use super::answered::Answered;
use super::shown::{self, Words};
use crate::Error;
use crate::lost::attended;

/// Samples whose answers are explained, and how many of them at most are mistakes.
const EXPLAINED: usize = 12;
const WRONG: usize = 6;
/// Samples that go through the network at once.
const BATCH: usize = 64;

/// Of a network on images; `answered` is what it answered to samples, `sample` the position of what `shown` shows. What cannot be shown is
/// noted, and so is a device that fails.
pub(super) fn features(
    model: &Model,
    dataset: &Arc<Dataset>,
    answered: Option<&Answered<'_>>,
    sample: Option<(u32, &Shown)>,
    notes: &mut Vec<String>,
) -> Option<Features> {
    if !matches!(model.input(), InputSpec::Image(_)) {
        return None;
    }
    let device = model.devices().into_iter().next()?;
    match attended(&device, || Ok(look(model, dataset, answered, sample, notes))) {
        Ok(features) => Some(features),
        Err(error) => {
            notes.push(format!("what the network looks at is not shown: {error}"));
            None
        }
    }
}

fn look(
    model: &Model,
    dataset: &Arc<Dataset>,
    answered: Option<&Answered<'_>>,
    sample: Option<(u32, &Shown)>,
    notes: &mut Vec<String>,
) -> Features {
    let mut features = Features { filters: filters(model).into_iter().collect(), ..Features::default() };
    if let Some((index, shown)) = sample {
        match maps(model, dataset, index) {
            Ok(maps) => (features.sample, features.maps) = (Some(shown.clone()), maps),
            Err(error) => notes.push(format!("feature maps are not shown: {error}")),
        }
    }
    if let Some(answered) = answered {
        match explained(model, dataset, answered, notes) {
            Ok((method, explained)) => (features.method, features.explained) = (method, explained),
            Err(error) => notes.push(format!("what counted for the answers is not shown: {error}")),
        }
    }
    features
}

fn filters(model: &Model) -> Option<Filters> {
    let models::Filters { layer, shape, values } = models::first_filters(model)?;
    Some(Filters::new(layer, matches!(model.config(), ModelConfig::Mlp(_)), shape, values))
}

fn maps(model: &Model, dataset: &Arc<Dataset>, index: u32) -> Result<Vec<Maps>, data::Error> {
    let Some(inputs) = inputs(model, dataset, vec![index])? else { return Ok(Vec::new()) };
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

/// Samples as the network takes them, where it is; none of none.
fn inputs(model: &Model, dataset: &Arc<Dataset>, indices: Vec<u32>) -> Result<Option<Tensor<4>>, data::Error> {
    let count = indices.len().max(1);
    let batch = Loader::new(dataset.clone(), indices, count).epoch(0).next().transpose()?;
    Ok(batch.zip(model.devices().into_iter().next()).map(|(batch, device)| batch.into_tensors(&device).0))
}

/// What counted for the answers to the worst samples and to some at even distances, and how that was found, in words.
fn explained(
    model: &Model,
    dataset: &Arc<Dataset>,
    answered: &Answered<'_>,
    notes: &mut Vec<String>,
) -> Result<(String, Vec<Explained>), Error> {
    let mut words: Vec<Words> = answered.worst(WRONG);
    for other in answered.spread(EXPLAINED) {
        if words.len() < EXPLAINED && words.iter().all(|one| one.index != other.index) {
            words.push(other);
        }
    }
    let indices: Vec<u32> = words.iter().map(|one| one.index).collect();
    let outputs: Vec<usize> = indices.iter().map(|index| answered.output(*index)).collect();
    let Some(inputs) = inputs(model, dataset, indices)? else { return Ok(Default::default()) };
    let shown = shown::load(words, dataset, notes);
    let (method, signed, heats) = heats(model, inputs, &outputs)?;
    let one = |(shown, heat): (Shown, Vec<f32>)| {
        let picture = shown.picture.clone()?;
        Some(Explained { shown, overlay: Overlay { picture, heat, signed } })
    };
    Ok((method, shown.into_iter().zip(heats).filter_map(one).collect()))
}

/// A map of `outputs` for each of `inputs`, at the size of the input; how it was found, and whether it has a sign.
fn heats(model: &Model, inputs: Tensor<4>, outputs: &[usize]) -> Result<(String, bool, Vec<Vec<f32>>), models::Error> {
    let [_, channels, height, width] = inputs.dims();
    if Attribution::usual(model.config(), model.input()) == Attribution::GradCam {
        let found = grad_cam(model, inputs, outputs)?;
        let [rows, columns] = found.first().map_or([0, 0], |one| one.size);
        let layer = found.first().map_or("", |one| &one.layer);
        let method = format!(
            "Where the last convolution ({layer}, {rows}\u{d7}{columns} places) found what it answered (Grad-CAM)"
        );
        return Ok((method, false, found.iter().map(|one| one.upsampled([height, width])).collect()));
    }
    let (patches, hidden) = (Patches::usual([channels, height, width]), Baseline::Mean.values(model.input())?);
    let regions = patches.regions();
    let plan = model.plan();
    let device = inputs.device();
    let answer = |rows: Vec<f32>| match &plan {
        Some(plan) => plan.floats(&rows),
        None => {
            let count = rows.len() / hidden.len().max(1);
            let rows = Tensor::from_data(TensorData::new(rows, [count, channels, height, width]), &device);
            model.forward(rows, Pass::Predict).into_data().iter::<f32>().collect()
        }
    };
    let inputs: Vec<f32> = inputs.without_autodiff().into_data().iter::<f32>().collect();
    let heat = |(sample, output): (&[f32], &usize)| {
        let whole = answer(sample.to_vec());
        let answers = occlusion(sample, &hidden, &regions, BATCH, |rows| Ok::<_, Infallible>(answer(rows)));
        let answers = answers.unwrap_or_else(|never| match never {});
        let drops: Vec<f32> = answers.chunks(whole.len()).map(|answer| whole[*output] - answer[*output]).collect();
        patches.spread(&drops)
    };
    let [high, wide] = patches.size;
    let method =
        format!("By how much the answer's output falls where {high}\u{d7}{wide} pixels are hidden (occlusion)");
    Ok((method, true, inputs.chunks(hidden.len()).zip(outputs).map(heat).collect()))
}
