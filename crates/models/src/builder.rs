//! Makes the parameters of a network in the order in which its modules ask for them: counts them, so that each has its own random
//! numbers, and puts them on the device. Owns no shapes: the plans of `mlp` and `stage` have been checked before.

use burn::{
    module::Param,
    tensor::{Device, Tensor, TensorData},
};

use crate::{Init, init::Fan};

/// Where a network's parameters come from.
pub(crate) struct Builder<'a> {
    device: &'a Device,
    seed: u64,
    init: Init,
    parameters: u32,
    dropouts: u32,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(device: &'a Device, seed: u64, init: Init) -> Self {
        Self { device, seed, init, parameters: 0, dropouts: 0 }
    }

    /// A weight of `fan.rows` x `fan.inputs` numbers; `arrange` takes them row by row into the layout in memory.
    pub(crate) fn weight<const D: usize>(
        &mut self,
        shape: [usize; D],
        fan: Fan,
        arrange: impl FnOnce(Vec<f32>) -> Vec<f32>,
    ) -> Param<Tensor<D>> {
        let parameter = self.next();
        self.param(arrange(self.init.weight(fan, self.seed, parameter)), shape)
    }

    /// The bias beside such a weight, `[fan.rows]`.
    pub(crate) fn bias(&mut self, fan: Fan) -> Param<Tensor<1>> {
        let parameter = self.next();
        self.param(self.init.bias(fan, self.seed, parameter), [fan.rows])
    }

    /// A trainable vector that begins with `value` everywhere, `[len]`.
    pub(crate) fn constant(&mut self, value: f32, len: usize) -> Param<Tensor<1>> {
        self.param(vec![value; len], [len])
    }

    /// A vector that isn't trained and begins with `value` everywhere, `[len]`.
    pub(crate) fn buffer(&self, value: f32, len: usize) -> Tensor<1> {
        Tensor::from_data(TensorData::new(vec![value; len], [len]), self.device)
    }

    /// The number of a dropout layer: the coordinate of its masks.
    pub(crate) fn dropout(&mut self) -> u32 {
        self.dropouts += 1;
        self.dropouts - 1
    }

    fn next(&mut self) -> u32 {
        self.parameters += 1;
        self.parameters - 1
    }

    fn param<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }
}
