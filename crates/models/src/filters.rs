//! What layers look for: the weights of convolutions as pictures, and those of a perceptron's first layer, whose rows are as large as the
//! image that they look at.

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};
use data::InputSpec;

use crate::{
    Kind, Model, ModelConfig,
    parameters::{Path, turned},
};

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
    collect(model, usize::MAX)
}

/// The filters that look at the input itself: the first of [`filters`], and nothing else is read.
pub fn first_filters(model: &Model) -> Option<Filters> {
    collect(model, 1).pop()
}

fn collect(model: &Model, most: usize) -> Vec<Filters> {
    let image = match (model.config(), model.input()) {
        (ModelConfig::Mlp(_), InputSpec::Image(_)) => Some(model.input().shape()),
        _ => None,
    };
    let mut collect = Collect { path: Path::default(), image, most, found: Vec::new() };
    model.visit(&mut collect);
    collect.found
}

struct Collect {
    path: Path,
    /// The image whose pixels the next matrix takes, `[channels, height, width]`.
    image: Option<[usize; 3]>,
    most: usize,
    found: Vec<Filters>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.found.len() == self.most || self.path.kind() != Kind::Weight {
            return;
        }
        let shape = match (&param.lazy_shape()[..], self.image) {
            (&[filters, channels, height, width], _) => [filters, channels, height, width],
            // In memory a matrix is `[inputs, outputs]`.
            (&[_, units], Some([channels, height, width])) => [units, channels, height, width],
            _ => return,
        };
        self.image = None;
        let name = self.path.name();
        let layer = name.rsplit_once('.').map_or(name.as_str(), |(layer, _)| layer).to_owned();
        let values = turned(param.val().into_data().convert::<f32>()).iter::<f32>().collect();
        self.found.push(Filters { layer, shape, values });
    }
}
