//! Which tensors of a file a network takes, and why not the others: by name and shape. Two differences are bridged, as others do: an output
//! layer for another number of classes stays as it was drawn, and the first convolution of colour images is summed for gray ones.

use burn::tensor::TensorData;

use super::Pretrained;
use crate::{Error, Kind, Model, is_output, parameters::shapes};

/// Names of misfits that a message lists.
const NAMED: usize = 3;

/// What a network takes from a file.
#[derive(Clone, Debug)]
pub struct Fit {
    /// Tensors that it takes, in the network's order.
    pub taken: Vec<Taken>,
    /// The output layer's, if its number of outputs is another: they stay as they were drawn.
    pub replaced: Vec<Misfit>,
    /// Tensors of another shape.
    pub different: Vec<Misfit>,
    /// The network's tensors that the file doesn't have.
    pub missing: Vec<String>,
    /// The file's tensors that the network doesn't have, by their names there.
    pub unused: Vec<String>,
}

/// A tensor that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its name in the network.
    pub name: String,
    /// Its name in the file.
    pub theirs: String,
    /// The channels of the file's images, where the first convolution was made for others than the network's.
    pub channels: Option<usize>,
    /// The network's shape.
    shape: Vec<usize>,
}

/// A tensor that both have in different shapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Its name in the network.
    pub name: String,
    /// Its shape in the file.
    pub found: Vec<usize>,
    /// Its shape in the network.
    pub expected: Vec<usize>,
}

impl Pretrained {
    /// What `model` takes of the file's tensors. `redraw` keeps the output layer as it is even where it would fit.
    pub fn fit(&self, model: &Model, redraw: bool) -> Fit {
        let shapes = shapes(model);
        let first = shapes.iter().find(|(_, shape, kind)| *kind == Kind::Weight && shape.len() == 4);
        let first = first.map(|(name, ..)| name.clone());
        let known: std::collections::HashSet<&str> = shapes.iter().map(|(name, ..)| name.as_str()).collect();
        let unused = self.tensors.iter().filter(|(name, _)| !known.contains(name.as_str()));
        let unused = unused.map(|(_, found)| found.theirs.clone()).collect();
        let mut fit = Fit { taken: vec![], replaced: vec![], different: vec![], missing: vec![], unused };
        for (name, expected, _) in shapes {
            let Some(found) = self.tensors.get(&name) else {
                fit.missing.push(name);
                continue;
            };
            let (theirs, found) = (found.theirs.clone(), found.shape.clone());
            let output = is_output(&name) && found.get(1..) == expected.get(1..);
            if output && (redraw || found != expected) {
                fit.replaced.push(Misfit { name, found, expected });
            } else if found == expected {
                fit.taken.push(Taken { name, theirs, channels: None, shape: expected });
            } else if let Some(channels) = bridged(&found, &expected).filter(|_| first.as_ref() == Some(&name)) {
                fit.taken.push(Taken { name, theirs, channels: Some(channels), shape: expected });
            } else {
                fit.different.push(Misfit { name, found, expected });
            }
        }
        fit
    }

    /// Refuses a file that isn't the network's, or nothing of which is; `partial` lets anything stay as it was drawn that doesn't fit.
    ///
    /// # Errors
    /// With how much fits, the first tensors that don't, and what the file looks like.
    pub fn check(&self, fit: &Fit, partial: bool) -> Result<(), Error> {
        let (taken, all) = (fit.taken.len(), fit.taken.len() + fit.replaced.len() + fit.different.len());
        let fits = fit.different.is_empty() && fit.missing.is_empty() && fit.unused.is_empty();
        if taken > 0 && (fits || partial) {
            return Ok(());
        }
        let mut why = Vec::new();
        for Misfit { name, found, expected } in fit.different.iter().take(NAMED) {
            why.push(format!("`{name}` is {found:?}, expected {expected:?}"));
        }
        let mut list = |what: &str, names: &[String]| {
            if let [first, rest @ ..] = names {
                let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
                why.push(format!("{what} `{first}`{more}"));
            }
        };
        list("it lacks", &fit.missing);
        list("the network has no", &fit.unused);
        let advice = match self.advice(taken) {
            Some(advice) => advice,
            None if taken > 0 => {
                "use the network that the weights are of, or --init-partial to take what fits".to_owned()
            }
            None => "use the network that the weights are of".to_owned(),
        };
        let tensors = self.tensors.len();
        let named = if all > taken { format!(", {all} the name of one") } else { String::new() };
        let what = format!(
            "doesn't fit this network: {taken} of its {tensors} tensors have the name and shape of one{named}; {}; {advice}",
            why.join("; ")
        );
        Err(Error::file(&self.path, what))
    }

    fn advice(&self, taken: usize) -> Option<String> {
        let partial = if taken > 0 { ", or --init-partial to take what fits" } else { "" };
        if let Some(like) = self.looks_like() {
            return Some(match like.contains(' ') {
                true => format!("it looks like torchvision's {like}"),
                false => format!("it looks like torchvision's {like}: use --model {like}{partial}"),
            });
        }
        let header = self.header()?;
        let names = crate::ModelConfig::PRESETS.iter();
        let preset = names.copied().find(|name| crate::ModelConfig::preset(name).as_ref() == Some(&header.model))?;
        Some(format!("it is of the network {preset}: use --model {preset}{partial}"))
    }
}

/// The channels of the images that a first convolution of shape `found` is for, where one of shape `expected` is for gray instead of colour or
/// the other way round, and they are alike otherwise.
fn bridged(found: &[usize], expected: &[usize]) -> Option<usize> {
    match (found, expected) {
        (&[a, channels, ref rest @ ..], &[b, wanted, ref other @ ..]) if a == b && rest == other => {
            [(3, 1), (1, 3)].contains(&(channels, wanted)).then_some(channels)
        }
        _ => None,
    }
}

impl Taken {
    /// The tensor for the network's channels: summed over colours, which answers a gray image as the file's network does one of three equal
    /// channels; or a third for each colour.
    pub(super) fn adapt(&self, data: TensorData) -> TensorData {
        let (Some(from), &[outputs, to, rows, columns]) = (self.channels, &self.shape[..]) else { return data };
        let Ok(values) = data.as_slice::<f32>() else { return data };
        let area = rows * columns;
        let mut adapted = Vec::with_capacity(outputs * to * area);
        for kernels in values.chunks_exact(from * area) {
            let sum: Vec<f32> =
                (0..area).map(|at| kernels.iter().skip(at).step_by(area).sum::<f32>() / to as f32).collect();
            (0..to).for_each(|_| adapted.extend_from_slice(&sum));
        }
        TensorData::new(adapted, self.shape.clone())
    }
}
