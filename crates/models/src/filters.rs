//! What layers look for: the weights of convolutions as pictures, and those of a perceptron's first layer, whose rows are as large as the
//! image that they look at.

use data::InputSpec;

use crate::{Kind, Model, ModelConfig, NamedTensor, named_tensors};

/// The weights of one layer, filter by filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Filters {
    /// The layer's name, the prefix of its parameters' names: "stages.0.blocks.0.conv1".
    pub layer: String,
    /// `[filters, channels, height, width]`, PyTorch's `[out, in / groups, kernel, kernel]`; of a perceptron's first layer
    /// `[units, channels, height, width]` of the image.
    pub shape: [usize; 4],
    /// In that order.
    pub values: Vec<f32>,
}

/// The filters of all convolutions, in the order of computation; of an MLP on images the weights of its first layer, each unit's as an image.
/// An MLP on a table has none.
pub fn filters(model: &Model) -> Vec<Filters> {
    // The image whose pixels the next matrix takes.
    let mut image = match (model.config(), model.input()) {
        (ModelConfig::Mlp(_), InputSpec::Image(_)) => Some(model.input().shape()),
        _ => None,
    };
    let weights = named_tensors(model).into_iter().filter(|tensor| tensor.kind == Kind::Weight);
    weights.filter_map(|weight| of(&weight, image.take())).collect()
}

/// The filters that look at the input itself: the first of [`filters`].
pub fn first_filters(model: &Model) -> Option<Filters> {
    filters(model).into_iter().next()
}

fn of(weight: &NamedTensor, image: Option<[usize; 3]>) -> Option<Filters> {
    let shape = match (&weight.data.shape()[..], image) {
        (&[filters, channels, height, width], _) => [filters, channels, height, width],
        (&[units, _], Some([channels, height, width])) => [units, channels, height, width],
        _ => return None,
    };
    let layer = weight.name.rsplit_once('.').map_or(weight.name.as_str(), |(layer, _)| layer).to_owned();
    Some(Filters { layer, shape, values: weight.data.iter::<f32>().collect() })
}
