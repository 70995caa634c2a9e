//! `--init-from`: opens the file, takes from it what the network has, and says what that was. What is taken is the library's decision.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use data::{Dataset, InputSpec};
use models::{ModelConfig, Pretrained};
use tasks::Task;
use trainer::initial::{Drawn, Frozen, Wanted, hash_of};
use trainer::{Initial, Origin, TrainConfig};

use super::failure::Failure;
use super::options::Options;
use ::report::grouped;

/// What images were normalised by when the weights that everybody fine-tunes were trained: mean and standard deviation of red, green, blue.
const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
/// Means and deviations that differ by less do the same.
const CLOSE: f32 = 0.02;
/// What `--init-head` may be.
const HEADS: [&str; 3] = ["auto", "take", "draw"];
/// Reasons that are said one by one.
const SAID: usize = 4;

/// The file that options name: a run's best model where that is a folder.
pub(super) fn file(path: &Path) -> PathBuf {
    let best = path.join(models::BEST);
    if path.is_dir() && best.is_file() { best } else { path.to_owned() }
}

/// Settles which file it is: an absolute path, by which a run is repeated from another folder, and its hash, by which the file is known again.
pub(super) fn settle(options: &mut Options) -> Result<Option<Pretrained>> {
    let Some(path) = &options.init_from else {
        let idle = [
            ("--init-partial", options.init_partial == Some(true)),
            ("--init-head", options.init_head.is_some()),
            ("--init-sha256", options.init_sha256.is_some()),
        ];
        return match idle.iter().find(|(_, given)| *given) {
            Some((flag, _)) => {
                Err(Failure::usage(anyhow!("{flag} is about the file of --init-from, which isn't given")))
            }
            None => Ok(None),
        };
    };
    if let Some(name) = options.init_head.as_deref().filter(|name| !HEADS.contains(name)) {
        let near = data::near(name, HEADS).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(Failure::usage(anyhow!("--init-head: expected auto, take or draw, found `{name}`{near}")));
    }
    let path = file(path);
    let weights = Pretrained::open(&path)?;
    let found = hash_of(&path)?;
    match &options.init_sha256 {
        Some(expected) if !expected.eq_ignore_ascii_case(&found) => {
            let what = format!("has the SHA-256 {found}, expected {expected} (--init-sha256)");
            return Err(models::Error::File { path, what }.into());
        }
        _ => options.init_sha256 = Some(found),
    }
    options.init_from = Some(std::fs::canonicalize(&path).unwrap_or(path));
    Ok(Some(weights))
}

/// The network that the file's weights are of.
///
/// # Errors
/// If it says nothing of that: then `--model` has to.
pub(super) fn network(weights: &Pretrained, path: &Path) -> Result<ModelConfig> {
    if let Some(header) = weights.header() {
        return Ok(header.model.clone());
    }
    let like = weights.looks_like();
    match like.as_deref().and_then(ModelConfig::preset) {
        Some(model) => Ok(model),
        None => {
            let like = like.map_or_else(String::new, |like| format!(", which looks like torchvision's {like}"));
            let what =
                format!("`{}`{like}, doesn't say which network its weights are of; give --model", path.display());
            Err(Failure::usage(anyhow!(what)))
        }
    }
}

/// Normalises images as `name` says, in the place of their own mean and deviation.
pub(super) fn normalise(name: &str, dataset: &mut Dataset) -> Result<()> {
    let InputSpec::Image(image) = &mut dataset.input else {
        return Err(Failure::usage(anyhow!("--normalise is for images, and these are rows of a table")));
    };
    match name {
        "data" => {}
        "imagenet" => {
            let (mean, std) = imagenet(image.channels);
            (image.mean, image.std) = (mean, std);
        }
        _ => {
            let near = data::near(name, ["data", "imagenet"]).map(|near| format!("; did you mean `{near}`?"));
            let near = near.unwrap_or_default();
            return Err(Failure::usage(anyhow!("--normalise: expected data or imagenet, found `{name}`{near}")));
        }
    }
    Ok(())
}

/// ImageNet's statistics; those of gray images are the means over the colours, as timm has them.
fn imagenet(channels: usize) -> (Vec<f32>, Vec<f32>) {
    let (mean, std) = IMAGENET;
    let of = |values: [f32; 3]| match channels {
        3 => values.to_vec(),
        _ => vec![values.iter().sum::<f32>() / 3.0; channels],
    };
    (of(mean), of(std))
}

/// What the first weights are, and what is said of them.
pub(super) struct Begun {
    pub(super) initial: Initial,
    pub(super) origin: Origin,
    pub(super) lines: Vec<String>,
}

/// Reads the file that settled options name.
pub(super) fn read(
    options: &Options,
    config: &TrainConfig,
    dataset: &Dataset,
    task: &Task,
    device: &device::Selected,
) -> Result<Option<Begun>> {
    let Some(path) = &options.init_from else { return Ok(None) };
    let mut weights = Pretrained::open(path).map_err(|error| gone(error, options))?;
    let others = other_outputs(&weights, task);
    let redraw = match options.init_head.as_deref() {
        Some("draw") => Some("--init-head draw"),
        Some("take") => None,
        _ => others,
    };
    let partial = options.init_partial == Some(true);
    let wanted = Wanted { path, sha256: options.init_sha256.as_deref(), partial, redraw };
    let network = (&config.model, &dataset.input, task.outputs());
    let (initial, origin) = Initial::read(&wanted, &mut weights, network, &device.device)?;
    let mut lines = lines(&weights, &origin, path, &dataset.input);
    lines.extend(head(&weights, &origin, others));
    Ok(Some(Begun { initial, origin, lines }))
}

/// What is frozen and what the head learns by, for people.
pub(super) fn rates(config: &TrainConfig, frozen: &Frozen) -> Vec<String> {
    let mut lines = Vec::new();
    if !config.freeze.is_empty() {
        let (frozen, all) = (grouped(frozen.frozen), grouped(frozen.all));
        lines.push(format!(
            "freeze   {frozen} of {all} numbers stay as they are, and the running statistics beside them"
        ));
    }
    lines.extend(config.head_lr.map(|lr| format!("rate     {lr} for the head, {} for the rest", config.lr)));
    lines
}

/// What the outputs of the file's network stand for that the task's don't, where the file says: its output layer is then of no use.
fn other_outputs(weights: &Pretrained, task: &Task) -> Option<&'static str> {
    let theirs = serde_json::from_value::<Task>(weights.header()?.task.clone()).ok()?;
    match (&theirs, task) {
        (Task::Classification(theirs), Task::Classification(ours)) => {
            (theirs.classes != ours.classes).then_some("other classes")
        }
        (Task::MultiLabel(theirs), Task::MultiLabel(ours)) => (theirs.labels != ours.labels).then_some("other labels"),
        (Task::Regression(theirs), Task::Regression(ours)) => {
            (theirs.targets != ours.targets).then_some("other targets")
        }
        _ => Some("another task"),
    }
}

/// What is said of an output layer that was taken although its outputs are others, or nobody knows what they are.
fn head(weights: &Pretrained, origin: &Origin, others: Option<&str>) -> Option<String> {
    let layer = origin.taken.iter().find(|name| models::is_output(name))?;
    let why = match others {
        Some(others) => format!("it is of {others} (--init-head take)"),
        None if weights.header().is_none() => {
            "what its outputs stand for isn't said; --init-head draw for a new one".to_owned()
        }
        None => return None,
    };
    Some(format!("init     `{layer}` is taken: {why}"))
}

/// A run that is repeated needs the file with which it began.
fn gone(error: models::Error, options: &Options) -> anyhow::Error {
    match (&error, &options.init_sha256) {
        (models::Error::Io { source, .. }, Some(hash)) if source.kind() == std::io::ErrorKind::NotFound => {
            let place = options.init_from.as_deref().unwrap_or(Path::new("")).display();
            let what = format!("`{place}`, with which the run begins (SHA-256 {hash}), is not there; put it back");
            Failure::with(super::failure::code::MODEL, anyhow!(what))
        }
        _ => error.into(),
    }
}

/// Which tensors were taken, which weren't and why, a line each.
fn lines(weights: &Pretrained, origin: &Origin, path: &Path, input: &InputSpec) -> Vec<String> {
    let (taken, all) = (origin.taken.len(), origin.taken.len() + origin.drawn.len());
    let names = if weights.is_torchvision() { ", torchvision's names" } else { "" };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut lines = vec![format!("init     {taken} of {all} tensors are `{name}`'s ({}{names})", origin.format)];
    for name in &origin.adapted {
        lines.push(format!("init     `{name}`: made for images of other channels, fitted to these"));
    }
    for Drawn { name, why } in origin.drawn.iter().take(SAID) {
        lines.push(format!("init     `{name}` is drawn anew: {why}"));
    }
    if origin.drawn.len() > SAID {
        lines.push(format!("init     {} more are drawn anew; run.json has them all", origin.drawn.len() - SAID));
    }
    if let Some(first) = origin.unused.first() {
        lines.push(format!("init     {} tensors of the file are of no use here: `{first}` ...", origin.unused.len()));
    }
    if weights.aside() > 0 {
        lines.push(format!("init     {} tensors beside the network's are left alone", weights.aside()));
    }
    if weights.counters() > 0 {
        lines.push(format!(
            "init     {} counters `num_batches_tracked` are left out: nothing here counts batches",
            weights.counters()
        ));
    }
    lines.extend(other_statistics(weights, input).map(|what| format!("note     {what}")));
    lines
}

/// That the network saw images of another normalisation where its weights were trained.
fn other_statistics(weights: &Pretrained, input: &InputSpec) -> Option<String> {
    let InputSpec::Image(image) = input else { return None };
    let close = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < CLOSE);
    let numbers = |values: &[f32]| {
        let values: Vec<String> = values.iter().map(|value| format!("{value:.3}")).collect();
        values.join(", ")
    };
    let (whose, mean, std, advice) = match weights.header().map(|header| header.input.normalisation()) {
        Some((mean, std)) => ("these weights were", mean, std, String::new()),
        None if weights.is_torchvision() => {
            let (mean, std) = imagenet(image.channels);
            ("torchvision's and timm's were", mean, std, "; give --normalise imagenet if these are such".to_owned())
        }
        None => return None,
    };
    let same = close(&mean, &image.mean) && close(&std, &image.std);
    (!same && mean.len() == image.mean.len()).then(|| {
        let (mean, std) = (numbers(&mean), numbers(&std));
        let (here, deviation) = (numbers(&image.mean), numbers(&image.std));
        format!(
            "{whose} trained on images with mean {mean} and deviation {std}, here it is {here} and {deviation}{advice}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gray_images_have_the_mean_of_the_colours() {
        let (mean, std) = imagenet(1);
        assert!((mean[0] - 0.449).abs() < 1e-6 && (std[0] - 0.226).abs() < 1e-6, "{mean:?} {std:?}");
        assert_eq!(imagenet(3).0, [0.485, 0.456, 0.406]);
    }
}
