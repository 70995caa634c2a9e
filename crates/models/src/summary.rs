//! What a network is made of, layer by layer, computed from its configuration without building it.

use data::InputSpec;
use serde::Serialize;

use crate::{Error, ModelConfig};

/// Refuse networks of more parameters: 4 GB of weights, and four times as much to train them.
const MOST_PARAMETERS: u64 = 1_000_000_000;
/// Refuse layers of more outputs for one sample.
const MOST_OUTPUTS: u64 = 1 << 28;

/// One layer of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerSummary {
    /// Its place in the network, the prefix of its parameters' names.
    pub name: String,
    /// What it does, in words.
    pub kind: String,
    /// What it makes of one sample: `[features]` or `[channels, height, width]`.
    pub output: Vec<usize>,
    /// How many numbers it learns.
    pub parameters: u64,
    /// Multiplications with addition for one sample; those of convolutions and fully connected layers, which are nearly all.
    pub multiply_adds: u64,
    /// Floating-point operations for one sample: two for each of `multiply_adds`, as papers count them. Biases, normalisation, activations and
    /// pooling are left out.
    pub flops: u64,
}

/// The layers of the network that `config` makes for `input` and `outputs`, in the order of computation.
///
/// # Errors
/// Those of [`ModelConfig::init`]; nothing is built.
pub fn summary(config: &ModelConfig, input: &InputSpec, outputs: usize) -> Result<Vec<LayerSummary>, Error> {
    Ok(config.plan(input, outputs)?.1)
}

/// Collects layers and refuses networks that are too large.
#[derive(Default)]
pub(crate) struct Summary {
    layers: Vec<LayerSummary>,
    parameters: u64,
}

impl Summary {
    pub(crate) fn push(
        &mut self,
        name: String,
        kind: String,
        output: &[usize],
        parameters: u64,
        multiply_adds: u64,
    ) -> Result<(), Error> {
        self.parameters = self.parameters.saturating_add(parameters);
        if self.parameters > MOST_PARAMETERS {
            return Err(Error::config(
                name,
                "the network would have more than a thousand million parameters; make it smaller",
            ));
        }
        let size = output.iter().fold(1u64, |size, side| size.saturating_mul(*side as u64));
        if size > MOST_OUTPUTS {
            let what = format!(
                "one sample would become {size} numbers, and {MOST_OUTPUTS} are the most; make the input or the layer smaller"
            );
            return Err(Error::config(name, what));
        }
        let flops = multiply_adds.saturating_mul(2);
        self.layers.push(LayerSummary { name, kind, output: output.to_vec(), parameters, multiply_adds, flops });
        Ok(())
    }

    pub(crate) fn into_layers(self) -> Vec<LayerSummary> {
        self.layers
    }
}

/// The product of `factors`, or the greatest number where it is more.
pub(crate) fn product(factors: &[usize]) -> u64 {
    factors.iter().fold(1, |product, factor| product.saturating_mul(*factor as u64))
}
