//! Where batch normalisation meets Burn: as an operation of Flex, and as one with a backward pass of its own under autodiff.

use burn::backend::{
    Autodiff, Backend, Dispatch, Flex,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, NodeGuard, Ops, OpsKind},
    },
    backend_extension,
    ops::{ActivationOps, FloatTensorOps, ModuleOps},
    tensor::FloatTensor,
};
use burn::tensor::Tensor;

use super::slices::{Mask, Normal, Statistics};
use crate::{Join, flex};

/// Output, mean and variance.
type Trained<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
trait Norm: Backend {
    fn norm_train(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
        relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    fn norm_train_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        bridge: FloatTensor<Self>,
        epsilon: f64,
        relu: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    fn norm_given(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        epsilon: f64,
        relu: bool,
    ) -> FloatTensor<Self>;

    #[allow(
        clippy::too_many_arguments,
        reason = "the macro takes tensors one by one, and copies an `expect` to where it fails"
    )]
    fn norm_given_add(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        bridge: FloatTensor<Self>,
        epsilon: f64,
        relu: bool,
    ) -> FloatTensor<Self>;
}

/// Whether the tensors are what the slices hold; what doesn't fit, Burn refuses in its own words.
pub(super) fn takes<const D: usize>(x: &Tensor<D>, channels: &[Tensor<1>; 2], after: &Join<D>) -> bool {
    (D == 2 || D == 4)
        && channels.iter().all(|values| values.dims() == [x.dims()[1]] && flex::is_flex(values))
        && after.bridge.as_ref().is_none_or(|bridge| bridge.dims() == x.dims() && flex::is_flex(bridge))
        && flex::is_flex(x)
}

pub(super) fn train<const D: usize>(
    x: Tensor<D>,
    affine: [Tensor<1>; 2],
    epsilon: f64,
    after: Join<D>,
) -> (Tensor<D>, [Tensor<1>; 2]) {
    let (x, [weight, bias]) = (x.into_dispatch(), affine.map(Tensor::into_dispatch));
    let (output, mean, variance) = match after.bridge {
        Some(bridge) => Dispatch::norm_train_add(x, weight, bias, bridge.into_dispatch(), epsilon, after.relu),
        None => Dispatch::norm_train(x, weight, bias, epsilon, after.relu),
    };
    (Tensor::from_dispatch(output), [Tensor::from_dispatch(mean), Tensor::from_dispatch(variance)])
}

pub(super) fn given<const D: usize>(
    x: Tensor<D>,
    affine: [Tensor<1>; 2],
    statistics: [Tensor<1>; 2],
    epsilon: f64,
    after: Join<D>,
) -> Tensor<D> {
    let [weight, bias] = affine.map(Tensor::into_dispatch);
    let (x, [mean, variance]) = (x.into_dispatch(), statistics.map(Tensor::into_dispatch));
    Tensor::from_dispatch(match after.bridge {
        Some(bridge) => {
            Dispatch::norm_given_add(x, weight, bias, mean, variance, bridge.into_dispatch(), epsilon, after.relu)
        }
        None => Dispatch::norm_given(x, weight, bias, mean, variance, epsilon, after.relu),
    })
}

type F = FloatTensor<Flex>;

/// Normalises by the batch's statistics. Returns how, too.
fn forward_train(x: &F, affine: [&F; 2], bridge: Option<&F>, epsilon: f64, relu: bool) -> (Trained<Flex>, Normal) {
    let slice = flex::pixels(x);
    let channels = flex::channels(x);
    let statistics = Statistics::of(&slice, channels);
    let [mean, variance] =
        [&statistics.mean, &statistics.variance].map(|values| flex::tensor(values.clone(), [channels]));
    let [weight, bias] = affine.map(flex::values);
    let normal = Normal::new(&weight, &bias, statistics, epsilon);
    let output = normal.forward(&slice, bridge.map(flex::pixels).as_deref(), relu);
    ((flex::like(output, x), mean, variance), normal)
}

fn forward_given(x: &F, affine: [&F; 2], statistics: [&F; 2], bridge: Option<&F>, epsilon: f64, relu: bool) -> F {
    let [mean, variance] = statistics.map(|values| flex::values(values).into_owned());
    let [weight, bias] = affine.map(flex::values);
    let normal = Normal::new(&weight, &bias, Statistics { mean, variance }, epsilon);
    flex::like(normal.forward(&flex::pixels(x), bridge.map(flex::pixels).as_deref(), relu), x)
}

impl Norm for Flex {
    fn norm_train(x: F, weight: F, bias: F, epsilon: f64, relu: bool) -> Trained<Flex> {
        forward_train(&x, [&weight, &bias], None, epsilon, relu).0
    }

    fn norm_train_add(x: F, weight: F, bias: F, bridge: F, epsilon: f64, relu: bool) -> Trained<Flex> {
        forward_train(&x, [&weight, &bias], Some(&bridge), epsilon, relu).0
    }

    fn norm_given(x: F, weight: F, bias: F, mean: F, variance: F, epsilon: f64, relu: bool) -> F {
        forward_given(&x, [&weight, &bias], [&mean, &variance], None, epsilon, relu)
    }

    fn norm_given_add(x: F, weight: F, bias: F, mean: F, variance: F, bridge: F, epsilon: f64, relu: bool) -> F {
        forward_given(&x, [&weight, &bias], [&mean, &variance], Some(&bridge), epsilon, relu)
    }
}

/// What backward needs.
#[derive(Clone, Debug)]
struct State {
    /// Channels-last.
    x: F,
    normal: Normal,
    /// Where there is a bridge and a ReLU.
    output: Option<F>,
    relu: bool,
}

/// Of x, weight, bias, and the bridge if there are four parents.
#[derive(Debug)]
struct Slope;

impl<const N: usize> Backward<Flex, N> for Slope {
    type State = State;

    fn backward(self, ops: Ops<State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let State { x, normal, output, relu } = ops.state;
        let slope = grads.consume::<Flex>(&ops.node);
        let id = |parent: usize| ops.parents.get(parent).and_then(Option::as_ref).map(|node| node.id);
        let result = {
            let output = output.as_ref().map(flex::pixels);
            let mask = match (&output, relu) {
                (Some(output), _) => Mask::Output(output),
                (None, true) => Mask::Input,
                (None, false) => Mask::None,
            };
            normal.backward(&flex::pixels(&x), &flex::pixels(&slope), mask, id(0).is_some())
        };
        let channels = [flex::channels(&x)];
        if let (Some(id), Some(input)) = (id(0), result.input) {
            grads.register::<Flex>(id, flex::like(input, &x));
        }
        if let Some(id) = id(1) {
            grads.register::<Flex>(id, flex::tensor(result.weight, channels));
        }
        if let Some(id) = id(2) {
            grads.register::<Flex>(id, flex::tensor(result.bias, channels));
        }
        if let Some(id) = id(3) {
            grads.register::<Flex>(id, result.bridge.map_or(slope, |bridge| flex::like(bridge, &x)));
        }
    }
}

type A<C> = FloatTensor<Autodiff<Flex, C>>;

fn record<C: CheckpointStrategy, const N: usize>(
    nodes: [NodeGuard; N],
    tensors: (F, F, F, Option<F>),
    epsilon: f64,
    relu: bool,
) -> Trained<Autodiff<Flex, C>> {
    let (x, weight, bias, bridge) = tensors;
    let x = flex::laid(x);
    let ((output, mean, variance), normal) = forward_train(&x, [&weight, &bias], bridge.as_ref(), epsilon, relu);
    let output = match Slope.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let kept = (relu && bridge.is_some()).then(|| output.clone());
            prep.finish(State { x, normal, output: kept, relu }, output)
        }
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    (output, A::<C>::new(mean), A::<C>::new(variance))
}

impl<C: CheckpointStrategy> Norm for Autodiff<Flex, C> {
    fn norm_train(x: A<C>, weight: A<C>, bias: A<C>, epsilon: f64, relu: bool) -> Trained<Self> {
        let [(x, node_x), (weight, node_weight), (bias, node_bias)] = [x, weight, bias].map(A::<C>::into_parts);
        record::<C, 3>([node_x, node_weight, node_bias], (x, weight, bias, None), epsilon, relu)
    }

    fn norm_train_add(x: A<C>, weight: A<C>, bias: A<C>, bridge: A<C>, epsilon: f64, relu: bool) -> Trained<Self> {
        let parts = [x, weight, bias, bridge].map(A::<C>::into_parts);
        let [(x, node_x), (weight, node_weight), (bias, node_bias), (bridge, node_bridge)] = parts;
        let nodes = [node_x, node_weight, node_bias, node_bridge];
        record::<C, 4>(nodes, (x, weight, bias, Some(bridge)), epsilon, relu)
    }

    fn norm_given(
        x: A<C>,
        weight: A<C>,
        bias: A<C>,
        mean: A<C>,
        variance: A<C>,
        epsilon: f64,
        relu: bool,
    ) -> FloatTensor<Self> {
        let tensors = [x, weight, bias, mean, variance];
        if tensors.iter().any(A::<C>::is_tracked) {
            // Rare: a batch of one value for each channel, in training.
            let [x, weight, bias, mean, variance] = tensors;
            let y = Self::batch_norm(x, weight, bias, mean, variance, epsilon);
            return if relu { Self::relu(y) } else { y };
        }
        let [x, weight, bias, mean, variance] = tensors.map(A::<C>::into_primitive);
        A::<C>::new(Flex::norm_given(x, weight, bias, mean, variance, epsilon, relu))
    }

    fn norm_given_add(
        x: A<C>,
        weight: A<C>,
        bias: A<C>,
        mean: A<C>,
        variance: A<C>,
        bridge: A<C>,
        epsilon: f64,
        relu: bool,
    ) -> FloatTensor<Self> {
        let tensors = [x, weight, bias, mean, variance, bridge];
        if tensors.iter().any(A::<C>::is_tracked) {
            let [x, weight, bias, mean, variance, bridge] = tensors;
            let y = Self::float_add(Self::batch_norm(x, weight, bias, mean, variance, epsilon), bridge);
            return if relu { Self::relu(y) } else { y };
        }
        let [x, weight, bias, mean, variance, bridge] = tensors.map(A::<C>::into_primitive);
        A::<C>::new(Flex::norm_given_add(x, weight, bias, mean, variance, bridge, epsilon, relu))
    }
}
