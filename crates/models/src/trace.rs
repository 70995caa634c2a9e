//! Watches one forward pass: which layer is the first to put out a number that isn't finite. Layers report to it; it costs them nothing
//! while nobody watches. What is done about such a layer is the caller's.

use std::cell::RefCell;

use burn::{
    module::{Module, ParamId},
    tensor::Tensor,
};

use crate::{Model, Pass, parameters::parameter_kinds};

/// A layer that put out a number that isn't finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its name, the prefix of its parameters' names.
    pub layer: String,
    /// "NaN" or "infinite".
    pub what: &'static str,
}

thread_local! {
    /// The first fault of the pass that is watched on this thread; `None` where none is watched.
    static SEEN: RefCell<Option<Option<(ParamId, &'static str)>>> = const { RefCell::new(None) };
}

/// Feeds `inputs` forward as [`Model::forward`] does, and names the first layer, in the order of computation, whose outputs aren't finite.
/// The model stays as it is: running statistics too.
pub fn first_fault(model: &Model, inputs: Tensor<4>, pass: Pass) -> Option<Fault> {
    // A copy without autodiff, whose running statistics are its own.
    let copy = model.valid();
    SEEN.set(Some(None));
    // A device may fail in the middle: nobody watches the pass after that.
    let _over = Over;
    copy.forward(inputs.without_autodiff(), pass);
    let (id, what) = SEEN.take().flatten()?;
    let (name, _) = parameter_kinds(model).remove(&id)?;
    let layer = name.rsplit_once('.').map_or(name.as_str(), |(layer, _)| layer);
    Some(Fault { layer: layer.to_owned(), what })
}

/// The end of a pass that is watched.
struct Over;

impl Drop for Over {
    fn drop(&mut self) {
        SEEN.set(None);
    }
}

/// What is wrong with the numbers of a tensor, if something is: "NaN" or "infinite". Waits for the device.
pub fn fault<const D: usize>(tensor: Tensor<D>) -> Option<&'static str> {
    // NaN first: it isn't infinite, but a tensor may hold both.
    if tensor.clone().is_nan().any().into_scalar::<bool>() {
        Some("NaN")
    } else {
        tensor.is_inf().any().into_scalar::<bool>().then_some("infinite")
    }
}

/// Reports what the layer with this weight put out.
pub(crate) fn report<const D: usize>(weight: ParamId, output: &Tensor<D>) {
    SEEN.with_borrow_mut(|seen| {
        if let Some(first @ None) = seen {
            *first = fault(output.clone()).map(|what| (weight, what));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use burn::tensor::{Device, TensorData};
    use data::{Filter, Fit, ImageSpec, InputSpec};

    use super::*;
    use crate::{ModelConfig, load_tensors, named_tensors};

    fn model() -> Model {
        let input = InputSpec::Image(ImageSpec {
            channels: 1,
            height: 8,
            width: 8,
            fit: Fit::default(),
            filter: Filter::default(),
            mean: vec![0.0],
            std: vec![1.0],
        });
        ModelConfig::named("resnet20").unwrap().init(&input, 3, 1, &Device::flex()).unwrap()
    }

    /// The same with one number of one tensor changed.
    fn with(model: Model, name: &str, value: f32) -> Model {
        let mut tensors: HashMap<String, TensorData> =
            named_tensors(&model).into_iter().map(|tensor| (tensor.name, tensor.data)).collect();
        let data = tensors.remove(name).unwrap();
        let shape = data.shape().to_vec();
        let mut values = data.try_into_vec::<f32>().unwrap();
        values[0] = value;
        tensors.insert(name.to_owned(), TensorData::new(values, shape));
        load_tensors(model, tensors).unwrap()
    }

    fn inputs() -> Tensor<4> {
        Tensor::ones([2, 1, 8, 8], &Device::flex())
    }

    #[test]
    fn the_first_layer_in_the_order_of_computation_is_named() {
        let train = Pass::Train { seed: 0, step: 0, first: 0 };
        assert_eq!(first_fault(&model(), inputs(), train), None);
        for (tensor, layer) in [
            ("stages.0.blocks.0.conv1.weight", "stages.0.blocks.0.conv1"),
            ("stages.1.blocks.2.conv2.weight", "stages.1.blocks.2.conv2"),
            ("stages.2.blocks.1.norm1.bias", "stages.2.blocks.1.norm1"),
            ("head.output.bias", "head.output"),
        ] {
            for value in [f32::NAN, f32::INFINITY] {
                let found = first_fault(&with(model(), tensor, value), inputs(), train).unwrap();
                assert_eq!(found.layer, layer, "{value}");
            }
        }
    }

    #[test]
    fn watching_changes_nothing() {
        let model = model();
        let numbers = |model: &Model| named_tensors(model).into_iter().map(|tensor| tensor.data).collect::<Vec<_>>();
        let before = numbers(&model);
        first_fault(
            &with(model.clone(), "head.output.bias", f32::NAN),
            inputs(),
            Pass::Train { seed: 0, step: 0, first: 0 },
        );
        assert_eq!(numbers(&model), before);
    }
}
