//! A bridge and the ReLU as operations of Flex: one pass each way, maps stay channels-last.

use std::mem::MaybeUninit;

use burn::backend::{
    Autodiff, Backend, Dispatch, Flex,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, NodeGuard, Ops, OpsKind},
    },
    backend_extension,
    tensor::FloatTensor,
};
use burn::tensor::Tensor;

use super::Join;
use crate::{
    flex,
    fresh::fresh,
    relu::{behind, cut},
    rows::Rows,
};

#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait Joined: Backend {
    fn join_add(x: FloatTensor<Self>, bridge: FloatTensor<Self>, relu: bool) -> FloatTensor<Self>;

    fn join_relu(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Whether there is something to do, on tensors that the slices hold.
pub(super) fn takes<const D: usize>(x: &Tensor<D>, join: &Join<D>) -> bool {
    (D == 2 || D == 4)
        && (join.relu || join.bridge.is_some())
        && join.bridge.as_ref().is_none_or(|bridge| bridge.dims() == x.dims() && flex::is_flex(bridge))
        && flex::is_flex(x)
}

pub(super) fn run<const D: usize>(x: Tensor<D>, join: Join<D>) -> Tensor<D> {
    Tensor::from_dispatch(match join.bridge {
        Some(bridge) => Dispatch::join_add(x.into_dispatch(), bridge.into_dispatch(), join.relu),
        None => Dispatch::join_relu(x.into_dispatch()),
    })
}

type F = FloatTensor<Flex>;

impl Joined for Flex {
    fn join_add(x: F, bridge: F, relu: bool) -> F {
        let (from, other) = (flex::pixels(&x), flex::pixels(&bridge));
        let sum = match relu {
            true => pass([&from, &other], |[x, bridge]| cut::<true>(x + bridge)),
            false => pass([&from, &other], |[x, bridge]| x + bridge),
        };
        flex::like(sum, &x)
    }

    fn join_relu(x: F) -> F {
        flex::like(pass([&flex::pixels(&x)], |[x]| cut::<true>(x)), &x)
    }
}

/// `value` of each place of the slices.
#[inline(always)]
fn pass<const N: usize>(from: [&[f32]; N], value: impl Fn([f32; N]) -> f32 + Sync) -> Vec<f32> {
    let rows = Rows::new(from[0].len(), 1, 4 * (N + 1));
    let write = |to: &mut [MaybeUninit<f32>]| {
        rows.each(
            rows.cut(to),
            #[inline(always)]
            |to, at| {
                let from = from.map(|from| &from[at.all.clone()]);
                let to = &mut to[at.part];
                for i in 0..to.len() {
                    to[i].write(value(from.map(|from| from[i])));
                }
            },
        );
    };
    // SAFETY: the rows are the whole slice, and each value of a row is written.
    unsafe { fresh(from[0].len(), write) }
}

/// The output's slope behind the ReLU, for all parents; the state is the output where there is one.
#[derive(Debug)]
struct Slope;

impl<const N: usize> Backward<Flex, N> for Slope {
    type State = Option<F>;

    fn backward(self, ops: Ops<Option<F>, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut slope = grads.consume::<Flex>(&ops.node);
        if let Some(y) = ops.state {
            let masked = pass([&flex::pixels(&y), &flex::pixels(&slope)], |[y, slope]| behind(y, slope));
            slope = flex::like(masked, &y);
        }
        for node in ops.parents.into_iter().flatten() {
            grads.register::<Flex>(node.id, slope.clone());
        }
    }
}

type A<C> = FloatTensor<Autodiff<Flex, C>>;

fn record<C: CheckpointStrategy, const N: usize>(nodes: [NodeGuard; N], output: F, relu: bool) -> A<C> {
    match Slope.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(relu.then(|| output.clone()), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

impl<C: CheckpointStrategy> Joined for Autodiff<Flex, C> {
    fn join_add(x: A<C>, bridge: A<C>, relu: bool) -> A<C> {
        let [(x, node), (bridge, other)] = [x, bridge].map(A::<C>::into_parts);
        record::<C, 2>([node, other], Flex::join_add(x, bridge, relu), relu)
    }

    fn join_relu(x: A<C>) -> A<C> {
        let (x, node) = x.into_parts();
        record::<C, 1>([node], Flex::join_relu(x), true)
    }
}
