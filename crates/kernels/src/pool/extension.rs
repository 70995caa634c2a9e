//! Pooling as operations of Flex, and with backward passes of its own under autodiff.

use std::sync::Arc;

use burn::backend::{
    Autodiff, Backend, Dispatch, Flex,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    backend_extension,
    tensor::FloatTensor,
};
use burn::tensor::{Shape, Tensor};

use super::slices::{self, Windows};
use crate::{conv::Window, flex};

#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait Pooled: Backend {
    fn pool(x: FloatTensor<Self>, way: Way) -> FloatTensor<Self>;
}

/// What becomes of a map.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Max { pool: Window, relu: bool },
    Average(Window),
    Global,
    Subsample { stride: usize, before: usize, after: usize },
    Flat,
}

/// Whether windows fit a map that the slices hold.
pub(super) fn takes(x: &Tensor<4>, Window { size, stride, padding }: Window) -> bool {
    let [_, channels, height, width] = x.dims();
    let fits = size > 0 && stride > 0 && padding <= size / 2 && height.min(width) + 2 * padding >= size;
    fits && channels > 0 && height.min(width) > 0 && flex::is_flex(x)
}

fn run<const D: usize>(x: Tensor<4>, way: Way) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::pool(x.into_dispatch(), way))
}

pub(super) fn max(x: Tensor<4>, pool: Window, relu: bool) -> Tensor<4> {
    run(x, Way::Max { pool, relu })
}

pub(super) fn average(x: Tensor<4>, pool: Window) -> Tensor<4> {
    run(x, Way::Average(pool))
}

pub(super) fn global(x: Tensor<4>) -> Tensor<2> {
    run(x, Way::Global)
}

pub(super) fn subsample(x: Tensor<4>, stride: usize, before: usize, after: usize) -> Tensor<4> {
    run(x, Way::Subsample { stride, before, after })
}

pub(super) fn flat(x: Tensor<4>) -> Tensor<2> {
    run(x, Way::Flat)
}

type F = FloatTensor<Flex>;

fn windows(dims: [usize; 4], pool: Window) -> Windows {
    let along = |side: usize| (side + 2 * pool.padding - pool.size) / pool.stride + 1;
    Windows { pool, dims, output: [along(dims[2]), along(dims[3])] }
}

/// The output, and for the maximum, which value of each window it was.
fn forward(x: &F, way: Way, tracked: bool) -> (F, Vec<u8>) {
    let dims @ [batch, channels, _, _] = flex::dims(x);
    let from = || flex::pixels(x);
    let map = |values, windows: &Windows, channels| {
        let [height, width] = windows.output;
        flex::map(values, [batch, channels, height, width])
    };
    let y = match way {
        Way::Max { pool, relu } => {
            let windows = windows(dims, pool);
            let (y, won) = windows.max(&from(), relu, tracked);
            return (map(y, &windows, channels), won);
        }
        Way::Average(pool) => {
            let windows = windows(dims, pool);
            map(windows.average(&from()), &windows, channels)
        }
        Way::Global => flex::tensor(slices::global(&from(), dims), [batch, channels]),
        Way::Subsample { stride, before, after } => {
            let windows = windows(dims, Window { size: 1, stride, padding: 0 });
            let all = before + channels + after;
            map(windows.subsample(&from(), before, all), &windows, all)
        }
        Way::Flat => flatten(x, dims),
    };
    (y, Vec::new())
}

/// Values in the order of the shape: as they lie, or turned image by image.
fn flatten(x: &F, dims: [usize; 4]) -> F {
    let [batch, channels, height, width] = dims;
    let flat = [batch, channels * height * width];
    match x.layout().reshape(Shape::from(flat)) {
        Some(layout) => x.clone().with_layout(layout),
        None => flex::tensor(slices::transposed(&flex::pixels(x), batch, height * width), flat),
    }
}

impl Pooled for Flex {
    fn pool(x: F, way: Way) -> F {
        forward(&x, way, false).0
    }
}

/// The sizes of the input, and which value of each window was the greatest.
#[derive(Clone, Debug)]
struct State {
    way: Way,
    dims: [usize; 4],
    won: Arc<Vec<u8>>,
}

#[derive(Debug)]
struct Slope;

impl Backward<Flex, 1> for Slope {
    type State = State;

    fn backward(self, ops: Ops<State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let State { way, dims, won } = ops.state;
        let slope = grads.consume::<Flex>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        let from = flex::pixels(&slope);
        let values = match way {
            Way::Max { pool, .. } => windows(dims, pool).max_backward(&from, &won),
            Way::Average(pool) => windows(dims, pool).average_backward(&from),
            Way::Global => slices::global_backward(&from, dims),
            Way::Subsample { stride, before, after } => {
                let windows = windows(dims, Window { size: 1, stride, padding: 0 });
                windows.subsample_backward(&from, before, before + dims[1] + after)
            }
            Way::Flat => slices::transposed(&from, dims[0], dims[1]),
        };
        drop(from);
        grads.register::<Flex>(node.id, flex::map(values, dims));
    }
}

type A<C> = FloatTensor<Autodiff<Flex, C>>;

impl<C: CheckpointStrategy> Pooled for Autodiff<Flex, C> {
    fn pool(x: A<C>, way: Way) -> A<C> {
        let (x, node) = x.into_parts();
        match Slope.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (y, won) = forward(&x, way, true);
                prep.finish(State { way, dims: flex::dims(&x), won: Arc::new(won) }, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(forward(&x, way, false).0),
        }
    }
}
