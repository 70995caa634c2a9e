//! The convolution as an operation of Burn's: Flex runs it on slices, and autodiff learns its gradients.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, ops::ConvOptions};

use super::backward::{Behind, Wanted, gradients};
use super::forward::Forward;
use super::{After, geometry::Geometry};
use crate::flex;

/// Fused convolution.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait Convolution: Backend {
    /// See [`super::conv2d`].
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: ConvOptions<2>,
        after: After,
    ) -> FloatTensor<Self>;

    /// See [`super::conv2d_bridged`].
    fn convolve_bridged(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: ConvOptions<2>,
        after: After,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// Whether the CPU kernels take it: f32 on Flex, and shapes that fit.
pub(super) fn takes(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    options: &ConvOptions<2>,
    after: After,
) -> bool {
    let Some(geometry) = Geometry::new(x.dims(), weight.dims(), options) else { return false };
    let pools =
        after.pool.is_none_or(|pool| pool.padding == 0 && pool.size <= 15 && pool.output(geometry.output).is_some());
    let biased = bias.is_none_or(|bias| bias.dims() == [geometry.outputs] && flex::is_flex(bias));
    pools && biased && flex::is_flex(x) && flex::is_flex(weight)
}

/// Runs what [`takes`] has approved.
pub(super) fn run(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    after: After,
) -> Tensor<4> {
    let bias = or_zeros(bias, &weight);
    let out = Dispatch::convolve(x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch(), options, after);
    Tensor::from_dispatch(out)
}

/// The same, and the input again.
pub(super) fn run_bridged(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
    after: After,
) -> (Tensor<4>, Tensor<4>) {
    let bias = or_zeros(bias, &weight);
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    let (out, bridge) = Dispatch::convolve_bridged(x, weight, bias, options, after);
    (Tensor::from_dispatch(out), Tensor::from_dispatch(bridge))
}

/// A bias of zeros costs nothing: sums have to begin with something.
fn or_zeros(bias: Option<Tensor<1>>, weight: &Tensor<4>) -> Tensor<1> {
    bias.unwrap_or_else(|| Tensor::zeros([weight.dims()[0]], &weight.device()))
}

impl Convolution for Flex {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: ConvOptions<2>,
        after: After,
    ) -> FloatTensor<Self> {
        forward(&x, &weight, &bias, &options, after, false).0
    }

    fn convolve_bridged(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: ConvOptions<2>,
        after: After,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        (forward(&x, &weight, &bias, &options, after, false).0, x)
    }
}

/// The result, and for a gradient which value won each window.
fn forward(
    x: &FloatTensor<Flex>,
    weight: &FloatTensor<Flex>,
    bias: &FloatTensor<Flex>,
    options: &ConvOptions<2>,
    after: After,
    tracked: bool,
) -> (FloatTensor<Flex>, Vec<u8>) {
    let geometry = geometry(x, weight, options);
    let (outputs, batch) = (geometry.outputs, flex::dims::<4>(x)[0]);
    let Some(forward) =
        Forward::new(geometry, &flex::values(weight), Some(&flex::values(bias)), after.relu, after.pool)
    else {
        unreachable!("`takes` has asked whether a window fits")
    };
    let mut from = vec![0; if tracked && after.pool.is_some() { batch * forward.len() } else { 0 }];
    let out = forward.run(batch, &flex::channels_last(x), &mut from);
    (flex::map(out, [batch, outputs, forward.output[0], forward.output[1]]), from)
}

fn geometry(x: &FloatTensor<Flex>, weight: &FloatTensor<Flex>, options: &ConvOptions<2>) -> Geometry {
    let Some(geometry) = Geometry::new(flex::dims(x), flex::dims(weight), options) else {
        unreachable!("`takes` has compared the shapes")
    };
    geometry
}

/// What the gradient needs.
#[derive(Clone, Debug)]
struct Saved {
    x: FloatTensor<Flex>,
    weight: FloatTensor<Flex>,
    /// Kept for ReLU alone.
    output: Option<FloatTensor<Flex>>,
    from: Arc<Vec<u8>>,
    options: ConvOptions<2>,
    after: After,
    /// Where a bridge over the convolution leaves the gradient that comes back over it.
    met: Option<Meeting>,
}

#[derive(Debug)]
struct Convolved;

/// The gradient of a bridge, on its way to the convolution that the bridge leads over.
type Meeting = Arc<Mutex<Option<FloatTensor<Flex>>>>;

/// The far end of a bridge. Its only parent is the convolution's output, which so comes after it on the way back.
#[derive(Debug)]
struct Bridge;

impl Backward<Flex, 1> for Bridge {
    type State = Meeting;

    fn backward(self, ops: Ops<Meeting, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        *ops.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient);
    }
}

impl Backward<Flex, 3> for Convolved {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let Saved { x, weight, output, from, options, after, met } = ops.state;
        let gradient = grads.consume::<Flex>(&ops.node);
        let [x_node, weight_node, bias_node] = ops.parents;
        let wanted = Wanted { x: x_node.is_some(), weight: weight_node.is_some(), bias: bias_node.is_some() };
        let output = output.as_ref().map(flex::channels_last);
        let [_, _, height, width] = flex::dims(&gradient);
        let behind = match (after.pool, &output) {
            (Some(pool), _) => Behind::Pool(pool, &from, [height, width]),
            (None, Some(output)) => Behind::Relu(output),
            (None, None) => Behind::Nothing,
        };
        let geometry = geometry(&x, &weight, &options);
        let met = met.and_then(|met| met.lock().unwrap_or_else(PoisonError::into_inner).take());
        let result = gradients(
            &geometry,
            (&flex::channels_last(&x), &flex::values(&weight)),
            &behind,
            &flex::channels_last(&gradient),
            met.map(flex::into_channels_last),
            wanted,
        );
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, flex::map(result.x, flex::dims(&x)));
        }
        if let Some(node) = weight_node {
            grads.register::<Flex>(node.id, flex::tensor(result.weight, flex::dims::<4>(&weight)));
        }
        if let Some(node) = bias_node {
            grads.register::<Flex>(node.id, flex::tensor(result.bias, [geometry.outputs]));
        }
    }
}

impl<C: CheckpointStrategy> Convolution for Autodiff<Flex, C> {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: ConvOptions<2>,
        after: After,
    ) -> FloatTensor<Self> {
        record::<C>(
            [x.node(), weight.node(), bias.node()],
            [x, weight, bias].map(A::<C>::into_primitive),
            options,
            after,
            None,
        )
    }

    fn convolve_bridged(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: ConvOptions<2>,
        after: After,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if !x.is_tracked() {
            let bridge = x.clone();
            return (Self::convolve(x, weight, bias, options, after), bridge);
        }
        let nodes = [x.node(), weight.node(), bias.node()];
        let tensors = [x, weight, bias].map(A::<C>::into_primitive);
        let (over, met) = (tensors[0].clone(), Meeting::default());
        let out = record::<C>(nodes, tensors, options, after, Some(met.clone()));
        let bridge = match Bridge.prepare::<C>([out.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(met, over),
            OpsKind::UnTracked(prepared) => prepared.finish(over),
        };
        (out, bridge)
    }
}

type A<C> = FloatTensor<Autodiff<Flex, C>>;

/// Convolves, and keeps what the gradient needs.
fn record<C: CheckpointStrategy>(
    nodes: [NodeGuard; 3],
    [x, weight, bias]: [FloatTensor<Flex>; 3],
    options: ConvOptions<2>,
    after: After,
    met: Option<Meeting>,
) -> A<C> {
    match Convolved.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (out, from) = forward(&x, &weight, &bias, &options, after, true);
            let output = (after.relu && after.pool.is_none()).then(|| out.clone());
            prepared.finish(Saved { x, weight, output, from: Arc::new(from), options, after, met }, out)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(forward(&x, &weight, &bias, &options, after, false).0),
    }
}
