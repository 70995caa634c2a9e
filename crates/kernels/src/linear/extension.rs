//! The fully connected layer as an operation of Burn's: Flex runs it on slices, and autodiff learns its gradients.

use std::ops::Range;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use super::gradient::Layer;
use super::matrix::{Left, Right, Steps, multiply};
use crate::flex;
use crate::gemv::gemv;
use crate::product::panel_width;

/// Rows that one pass over the weights takes along: up to here they are used as they lie.
const FEW: usize = 8;

/// Fused fully connected layer.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait FullyConnected: Backend {
    /// See [`super::linear`].
    fn connect(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self>;
}

/// Whether the CPU kernels take it: f32 on Flex, and shapes that fit.
pub(super) fn takes(x: &Tensor<2>, weight: &Tensor<2>, bias: Option<&Tensor<1>>) -> bool {
    let ([_, inputs], [rows, outputs]) = (x.dims(), weight.dims());
    let biased = bias.is_none_or(|bias| bias.dims() == [outputs] && flex::is_flex(bias));
    inputs == rows && biased && flex::is_flex(x) && flex::is_flex(weight)
}

/// Runs what [`takes`] has approved.
pub(super) fn run(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>, relu: bool) -> Tensor<2> {
    // A bias of zeros costs nothing: sums have to begin with something.
    let bias = bias.unwrap_or_else(|| Tensor::zeros([weight.dims()[1]], &x.device()));
    Tensor::from_dispatch(Dispatch::connect(x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch(), relu))
}

impl FullyConnected for Flex {
    fn connect(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        forward(&x, &weight, &bias, relu)
    }
}

fn forward(
    x: &FloatTensor<Flex>,
    weight: &FloatTensor<Flex>,
    bias: &FloatTensor<Flex>,
    relu: bool,
) -> FloatTensor<Flex> {
    let ([batch, inputs], [_, outputs]) = (flex::dims(x), flex::dims(weight));
    let (x, weight, bias) = (flex::values(x), flex::values(weight), flex::values(bias));
    if batch == 1 {
        let mut out = vec![0.0; outputs];
        gemv(&x, &weight, &bias, &mut out, relu);
        return flex::tensor(out, [batch, outputs]);
    }
    let a = Left { values: &x, rows: batch, row: inputs, steps: Steps::Apart { steps: inputs, by: 1 } };
    let pack = |_, columns: Range<usize>, panel: &mut [f32]| {
        for (panel, weight) in panel.chunks_exact_mut(panel_width()).zip(weight.chunks_exact(outputs)) {
            panel[..columns.len()].copy_from_slice(&weight[columns.clone()]);
        }
    };
    let b = if batch <= FEW { Right::Rows(&weight) } else { Right::Pack(pack) };
    let out = multiply(&a, &b, outputs, Some(&bias), relu);
    flex::tensor(out, [batch, outputs])
}

/// What the gradient needs.
#[derive(Clone, Debug)]
struct Saved {
    x: FloatTensor<Flex>,
    weight: FloatTensor<Flex>,
    /// Kept for ReLU alone.
    output: Option<FloatTensor<Flex>>,
}

#[derive(Debug)]
struct Connected;

impl Backward<Flex, 3> for Connected {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let Saved { x, weight, output } = ops.state;
        let dy = grads.consume::<Flex>(&ops.node);
        let ([batch, inputs], [_, outputs]) = (flex::dims(&x), flex::dims(&weight));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let output = output.as_ref().map(flex::values);
        let (x, weight) = (flex::values(&x), flex::values(&weight));
        let layer = Layer { batch, inputs, outputs, x: &x, weight: &weight, output: output.as_deref() };
        let found = layer.gradients(&flex::values(&dy), wanted);
        let [x, weight, bias] = ops.parents;
        if let Some((node, found)) = x.zip(found.x) {
            grads.register::<Flex>(node.id, flex::tensor(found, [batch, inputs]));
        }
        if let Some((node, found)) = weight.zip(found.weight) {
            grads.register::<Flex>(node.id, flex::tensor(found, [inputs, outputs]));
        }
        if let Some((node, found)) = bias.zip(found.bias) {
            grads.register::<Flex>(node.id, flex::tensor(found, [outputs]));
        }
    }
}

impl<C: CheckpointStrategy> FullyConnected for Autodiff<Flex, C> {
    fn connect(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        let prepared = Connected.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful();
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        let out = forward(&x, &weight, &bias, relu);
        match prepared {
            OpsKind::Tracked(prepared) => {
                let output = relu.then(|| out.clone());
                prepared.finish(Saved { x, weight, output }, out)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }
}
